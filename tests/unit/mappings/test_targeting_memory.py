"""What is remembered of targetings never outlives the answers it was made from, and changes no result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.context import Names
from mappings.gam.targeting import Expression
from mappings.gam.transforms import gam_datetime
from oms_schema.line import Flight
from oms_schema.targeting import Criterion, Dimension, Operator

GEO = {"country": "COUNTRY", "region": "REGION", "postal_code": "POSTAL_CODE"}
CUSTOM = {"age": "age", "gender": "gender"}
VALUES = ("a", "b", "c")
TABLES = [("Geo_Target:" + word, scope) for word in GEO.values() for scope in ("", *VALUES)]
KEPT = Expression(GEO, CUSTOM)
"""One for all examples, as one mapping maps many batches."""

criteria = st.lists(
    st.tuples(st.sampled_from([Dimension(d) for d in (*GEO, *CUSTOM)]), st.sampled_from(Operator)),
    max_size=5,
    unique=True,
).flatmap(
    lambda pairs: st.tuples(
        *[
            st.builds(
                Criterion,
                dimension=st.just(dimension),
                operator=st.just(operator),
                values=st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True).map(tuple),
            )
            for dimension, operator in pairs
        ]
    )
)
answer = st.sampled_from([None, "1", "2"])
answers = st.fixed_dictionaries(
    {
        **{table: st.fixed_dictionaries(dict.fromkeys(VALUES, answer)) for table in TABLES},
        ("CustomTargetingKey", ""): st.fixed_dictionaries(dict.fromkeys(CUSTOM.values(), answer)),
        **{
            ("CustomTargetingValue", key): st.fixed_dictionaries(dict.fromkeys(VALUES, answer))
            for key in CUSTOM.values()
        },
    }
)


@dataclass
class Surroundings:
    """The one thing that a targeting asks of its context."""

    names: Names


@settings(max_examples=400)
@given(asked=criteria, known=answers)
def test_a_targeting_follows_the_answers_of_its_own_batch(asked: tuple[Criterion, ...], known: Any) -> None:
    first = KEPT.express(asked, Surroundings(Names(known)))  # type: ignore[arg-type]
    fresh = Expression(GEO, CUSTOM).express(asked, Surroundings(Names(known)))  # type: ignore[arg-type]

    assert (first.geo, first.custom, first.losses, first.listed) == (
        fresh.geo,
        fresh.custom,
        fresh.losses,
        fresh.listed,
    )


def test_two_roots_never_share_a_targeting() -> None:
    expressed = KEPT.express((), Surroundings(Names({})))  # type: ignore[arg-type]

    roots = [expressed.below(root)["inventoryTargeting"]["targetedAdUnits"][0]["adUnitId"] for root in ("7", "8", "7")]

    assert roots == ["7", "8", "7"]


def test_equal_times_of_two_folds_are_told_apart() -> None:
    forward: Callable[..., dict[str, Any]] = gam_datetime().forward
    night = {"start": "2020-11-01T01:30:00", "zone": "America/New_York"}
    first, second = Flight.model_validate(night), Flight.model_validate({**night, "start_fold": 1})

    assert forward(first.start, first.zone)["timeZoneId"] == "America/New_York"
    assert forward(second.start, second.zone) == forward(second.start, second.zone)
    assert (forward(second.start, second.zone)["hour"], forward(second.start, second.zone)["timeZoneId"]) == (6, "UTC")


def test_a_criterion_without_values_loses_nothing() -> None:
    asked = (Criterion(dimension=Dimension.CARRIER, values=()), Criterion(dimension=Dimension.REGION, values=("a",)))
    known = {("Geo_Target:REGION", ""): {"a": "1"}}

    expressed = KEPT.express(asked, Surroundings(Names(known)))  # type: ignore[arg-type]

    assert (expressed.losses, expressed.listed) == ((), "")


def test_each_lost_value_is_told_once_and_listed() -> None:
    asked = (
        Criterion(dimension=Dimension.CARRIER, values=("x", "y")),
        Criterion(dimension=Dimension.REGION, values=("a", "b")),
    )
    known = {("Geo_Target:REGION", ""): {"a": "1"}}

    expressed = KEPT.express(asked, Surroundings(Names(known)))  # type: ignore[arg-type]

    assert [(loss.path, loss.value) for loss in expressed.losses] == [
        ("targeting.carrier.include", "x"),
        ("targeting.carrier.include", "y"),
        ("targeting.region.include", "b"),
    ]
    assert expressed.listed == "Not in the targeting (3):\ncarrier include: x | y\nregion include: b"
