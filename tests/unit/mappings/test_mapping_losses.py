"""Targeting arithmetic: values in = values expressed + values listed, whatever the ad server knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings.context import Lookup
from mappings.gam.transforms import NOTES_LENGTH
from mappings.mapping import Mapping as CompiledMapping
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import Line
from oms_schema.order import Order
from oms_schema.targeting import Dimension, Operator

VALUES = st.lists(st.sampled_from(["a", "b", "c", "d e", "é", "x" * 40]), min_size=1, max_size=5, unique=True)
GEO = {"country", "region", "metro", "electoral_district", "city", "postal_code"}


def _line(criteria: list[dict[str, Any]], **changes: Any) -> Line:
    return Line.model_validate(
        {
            "id": canonical_id(EntityKind.LINE, "x", "1"),
            "order_id": canonical_id(EntityKind.ORDER, "x", "1"),
            "name": "Line",
            "flight": {"start": "2020-01-01T00:00:00", "end": "2020-02-01T00:00:00", "zone": "UTC"},
            "price": {"method": "CPM", "rate": 1, "currency": "USD"},
            "goal": {"unit": "impressions", "quantity": 1000},
            "targeting": {"criteria": criteria},
            **changes,
        }
    )


CRITERIA = st.lists(st.tuples(st.sampled_from(Dimension), st.sampled_from(Operator)), max_size=8, unique=True).flatmap(
    lambda pairs: st.tuples(
        *[st.fixed_dictionaries({"dimension": st.just(d), "operator": st.just(o), "values": VALUES}) for d, o in pairs]
    )
)


def _ids_in(payload: dict[str, Any]) -> int:
    """Ids that stand in the payload, counted in the vendor's own shape."""
    targeting = payload["targeting"]
    places = targeting["geoTargeting"]["targetedLocations"] + targeting["geoTargeting"]["excludedLocations"]
    custom = targeting["customTargeting"]
    leaves = custom["children"][0]["children"] if custom else []
    return len(places) + sum(len(leaf["valueIds"]) for leaf in leaves)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(criteria=CRITERIA, data=st.data())
def test_values_in_are_values_expressed_plus_values_listed(
    criteria: tuple[dict[str, Any], ...],
    data: st.DataObject,
    shipped: Mapping[str, CompiledMapping],
    context: Callable[..., Any],
) -> None:
    mapping, line = shipped["gam.line"], _line(list(criteria))
    lookups = sorted(mapping.lookups(line), key=lambda w: (w.table, w.scope, w.name))
    known = {w: str(n) for n, w in enumerate(lookups) if data.draw(st.booleans())}
    surroundings = context(known=known)
    payload = mapping.to_vendor(line, surroundings)
    losses = mapping.losses(line, surroundings)
    tally = mapping.tally(line, surroundings)
    # A single country with narrower places is expressed by them: it was the scope they were found in.
    countries = line.targeting.values(Dimension.COUNTRY)
    narrow = any(
        Lookup(
            f"Geo_Target:{'DISTRICT' if d == 'electoral_district' else d.upper()}",
            v,
            countries[0] if len(countries) == 1 else "",
        )
        in known
        for d in GEO - {"country"}
        for v in line.targeting.values(Dimension(d))
    )
    implied = (
        1 if narrow and len(countries) == 1 and not [x for x in losses if x.path == "targeting.country.include"] else 0
    )
    assert tally.asked == line.targeting.count()
    assert tally.asked == tally.expressed + len(tally.losses)
    assert tally.losses == losses
    assert tally.expressed == _ids_in(payload) + implied
    assert surroundings.names.asked <= set(lookups), "a look-up was not announced"
    for loss in losses:
        assert loss.value in payload["notes"]
        assert loss.why


def test_what_cannot_be_expressed_stands_in_the_notes(
    shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]
) -> None:
    line = _line(
        [
            {"dimension": "country", "values": ["united states"]},
            {"dimension": "region", "values": ["Ohio", "Nowhere"]},
            {"dimension": "radius", "values": ["latitude 1;longitude 2;radius 3"]},
        ],
        notes="Call before launch.",
        brand="Acme",
    )
    known = {Lookup("Geo_Target:REGION", "Ohio", "united states"): "21"}
    payload = shipped["gam.line"].to_vendor(line, context(known=known))
    assert payload["targeting"]["geoTargeting"]["targetedLocations"] == [{"id": "21"}]
    assert payload["notes"] == (
        "Call before launch.\nBrand: Acme\nNot in the targeting (3):\n"
        "radius include: latitude 1;longitude 2;radius 3\ncountry include: united states\nregion include: Nowhere"
    )


def test_narrower_places_are_not_widened_by_broader_ones(
    shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]
) -> None:
    """Ad Manager ors places; a region beside a postal code would reach the whole region."""
    line = _line(
        [
            {"dimension": "country", "values": ["united states"]},
            {"dimension": "region", "values": ["Ohio"]},
            {"dimension": "postal_code", "values": ["43001", "43002"]},
        ]
    )
    surroundings = context()
    places = shipped["gam.line"].to_vendor(line, surroundings)["targeting"]["geoTargeting"]["targetedLocations"]
    assert [p["id"].rsplit("/", 1)[1] for p in places] == ["43001", "43002"]
    assert [(x.path, x.value) for x in shipped["gam.line"].losses(line, surroundings)] == [
        ("targeting.region.include", "Ohio")
    ]


def test_notes_beyond_the_limit_are_cut_with_a_count(
    shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]
) -> None:
    values = [f"latitude {n};longitude {n};radius 1.0" for n in range(3000)]
    line = _line(
        [{"dimension": "radius", "values": values}, {"dimension": "gender", "values": ["f"]}], notes="n" * 50_000
    )
    surroundings = context()
    payload = shipped["gam.line"].to_vendor(line, surroundings)
    assert len(payload["notes"]) <= NOTES_LENGTH
    shown = payload["notes"].count("latitude")
    assert payload["notes"].endswith(f"… and {3000 - shown} more values.")
    assert shown > 500
    assert len(shipped["gam.line"].losses(line, surroundings)) == 3000


@pytest.mark.parametrize("length", [1, 200, 254, 255, 1000])
def test_order_names_fit_and_carry_the_token(
    length: int, shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]
) -> None:
    order = Order(
        id=canonical_id(EntityKind.ORDER, "x", "1"),
        name="é" * length,
        currency="USD",
        parties=({"role": "advertiser", "party_id": canonical_id(EntityKind.PARTY, "x", "1")},),  # type: ignore[arg-type]
    )
    mapping = shipped["gam.order"]
    names = {mapping.to_vendor(order, context(facet=str(n), facets=3))["name"] for n in (1, 2, 3)}
    alone = mapping.to_vendor(order, context(facet="1", facets=1))["name"]
    token = order.id.removeprefix("ord_")[:12]
    assert len(names) == 3
    assert all(len(name) <= 255 and f"[{token} " in name and name.endswith("/3]") for name in names)
    assert alone.endswith(f" [{token}]")
    assert alone == mapping.to_vendor(order, context(facet="1", facets=1))["name"]


def test_a_line_name_too_long_is_cut_and_told(
    shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]
) -> None:
    first, second = _line([], name="x" * 300 + "a"), _line([], name="x" * 300 + "b")
    mapping, surroundings = shipped["gam.line"], context()
    names = [mapping.to_vendor(line, surroundings)["name"] for line in (first, second)]
    assert all(len(name) == 255 for name in names)
    assert names[0] != names[1]
    (cut,) = mapping.cuts(first, surroundings)
    assert (cut.path, cut.value) == ("name", first.name)
    assert mapping.cuts(_line([]), surroundings) == ()
