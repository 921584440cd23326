"""The policy by which a name that people wrote is matched to a row of the vendor's look-up table. Pure.

A wrong place costs money, so a name that fits two rows fits none. In this order, the first step with a hit decides:
the same name; the same name without a trailing state (`Philadelphia` and `Philadelphia, PA`); the same without a remark in
brackets (`Southern Scotland (Edinburgh and Glasgow)`). Case, accents' encoding and white space never matter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

_STATE = re.compile(r",\s*[a-z]{2}(?:\s*-\s*[a-z]{2})*$")
_REMARK = re.compile(r"\s*\([^()]*\)")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a look-up table; `rank` 0 goes before 1 (a state before a county of the same name)."""

    id: str
    name: str
    rank: int = 0


def matched(names: Sequence[str], rows: Iterable[Row]) -> dict[str, str]:
    """Ids by name as asked for; unknown and ambiguous names are absent."""
    tables: list[dict[str, dict[int, set[str]]]] = [{} for _ in _STEPS]
    for row in rows:
        for step, table in zip(_STEPS, tables, strict=True):
            table.setdefault(step(row.name), {}).setdefault(row.rank, set()).add(row.id)
    found: dict[str, str] = {}
    for name in names:
        for step, table in zip(_STEPS, tables, strict=True):
            hits = table.get(step(name))
            if hits:
                best = hits[min(hits)]
                if len(best) == 1:
                    found[name] = next(iter(best))
                break
    return found


def folded(name: str) -> str:
    """A name as it is compared: composed, case-folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _without_state(name: str) -> str:
    return _STATE.sub("", folded(name))


def _without_remark(name: str) -> str:
    return _REMARK.sub("", _without_state(name)).strip()


_STEPS: tuple[Callable[[str], str], ...] = (folded, _without_state, _without_remark)


def spellings(names: Sequence[str]) -> list[str]:
    """Spellings to ask a table for that cannot be read whole, because nobody promises that PQL ignores case [K]."""
    asked: dict[str, None] = {}
    for name in names:
        composed = " ".join(unicodedata.normalize("NFKC", name).split())
        for spelling in (composed, composed.upper(), composed.title()):
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
