"""Chooses whom to kill and when: at any moment, or at one where a crash is most likely to lose or to double something."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum

from chaos.crew import Crew, Worker
from chaos.ground import Ground
from chaos.recovery import RecoveryMeter
from chaos.watch import Watch
from cli.demo.configuration import LEDGER
from cli.demo.control import SandboxControl
from cli.demo.engine import AD_SERVER, SOURCE

YOUNGEST = 3.5
"""Seconds a worker lives at least; loading its modules takes one or two of them."""
PATIENCE = 3.0
"""Seconds a moment is waited for; then the kill comes at once."""
LONGEST_WANDER = 1.5
HOLD_SECONDS = 1.2
"""How long a vendor keeps the reply to a write that it has applied, while the worker that waits for it is killed."""
APPLYING_SECONDS = 0.3
"""From the moment the vendor decides to hold a reply until the write is surely applied: a batch of 50 takes 0.1 s."""
MIRROR_WRITES = ("PATCH collections Opportunity", "PATCH collections OpportunityLineItem")


class Moment(StrEnum):
    """When a kill comes."""

    ANY = "any moment"
    CLAIMED = "right after lanes were claimed"
    WRITTEN = "right after attempts were written"
    APPLIED = "after the vendor applied, before the reply"


_SENDERS = {"push": (3, 2, 4, 3), "mirror": (4, 1, 3, 2), "post": (2, 1, 3, 4)}
_LOOKERS = {"settle": (2, 3, 0, 0)}


class Killer:
    """Kills one worker after another and replaces each."""

    def __init__(self, ground: Ground, crew: Crew, watch: Watch, meter: RecoveryMeter, dice: random.Random) -> None:
        self._ground = ground
        self._crew = crew
        self._watch = watch
        self._meter = meter
        self._dice = dice
        self.moments: Counter[str] = Counter()
        self.posts: Counter[str] = Counter()

    @property
    def kills(self) -> int:
        """Workers killed so far."""
        return self.moments.total()

    def strike(self) -> None:
        """One kill: choose, wait for the moment, kill, and put another worker in the place."""
        self._crew.replace_crashed()
        victim = self._victim()
        weights = {**_SENDERS, **_LOOKERS}.get(victim.post.verb, (1, 0, 0, 0))
        moment = self._dice.choices(list(Moment), weights)[0]
        victim, moment = self._await(victim, moment)
        killed_at = datetime.now(UTC)
        self._crew.kill(victim)
        self.moments[moment] += 1
        self.posts[victim.post.verb] += 1
        lanes = self._watch.left_behind(victim.name)
        if lanes:
            self._meter.killed(victim.name, killed_at, lanes)
        self._crew.replace(victim)

    def _victim(self) -> Worker:
        """One of those who have had time to begin: whoever dies while still being loaded held nothing."""
        while True:
            born_before = time.monotonic() - YOUNGEST
            workers = [worker for worker in self._crew if worker.started < born_before]
            if workers:
                return self._dice.choices(workers, [worker.post.weight for worker in workers])[0]
            time.sleep(0.05)

    def _await(self, victim: Worker, moment: Moment) -> tuple[Worker, Moment]:
        """Who is killed in the end and at which moment: whoever of the same kind reaches it first."""
        kin = {worker.name: worker for worker in self._crew if worker.post.verb == victim.post.verb}
        attempt = self._watch.newest_attempt()
        found: str | None = None
        match moment:
            case Moment.CLAIMED:
                found = self._watch.wait_for(lambda: self._watch.holders(kin), self._dice, PATIENCE)
            case Moment.WRITTEN:
                found = self._watch.wait_for(lambda: self._watch.senders_since(attempt, kin), self._dice, PATIENCE)
            case Moment.APPLIED:
                found = self._held_reply(victim, kin, attempt)
            case Moment.ANY:
                time.sleep(self._dice.uniform(0, LONGEST_WANDER))
                return victim, moment
        return (victim, Moment.ANY) if found is None else (kin[found], moment)

    def _held_reply(self, victim: Worker, kin: dict[str, Worker], attempt: int) -> str | None:
        """Let the vendor apply a write and keep the reply; who waits for that reply."""
        vendor = self._vendor(victim)
        knob: dict[str, object] = {"rate": 1.0, "count": 1, "seconds": HOLD_SECONDS}
        if vendor is self._ground.people.crm:
            knob["operations"] = list(MIRROR_WRITES)
        vendor.turn_faults_on({"slow_reply": knob})
        try:
            until = time.monotonic() + PATIENCE
            while vendor.get("faults")["slow_reply"]["count"]:
                if time.monotonic() > until:
                    return None
                time.sleep(0.01)
            time.sleep(APPLYING_SECONDS)
            waiting = self._watch.senders_since(attempt, kin)
            return self._dice.choice(waiting) if waiting else None
        finally:
            vendor.turn_faults_on({"slow_reply": {"count": 0}})

    def _vendor(self, worker: Worker) -> SandboxControl:
        people = self._ground.people
        vendors = {AD_SERVER: people.ad_server, SOURCE: people.crm, LEDGER: self._ground.ledger}
        return vendors[worker.post.connection]
