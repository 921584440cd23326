"""A deliberately broken engine: what it gives up, and the replacements that make it, for the time of a campaign."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

Patches = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken engine: its name, what it gives up, and the replacements that make it."""

    name: str
    gives_up: str
    patches: Callable[[], Patches]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While this lasts, every hub of this process is this mutant."""
        with ExitStack() as stack:
            for each in self.patches():
                stack.enter_context(each)
            yield


def wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> Any:
    """Replace a function by what `make` makes of it."""
    return patch.object(owner, name, make(getattr(owner, name)))
