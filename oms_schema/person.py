"""Whether two names are one person's, as far as spelling can tell: four eyes are asked for by name."""

from __future__ import annotations

import re
import unicodedata

from oms_schema.text import UNDRAWN_MARKS

_ESCAPED = re.compile(r"\\u(e00[0-7][0-9a-f]|[0-9a-f]{4})")
"""How `oms_schema.problems.shown` writes what cannot be printed; names are kept in that form."""


def same_person(one: str, other: str) -> bool:
    """Compared without case, outer blanks, compatibility forms and characters that nobody sees (Unicode's Cc and Cf, and
    marks without a shape).

    Names are claims: this stops one spelling from passing for another, it does not prove who wrote it.
    """
    return _spelt(one) == _spelt(other)


def _spelt(name: str) -> str:
    # NFKC again after casefolding, as Unicode's own caseless match asks for (section 3.13, D146).
    name = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join(" " if c.isspace() else c for c in folded if c.isspace() or _is_seen(c)).split())


def _is_seen(char: str) -> bool:
    return char not in UNDRAWN_MARKS and unicodedata.category(char) not in ("Cc", "Cf")
