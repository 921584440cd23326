"""Workers: each a hub of its own on the shared store, stopped and interleaved where the schedule says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from hub.errors import StoreUnavailable
from hub.hub import Hub
from simulation import arena, questions
from simulation.errors import WorkerInterrupted, WorkerKilled
from simulation.questions import answers
from simulation.steps import CallFault, Crash, Fate, Point, Step, Stop

if TYPE_CHECKING:
    from simulation.world import World

STALL_BEFORE_SEND = 0.8
"""Share of the vendor's `max_in_flight` that a worker may stall between its attempt and its request."""


class Worker:
    """One worker. After a kill it is not used again; its slot gets a new one."""

    def __init__(self, world: World, slot: int, hub: Hub) -> None:
        self.world = world
        self.slot = slot
        self.hub = hub
        self.dead = False
        self.baton: Baton | None = None
        self.sent = 0
        """Writes sent to vendors."""
        self.visible = 0
        """Edits at the ad server when the newest verb began."""
        self._faults: dict[int, CallFault] = {}
        self._crash: Crash | None = None
        self._calls = 0
        self._reached: dict[Point, int] = {}

    @property
    def name(self) -> str:
        """As the event log calls it."""
        return f"w{self.slot}"

    def begin(self, step: Step) -> None:
        """Take up a verb with the faults it carries, and those that the same verb was to meet before and did not."""
        self.visible = self.world.ads.edits
        left_faults, left_crash = self.world.unspent.pop(step.what, ((), None))
        self._faults = {fault.nth: fault for fault in (*left_faults, *step.faults)}
        crash = step.crash or left_crash
        if crash is not None and crash.how is Stop.STALL and self.baton is not None:
            crash = None  # who stands still there has its turn taken by the baton
        self._crash, self._calls, self._reached = crash, 0, {}

    @property
    def reached(self) -> tuple[dict[Point, int], int]:
        """How often each point was reached in the newest verb, and how many vendor calls it made."""
        return {point: count + 1 for point, count in self._reached.items()}, self._calls

    def end(self, step: Step) -> None:
        """The verb is over; what it did not meet waits for the next one of its kind."""
        left = tuple(
            CallFault(nth - self._calls, fault.fate, fault.salt)
            for nth, fault in sorted(self._faults.items())
            if nth >= self._calls
        )
        crash = self._crash
        if crash is not None:
            crash = Crash(
                crash.point, max(0, crash.nth - self._reached.get(crash.point, -1) - 1), crash.how, crash.inner
            )
        self._faults, self._crash = {}, None
        if left or crash is not None:
            self.world.unspent[step.what] = left, crash

    def next_fault(self, patient: frozenset[Fate] = frozenset()) -> CallFault | None:
        """What becomes of the vendor call that is being made; counts it. A fate that is `patient` can do nothing to this call
        and waits for the next one."""
        self._calls += 1
        fault = self._faults.pop(self._calls - 1, None)
        if fault is not None and fault.fate in patient:
            self._faults.setdefault(self._calls, replace(fault, nth=self._calls))
            return None
        return fault

    def reach(self, point: Point) -> None:
        """The worker has come to a point where the schedule may stop it."""
        if self.dead:
            raise WorkerKilled
        count = self._reached[point] = self._reached.get(point, -1) + 1
        crash = self._crash
        if crash is not None and crash.point is point and crash.nth == count:
            self._crash = None
            self._stop(crash)
        if self.baton is not None and point is not Point.COMMIT:
            self.baton.pass_on(self.slot)

    def _stop(self, crash: Crash) -> None:
        world = self.world
        world.count_fault(f"{crash.how} at {crash.point}")
        world.log(self.name, f"{crash.how} at {crash.point} {crash.nth}")
        match crash.how:
            case Stop.KILL:
                self.dead = True
                raise WorkerKilled
            case Stop.INTERRUPT:
                raise WorkerInterrupted
            case Stop.STORE_LOST:
                raise StoreUnavailable(f"simulated: the connection broke at {crash.point}")
            case Stop.STALL:
                self._stall(crash)

    def _about_to_send(self) -> bool:
        """Whether an attempt of this moment is committed and open: its request leaves next."""
        (found,) = answers(self.world.arena, questions.OPEN_SINCE, (self.world.now(),))
        return bool(found)

    def _stall(self, crash: Crash) -> None:
        """The others go on while this worker stands still."""
        world = self.world
        clock, limit = world.clock, world.clock.limit
        kept, disturbed = world.arena.kept, world.arena.kept.disturbed
        if crash.point is Point.SEND or (crash.point is Point.COMMITTED and self._about_to_send()):
            world.clock.advance(0)
            shortest = min(world.terms.max_in_flight, world.terms.crm_in_flight) * STALL_BEFORE_SEND
            until = world.after(shortest)
            clock.limit = until if limit is None else min(limit, until)
        kept.disturbed = disturbed or world.arena.databases[self.slot].inside
        world.standing.append(self.slot)
        try:
            for step in crash.inner:
                world.perform(step)
        finally:
            world.standing.pop()
            clock.limit, kept.disturbed = limit, disturbed


class Baton:
    """Several workers on threads of which exactly one runs; who goes on at each point is drawn from the step's salt."""

    def __init__(self, salt: int) -> None:
        self._rng = Random(salt)
        self._locks: dict[int, threading.Lock] = {}
        self._main = threading.Lock()
        self._running: list[int] = []
        self._current = -1

    def run(self, jobs: Sequence[tuple[int, Callable[[], None]]]) -> None:
        """Run all jobs, each under its worker's slot, to their ends."""
        self._main.acquire()
        threads = []
        for slot, job in jobs:
            lock = threading.Lock()
            lock.acquire()
            self._locks[slot] = lock
            self._running.append(slot)
            threads.append(threading.Thread(target=self._body, args=(slot, job), daemon=True))
        for thread in threads:
            thread.start()
        arena.interleave(self._statement)
        try:
            while self._running:
                self._current = self._rng.choice(self._running)
                self._locks[self._current].release()
                self._main.acquire()
        finally:
            arena.interleave(None)
            for thread in threads:
                thread.join(timeout=60)

    def _body(self, slot: int, job: Callable[[], None]) -> None:
        self._locks[slot].acquire()
        try:
            job()
        finally:
            self._running.remove(slot)
            self._main.release()

    def _statement(self) -> None:
        self.pass_on(self._current)

    def pass_on(self, slot: int) -> None:
        """The running worker stops here until it is drawn again."""
        if slot != self._current or len(self._running) < 2:
            return
        self._main.release()
        self._locks[slot].acquire()
