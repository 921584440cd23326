"""What the generated readers make is validated like anything else, but for the question that the compiler has answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from mappings.codegen import accepting_known, accepting_of
from mappings.kinds import Kind
from mappings.mapping import Mapping as CompiledMapping
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import Line

LINE: dict[str, Any] = {
    "id": canonical_id(EntityKind.LINE, "crm", "1"),
    "order_id": canonical_id(EntityKind.ORDER, "crm", "1"),
    "name": "Spring",
    "commitment": "guaranteed",
    "flight": {"start": "2020-01-01T00:00:00", "end": "2020-02-01T00:00:00", "zone": "UTC"},
    "price": {"method": "CPM", "rate": 2_000_000, "currency": "USD"},
    "goal": {"unit": "impressions", "quantity": 1000},
    "budget": {"micros": 2_000_000, "currency": "USD"},
    "targeting": {"criteria": [{"dimension": "country", "values": ["canada"]}]},
}
WRONG: list[dict[str, Any]] = [
    {"id": "lin_1"},
    {"name": ""},
    {"name": None},
    {"commitment": "perhaps"},
    {"flight": {**LINE["flight"], "end": "2020-01-01T00:00:00"}},
    {"flight": {**LINE["flight"], "zone": "Nowhere"}},
    {"price": {**LINE["price"], "rate": -1}},
    {"price": {**LINE["price"], "rate": True}},
    {"price": {**LINE["price"], "rate": 2**63}},
    {"price": {"method": "CPM", "rate": 1}},
    {"goal": {"unit": "impressions", "quantity": 101, "measure": "percent"}},
    {"budget": {"micros": 1.5, "currency": "usd"}},
    {"targeting": {"criteria": [LINE["targeting"]["criteria"][0]] * 2}},
]
# Compared with the largest that passes instead of the first that does not: one fits a machine word, the other does not.
SAME = {
    f"Input should be less than or equal to {2**63 - 1}": (
        "less_than",
        ("price", "rate"),
        f"Input should be less than {2**63}",
    )
}


@pytest.mark.parametrize(("rate", "passes"), [(2**63 - 1, True), (2**63, False), (0, True), (-1, False)])
def test_the_bounds_of_an_amount_are_the_models(rate: int, passes: bool) -> None:
    line = {**LINE, "price": {**LINE["price"], "rate": rate}}
    for validate in (Line.model_validate, accepting_known(Line)):
        if passes:
            assert validate(line).price.rate == rate
        else:
            with pytest.raises(ValidationError):
                validate(line)


def test_a_line_is_the_same_line() -> None:
    strictly = Line.model_validate(LINE)
    known = accepting_known(Line)(LINE)

    assert type(known) is Line
    assert known == strictly
    assert known.model_fields_set == strictly.model_fields_set
    assert known.canonical_bytes() == strictly.canonical_bytes()


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_every_wrong_value_is_refused_alike(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as strictly:
        Line.model_validate({**LINE, **change})
    with pytest.raises(ValidationError) as known:
        accepting_known(Line)({**LINE, **change})

    told = [(e["type"], e["loc"], e["msg"]) for e in strictly.value.errors(include_url=False)]
    assert [SAME.get(e["msg"], (e["type"], e["loc"], e["msg"])) for e in known.value.errors(include_url=False)] == told


def test_an_object_that_a_transform_makes_may_hold_no_unknown_name(shipped: Mapping[str, CompiledMapping]) -> None:
    plan = shipped["salesforce.line"].plan
    price = next(move for move in plan.reads if move.target.path == "price.rate")
    whole = replace(price, target=replace(price.target, kind=Kind.OBJECT))
    strange = {**LINE, "price": {**LINE["price"], "discount": 1}}

    with pytest.raises(ValidationError, match=r"price\.discount"):
        accepting_of(replace(plan, reads=(whole,)))(strange)
