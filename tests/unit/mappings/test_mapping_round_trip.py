"""What is read can be written back: `to_canonical(restored(x)) == x` on every field not declared lossy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings.mapping import Mapping as CompiledMapping
from mappings.reference import taken
from oms_schema.base import Canonical
from oms_schema.ids import canonical_id
from oms_schema.problems import Problems

READS = (
    "salesforce.party",
    "salesforce.order",
    "salesforce.line",
    "gam.line_observation",
    "gam.order_observation",
)


def _ids(mapping: CompiledMapping, native: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """The reference table the hub would hold: canonical id to vendor id."""
    known: dict[tuple[str, str], str] = {}
    for move in mapping.plan.reads:
        for op in move.ops:
            kind = getattr(op, "kind", None)
            value = native.get(move.paths[0]) if move.paths else None
            if kind is not None and isinstance(value, str) and value:
                known[kind, canonical_id(kind, "crm", value)] = value
    return known


def _read(mapping: CompiledMapping, native: Mapping[str, Any]) -> Canonical | None:
    try:
        return mapping.to_canonical(native, "crm")
    except Problems:
        return None


def test_every_mapping_that_reads_is_proved_here(shipped: Mapping[str, CompiledMapping]) -> None:
    assert {name for name, m in shipped.items() if m.direction != "out"} == set(READS)


@pytest.mark.parametrize("name", READS)
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_reading_what_was_restored_changes_no_field_that_is_not_lossy(
    name: str, data: st.DataObject, shipped: Mapping[str, CompiledMapping], records: Any, context: Callable[..., Any]
) -> None:
    mapping = shipped[name]
    native = data.draw(records(mapping))
    first = _read(mapping, native)
    if first is None:
        return
    restored = mapping.restored(first, context(vendor_ids=_ids(mapping, native)))
    # What the file declares lossy is carried over by hand: the proof is about the rest.
    lossy = {p: native[p] for m in mapping.plan.reads if m.lossy for p in m.paths if p in native and p not in restored}
    second = mapping.to_canonical({**lossy, **restored}, "crm")
    for move in mapping.plan.reads:
        if move.lossy is None:
            assert taken(second, move.target) == taken(first, move.target), move.target.path


@pytest.mark.parametrize("name", READS)
def test_most_drawn_records_are_accepted(name: str, shipped: Mapping[str, CompiledMapping], records: Any) -> None:
    """The proof above skips refused records; here it is shown that it does not skip them all."""
    accepted = 0

    @settings(max_examples=60, database=None, suppress_health_check=list(HealthCheck))
    @given(native=records(shipped[name]))
    def count(native: Mapping[str, Any]) -> None:
        nonlocal accepted
        accepted += _read(shipped[name], native) is not None

    count()
    assert accepted >= 20


def test_each_field_is_restored_or_says_why_not(shipped: Mapping[str, CompiledMapping]) -> None:
    for name in READS:
        mapping = shipped[name]
        restored = {r.sources[0].path for r in mapping.plan.restores}
        for move in mapping.plan.reads:
            if move.paths:
                assert (move.target.path in restored) is move.returns, (name, move.target.path)
