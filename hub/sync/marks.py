"""Marks: whose a vendor's record is, told by what our mappings write into it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.base import CensusRow

TOKEN = 12
"""Digits of an id that a mapping writes into a name at least; 60 bits, so that no two entities share them."""

_CANONICAL = re.compile(r"(?:pty|ord|lin|dea|doc)_[a-z2-7]{24}")
_TOKENS = re.compile(rf"([a-z2-7]{{{TOKEN},24}})(?: (\d+)/\d+)?")


@dataclass(frozen=True, slots=True)
class Ours:
    """A vendor record that carries a mark of ours. `part` of a split order where the mark names one."""

    row: CensusRow
    entity_id: str
    part: str = ""


def ours_of(row: CensusRow, tokens: dict[str, str]) -> Ours | None:
    """Whose record this is by its mark or the token in its marker; None for a stranger's. Pure.

    `tokens` are the beginnings of the known ids of this kind.
    """
    if row.mark:
        return Ours(row, row.mark) if _CANONICAL.fullmatch(row.mark) else None
    found = [(match[1][:TOKEN], match[2] or "") for match in _TOKENS.finditer(row.marker) if match[1][:TOKEN] in tokens]
    return Ours(row, tokens[found[-1][0]], found[-1][1]) if found else None
