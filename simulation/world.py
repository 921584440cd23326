"""The world of one schedule: clocks, vendors, people and workers around one store, and how each step is carried out."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from connectors.base import CreateProtocol, Operation, PushItem
from hub.config import Configuration, ConnectionSettings, GuardSettings, HubSettings, StoreSettings
from hub.encoding import decode
from hub.errors import HubError, NotFound
from hub.hub import Hub
from hub.session import Channel, Session
from hub.sync import recovery
from simulation import backup, bookkeeping, questions
from simulation.ad_server import DOCUMENTS, AdServer, Intent
from simulation.arena import WORKERS, Arena
from simulation.backup import Backup
from simulation.clocks import BusinessClock, SimulatedClock
from simulation.crm import Crm
from simulation.errors import InvariantBroken, Violation, WorkerInterrupted, WorkerKilled
from simulation.event_log import EventLog
from simulation.people import DEEDS
from simulation.questions import ATTEMPTS, answers
from simulation.steps import VERBS, CallFault, Crash, Step
from simulation.terms import Terms
from simulation.vendors import ADS, CRM, ConnectorStumbledError, SimulatedAdServer, SimulatedCrm
from simulation.workers import Baton, Worker

_MAPPING_SETTINGS = {"trafficker_id": "7", "root_ad_unit_id": "1"}
_STORE_CONFLICTS = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,
)
"""What two transactions at once may meet; the verb ends and is run again, as a task's retry would."""


class World:
    """Everything of one schedule. Not reused."""

    def __init__(self, arena: Arena, seed: int, terms: Terms, *, keep_log: bool = False) -> None:
        self.arena = arena
        self.seed = seed
        self.terms = terms
        self.clock = SimulatedClock()
        self.business = BusinessClock(self.clock)
        self.events = EventLog(keep=keep_log)
        self.ads = AdServer(terms)
        self.crm = Crm(terms)
        self.step = 0
        self.faults: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self.assumptions_hold = terms.breaks_timing <= 1.0
        self.facts: dict[tuple[Any, ...], tuple[int, ...]] = {}
        """Delivery facts seen so far (kept by the checker)."""
        self.billed: dict[str, tuple[str, bytes]] = {}
        """By id, the record and content of each document that accounting asked for."""
        self.promised: set[str] = set()
        """Documents that the hub has said it will post."""
        self.unspent: dict[str, tuple[tuple[CallFault, ...], Crash | None]] = {}
        """Faults that a verb was to meet and did not, because it had less to do; the next of its kind meets them."""
        self.standing: list[int] = []
        """Slots of the workers that stand still in the middle of a verb; one may stand still while another does."""
        self.backup: Backup | None = None
        """The newest backup of the store."""
        self.restored = False
        """Whether the store was ever put back to one: the hub may then hold for true what a vendor held before."""
        self._workers: dict[int, Worker] = {}
        self._tokens, self._tokens_at = 0.0, self.clock.now()
        arena.clean()

    # ---------------------------------------------------------------- time, log, randomness
    def now(self) -> datetime:
        """Machine time."""
        return self.clock.now()

    def after(self, seconds: float) -> datetime:
        """Machine time in so many seconds."""
        return self.now() + timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """A worker waits: at least a microsecond passes. Where time stands still, the worker is told to end."""
        before = self.now()
        self.clock.advance(seconds + 1e-6)
        if self.now() == before:
            raise WorkerInterrupted

    def log(self, who: str, what: str) -> None:
        """One line of the event log."""
        self.events.write(self.now(), who, what)

    def rng(self, purpose: str) -> Random:
        """Randomness that belongs to this moment of this schedule."""
        return Random(f"{self.seed}/{self.step}/{purpose}/{len(self.ads.calls)}")

    def count_fault(self, kind: str) -> None:
        """One more fault of a kind was met."""
        self.faults[kind] += 1

    def pass_within(self, seconds: float, intents: Sequence[Intent], flight: float) -> None:
        """A vendor takes its time, but no longer than it declares to keep a request in flight."""
        end = min(intent.invoked_at for intent in intents) + timedelta(seconds=flight * self.terms.breaks_timing)
        self.clock.advance(max(0.0, min(seconds, (end - self.now()).total_seconds())))

    def catch_up(self) -> None:
        """Let vendors apply what has come due."""
        late = self.ads.catch_up(self.now()) + self.crm.catch_up(self.now())
        if late:
            self.log("vendors", f"applied {late} late requests")
        self.stop_if_broken()

    # ---------------------------------------------------------------- promises
    def broken(self, invariant: str, sentence: str) -> None:
        """A promise was broken: remember it and end the schedule."""
        violation = Violation(invariant, sentence, self.step)
        self.violations.append(violation)
        self.log("checker", str(violation))
        raise InvariantBroken(violation)

    def stop_if_broken(self) -> None:
        """Whatever the vendors saw against the promises."""
        for found in (self.ads.broken, self.crm.broken):
            while found:
                invariant, sentence = found.pop(0)
                if self.restored and invariant in {"I6", "I13"}:
                    continue  # a restored store counts on from older versions, and does not know what it wrote since
                if self.assumptions_hold or invariant not in {"I1", "I6", "I7", "I9"}:
                    self.broken(invariant, sentence)
                self.violations.append(Violation(invariant, sentence, self.step))

    def called(self, connection: str) -> None:
        """I20: no worker calls faster than the budget; one call for each worker may be on its way."""
        if connection != ADS:
            return
        now, rate = self.now(), self.terms.requests_per_second
        self.ads.calls.append(now)
        if not rate:
            return
        burst = max(1, int(rate))
        passed = (now - self._tokens_at).total_seconds()
        self._tokens = min(0.0, self._tokens + passed * rate) - 1
        self._tokens_at = now
        if -self._tokens > burst + WORKERS:
            self.broken("I20", f"{-self._tokens:.0f} calls are over the budget of {rate:g} a second")

    def intents(self, connection: str, record: str, operation: Operation, items: Sequence[PushItem]) -> list[Intent]:
        """What the store had committed about these items before they were sent; I7, I8 and I9 are checked here."""
        rows = self.arena.ask(ATTEMPTS, (connection, [item.key for item in items]))
        intents = []
        for item in items:
            mine = [row for row in rows if row[2] == item.key and row[4] is None]
            if not mine:
                self.broken("I8", f"{operation} {record} {item.key} was sent without a committed open attempt")
            lane_id, attempt_id, _, _, _, invoked_at, version, _, fence, lane_fence, kind, entity_id, facet = mine[-1]
            if fence != lane_fence:
                self.broken("I7", f"{record} {entity_id} was sent by a worker that had lost the lane")
            others = [row for row in rows if row[0] == lane_id and row[1] != attempt_id]
            if any(row[4] is None for row in others):
                self.broken("I7", f"{record} {entity_id} was sent while another attempt of its lane is open")
            if self.assumptions_hold:
                self._check_resend(connection, record, operation, item, others)
            intents.append(Intent((kind.partition("_")[0], entity_id, facet), kind, version, invoked_at))
        return intents

    def _check_resend(
        self,
        connection: str,
        record: str,
        operation: Operation,
        item: PushItem,
        others: Sequence[tuple[Any, ...]],
    ) -> None:
        """I9: after a doubt, a create repeats only what look-ups have denied; an update only what can be under way no more."""
        flight = self.terms.max_in_flight if connection == ADS else self.terms.crm_in_flight
        lag = self.terms.index_lag if connection == ADS else 0.0
        doubtful = [row for row in others if row[4] == "in_doubt" and row[3] == operation]
        for row in doubtful:
            whole = row[5] + timedelta(seconds=lag + flight)
            if operation is not Operation.CREATE:
                if self.now() < whole:
                    self.broken("I9", f"{operation} {record} {row[2]} was resent while the one before may be under way")
                continue
            if record == "Invoice" and row[2] == item.key:
                first = min(other[5] for other in others if other[2] == item.key)
                if self.now() < first + timedelta(seconds=self.terms.key_age):
                    continue  # the vendor knows the key: the same write again is no second one
            unique = record not in DOCUMENTS and (
                record != "LineItem" or self.terms.line_protocol is CreateProtocol.UNIQUE_FIELD
            )
            before = self.ads.marker(record, decode(row[7]))
            same = unique and before == self.ads.marker(record, item.payload)
            since, needed = (row[5] + timedelta(seconds=lag), 1) if same else (whole, 1 if unique else 2)
            denied = [at for at, kind, marker in self.ads.misses if (kind, marker) == (record, before) and at >= since]
            if len(denied) < needed and (record, before) not in self.ads.taken:
                self.broken(
                    "I9", f"{record} {before} was created again after {len(denied)} of {needed} look-ups in time"
                )

    # ---------------------------------------------------------------- workers
    def worker(self, slot: int) -> Worker:
        """The worker of a slot; a new one after a kill."""
        known = self._workers.get(slot)
        if known is not None and not known.dead:
            return known
        worker = Worker(self, slot, Hub(self._session(slot)))
        for name, channel in self._channels(worker).items():
            worker.hub.session._channels[name] = channel
        self.arena.databases[slot].reach = worker.reach
        self._workers[slot] = worker
        return worker

    def heal(self) -> None:
        """No more faults, and every worker is replaced, as after a restart of the machine."""
        self.unspent.clear()
        self._workers.clear()

    def take_backup(self) -> None:
        """Keep the store as it is now."""
        self.backup = backup.take(self.arena.url)

    def restore(self) -> None:
        """Put the store back to the newest backup; every worker begins anew, and the hub notices, as by its anchor."""
        if self.backup is None:
            return
        self.arena.put_back(self.backup)
        self._workers.clear()
        self.facts.clear()
        (documents,) = answers(self.arena, questions.DOCUMENTS)
        self.promised = {row[0] for row in documents}
        self._tokens, self._tokens_at = 0.0, self.clock.now()  # the bucket, too, is what it was
        self.restored = True
        recovery.begin(self.worker(0).hub.session, ADS, "the audit chain lost events", anew=True)

    def _session(self, slot: int) -> Session:
        connections = {
            CRM: ConnectionSettings(connector="salesforce"),
            ADS: ConnectionSettings(
                connector="gam",
                mapping_settings=_MAPPING_SETTINGS,
                adopt_unmarked=self.terms.adopt_unmarked,
                check_before_update=self.terms.compares,
                guard=GuardSettings(billing_fields=()),  # nobody is there to approve a new purchase order
            ),
        }
        hub = HubSettings(store=StoreSettings(url=self.arena.url))
        configuration = Configuration(Path("simulation.yaml"), hub, connections, {})
        return Session(configuration, self.arena.databases[slot], self.clock, self.business, self.sleep)

    def _channels(self, worker: Worker) -> dict[str, Channel]:
        made: dict[str, Channel] = {}
        for name, kind in ((CRM, SimulatedCrm), (ADS, SimulatedAdServer)):
            settings = worker.hub.session.configuration.connections[name]
            mappings, actions = self.arena.mappings(settings.connector)
            made[name] = Channel(name, settings, kind(worker), mappings, actions)
        return made

    # ---------------------------------------------------------------- steps
    def perform(self, step: Step) -> None:
        """Carry one step out; a worker that stands still is given nothing else to do meanwhile. Raises InvariantBroken."""
        if step.what == "together":
            self._together(step)
        elif step.what in VERBS:
            slots = ((step.worker + further) % WORKERS for further in range(WORKERS))
            free = next((slot for slot in slots if slot not in self.standing), None)
            if free is None:
                self.log("nobody", f"{step.what}: every worker stands still")
            else:
                self.run_verb(step, self.worker(free))
        else:
            self.log("people", f"{step.what} {step.amount:g}")
            DEEDS[step.what](self, Random(step.salt), step)
            self.catch_up()

    def _together(self, step: Step) -> None:
        baton = Baton(step.salt)
        jobs: list[tuple[int, Callable[[], None]]] = []
        failures: list[BaseException] = []
        for slot, verb in enumerate(step.together[:WORKERS]):
            worker = self.worker(slot)
            worker.baton = baton

            def job(verb: Step = verb, worker: Worker = worker) -> None:
                try:
                    self.run_verb(verb, worker)
                except BaseException as error:
                    failures.append(error)
                finally:
                    worker.baton = None

            jobs.append((slot, job))
        self.count_fault("workers interleaved")
        baton.run(jobs)
        if failures:
            raise failures[0]

    def run_verb(self, step: Step, worker: Worker) -> None:
        """One verb of the hub by one worker, and how it ended."""
        self.log(worker.name, step.what)
        worker.begin(step)
        ending = "done"
        try:
            answer = _RUN[step.what](self, worker, step)
            self.log(worker.name, f"{step.what} done {answer}")
        except (WorkerKilled, WorkerInterrupted) as stop:
            ending = type(stop).__name__
        except (HubError, ConnectorStumbledError, *_STORE_CONFLICTS) as error:
            ending = type(error).__name__
        except Exception as error:
            for frame in traceback.format_tb(error.__traceback__)[-4:]:
                self.log(worker.name, " ".join(frame.split()))
            self.broken("crash", f"{step.what} ended with {type(error).__name__}: {str(error)[:200]}")
        finally:
            worker.end(step)
        self.endings[ending] += 1
        if ending != "done":
            self.log(worker.name, f"{step.what} ended: {ending}")
        if worker.dead:
            self._workers.pop(worker.slot, None)


# ---------------------------------------------------------------- the verbs
def _deliver(world: World, worker: Worker, step: Step) -> Any:
    hub = worker.hub
    summary = hub.start_delivery(ADS)
    for _ in range(3):
        if summary.state != "running":
            break
        summary = hub.poll_delivery(ADS, summary.job)
    if summary.state == "ready":
        summary = hub.load_delivery(ADS, summary.job)
    return summary.as_dict()


def _writing_nothing(world: World, worker: Worker, ask: Callable[[Hub], Any]) -> Any:
    """I24: what only looks writes neither to the store nor to a vendor."""
    database, sent = world.arena.databases[worker.slot], worker.sent
    database.watching = True
    database.changed.clear()
    try:
        return ask(worker.hub)
    finally:
        database.watching = False
        if database.changed or worker.sent != sent:
            world.broken("I24", f"a look wrote: {', '.join(sorted(database.changed)) or 'to a vendor'}")


def _plan(world: World, worker: Worker, step: Step) -> Any:
    return _writing_nothing(world, worker, lambda hub: hub.plan().plan_hash)


def _look(world: World, worker: Worker, step: Step) -> Any:
    orders = sorted(world.crm.records["Opportunity"])

    def ask(hub: Hub) -> Any:
        status = hub.status()
        if not orders:
            return status.orders
        try:
            return status.orders, hub.trace(Random(step.salt).choice(orders)).sentence
        except NotFound:
            return status.orders, "unknown"

    return _writing_nothing(world, worker, ask)


_RUN: Mapping[str, Callable[[World, Worker, Step], Any]] = {
    "intake": lambda _, worker, __: worker.hub.intake(CRM).as_dict(),
    "push_ads": lambda _, worker, __: worker.hub.push(ADS).as_dict(),
    "push_crm": lambda _, worker, __: worker.hub.push(CRM).as_dict(),
    "settle_ads": lambda _, worker, __: worker.hub.settle(ADS).as_dict(),
    "settle_crm": lambda _, worker, __: worker.hub.settle(CRM).as_dict(),
    "observe": lambda _, worker, __: worker.hub.observe(ADS).as_dict(),
    "deliver": _deliver,
    "plan": _plan,
    "replay": lambda _, worker, __: worker.hub.replay(by="operator"),
    "retarget": lambda _, worker, __: worker.hub.retarget(),
    "look": _look,
    "bill": bookkeeping.bill,
    "check_ads": lambda _, worker, __: worker.hub.check(ADS).usable,
    "census_ads": lambda _, worker, __: worker.hub.census(ADS).as_dict(),
    "drift_ads": lambda _, worker, __: len(worker.hub.drift(ADS).items),
    "recover_ads": lambda _, worker, __: worker.hub.recover(ADS, by="operator").ended,
}
