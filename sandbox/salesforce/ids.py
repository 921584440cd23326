"""Record ids: 15 characters (key prefix, instance, number in base 62) and a suffix of 3 that guards their case.

Base 62 runs 0-9, A-Z, a-z, as in recorded ids.
"""

from __future__ import annotations

import re

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_ID = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")
_INSTANCE = "5e"


def suffix_of(id15: str) -> str:
    """The three characters that make an id safe where case is lost: one per five, a bit per upper-case letter."""
    return "".join(
        _SUFFIX[sum(1 << place for place, sign in enumerate(id15[start : start + 5]) if sign.isupper())]
        for start in (0, 5, 10)
    )


BLOCK = 62**6


def make_id(key_prefix: str, number: int, block: int = 0) -> str:
    """The 18-character id of the n-th record of an object in a block.

    The vendor's servers draw ids from blocks of their own: recorded contacts made later have lower ids. So neither ids
    nor unordered queries tell the order of creation.
    """
    number += block * BLOCK
    signs = []
    for _ in range(9):
        number, digit = divmod(number, 62)
        signs.append(_DIGITS[digit])
    id15 = f"{key_prefix}{_INSTANCE}0{''.join(reversed(signs))}"
    return id15 + suffix_of(id15)


def normalise(text: object) -> str | None:
    """The 18-character form of an id of 15 or 18 characters; None if it is no id.

    An 18-character id with a wrong suffix is none: the vendor refuses it too.
    """
    if not isinstance(text, str) or not _ID.fullmatch(text):
        return None
    expected = suffix_of(text[:15])
    if len(text) == 18 and text[15:].upper() != expected:
        return None
    return text[:15] + expected
