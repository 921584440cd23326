"""A connector that somebody wrote and that fails: its connection stops with a sentence, and nobody else's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from connectors import discovery
from connectors.base import Connector, DeliveryRow, Page
from connectors.errors import Misconfigured
from hub.errors import ConnectionBroken, ConnectorStumbled

from .conftest import FakeAdServer

if TYPE_CHECKING:
    from conftest import World

WHAT_FAILS = ["__init__", "record_schemas", "capabilities"]


def failing(what: str) -> Connector:
    """The world's ad server, with a defect in one place."""
    if what == "__init__":
        raise RuntimeError("a defect")

    class Defective(FakeAdServer):
        """Fails wherever it is first asked for `what`."""

        def __getattribute__(self, name: str) -> Any:
            if name == what:
                raise RuntimeError("a defect")
            return super().__getattribute__(name)

    return Defective()


@pytest.mark.parametrize("what", WHAT_FAILS)
def test_a_connector_that_fails_before_any_request_stops_its_own_connection_only(what: str, world: World) -> None:
    world.book()
    world.hub.session.connect = lambda name, _: world.crm if name == "sfdc" else failing(what)
    assert world.hub.intake("sfdc").accepted
    with pytest.raises(ConnectionBroken, match=r"failed with RuntimeError before any request.*Integration mends"):
        world.hub.push("gam-main")
    assert set(world.hub.unusable()) == {"gam-main"}
    planned = world.hub.plan(None)
    assert "gam-main" not in {item.connection for item in planned.items}


@pytest.mark.parametrize("answer", [ValueError("a defect"), None])
def test_a_check_that_fails_is_the_connectors_defect(
    answer: Exception | None, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(used: object = None, written: object = None) -> None:
        if answer is not None:
            raise answer

    monkeypatch.setattr(world.ads, "check", check)
    with pytest.raises(ConnectorStumbled, match=r"asked to check. Nothing was written. Integration mends"):
        world.hub.check("gam-main")
    assert world.hub.check("sfdc").usable


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = (", "SyntaxError"),
        ("raise RuntimeError('a defect')", "RuntimeError: a defect"),
        ("import nowhere_at_all", "ModuleNotFoundError"),
        ("", "AttributeError"),
        ("Reed = 1", "is not a Connector"),
    ],
)
def test_a_package_that_cannot_be_imported_is_a_sentence(
    code: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "orderhub_reed-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: orderhub-reed\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text("[orderhub.connectors]\nreed = reed_ads:Reed\n")
    (tmp_path / "reed_ads.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        with pytest.raises(Misconfigured) as refused:
            discovery.load("reed")
    finally:
        sys.modules.pop("reed_ads", None)
    assert says in refused.value.message


def test_a_source_that_stumbles_while_it_reads_stops_its_own_connection_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book()

    def torn(*_: object) -> Iterator[Page]:
        yield from ()
        raise KeyError("a defect")

    monkeypatch.setattr(world.crm, "read", torn)
    with pytest.raises(ConnectorStumbled, match=r"failed with KeyError while it was asked to read"):
        world.hub.intake("sfdc")
    monkeypatch.undo()
    assert world.hub.intake("sfdc").accepted


def test_pages_in_a_list_are_read_once_each(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.book()
    read = world.crm.read
    monkeypatch.setattr(world.crm, "read", lambda *how: list(read(*how)))
    assert world.hub.intake("sfdc").read == 4


@pytest.mark.parametrize("value", ["half \ud83d", 2**70, b"bytes", object()])
def test_a_value_that_cannot_be_kept_is_the_connectors_defect(world: World, value: object) -> None:
    """Nothing of its page is taken, since what would be kept is not what the source holds; the next reading starts there."""
    world.book()
    world.crm.account("001B", "Other", Description=value)
    with pytest.raises(ConnectorStumbled, match=r"handed over Account '001B' with a value.*Integration mends"):
        world.hub.intake("sfdc")
    world.crm.account("001B", "Other", Description="whole")
    assert world.hub.intake("sfdc").read == 5


def test_a_report_that_stumbles_is_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.book()
    world.travel()
    world.business.advance(40 * 86_400)
    begun = world.hub.start_delivery("gam-main")
    world.hub.poll_delivery("gam-main", begun.job)

    def torn(job: str) -> Iterator[DeliveryRow]:
        yield from ()
        raise KeyError("a defect")

    monkeypatch.setattr(world.ads, "read_delivery", torn)
    with pytest.raises(ConnectorStumbled, match=r"failed with KeyError while it was asked to read_delivery"):
        world.hub.load_delivery("gam-main", begun.job)
    monkeypatch.undo()
    assert world.hub.load_delivery("gam-main", begun.job).state == "loaded"
