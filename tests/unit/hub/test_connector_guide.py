"""The connector of the guide, as it stands there: installed, its mappings compiled, and an order sent through it."""

from __future__ import annotations

import re
import sqlite3
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cli
from connectors import discovery
from hub.config import ConnectionSettings
from hub.session import build_connector

if TYPE_CHECKING:
    from conftest import World

GUIDE = Path(cli.__file__).parent.parent / "docs/how-to/write-a-connector.md"
FILES = re.compile(r"^`([\w./]+)`[^\n]*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The guide's files, installed as pip would: on the path, with their entry points."""
    texts = dict(FILES.findall(GUIDE.read_text(encoding="utf-8")))
    for name in ("acme_ads/__init__.py", "acme_ads/mappings/__init__.py"):
        texts[name] = ""
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    metadata = tmp_path / "orderhub_acme-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: orderhub-acme\nVersion: 0.1\n")
    groups = tomllib.loads(texts["pyproject.toml"])["project"]["entry-points"]
    told = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in points.items()) for group, points in groups.items()]
    (metadata / "entry_points.txt").write_text("\n\n".join(told))
    monkeypatch.syspath_prepend(str(tmp_path))
    discovery.load.cache_clear()
    yield texts
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme_ads"]:
        del sys.modules[name]
    discovery.load.cache_clear()


def test_the_guides_connector_sends_an_order_and_archives_it(
    package: dict[str, str], world: World, tmp_path: Path
) -> None:
    assert set(package) >= {"acme_ads/connector.py", "acme_ads/mappings/acme/actions.v1.yaml"}
    file = tmp_path / "ads.db"
    settings = ConnectionSettings(connector="acme", settings={"file": str(file)})
    session = world.hub.session
    session.configuration.connections["acme-main"] = settings  # type: ignore[index]
    others = session.connect
    session.connect = lambda name, given: build_connector(name, given) if name == "acme-main" else others(name, given)
    assert world.hub.check("acme-main").usable
    world.book(lines=2)
    world.hub.intake("sfdc")
    assert world.hub.push("acme-main").outcomes["created"] == 4

    def held() -> list[tuple[str, str]]:
        db = sqlite3.connect(file)
        try:
            return db.execute("SELECT kind, body FROM record ORDER BY id").fetchall()
        finally:
            db.close()

    assert [kind for kind, _ in held()] == ["Company", "Order", "Line", "Line"]
    assert '"cpm_micros": 12500000' in held()[2][1]
    world.machine.advance(60)
    world.crm.opportunity("006A", "Acme spring 006A", "001A", StageName="Closed Lost", IsWon=False)
    world.hub.intake("sfdc")
    world.hub.push("acme-main")
    assert '"archived": true' in held()[1][1]
    assert len(held()) == 4
