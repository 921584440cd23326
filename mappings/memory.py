"""What pure functions of the mappings remember of earlier records, all of it bounded, and how it is forgotten."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
_FORGET: list[Callable[[], None]] = []
CALM = (50_000, 20, 50)
"""New containers until Python looks for cycles among them, and how often among older ones; 700, 10 and 10 are its own."""


def remembered(most: int) -> Callable[[_Function], _Function]:
    """Keep the `most` latest results of a pure function by its arguments, which have to hash and compare by value.

    What it returns is shared by everyone who asks: it is read, never changed.
    """

    def wrap(function: _Function) -> _Function:
        kept = lru_cache(maxsize=most)(function)
        _FORGET.append(kept.cache_clear)
        return kept  # type: ignore[return-value]  # called like the function

    return wrap


def forget_all() -> None:
    """Drop every remembered result; later ones are the same with it and without."""
    for forget in _FORGET:
        forget()


def calm_collector() -> None:
    """Have Python look for cycles less often, and never among what exists already.

    A page of records is thousands of small objects without cycles; looking through them again and again took 27 % of the
    time of mapping pages of 500 opportunities with their lines (measured). Set for the whole process, by whoever opens the hub.
    """
    gc.freeze()
    gc.set_threshold(*CALM)
