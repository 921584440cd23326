"""Builds the table of places.

Sources: countries and subdivisions are ISO 3166 (pycountry); DMA regions and larger cities are the two small files
beside this module; US congressional districts follow from the apportionment of 2013-2023; broadcast regions of the
United Kingdom are listed here. Postal codes are a virtual table made by rule, never stored: every five-digit US number
from 00501 to 99950 and every Canadian forward sortation area that may exist exists here, assigned or not.

Names are those of the sources; the vendor's spelling may differ (it writes "Bavaria" where ISO writes "Bayern").
Ids are this sandbox's own and opaque, except countries (2000 + ISO number) and DMA regions (200000 + Nielsen code).
The types are those that the vendor's contract allows for `Geo_Target.Type`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_POSTAL = 9_000_000
_POSTAL_CA = 9_200_000
_CITY = 1_000_000
_DISTRICT = 600_000
_TV_REGION = 700_000
_FIRST_ZIP, _LAST_ZIP = 501, 99_950
# Letters Canada Post uses first and third in a forward sortation area.
_FSA_FIRST, _FSA_THIRD = "ABCEGHJKLMNPRSTVXY", "ABCEGHJKLMNPRSTVWXYZ"
_FSA_COUNT = len(_FSA_FIRST) * 10 * len(_FSA_THIRD)

# Seats by state from the census of 2010.
_SEATS = (
    "AL7 AK1 AZ9 AR4 CA53 CO7 CT5 DE1 FL27 GA14 HI2 ID2 IL18 IN9 IA4 KS4 KY6 LA6 ME2 MD8 MA9 MI14 MN8 MS4 MO8 MT1 NE3 "
    "NV4 NH2 NJ12 NM3 NY27 NC13 ND1 OH16 OK5 OR5 PA18 RI2 SC7 SD1 TN9 TX36 UT4 VT1 VA11 WA10 WV3 WI8 WY1"
)
_TV_REGIONS = (
    "Border; Central Scotland; Channel Islands; East Of England; London; Meridian; Midlands; North East; North West; "
    "Northern Ireland; Northern Scotland; South West; Southern Scotland; Wales; West; Yorkshire"
)
_TYPES = {
    "Autonomous community": "Autonomous_Community",
    "Canton": "Canton",
    "County": "County",
    "Department": "Department",
    "Governorate": "Governorate",
    "Municipality": "Municipality",
    "Prefecture": "Prefecture",
    "Province": "Province",
    "State": "State",
    "Land": "State",
    "Territory": "Territory",
    "Union territory": "Union_Territory",
}


@dataclass(frozen=True)
class Place:
    """One row of `Geo_Target`. `parent` is the canonical parent's id, None for a country."""

    id: int
    name: str
    type: str
    country_code: str
    parent: int | None = None


class Atlas:
    """All places by id and by name. Immutable, shared by all sandboxes of a process."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._by_id = {place.id: place for place in places}
        self._by_name: dict[str, list[Place]] = {}
        for place in self._by_id.values():
            self._by_name.setdefault(place.name, []).append(place)
        self._us = 2840 if 2840 in self._by_id else None
        self._ca = 2124 if 2124 in self._by_id else None

    def get(self, place_id: int) -> Place | None:
        """The place of an id, postal codes included."""
        return self._by_id.get(place_id) or self._postal(place_id)

    def named(self, name: str) -> list[Place]:
        """The places of exactly this name, postal codes included (Canadian ones in upper case)."""
        postal = self._postal(_postal_id(name))
        return self._by_name.get(name, []) + ([postal] if postal else [])

    def parents(self, place: Place) -> list[int]:
        """The ids of all places this one lies in, smallest first."""
        found = []
        at = place.parent
        while at is not None:
            found.append(at)
            parent = self._by_id.get(at)
            at = parent.parent if parent else None
        return found

    def stored(self) -> Iterator[Place]:
        """All places but the postal codes."""
        return iter(self._by_id.values())

    def postal_codes(self) -> Iterator[Place]:
        """All postal codes, made one by one: about 103,000."""
        for number in range(_FIRST_ZIP, _LAST_ZIP + 1):
            if place := self._postal(_POSTAL + number):
                yield place
        for number in range(_FSA_COUNT):
            if place := self._postal(_POSTAL_CA + number):
                yield place

    def _postal(self, place_id: int) -> Place | None:
        if self._us is not None and _POSTAL + _FIRST_ZIP <= place_id <= _POSTAL + _LAST_ZIP:
            return Place(place_id, f"{place_id - _POSTAL:05d}", "Postal_Code", "US", self._us)
        if self._ca is not None and _POSTAL_CA <= place_id < _POSTAL_CA + _FSA_COUNT:
            first, rest = divmod(place_id - _POSTAL_CA, 10 * len(_FSA_THIRD))
            digit, third = divmod(rest, len(_FSA_THIRD))
            name = f"{_FSA_FIRST[first]}{digit}{_FSA_THIRD[third]}"
            return Place(place_id, name, "Postal_Code", "CA", self._ca)
        return None


def _postal_id(name: str) -> int:
    if len(name) == 5 and name.isascii() and name.isdigit():
        return _POSTAL + int(name)
    if len(name) == 3 and name[0] in _FSA_FIRST and name[1] in "0123456789" and name[2] in _FSA_THIRD:
        position = _FSA_FIRST.index(name[0]) * 10 + int(name[1])
        return _POSTAL_CA + position * len(_FSA_THIRD) + _FSA_THIRD.index(name[2])
    return -1


@cache
def load_atlas() -> Atlas:
    """The table of places, built once per process (a few tens of milliseconds)."""
    import pycountry

    countries = {country.alpha_2: country for country in pycountry.countries}
    places = [_country(country) for country in countries.values()]
    places += [_subdivision(each, countries) for each in pycountry.subdivisions]
    states = {place.id: place for place in places}
    places += _dma_regions()
    places += _districts(states)
    places += [
        Place(_TV_REGION + index, name, "Tv_Region", "GB", 2826) for index, name in enumerate(_TV_REGIONS.split("; "))
    ]
    places += _cities()
    return Atlas(places)


def _country(country: Any) -> Place:
    name = getattr(country, "common_name", country.name)
    return Place(2000 + int(country.numeric), name, "Country", country.alpha_2)


def _subdivision_id(code: str, numeric: int) -> int:
    return 20_000_000 + numeric * 36**3 + int(code.partition("-")[2], 36)


def _subdivision(subdivision: Any, countries: dict[str, Any]) -> Place:
    numeric = int(countries[subdivision.country_code].numeric)
    parent = subdivision.parent_code
    kind = "State" if subdivision.country_code == "US" else _TYPES.get(subdivision.type, "Region")
    return Place(
        _subdivision_id(subdivision.code, numeric),
        subdivision.name,
        kind,
        subdivision.country_code,
        _subdivision_id(parent, numeric) if parent else 2000 + numeric,
    )


def _lines(file: str) -> Iterator[str]:
    for line in (_FOLDER / file).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line


def _dma_regions() -> Iterator[Place]:
    for line in _lines("dma.txt"):
        code, _, name = line.partition(" ")
        yield Place(200_000 + int(code), name, "DMA_Region", "US", 2840)


def _districts(states: dict[int, Place]) -> Iterator[Place]:
    for index, entry in enumerate(_SEATS.split()):
        state = states[_subdivision_id(f"US-{entry[:2]}", 840)]
        for seat in range(1, int(entry[2:]) + 1):
            name = f"{state.name} {_ordinal(seat)} District"
            yield Place(_DISTRICT + index * 100 + seat, name, "Congressional_District", "US", state.id)


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _cities() -> Iterator[Place]:
    import pycountry

    for row, line in enumerate(_lines("cities.txt")):
        where, _, names = line.partition(": ")
        country = pycountry.countries.get(alpha_2=where[:2])
        numeric = int(country.numeric)
        parent = _subdivision_id(where, numeric) if "-" in where else 2000 + numeric
        for column, name in enumerate(names.split("; ")):
            yield Place(_CITY + row * 200 + column, name, "City", where[:2], parent)
