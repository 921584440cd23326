"""The table of places: unique ids, whole ancestries, and postal codes by rule."""

from __future__ import annotations

import pytest

from sandbox.gam.contract import load_contract
from sandbox.gam.geography import load_atlas

ATLAS = load_atlas()
# The types the vendor allows for Geo_Target.Type.
TYPES = frozenset(
    """Airport Autonomous_Community Canton City Congressional_District Country County Department DMA_Region
    Governorate Municipality Neighborhood Postal_Code Prefecture Province Region State Territory Tv_Region
    Union_Territory""".split()  # noqa: SIM905 - a list of the vendor's words, easier to compare as text
)


def test_every_place_has_an_id_of_its_own_a_known_type_and_known_parents() -> None:
    places = list(ATLAS.stored())
    assert len({place.id for place in places}) == len(places)
    assert {place.type for place in places} <= TYPES
    for place in places:
        assert all(ATLAS.get(parent) for parent in ATLAS.parents(place))
        assert (place.parent is None) == (place.type == "Country")
        assert ATLAS.get(place.id) == place
        assert place in ATLAS.named(place.name)


def test_ids_fit_the_vendors_types() -> None:
    location = load_contract("v202608").fields("Location")
    assert (location["id"].type, location["canonicalParentId"].type) == ("long", "int")
    assert max(place.id for place in ATLAS.stored()) < 2**31


@pytest.mark.parametrize(
    ("name", "kind", "country", "count"),
    [
        ("United States", "Country", "US", 1),
        ("Pennsylvania", "State", "US", 1),
        ("Saskatchewan", "Province", "CA", 1),
        ("Philadelphia, PA", "DMA_Region", "US", 1),
        ("Pennsylvania 6th District", "Congressional_District", "US", 1),
        ("Wellington", "City", "NZ", 1),
        ("Tromsø", "City", "NO", 1),
    ],
)
def test_what_order_books_ask_for_is_there(name: str, kind: str, country: str, count: int) -> None:
    found = [place for place in ATLAS.named(name) if (place.type, place.country_code) == (kind, country)]
    assert len(found) == count


def test_there_are_210_dma_regions_and_435_districts() -> None:
    kinds = [place.type for place in ATLAS.stored()]
    assert (kinds.count("DMA_Region"), kinds.count("Congressional_District")) == (210, 435)


def test_postal_codes_follow_a_rule_both_ways() -> None:
    for name in ("00501", "10001", "90210", "99950", "T2G", "A0A", "Y9Z"):
        [place] = [place for place in ATLAS.named(name) if place.type == "Postal_Code"]
        assert ATLAS.get(place.id) == place
        assert ATLAS.parents(place) in ([2840], [2124])
    for name in ("00500", "99951", "1234", "123456", "D1A", "T2D", "t2g", "１２３４５"):
        assert ATLAS.named(name) == []
    codes = list(ATLAS.postal_codes())
    assert len(codes) == len({place.id for place in codes}) == 99_450 + 18 * 10 * 20
