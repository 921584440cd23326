"""The policy by which a name that people wrote is matched to a row of the vendor's look-up table. Pure.

A wrong place costs money, so a name that fits two rows fits none. The first step with a hit decides: the same name; for
metros also the city part without the state (`Philadelphia` is `Philadelphia, PA`, but `Philadelphia, NJ` is not), then the
same without a remark in brackets (`Southern Scotland (Edinburgh and Glasgow)`). Case, encoding of accents and white space
never matter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

_CITY_AND_STATE = re.compile(r"^(?P<city>.+?),\s*(?P<state>[a-z]{2}\b.*)$")
_REMARK = re.compile(r"\s*\([^()]*\)")


class Policy(StrEnum):
    """How freely a name is matched."""

    EXACT = "exact"
    CITY_PART = "city_part"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a look-up table; `rank` 0 goes before 1 (a state before a county of the same name)."""

    id: str
    name: str
    rank: int = 0


@dataclass(slots=True)
class _Hits:
    """The rows of one key: ids by state, by rank."""

    by_rank: dict[int, dict[str, set[str]]] = field(default_factory=dict)

    def add(self, row: Row, state: str) -> None:
        self.by_rank.setdefault(row.rank, {}).setdefault(state, set()).add(row.id)

    def one(self, state: str) -> str | None:
        """The only id of the best rank; a name with a state fits rows of that state only."""
        for rank in sorted(self.by_rank):
            states = self.by_rank[rank]
            ids = states.get(state, set()) if state else set().union(*states.values())
            if ids:
                return next(iter(ids)) if len(ids) == 1 else None
        return None


def matched(names: Sequence[str], rows: Iterable[Row], policy: Policy = Policy.EXACT) -> dict[str, str]:
    """Ids by name as asked for; unknown and ambiguous names are absent."""
    exact: dict[str, _Hits] = {}
    cities: dict[str, _Hits] = {}
    for row in rows:
        exact.setdefault(folded(row.name), _Hits()).add(row, "")
        if policy is Policy.CITY_PART:
            for key, state in dict.fromkeys(_parts(row.name)):
                cities.setdefault(key, _Hits()).add(row, state)
    found: dict[str, str] = {}
    for name in names:
        if folded(name) in exact:
            hit = exact[folded(name)].one("")
        else:
            asked = [(key, state) for key, state in _parts(name) if key in cities]
            hit = cities[asked[0][0]].one(asked[0][1]) if asked else None
        if hit is not None:
            found[name] = hit
    return found


def folded(name: str) -> str:
    """A name as it is compared: composed, case-folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _parts(name: str) -> list[tuple[str, str]]:
    """City part and state of a name, first with its remarks, then without."""
    parts = []
    for text in (folded(name), _REMARK.sub("", folded(name)).strip()):
        split = _CITY_AND_STATE.match(text)
        parts.append((split["city"], split["state"]) if split else (text, ""))
    return parts


def spellings(names: Sequence[str]) -> list[str]:
    """Spellings to ask a table for that cannot be read whole, because nobody promises that PQL ignores case [K]."""
    asked: dict[str, None] = {}
    for name in names:
        composed = " ".join(unicodedata.normalize("NFKC", name).split())
        for spelling in (composed, composed.upper(), composed.title(), composed.lower()):
            if spelling:
                asked.setdefault(spelling)
    return list(asked)


GEO_TYPES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # [S]: the values of Geo_Target.Type; which of them people call a region is our reading. Ranks in order.
    "COUNTRY": (("Country",),),
    "REGION": (
        (
            "State",
            "Province",
            "Region",
            "Territory",
            "Union_Territory",
            "Prefecture",
            "Canton",
            "Autonomous_Community",
            "Governorate",
        ),
        ("County", "Department", "Municipality"),
    ),
    "METRO": (("DMA_Region",), ("Tv_Region",)),
    "DISTRICT": (("Congressional_District",),),
    "CITY": (("City",),),
    "POSTAL_CODE": (("Postal_Code",),),
}
"""Kinds of place that `resolve` knows, each with the vendor's types in the order of their rank."""

READ_WHOLE = frozenset({"COUNTRY", "REGION", "METRO", "DISTRICT"})
"""Kinds whose rows of one country are few enough to be read whole, which makes matching independent of PQL's case."""
