"""The shipped mappings, vendor records drawn for them, and a context that answers from dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

import mappings
from connectors.base import RecordSchema
from connectors.gam.records import record_schemas as gam_schemas
from connectors.salesforce.schemas import record_schemas as salesforce_schemas
from mappings.compiler import load_mapping
from mappings.context import Lookup, Names
from mappings.kinds import Kind
from mappings.mapping import Mapping as CompiledMapping
from mappings.plan import Apply, Table
from oms_schema.ids import EntityKind

FOLDER = Path(mappings.__file__).parent


class FakeNames(Names):
    """Answers by look-up, or an id made of its words; remembers what was asked."""

    __slots__ = ("asked", "known")

    def __init__(self, known: Mapping[Lookup, str] | None) -> None:
        super().__init__({})
        self.known = known
        self.asked: set[Lookup] = set()

    def of(self, table: str, scope: str, names: Sequence[str]) -> list[str | None]:
        wanted = [Lookup(table, name, scope) for name in names]
        self.asked.update(wanted)
        if self.known is None:
            return [f"{w.table}/{w.scope}/{w.name}" for w in wanted]
        return [self.known.get(w) for w in wanted]


@dataclass
class FakeContext:
    """Answers from dictionaries; `vendor_ids` by (kind, canonical id), `places` by look-up."""

    vendor_ids: Mapping[tuple[str, str], str] | None = None
    known: Mapping[Lookup, str] | None = None
    settings: Mapping[str, str] = field(default_factory=lambda: {"root_ad_unit_id": "11", "trafficker_id": "7"})
    facet: str = "advertiser"
    facets: int = 1

    def __post_init__(self) -> None:
        self.names = FakeNames(self.known)

    def vendor_id(self, kind: EntityKind, entity_id: str, facet: str) -> str | None:
        if self.vendor_ids is None:
            return "".join(str(ord(c) % 10) for c in entity_id[-6:])
        return self.vendor_ids.get((kind, entity_id))

    def entity_id(self, kind: EntityKind, native_id: str) -> str | None:
        return None

    def setting(self, name: str) -> str | None:
        return self.settings.get(name)


def _schemas() -> Mapping[str, Mapping[str, RecordSchema]]:
    return {"salesforce": salesforce_schemas(), "gam": gam_schemas()}


@pytest.fixture(scope="session")
def schemas() -> Mapping[str, Mapping[str, RecordSchema]]:
    """Record schemas by connector and record, as the connectors declare them."""
    return _schemas()


@pytest.fixture(scope="session")
def shipped(schemas: Mapping[str, Mapping[str, RecordSchema]]) -> Mapping[str, CompiledMapping]:
    """Every mapping file in the package, by `connector.entity`."""
    found: dict[str, CompiledMapping] = {}
    for connector, records in schemas.items():
        for path in sorted((FOLDER / connector).glob("*.yaml")):
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            if "mapping" in content:
                found[content["mapping"].split("@")[0]] = load_mapping(path, records[content["record"]])
    return found


@pytest.fixture(scope="session")
def context() -> Callable[..., FakeContext]:
    """Makes a context; without arguments it knows everything."""
    return FakeContext


# ---------------------------------------------------------------- vendor records
_WORD = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "Zs"), max_codepoint=0xFFFF), min_size=1, max_size=40
)
_TEXT = _WORD.map(str.strip).filter(bool)
_ITEM = st.text("abc ABCé-&:;.01", min_size=1, max_size=12).map(str.strip).filter(bool)
_TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1)).map(  # noqa: DTZ001 - a wire value, its offset is written out
    lambda t: f"{t:%Y-%m-%dT%H:%M:%S}.000+0000"
)
_BY_KIND = {
    Kind.TEXT: _TEXT,
    Kind.INTEGER: st.integers(0, 2**40),
    Kind.DECIMAL: st.decimals(0, 10**9, places=6, allow_nan=False),
    Kind.BOOLEAN: st.booleans(),
    Kind.WIRE_DATETIME: _TIMES,
}
_BY_TRANSFORM = {
    "comma_list": st.lists(st.one_of(_ITEM, _ITEM.map(lambda s: f"{s} ({s},{s})")), min_size=1, max_size=5).map(
        ", ".join
    ),
    "whole_number": st.integers(0, 10**12).flatmap(
        lambda n: st.sampled_from([n, Decimal(n), Decimal(n).quantize(Decimal("0.0"))])
    ),
    "opportunity_status": st.sampled_from(["Prospecting", "Proposal/Price Quote", "Closed Won"]),
    "one_of": st.sampled_from(["APPROVED", "DRAFT", "CANCELED"]),
}
_FIXED = {"CurrencyIsoCode": st.sampled_from(["USD", "EUR", "JPY", "KWD"])}
HOSTILE = st.one_of(
    st.none(),
    st.just(""),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(max_size=300),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(
        ["\u200b", "a\u200bb", "😀", "(", "2020-01-01T00:00:59.000+0000", "9999-12-31T23:59:59.000+0000", "x" * 1100]
    ),
)


def _good(mapping: CompiledMapping, path: str) -> st.SearchStrategy[Any]:
    """Values that this path may well hold, by the transforms and tables it feeds."""
    if path in _FIXED:
        return _FIXED[path]
    for move in mapping.plan.reads:
        if path not in move.paths:
            continue
        for op in move.ops:
            if isinstance(op, Table):
                return st.sampled_from(sorted(op.words))
            if isinstance(op, Apply) and op.name in _BY_TRANSFORM and mapping.plan.kinds[path] is not Kind.BOOLEAN:
                return _BY_TRANSFORM[op.name]
        if move.target.path == "purchase_order.number":
            return _TEXT
    return _BY_KIND[mapping.plan.kinds[path]]


def natives(mapping: CompiledMapping, *, hostile: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Vendor records for a mapping: optional fields sometimes absent or null; with `hostile`, anything anywhere."""
    required = {p for m in mapping.plan.reads if m.required or (m.const is None and len(m.paths) > 1) for p in m.paths}
    always: dict[str, st.SearchStrategy[Any]] = {}
    sometimes: dict[str, st.SearchStrategy[Any]] = {}
    for path in mapping.native_fields:
        good = _good(mapping, path)
        strange = st.one_of(*[good] * 12, HOSTILE) if hostile else good
        if path in required and not hostile:
            always[path] = strange
        else:
            sometimes[path] = st.one_of(st.none(), strange, strange)
    return st.fixed_dictionaries(always, optional=sometimes)


@pytest.fixture(scope="session")
def records() -> Callable[..., st.SearchStrategy[dict[str, Any]]]:
    """`records(mapping)` and `records(mapping, hostile=True)`."""
    return natives
