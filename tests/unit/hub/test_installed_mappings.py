"""Mappings of connectors that come in a package of their own, and mapping files that nobody can read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.mapping_trial import compiled
from connectors import discovery
from connectors.base import Capabilities, FieldSchema, FieldType, Operation, RecordCapability, RecordSchema
from hub.errors import ConfigurationError
from hub.mapping_files import load_action_table, load_mappings, mapping_paths

ORDER = """
mapping: papyrus.order@1
record: Booking
entity: order
direction: out
owner: crm
drift: {new_field: ignore, new_enum: hold, type_change: freeze}
writes:
  title: {from: name, as: visible_text, max: 200, on_too_long: truncate_hash}
omits: {id: none, currency: none, notes: none, number: none, parties: none, purchase_order: none, status: verbs, terms: none}
"""
CODE = """
from connectors.base import Connector, FieldSchema, FieldType, RecordSchema

class Papyrus(Connector):
    name = "papyrus"
    title = "Papyrus"

    @classmethod
    def record_schemas(cls):
        title = FieldSchema("title", FieldType.STRING, length=200, required=True)
        return {"Booking": RecordSchema("Booking", {"title": title})}
"""
SCHEMAS = {
    "Booking": RecordSchema("Booking", {"title": FieldSchema("title", FieldType.STRING, length=200, required=True)})
}
DECLARED = Capabilities(
    records={"Booking": RecordCapability(10, frozenset(Operation), actions=frozenset({"Archive", "Shelve"}))}
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The mappings folder of an installed package that brings the connector `papyrus`."""
    metadata = tmp_path / "orderhub_papyrus-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: orderhub-papyrus\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text(
        "[orderhub.connectors]\npapyrus = papyrus_ads:Papyrus\n[orderhub.mappings]\npapyrus = papyrus_ads\n"
    )
    folder = tmp_path / "papyrus_ads" / "papyrus"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text(CODE)
    (folder / "order.v1.yaml").write_text(ORDER)
    monkeypatch.syspath_prepend(str(tmp_path))
    discovery.load.cache_clear()
    yield folder
    sys.modules.pop("papyrus_ads", None)
    discovery.load.cache_clear()


def test_a_package_brings_its_table_of_verbs_beside_its_mappings(package: Path, tmp_path: Path) -> None:
    mappings = load_mappings("papyrus", SCHEMAS, None)
    assert set(mappings) == {("order", "out")}
    assert load_action_table("papyrus", mappings, DECLARED, None).order == {}
    for version, verb in ((2, "Shelve"), (10, "Archive")):
        (package / f"actions.v{version}.yaml").write_text(f"order: {{cancelled: {verb}}}\n")
    assert load_action_table("papyrus", mappings, DECLARED, None).order["cancelled"] == "Archive"
    own = tmp_path / "own"
    own.mkdir()
    (own / "actions.v1.yaml").write_text("order: {cancelled: Shelve}\n")
    assert load_action_table("papyrus", mappings, DECLARED, own).order["cancelled"] == "Shelve"


def test_an_overlay_on_a_packages_mapping_can_be_tried(package: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("base: papyrus.order@1\nwrites:\n  title: {from: name, as: visible_text, max: 100}\n")
    assert compiled(overlay).name == "papyrus.order"


@pytest.mark.parametrize(
    ("content", "says"), [(b"mapping: [\n", "cannot be read"), (b"\xff", "cannot be read"), (b"- 1\n", "no mapping")]
)
def test_a_mapping_that_nobody_can_read_stops_its_connection_with_a_sentence(
    content: bytes, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "order.v1.yaml"
    file.write_bytes(content)
    for own in (file, tmp_path):
        with pytest.raises(ConfigurationError, match=f"{says}.*The connection is not used"):
            mapping_paths("gam", own)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (b"order: {canceled: Archive}\n", "order.canceled"),  # it would never have been asked for
        (b"order: {cancelled: Burn}\n", "order.cancelled: Burn"),
        (b"order: [\n", "is no table of actions"),
        (b"\xff", "is no table of actions"),
        (b"", "is no table of actions"),
    ],
)
def test_a_wrong_table_of_verbs_stops_its_connection_with_a_sentence(table: bytes, says: str, package: Path) -> None:
    (package / "actions.v1.yaml").write_bytes(table)
    with pytest.raises(ConfigurationError, match=f"(?s){says}.*Correct.*The connection is not used"):
        load_action_table("papyrus", load_mappings("papyrus", SCHEMAS, None), DECLARED, None)
