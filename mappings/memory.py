"""What pure functions of the mappings remember of earlier records, all of it bounded, and how it is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
_FORGET: list[Callable[[], None]] = []


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
