"""The generated functions do what the interpreted reference does, on good records and on hostile ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mappings.codegen import PARTS_KEPT
from mappings.mapping import Mapping as CompiledMapping
from mappings.reference import read, write
from oms_schema.base import Canonical
from oms_schema.creative import CreativePlaceholder
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import Commitment, CostMethod, GoalMeasure, GoalUnit, Line
from oms_schema.order import Order
from oms_schema.party import Party
from oms_schema.problems import Problems
from oms_schema.projection import LineProjection, OrderProjection
from oms_schema.targeting import Dimension, Operator

READS = ("salesforce.party", "salesforce.order", "salesforce.line", "gam.line_observation", "gam.order_observation")


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("hostile", [False, True])
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_reader_equals_reference(
    name: str, hostile: bool, data: st.DataObject, shipped: Mapping[str, CompiledMapping], records: Any
) -> None:
    mapping = shipped[name]
    native = data.draw(records(mapping, hostile=hostile))
    values, problems = read(mapping.plan, native, "crm")
    try:
        fast = mapping._read(native, "crm") if mapping._read else None
    except Exception:  # the fast path may stop with anything; the reference then has to name the reason
        assert problems or isinstance(_as_model(mapping, values), str)
        return
    assert not problems
    assert _as_model(mapping, fast) == _as_model(mapping, values)


def _as_model(mapping: CompiledMapping, values: Any) -> Canonical | str:
    """The entity, or why the model refuses it; the fast path hands over some parts as validated models already."""
    try:
        return mapping.plan.entity.model_validate(values)
    except ValidationError as refused:
        return str(sorted(str(e["loc"]) for e in refused.errors()))


@pytest.mark.parametrize("name", READS)
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_record_is_accepted_or_explained(
    name: str, data: st.DataObject, shipped: Mapping[str, CompiledMapping], records: Any
) -> None:
    """Never another exception than Problems, and each problem is complete."""
    mapping = shipped[name]
    native = data.draw(records(mapping, hostile=True))
    try:
        mapping.to_canonical(native, "crm")
    except Problems as refused:
        found = refused.problems
    else:
        return
    for problem in found:
        assert problem.path
        assert problem.code
        assert len(problem.value) <= 80
        assert problem.value.isprintable()
        assert all(part and part.endswith(".") for part in (problem.happened, problem.effect, problem.fix))


def _line(shipped: Mapping[str, CompiledMapping], records: Any) -> st.SearchStrategy[Line]:
    mapping = shipped["salesforce.line"]

    def vary(native: dict[str, Any], changes: dict[str, Any], goal: dict[str, Any], method: CostMethod) -> Line | None:
        try:
            line = mapping.to_canonical(native, "crm")
        except Problems:
            return None
        content = {**dict(line), **changes}
        content["goal"] = {**dict(content["goal"]), **goal}
        content["price"] = {**dict(content["price"]), "method": method}
        try:
            return Line.model_validate(content)
        except ValidationError:
            return None

    changes = st.fixed_dictionaries(
        {},
        optional={
            "commitment": st.sampled_from(Commitment),
            "creatives": st.lists(
                st.builds(CreativePlaceholder, width=st.integers(1, 900), height=st.integers(1, 900)), max_size=2
            ),
            "brand": st.text(max_size=20),
            "notes": st.text(max_size=20),
            "name": st.text(min_size=1, max_size=300),
        },
    )
    goal = st.fixed_dictionaries(
        {},
        optional={
            "unit": st.sampled_from(GoalUnit),
            "quantity": st.integers(0, 100),
            "measure": st.sampled_from(GoalMeasure),
        },
    )
    return st.builds(vary, records(mapping), changes, goal, st.sampled_from(CostMethod)).filter(
        lambda line: line is not None
    )  # type: ignore[return-value]


def _entities(name: str, shipped: Mapping[str, CompiledMapping], records: Any) -> st.SearchStrategy[Canonical]:
    ids = st.text(min_size=1, max_size=5).map(lambda t: canonical_id(EntityKind.LINE, "x", t))
    if name == "gam.line":
        return _line(shipped, records)
    if name == "gam.order":
        return st.builds(
            Order,
            id=ids,
            name=st.text(min_size=1, max_size=300),
            currency=st.just("USD"),
            parties=st.lists(
                st.fixed_dictionaries({"role": st.sampled_from(["advertiser", "agency", "brand"]), "party_id": ids}),
                max_size=3,
            ),
            purchase_order=st.none() | st.fixed_dictionaries({"number": st.text(max_size=63)}),
            notes=st.text(max_size=30),
        )
    if name == "gam.party":
        return st.builds(Party, id=ids, name=st.text(min_size=1, max_size=200))
    common = {
        "order_id": ids,
        "version": st.integers(0, 10**6),
        "status": st.text(max_size=40),
        "sentence": st.text(max_size=255),
        "delivered": st.integers(0, 10**9),
        "goal": st.integers(0, 10**9),
        "ad_server_ids": st.lists(st.text("0123456789", min_size=9, max_size=9), max_size=40),
    }
    if name == "salesforce.line_projection":
        return st.builds(LineProjection, line_id=ids, **common)
    return st.builds(
        OrderProjection,
        **common,
        next_step_owner=st.text(max_size=100),
        last_change_at=st.none() | st.datetimes(datetime(2019, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        delivered_pct=st.integers(0, 10**6).map(lambda n: Decimal(n).scaleb(-2)),
        error_code=st.none() | st.text(max_size=90),
    )


@pytest.mark.parametrize(
    "name", ["gam.party", "gam.order", "gam.line", "salesforce.order_projection", "salesforce.line_projection"]
)
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_writer_equals_reference(
    name: str,
    data: st.DataObject,
    shipped: Mapping[str, CompiledMapping],
    records: Any,
    context: Callable[..., Any],
) -> None:
    mapping = shipped[name]
    entity = data.draw(_entities(name, shipped, records))
    answers = {
        "vendor_ids": data.draw(st.sampled_from([None, None, {}])),
        "known": data.draw(st.sampled_from([None, {}])),
        "settings": data.draw(st.sampled_from([{"root_ad_unit_id": "1", "trafficker_id": "2"}, {}])),
        "facet": data.draw(st.sampled_from(["advertiser", "agency", "brand", "2"])),
        "facets": data.draw(st.integers(1, 3)),
    }
    surroundings = context(**answers)  # not the reference's: nothing that one has worked out may help the other
    payload, problems = write(mapping.plan, mapping.plan.writes, entity, context(**answers))
    if problems:
        with pytest.raises(Problems) as refused:
            mapping.to_vendor(entity, surroundings)
        assert refused.value.problems == tuple(problems)
    else:
        assert mapping.to_vendor(entity, surroundings) == payload


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_line_is_written_alike_in_a_batch_and_alone(
    data: st.DataObject, shipped: Mapping[str, CompiledMapping], records: Any, context: Callable[..., Any]
) -> None:
    """What a batch has worked out for one line serves only lines of which the same is true."""
    mapping = shipped["gam.line"]
    values = st.lists(st.sampled_from(["a", "b", "c", "united states", "canada"]), min_size=1, max_size=3, unique=True)
    pairs = st.tuples(st.sampled_from(Dimension), st.sampled_from(Operator))
    targetings = st.dictionaries(pairs, values, max_size=4).map(
        lambda asked: [{"dimension": d, "operator": o, "values": v} for (d, o), v in asked.items()]
    )
    line = data.draw(_line(shipped, records))
    lines = [
        Line.model_validate({**dict(line), "targeting": {"criteria": criteria}})
        for criteria in data.draw(st.lists(targetings, min_size=2, max_size=6))
    ]
    wanted = sorted({w for each in lines for w in mapping.lookups(each)})
    known = {w: str(n) for n, w in enumerate(wanted) if n % 3 or data.draw(st.booleans())}
    together = context(known=known)
    for each in lines:
        written, problems = write(mapping.plan, mapping.plan.writes, each, context(known=known))
        if problems:
            with pytest.raises(Problems) as refused:
                mapping.to_vendor(each, together)
            assert refused.value.problems == tuple(problems)
        else:
            assert mapping.to_vendor(each, together) == written
            assert mapping.tally(each, together) == mapping.tally(each, context(known=known))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_record_is_read_alike_the_first_time_and_later(
    data: st.DataObject, shipped: Mapping[str, CompiledMapping], records: Any
) -> None:
    """Parts that are kept from earlier records are those that a cold start would make."""
    mapping = shipped["salesforce.line"]
    natives = data.draw(st.lists(records(mapping, hostile=True), min_size=2, max_size=4))
    for native in [*natives, *natives]:
        warm = _read_or_refused(mapping, native)
        mapping.forget()
        assert _read_or_refused(mapping, native) == warm
        for each in natives:
            _read_or_refused(mapping, each)


def _read_or_refused(mapping: CompiledMapping, native: dict[str, Any]) -> Any:
    try:
        return mapping.to_canonical(native, "crm")
    except Problems as refused:
        return refused.problems


def test_kept_parts_are_bounded(shipped: Mapping[str, CompiledMapping]) -> None:
    """A source that never repeats itself must not fill the memory of a worker."""
    mapping = shipped["salesforce.order"]
    mapping.forget()
    for number in range(PARTS_KEPT + 10):
        native = {"Id": "1", "Name": "n", "IsClosed": True, "IsWon": True, "CurrencyIsoCode": "USD", "AccountId": "2"}
        mapping.to_canonical({**native, "PO_Number__c": f"{number}"}, "crm")
    assert mapping._layouts is not None
    assert 0 < max(len(part.kept) for part in mapping._layouts.parts) <= PARTS_KEPT
