"""A connector that somebody wrote and that fails: its connection stops with a sentence, and nobody else's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from connectors import discovery
from connectors.base import Connector
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
