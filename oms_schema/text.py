"""What can be wrong with a name: nothing visible in it, something invisible in it, or more of it than a field holds.

The canonical model keeps text exactly as its source gave it; nothing here changes a character. Each function answers with
the problems it sees, and whoever is about to send the text decides which of them stop it at that vendor.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from enum import StrEnum

from oms_schema.problems import Problem, Reason, shown

BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters and symbols by their category, blank on every screen: Hangul fillers and the empty Braille cell."""
# Cc control, Cf format (zero-width space, byte order mark, direction marks, soft hyphen), Cs lone surrogate,
# Zl and Zp line and paragraph separator.
_INVISIBLE_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_JOINERS = frozenset("\u200c\u200d")
# The rest is marks (Mn) of Unicode's Default_Ignorable_Code_Point: those that choose how the character before them is
# drawn, the grapheme joiner, and two Khmer vowels that are never drawn.
_SELECTORS = ((0x180B, 0x180E), (0x180F, 0x1810), (0xFE00, 0xFE10), (0xE0100, 0xE01F0))
_VARIATION_SELECTORS = frozenset(chr(code) for codes in _SELECTORS for code in range(*codes))
UNDRAWN_MARKS = _VARIATION_SELECTORS | frozenset("\u034f\u17b4\u17b5")
"""Marks without a shape of their own; `str.isprintable` takes them for printable."""
_KEYS = frozenset("0123456789#*")
_KEYCAP = "\u20e3"


class LengthUnit(StrEnum):
    """What a vendor counts when it limits a field's length."""

    CHARACTERS = "characters"
    """Unicode code points."""
    UTF16 = "UTF-16 units"
    """As Java, JavaScript and Salesforce count: a character beyond the basic plane is two."""
    BYTES = "bytes"
    """Of UTF-8."""


def length(text: str, unit: LengthUnit) -> int:
    """How long a text is by a vendor's way of counting."""
    if unit is LengthUnit.CHARACTERS:
        return len(text)
    if unit is LengthUnit.UTF16:
        return len(text) + sum(c > "\uffff" for c in text)
    return len(text.encode("utf-8", "surrogatepass"))


def invisible(text: str) -> Iterator[tuple[int, str]]:
    """Position and character of everything that no screen shows and no spelling needs.

    A zero-width joiner or non-joiner between two characters beyond ASCII is spelling (Persian, Indic scripts, joined
    emoji) and is left alone; anywhere else it is as invisible as the rest. So is a variation selector, unless it follows
    a character beyond ASCII or makes an emoji of a key.
    """
    for position, char in enumerate(text):
        if not _unseen(char):
            continue
        if char in _JOINERS and _spells(text, position - 1) and _spells(text, position + 1):
            continue
        if char in _VARIATION_SELECTORS and (_spells(text, position - 1) or _is_key(text, position - 1)):
            continue
        yield position, char


def is_margin(char: str) -> bool:
    """Whether a character at either end of a text can go without changing what it says; half of a character cannot."""
    return char.isspace() or unicodedata.category(char) in _INVISIBLE_CATEGORIES - {"Cs"}


def _spells(text: str, position: int) -> bool:
    if not 0 <= position < len(text):
        return False
    char = text[position]
    return char > "\x7f" and not char.isspace() and not _unseen(char)


def _is_key(text: str, position: int) -> bool:
    return position >= 0 and text[position] in _KEYS and text[position + 2 : position + 3] == _KEYCAP


def _unseen(char: str) -> bool:
    if char <= "\x7f":
        return not char.isprintable()
    return char in UNDRAWN_MARKS or unicodedata.category(char) in _INVISIBLE_CATEGORIES


def is_blank(text: str) -> bool:
    """Whether nothing in the text can be seen."""
    hidden = {position for position, _ in invisible(text)}
    return all(c.isspace() or c in BLANKS or c in _JOINERS or i in hidden for i, c in enumerate(text))


def check_not_blank(path: str, text: str, owner: str = "Sales") -> tuple[Problem, ...]:
    """NAME-EMPTY when nothing of the text can be seen."""
    if not is_blank(text):
        return ()
    return (
        Problem(
            code="NAME-EMPTY",
            reason=Reason.VALIDATION,
            path=path,
            value=shown(text),
            happened="The name is empty." if not text else "The name holds only characters that cannot be seen.",
            effect="The record is kept and not sent.",
            fix=f"{owner} gives it a name at the source.",
            owner=owner,
        ),
    )


def check_visible(path: str, text: str, owner: str = "Sales") -> tuple[Problem, ...]:
    """NAME-INVISIBLE, once, when the text holds zero-width, control or direction characters."""
    found = list(invisible(text))
    if not found:
        return ()
    position, char = found[0]
    name = unicodedata.name(char, "control character")
    more = f" and {len(found) - 1} more like it" if len(found) > 1 else ""
    return (
        Problem(
            code="NAME-INVISIBLE",
            reason=Reason.VALIDATION,
            path=path,
            value=shown(text),
            happened=f"The name holds U+{ord(char):04X} ({name}) as character {position + 1}{more}.",
            effect="Two names that look alike could be two accounts, so the record is kept and not sent.",
            fix=f"{owner} types the name again at the source.",
            owner=owner,
        ),
    )


def check_basic_plane(path: str, text: str, owner: str = "Sales") -> tuple[Problem, ...]:
    """NAME-FOUR-BYTE when the text holds a character of four UTF-8 bytes, for vendors that store only three."""
    found = next((c for c in text if c > "\uffff"), None)
    if found is None:
        return ()
    return (
        Problem(
            code="NAME-FOUR-BYTE",
            reason=Reason.VALIDATION,
            path=path,
            value=shown(text),
            happened=f"The name holds {found} (U+{ord(found):04X}), a character of four bytes.",
            effect="The vendor cannot store it, so the record is kept and not sent.",
            fix=f"{owner} leaves the character out at the source.",
            owner=owner,
        ),
    )


def check_length(
    path: str, text: str, limit: int, unit: LengthUnit = LengthUnit.CHARACTERS, owner: str = "Sales"
) -> tuple[Problem, ...]:
    """NAME-TOO-LONG when the text is longer than `limit` by the vendor's way of counting."""
    measured = length(text, unit)
    if measured <= limit:
        return ()
    return (
        Problem(
            code="NAME-TOO-LONG",
            reason=Reason.LENGTH,
            path=path,
            value=shown(text),
            happened=f"The name has {measured} {unit.value}; the field holds {limit}.",
            effect="The record is kept and not sent; nothing is cut off.",
            fix=f"{owner} shortens the name at the source.",
            owner=owner,
        ),
    )


def check_name(
    path: str,
    text: str,
    limit: int | None = None,
    unit: LengthUnit = LengthUnit.CHARACTERS,
    owner: str = "Sales",
) -> tuple[Problem, ...]:
    """All that is wrong with a name at once: empty, else invisible characters; and too long when there is a limit."""
    problems = check_not_blank(path, text, owner) or check_visible(path, text, owner)
    return problems if limit is None else problems + check_length(path, text, limit, unit, owner)
