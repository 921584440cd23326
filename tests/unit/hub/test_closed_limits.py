"""When a vendor says stop, every worker of the credential stops, whatever the vendor calls the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.base import Rate
from connectors.errors import QuotaExhausted
from connectors.salesforce.error_table import CONCURRENT_CALLS
from hub.errors import VendorUnavailable
from hub.session import Channel
from hub.sync.vendor import close_bucket, reading, take_tokens

if TYPE_CHECKING:
    from conftest import World

REQUESTS = Rate("requests", 100, 1, 100)
DAILY = Rate("daily", 1_000, 86_400, 100)
REPORTS = Rate("reports", 5, 3_600, 5, frozenset({"start_delivery"}))


def stopped(world: World, limit: str, *rates: Rate) -> Channel:
    """After a request the vendor says stop for 20 s under this name."""
    world.ads.rates = rates
    channel = world.hub.session.channel("gam-main")
    assert may(world, channel, "read")
    close_bucket(world.hub.session, channel, QuotaExhausted("TOO-MANY", "slow down", after=20, limit=limit))
    return channel


def may(world: World, channel: Channel, operation: str) -> bool:
    try:
        take_tokens(world.hub.session, channel, operation)
    except VendorUnavailable:
        return False
    return True


@pytest.mark.parametrize("limit", ["", CONCURRENT_CALLS])
@pytest.mark.parametrize("rates", [(REQUESTS,), (REQUESTS, DAILY), (REPORTS,), ()], ids=len)
def test_a_limit_that_no_rate_declares_closes_every_general_rate(
    world: World, limit: str, rates: tuple[Rate, ...]
) -> None:
    channel = stopped(world, limit, *rates)
    assert not may(world, channel, "read")
    assert not may(world, channel, "start_delivery")
    world.machine.advance(21)
    assert may(world, channel, "read")


def test_a_declared_limit_closes_its_own_rate_only(world: World) -> None:
    channel = stopped(world, "reports", REQUESTS, REPORTS)
    assert may(world, channel, "read")
    assert not may(world, channel, "start_delivery")


def test_a_further_request_of_a_call_under_way_stops_too(world: World) -> None:
    channel = world.hub.session.channel("gam-main")
    take_tokens(world.hub.session, channel, "read")
    stopped(world, "so-many-at-once")
    channel.connector.pace()  # the first request, whose tokens are taken
    with pytest.raises(QuotaExhausted) as caught:
        channel.connector.pace()
    assert caught.value.code == "PACED"
    close_bucket(world.hub.session, channel, caught.value)
    world.machine.advance(21)
    channel.connector.pace()


def test_a_read_that_meets_an_undeclared_limit_stops_the_other_workers(world: World) -> None:
    world.ads.rates = (REQUESTS,)
    channel = world.hub.session.channel("gam-main")

    def too_many() -> None:
        raise QuotaExhausted("TOO-MANY", "slow down", after=20, limit="so-many-at-once")

    with pytest.raises(VendorUnavailable), reading(world.hub.session, channel):
        too_many()
    assert not may(world, channel, "read")


def test_a_connector_without_rates_is_not_slowed_down(world: World) -> None:
    channel = world.hub.session.channel("gam-main")
    assert channel.capabilities.rates == ()
    for _ in range(200):
        take_tokens(world.hub.session, channel, "read")
    assert world.slept == []
