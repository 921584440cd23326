"""A lease that ends before a connector gives a request up is told as a warning: by `check`, and where the connection is read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from connectors.base import Capabilities, PushesRecords
from connectors.discovery import installed, load
from connectors.matrix import EXAMPLES
from hub.config import HubSettings
from hub.lease import lease_finding

if TYPE_CHECKING:
    from conftest import World


def with_lease(world: World, seconds: float) -> None:
    configuration = world.hub.session.configuration
    hub = configuration.hub.model_copy(update={"lease_seconds": seconds})
    object.__setattr__(configuration, "hub", hub)


def test_a_lease_shorter_than_a_request_is_a_warning_with_the_number_that_would_do(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.ads.longest_request = 130.0
    with_lease(world, 120.0)
    with caplog.at_level(logging.WARNING, logger="orderhub"):
        found = world.hub.check("gam-main")
        world.hub.check("gam-main")
    assert found.usable, "fencing keeps it safe"
    (sentence,) = (sentence for severity, subject, sentence in found.findings if subject == "lease_seconds")
    assert "lease_seconds is 120" in sentence
    assert "gam-main may take 130 s" in sentence
    assert "sets lease_seconds to 195 or more" in sentence
    assert ("warning", "lease_seconds", sentence) in found.findings
    assert [record.message for record in caplog.records if "lease_seconds is 120" in record.message] == [
        record.message for record in caplog.records
    ], "said once where the connection's settings are read"
    assert len(caplog.records) == 1


def test_a_lease_that_is_long_enough_says_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.ads.longest_request = 130.0
    with_lease(world, 195.0)
    with caplog.at_level(logging.WARNING, logger="orderhub"):
        assert "lease_seconds" not in {subject for _, subject, _ in world.hub.check("gam-main").findings}
    assert not caplog.records


def test_a_connection_that_takes_no_records_needs_no_lease() -> None:
    assert lease_finding("reports", Capabilities(longest_request=9_000.0), 1.0) is None


@pytest.mark.parametrize("name", [name for name in installed() if issubclass(load(name), PushesRecords)])
def test_every_connector_that_writes_says_when_a_request_ends_and_fits_the_default_lease(name: str) -> None:
    kind = load(name)
    settings = kind.config.model_validate(EXAMPLES[name])
    assert kind(settings).capabilities.longest_request > 0
    default = HubSettings.model_fields["lease_seconds"].default
    assert lease_finding(name, kind(settings).capabilities, default) is None
    slower = settings.model_copy(update={"timeout_seconds": default})
    assert lease_finding(name, kind(slower).capabilities, default) is not None
