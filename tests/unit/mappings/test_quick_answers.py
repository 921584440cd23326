"""What generated code holds instead of a call of a transform answers as the call does, or leaves the answer to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.codegen.source import Source
from mappings.codegen.values import call_of
from mappings.gam.targeting import Expressed
from mappings.gam.transforms import (
    gam_commitment,
    gam_datetime,
    gam_goal_units,
    gam_notes,
    gam_placeholders,
    gam_targeting,
)
from mappings.mapping import Mapping as CompiledMapping
from mappings.plan import Apply
from mappings.registry import Pair, Quick, Resolving
from mappings.salesforce.transforms import salesforce_utc_time
from mappings.transforms import inclusive_end, is_absent, micros, presence, visible_text, whole_number
from oms_schema.creative import CreativePlaceholder
from oms_schema.line import Commitment, GoalMeasure

TIMES = st.datetimes(min_value=datetime.fromisoformat("0001-01-02"), max_value=datetime.fromisoformat("9999-12-30"))
FOLDED = st.builds(lambda time, fold: time.replace(fold=fold, microsecond=0), TIMES, st.integers(0, 1))
AMOUNTS = (
    st.decimals(allow_nan=True, allow_infinity=True)
    | st.integers(-5, 5)
    | st.sampled_from([2**30, 2**63, 2**63 - 1, -(2**63), 2**63 // 10**6, 2**63 // 10**6 - 1, 2**63 // 10**6 + 1])
    | st.booleans()
    | st.floats()
    | st.sampled_from(
        [
            Decimal(each)
            for each in ("1.234567", "1.2345678", "-1.5", "-0", "9e11", "1e12", "9223372036854.775807", "sNaN")
        ]
        + ["1"]
    )
)
WIRE = (
    TIMES.map(lambda time: f"{time:%Y-%m-%dT%H:%M:%S}.000+0000".rjust(28, "0"))
    | TIMES.map(lambda time: time.isoformat() + "+02:00")
    | st.text(max_size=30)
    | st.sampled_from(["x" * 19 + ".000+0000", "2020-01-01T00:00:00.500+0000", "2020-01-01"])
)
TRANSFORMS: Mapping[str, tuple[Pair, st.SearchStrategy[tuple[Any, ...]]]] = {
    "visible_text": (visible_text(), st.tuples(st.text(max_size=8))),
    "visible_text_kept": (
        visible_text("keep", "keep"),
        st.tuples(st.text("a \n\u200b\U0001f600\u00a0\x1f", max_size=5)),
    ),
    "micros": (micros(), st.tuples(AMOUNTS)),
    "micros_kept": (micros("keep"), st.tuples(AMOUNTS)),
    "whole_number": (whole_number(), st.tuples(AMOUNTS)),
    "whole_number_kept": (whole_number("keep"), st.tuples(AMOUNTS)),
    "inclusive_end": (inclusive_end(), st.tuples(FOLDED | FOLDED.map(lambda time: time.replace(second=59)))),
    "presence": (presence("{there}", "gone"), st.tuples(st.none() | st.sampled_from(["", "x", 0]))),
    "is_absent": (is_absent(), st.tuples(st.none() | st.sampled_from(["", "x", 0]))),
    "gam_datetime": (gam_datetime(), st.tuples(FOLDED, st.sampled_from(["UTC", "America/New_York"]))),
    "gam_commitment": (gam_commitment(), st.tuples(st.sampled_from(Commitment), st.none() | TIMES)),
    "gam_goal_units": (
        gam_goal_units(),
        st.tuples(st.integers(0, 9), st.sampled_from(GoalMeasure), st.sampled_from(Commitment)),
    ),
    "salesforce_utc_time": (salesforce_utc_time(), st.tuples(WIRE)),
}


def answer(function: Callable[..., Any], values: tuple[Any, ...]) -> str:
    """What a function says to values: the value with its type, or that it refuses."""
    try:
        found = function(*values)
    except Exception:  # the reference says what is wrong; here it counts only that something is
        return "refused"
    return f"{type(found).__name__} {found!r} {getattr(found, 'fold', 0)}"


def quick(transform: Pair | Resolving, count: int) -> Callable[..., Any]:
    """A function of so many values, and a context, that holds the expression as generated code does."""
    out, values = Source(), [f"a{n}" for n in range(count)]
    assert transform.quick is not None
    asks = isinstance(transform, Resolving)
    out.add(
        0, f"return {call_of(out, Apply('it', transform.forward, takes_context=asks, quick=transform.quick), values)}"
    )
    function, _ = out.build("asked", ", ".join([*values, "context=None"]), "test")
    return function


@pytest.mark.parametrize("name", TRANSFORMS)
@given(data=st.data())
def test_a_quick_answer_is_that_of_the_call(name: str, data: st.DataObject) -> None:
    pair, values = TRANSFORMS[name]
    asked = data.draw(values)
    assert answer(quick(pair, len(asked)), asked) == answer(pair.forward, asked)


@given(
    notes=st.sampled_from([None, "", "n"]), brand=st.sampled_from([None, "", "b"]), listed=st.sampled_from(["", "l"])
)
def test_quick_notes_are_those_of_the_call(notes: str | None, brand: str | None, listed: str) -> None:
    transform, expressed = gam_notes({}, {}), Expressed({}, None, [], listed)
    assert answer(quick(transform, 3), (notes, brand, expressed)) == answer(
        transform.forward, (notes, brand, expressed, None)
    )


@given(
    creatives=st.sampled_from([None, (), (CreativePlaceholder(width=1, height=2),)]),
    size=st.sampled_from([None, "", "300x250", "wide"]),
)
def test_quick_placeholders_are_those_of_the_call(
    creatives: Any, size: str | None, context: Callable[..., Any]
) -> None:
    transform = gam_placeholders("320x480")
    surroundings = context(settings={} if size is None else {"creative_size": size})
    assert answer(quick(transform, 1), (creatives, surroundings)) == answer(
        transform.forward, (creatives, surroundings)
    )


@given(roots=st.lists(st.sampled_from([None, "", "1", "2"]), min_size=1, max_size=4))
def test_quick_targeting_is_that_of_the_call(roots: list[str | None], context: Callable[..., Any]) -> None:
    """Below the ad unit of each connection, of which several may share what was worked out."""
    transform = gam_targeting({}, {})
    one, other = (Expressed({"targetedLocations": []}, None, [], "") for _ in range(2))
    for root in roots:
        surroundings = context(settings={} if root is None else {"root_ad_unit_id": root})
        asked = answer(transform.forward, (other, surroundings))
        assert answer(quick(transform, 1), (one, surroundings)) == asked
        assert answer(quick(transform, 1), (one, surroundings)) == asked


def test_a_wrong_quick_answer_is_found() -> None:
    wrong = Pair(lambda value: value + 1, quick=Quick("{0} + 2"))
    assert answer(quick(wrong, 1), (1,)) != answer(wrong.forward, (1,))


def test_every_quick_answer_of_the_shipped_mappings_is_compared(shipped: Mapping[str, CompiledMapping]) -> None:
    used = {
        op.name
        for mapping in shipped.values()
        for move in (*mapping.plan.reads, *mapping.plan.writes)
        for op in move.ops
        if isinstance(op, Apply) and op.quick is not None
    }
    assert used <= {*TRANSFORMS, "gam_notes", "gam_placeholders", "gam_targeting"}
