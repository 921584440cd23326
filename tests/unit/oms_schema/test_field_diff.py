"""The difference of two values, applied to the first, gives the second; nothing less, nothing more."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_schema.diff import ABSENT, LIST_KEYS, DiffConflict, FieldChange, apply, apply_values, diff, diff_values
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Line, Price
from oms_schema.money import Money
from oms_schema.order import Order
from oms_schema.party import PartyInRole, PartyRole
from oms_schema.targeting import Criterion, Dimension, Operator, Targeting

ORDER = canonical_id(EntityKind.ORDER, "sfdc", "1")
LINE = canonical_id(EntityKind.LINE, "sfdc", "1")
TEXT = st.text(max_size=4)
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1.0]) | TEXT
ELEMENTS = st.fixed_dictionaries(
    {"role": st.sampled_from(["a", "b", "c"])}, optional={"x": LEAVES, "y": st.lists(LEAVES, max_size=2)}
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["p", "q", "r"]), inner, max_size=3)
        | st.fixed_dictionaries({}, optional={"parties": st.lists(ELEMENTS | inner, max_size=4), "z": inner})
    ),
    max_leaves=12,
)
CRITERIA = st.lists(
    st.builds(
        Criterion,
        dimension=st.sampled_from(list(Dimension)[:4]),
        operator=st.sampled_from(Operator),
        values=st.lists(TEXT, max_size=3).map(tuple),
    ),
    max_size=4,
    unique_by=lambda c: (c.dimension, c.operator),
).map(lambda criteria: Targeting(criteria=tuple(criteria)))
STARTS = st.datetimes(datetime(2019, 1, 1), datetime(2021, 1, 1))  # noqa: DTZ001 - local times
FLIGHTS = st.builds(
    lambda start, days: Flight(start=start, end=days and start + timedelta(days=days), zone="UTC"),
    STARTS,
    st.none() | st.integers(1, 99),
)
LINES = st.builds(
    Line,
    id=st.just(LINE),
    order_id=st.just(ORDER),
    name=st.sampled_from(["Homepage", "Homepage ", "Ünder"]),
    external_id=st.none() | TEXT,
    flight=FLIGHTS,
    price=st.builds(Price, method=st.sampled_from(CostMethod), rate=st.integers(0, 9), currency=st.just("USD")),
    goal=st.builds(Goal, unit=st.just(GoalUnit.IMPRESSIONS), quantity=st.integers(0, 9)),
    targeting=CRITERIA,
    budget=st.none() | st.builds(Money, micros=st.integers(0, 3), currency=st.just("USD")),
)


def same(a: Any, b: Any) -> bool:
    return orjson.dumps(a) == orjson.dumps(b)


@given(VALUES, VALUES)
def test_applying_the_difference_of_two_values_gives_the_second(before: Any, after: Any) -> None:
    kept = copy.deepcopy(before)
    changes = diff_values(before, after)
    made = apply_values(before, changes)
    assert orjson.dumps(made, option=orjson.OPT_SORT_KEYS) == orjson.dumps(after, option=orjson.OPT_SORT_KEYS)
    assert same(before, kept), "the first value was changed in place"


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert diff_values(value, copy.deepcopy(value)) == ()


@given(VALUES, VALUES)
def test_every_change_is_a_difference_and_its_path_is_named_once(before: Any, after: Any) -> None:
    changes = diff_values(before, after)
    assert len({change.steps for change in changes}) == len(changes)
    for change in changes:
        assert change.before is ABSENT or change.after is ABSENT or not same(change.before, change.after)


@given(LINES, LINES)
def test_applying_the_difference_of_two_lines_gives_the_second(before: Line, after: Line) -> None:
    changes = diff(before, after)
    made = apply(before, changes)
    assert made == after
    assert made.canonical_bytes() == after.canonical_bytes()
    assert (not changes) == (before == after)


def order(**parties: str) -> Order:
    return Order(
        id=ORDER,
        name="Spring",
        currency="USD",
        parties=tuple(
            PartyInRole(role=PartyRole(role), party_id=canonical_id(EntityKind.PARTY, "sfdc", name))
            for role, name in parties.items()
        ),
    )


def test_an_element_of_a_list_is_named_by_its_key_as_mapping_files_name_it() -> None:
    (change,) = diff(order(advertiser="a", agency="b"), order(advertiser="a", agency="c"))
    assert change.path == "parties[role=agency].party_id"
    (added,) = diff(order(advertiser="a"), order(advertiser="a", agency="c"))
    assert (added.path, added.before) == ("parties[role=agency]", ABSENT)
    before = Targeting(criteria=(Criterion(dimension=Dimension.COUNTRY, values=("US",)),))
    after = Targeting(criteria=(Criterion(dimension=Dimension.COUNTRY, values=("US", "CA")),))
    (values,) = diff(before, after)
    assert values.path == "criteria[dimension=country, operator=include].values"
    assert (values.before, values.after) == (["US"], ["US", "CA"])


def test_a_list_whose_order_changes_is_one_change() -> None:
    (change,) = diff(order(advertiser="a", agency="b"), order(agency="b", advertiser="a"))
    assert change.path == "parties"


def test_absent_is_not_null_and_null_is_not_false() -> None:
    assert diff_values({}, {"a": None}) == (FieldChange(("a",), ABSENT, None),)
    assert diff_values({"a": None}, {}) == (FieldChange(("a",), None, ABSENT),)
    assert [c.path for c in diff_values({"a": 1, "b": 0}, {"a": True, "b": 0.0})] == ["a", "b"]
    assert repr(ABSENT) == "ABSENT"
    assert not ABSENT


def test_a_value_is_compared_with_nothing_field_by_field() -> None:
    created = diff(None, order())
    assert {change.path for change in created} >= {"id", "name", "currency"}
    assert all(change.before is ABSENT for change in created)
    assert [change.after for change in diff(order(), None)] == [ABSENT] * len(created)


@pytest.mark.parametrize(
    "moved",
    [
        {"a": {"b": 2}},
        {"a": 1},
        {"a": {"b": 1, "parties": [{"role": "x", "n": 2}]}},
        {"a": {"b": 1, "parties": 7}},
        {"a": {"b": 1, "parties": [{"role": "x"}, {"role": "x"}]}},
    ],
)
def test_a_value_that_has_moved_is_not_overwritten(moved: Any) -> None:
    before = {"a": {"b": 1, "parties": [{"role": "x", "n": 1}]}}
    after = {"a": {"b": 3, "parties": [{"role": "x", "n": 3}]}}
    changes = diff_values(before, after)
    assert [c.path for c in changes] == ["a.b", "a.parties[role=x].n"]
    with pytest.raises(DiffConflict):
        apply_values(moved, changes)


def test_list_keys_are_fields_of_the_models_they_tell_apart() -> None:
    from oms_schema.creative import CreativePlaceholder
    from oms_schema.deal import DealId
    from oms_schema.document import DocumentLine

    models = {
        "parties": PartyInRole,
        "criteria": Criterion,
        "flights": Flight,
        "creatives": CreativePlaceholder,
        "ids": DealId,
        "lines": DocumentLine,
    }
    assert models.keys() == LIST_KEYS.keys()
    for name, keys in LIST_KEYS.items():
        assert set(keys) <= set(models[name].model_fields)
