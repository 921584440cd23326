"""The documents of one call on their way through an ERP: those with some way to go, and the results of the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from connectors.base import PushResult


class Placed(Protocol):
    """One document of a call."""

    @property
    def place(self) -> int:
        """Its place in the call, from 0 on."""
        ...


T = TypeVar("T", bound=Placed)


class OnTheWay(Generic[T]):
    """`open` still have a way to go; `results` are of the others, by place."""

    def __init__(self) -> None:
        self.open: list[T] = []
        self.results: dict[int, PushResult] = {}

    def end(self, task: T, result: PushResult) -> None:
        """This one's way is over."""
        self.results[task.place] = result
        self.open.remove(task)

    def left(self, tasks: Iterable[T]) -> list[T]:
        """Those of them that still have a way to go."""
        return [task for task in tasks if task in self.open]
