"""A status machine as data: rows of (from, to, trigger, guards, sentence), and the three questions asked of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)
F = TypeVar("F")


@dataclass(frozen=True)
class Guard(Generic[F]):
    """A condition on a move. `rule` states it; `refusal` says why these facts break it, None when they do not."""

    rule: str
    refusal: Callable[[F], str | None]


class Origin(StrEnum):
    """Where a row comes from."""

    DOMAIN = "domain"
    """The state tables of the order-management domain study, section 2."""
    ADDED = "added"
    """Not in those tables; without it, what vendors really do would leave an order stuck or its status untrue."""


@dataclass(frozen=True)
class Transition(Generic[S, F]):
    """One legal move. `trigger` names the event; `sentence` says in the past tense what the move means."""

    source: S
    target: S
    trigger: str
    guards: tuple[Guard[F], ...]
    sentence: str
    origin: Origin = Origin.DOMAIN

    def refusal(self, facts: F) -> Refusal | None:
        """The first guard that refuses, None when the move is legal under these facts."""
        for guard in self.guards:
            why = guard.refusal(facts)
            if why is not None:
                return Refusal(str(self.source), str(self.target), self.trigger, guard.rule, why)
        return None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that exists but is closed at present: the guard's rule, and why these facts break it."""

    source: str
    target: str
    trigger: str
    rule: str
    why: str


class IllegalMove(ValueError):  # noqa: N818 - the move is illegal; that is its name everywhere
    """A move the table does not allow, or whose guards refuse it. Nothing has changed.

    `allowed` are the statuses that may be reached in one move now; `refusals` the rows that exist but are closed.
    """

    def __init__(
        self, subject: str, source: str, target: str, allowed: Sequence[str], refusals: Sequence[Refusal]
    ) -> None:
        self.subject = subject
        self.source = source
        self.target = target
        self.allowed = tuple(allowed)
        self.refusals = tuple(refusals)
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        blocking = [r for r in self.refusals if r.target == self.target] or list(self.refusals)
        if self.source == self.target:
            cause = "it is there already"
        elif blocking:
            cause = "; ".join(f"{r.source} to {r.target} needs that {r.rule}, but {r.why}" for r in blocking)
        else:
            cause = "there is no such step"
        now = ", ".join(self.allowed) if self.allowed else "no other status at present"
        return (
            f"The {self.subject} cannot go from {self.source} to {self.target}: {cause}. "
            f"It stays {self.source}. From here it may go to: {now}."
        )


class Machine(Generic[S, F]):
    """The legal moves of one status axis. `subject` is what has the status: order, line, line-period or lane."""

    def __init__(self, axis: str, subject: str, initial: S, transitions: Sequence[Transition[S, F]]) -> None:
        self.axis = axis
        self.subject = subject
        self.initial = initial
        self.statuses: type[S] = type(initial)
        self.transitions = tuple(transitions)
        self._rows: dict[S, tuple[Transition[S, F], ...]] = {
            status: tuple(t for t in transitions if t.source == status) for status in self.statuses
        }

    @property
    def terminal(self) -> frozenset[S]:
        """Statuses that nothing leaves."""
        return frozenset(status for status, rows in self._rows.items() if not rows)

    def targets(self, source: S) -> tuple[S, ...]:
        """Statuses the table knows a move to, guards aside, in table order."""
        return tuple(dict.fromkeys(row.target for row in self._rows[source]))

    def allowed(self, source: S, facts: F) -> tuple[S, ...]:
        """Statuses that may be reached in one move under these facts, in table order."""
        return tuple(dict.fromkeys(row.target for row in self._open(source, facts)))

    def move(self, source: S, target: S, facts: F) -> S:
        """The new status. Raises IllegalMove, which names the allowed moves and the guard that refused."""
        return self.step(source, target, facts).target

    def step(self, source: S, target: S, facts: F) -> Transition[S, F]:
        """The row by which this move is legal; its trigger and sentence belong in the audit. Raises IllegalMove."""
        for row in self._open(source, facts):
            if row.target == target:
                return row
        refusals = [r for row in self._rows[source] if row.target == target and (r := row.refusal(facts)) is not None]
        raise self._illegal(source, target, facts, refusals)

    def path(self, source: S, target: S, facts: F) -> tuple[Transition[S, F], ...]:
        """The shortest legal way, as rows; empty when already there; of two equally short ways the table's first.

        For a source that jumps: a deal that a CRM shows as won at first sight goes draft, proposed … booked, and
        every guard on the way is asked. Raises IllegalMove, which names each guard that closes the shortest way.
        """
        found = self._search(source, target, lambda status: self._open(status, facts))
        if found is None:
            shortest = self._search(source, target, lambda status: iter(self._rows[status])) or ()
            refusals = [r for row in shortest if (r := row.refusal(facts)) is not None]
            raise self._illegal(source, target, facts, refusals)
        return found

    def _open(self, source: S, facts: F) -> Iterator[Transition[S, F]]:
        return (row for row in self._rows[source] if row.refusal(facts) is None)

    def _search(
        self, source: S, target: S, rows: Callable[[S], Iterator[Transition[S, F]]]
    ) -> tuple[Transition[S, F], ...] | None:
        ways: dict[S, tuple[Transition[S, F], ...]] = {source: ()}
        queue = deque([source])
        while queue and target not in ways:
            status = queue.popleft()
            for row in rows(status):
                if row.target not in ways:
                    ways[row.target] = (*ways[status], row)
                    queue.append(row.target)
        return ways.get(target)

    def _illegal(self, source: S, target: S, facts: F, refusals: Sequence[Refusal]) -> IllegalMove:
        allowed = [str(status) for status in self.allowed(source, facts)]
        return IllegalMove(self.subject, str(source), str(target), allowed, refusals)
