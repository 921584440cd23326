"""One run: start everything, kill while the sales team works, let it come to rest, and ask the vendors what is true."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from chaos import books, oracle
from chaos.bookkeeping import WholeEngine
from chaos.crew import POSTS, Crew
from chaos.disturber import Disturber
from chaos.ground import Ground, running
from chaos.killer import MIRROR_WRITES, Killer
from chaos.recovery import RecoveryMeter, percentile
from chaos.watch import Watch
from cli.demo.control import writes
from cli.demo.engine import DirectEngine, unsettled
from cli.demo.generated_book import generated_book
from cli.demo.order_book import parse_order_book

FIRST_ORDERS = 6
ORDERS_PER_KILL = 2.0
ORDERS_EVERY = 2.0
"""Seconds between two arrivals of new deals."""
KILLS_PER_CRASH = 12
"""Workers killed between two crashes of PostgreSQL."""
LOSSES = 0.15
"""Share of the writes whose reply is dropped after the vendor applied them."""
FAULTS: dict[str, dict[str, object]] = {
    "late_commit": {"rate": 0.04, "seconds": 1.0},
    "lost_request": {"rate": 0.04},
    "quota": {"rate": 0.01},
}
WARM_UP = 6.0
DRAIN_PATIENCE = 420.0
"""Seconds the workers have to come to rest, more than the engine's longest wait between two tries; a broken one never does."""
CALM = 1.5
REPLAYS = 4
"""Replays of all that is parked at the end; the hub lets five follow each other."""


@dataclass
class Report:
    """What a run came to; the field names are those of the last line of `--json`."""

    kills: int = 0
    duplicates: int = 0
    lost: int = 0
    recovery_s_p50: float | None = None
    recovery_s_p95: float | None = None
    kills_holding_work: int = 0
    moments: dict[str, int] = field(default_factory=dict)
    verbs: dict[str, int] = field(default_factory=dict)
    store_crashes: int = 0
    replies_dropped: int | None = None
    replies_dropped_by: str = ""
    worker_crashes: int = 0
    crash_words: list[str] = field(default_factory=list)
    attempts: int = 0
    in_doubt: int = 0
    orders: int = 0
    lines: int = 0
    documents: int = 0
    edits: int = 0
    parked: dict[str, int] = field(default_factory=dict)
    parked_before_replay: dict[str, int] = field(default_factory=dict)
    replayed: int = 0
    stuck: int = 0
    wrong_references: int = 0
    under_way: int = 0
    broken_history: int = 0
    second_run_writes: int = 0
    seed: int = 0
    seconds: float = 0.0
    held: bool = False
    sentences: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def run(
    kills: int, seed: int, folder: Path, heard: Callable[[str], None], *, patience: float = DRAIN_PATIENCE
) -> Report:
    """A whole run in an empty folder. Raises what the parts raise when they cannot be started or driven."""
    began = time.monotonic()
    dice = random.Random(seed)
    orders = FIRST_ORDERS + round(kills * ORDERS_PER_KILL)
    book = parse_order_book(generated_book(orders, seed), source=f"generated book of {orders} orders")
    with running(folder, book.first_start - timedelta(days=1), heard=heard) as ground:
        ground.people.prepare_vendors(book)
        ground.hub.set_business_time(book.first_start - timedelta(days=1))
        heard(f"Replies are dropped by {_dropper(ground)}.")
        report = Report(seed=seed, replies_dropped_by=_dropper(ground))
        watch = Watch(ground.hub)
        watch.begin()
        crew = Crew(ground.supervisor, ground.config, ground.environment)
        disturber = Disturber(
            ground.crm, book, begun=FIRST_ORDERS, orders_every=ORDERS_EVERY, dice=random.Random(seed + 1)
        )
        with RecoveryMeter(ground.config) as meter:
            _misbehave(ground, seed)
            crew.man(POSTS)
            with disturber:
                time.sleep(WARM_UP)
                killer = Killer(ground, crew, watch, meter, dice)
                _kill(ground, killer, kills, report, heard)
            heard("Faults off; the workers come to rest …")
            _behave(ground)
            crew.dismiss("bill")
            _drain(ground, crew, meter, patience)
            crew.dismiss()
            report.recovery_s_p50 = percentile(meter.seconds(), 0.5)
            report.recovery_s_p95 = percentile(meter.seconds(), 0.95)
            report.kills_holding_work = meter.held_work
        report.kills = killer.kills
        report.moments, report.verbs = dict(killer.moments), dict(killer.posts)
        report.crash_words, report.worker_crashes = crew.crashes, len(crew.crashes)
        report.edits = disturber.edits.total()
        _judge(ground, report)
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _dropper(ground: Ground) -> str:
    return "the sandbox's own knob (mitmproxy is not installed)" if ground.proxy is None else "mitmproxy"


def _misbehave(ground: Ground, seed: int) -> None:
    """Turn every fault on. Of the CRM's writes only the hub's own kind is hit, not the sales team's new records."""
    ad_server: dict[str, dict[str, object]] = {
        name: {**knob, "seed": seed + n} for n, (name, knob) in enumerate(FAULTS.items())
    }
    if ground.proxy is None:
        ad_server["lost_reply"] = {"rate": LOSSES, "seed": seed + 9}
    else:
        ground.proxy.lose(LOSSES, seed=seed)
    ground.people.ad_server.turn_faults_on(ad_server)
    crm = {name: {**knob, "operations": list(MIRROR_WRITES)} for name, knob in ad_server.items()}
    ground.people.crm.turn_faults_on(crm)
    # Xero says for up to a minute that a limit is used up; all its work would lie still so long.
    ground.ledger.turn_faults_on({name: knob for name, knob in ad_server.items() if name != "quota"})


def _behave(ground: Ground) -> None:
    if ground.proxy is not None:
        ground.proxy.lose(0.0, seed=0)
    ground.people.behave()
    ground.ledger.turn_faults_off()


def _kill(ground: Ground, killer: Killer, kills: int, report: Report, heard: Callable[[str], None]) -> None:
    for number in range(1, kills + 1):
        killer.strike()
        if number % KILLS_PER_CRASH == 0:
            ground.crash_store()
            report.store_crashes += 1
        if number % 10 == 0:
            heard(f"{number} kills; {ground.hub.session.database.rows('SELECT count(*) FROM attempt')[0][0]} attempts.")


def _drain(ground: Ground, crew: Crew, meter: RecoveryMeter, patience: float) -> None:
    """Wait until nothing is due and every recovery is timed, at most `patience` seconds after less was due than ever before;
    the workers do the work, however much was left on a slow machine."""
    until = time.monotonic() + patience
    fewest: int | None = None
    calm_since: float | None = None
    while True:
        crew.replace_crashed()
        status = ground.hub.status()
        pending = unsettled(status)
        waiting = sum(sum(each.lanes.values()) - each.lanes.get("in_sync", 0) for each in status.connections)
        if fewest is None or waiting < fewest:
            fewest, until = waiting, time.monotonic() + patience
        if pending or meter.open:
            calm_since = None
        else:
            calm_since = calm_since or time.monotonic()
            if time.monotonic() - calm_since > CALM:
                return
        if time.monotonic() > until:
            return  # the oracle says what is still under way
        time.sleep(0.2)


def _judge(ground: Ground, report: Report) -> None:
    engine = WholeEngine(ground.hub)
    engine.travel()
    engine.come_back()
    _replay(ground, engine, report)
    report.second_run_writes = _second_run(ground, engine)
    verdict = oracle.ask(ground)
    books.judge(ground, verdict)
    rows = ground.hub.session.database.rows
    report.attempts = int(rows("SELECT count(*) FROM attempt")[0][0])
    report.in_doubt = int(
        rows("SELECT count(*) FROM attempt WHERE outcome = 'in_doubt' OR message = 'found by look-up'")[0][0]
    )
    report.replies_dropped = None if ground.proxy is None else ground.proxy.dropped
    report.duplicates, report.lost = verdict.duplicates, len(verdict.lost)
    report.wrong_references, report.under_way = len(verdict.references), len(verdict.under_way)
    report.broken_history, report.stuck = len(verdict.history), len(verdict.stuck)
    report.documents = verdict.documents
    report.orders, report.lines, report.parked = verdict.orders, verdict.lines, verdict.parked
    report.sentences = verdict.sentences()
    report.held = verdict.held and report.second_run_writes == 0


def _replay(ground: Ground, engine: DirectEngine, report: Report) -> None:
    """Put everything parked back, as a person would once the faults are over; what stays is no fault's doing, or stuck.

    As often as something is freed: what waited for a record that was parked may have its own turn only then.
    """
    parked = ground.hub.parked()
    report.parked_before_replay = oracle.counted(parked)
    for _ in range(REPLAYS):
        if not parked:
            return
        report.replayed += ground.hub.replay(by="the kill run", note="the faults are over")
        engine.travel()
        engine.come_back()
        before, parked = parked, ground.hub.parked()
        if len(parked) >= len(before):
            return


def _second_run(ground: Ground, engine: DirectEngine) -> int:
    """All the work once more with clocks held: how many vendor writes that costs."""
    vendors = (ground.people.ad_server, ground.people.crm, ground.ledger)
    ground.people.hold_time(True)
    ground.ledger.set_clock(running=False)
    for vendor in vendors:
        vendor.reset_calls()
    engine.travel()
    engine.come_back()
    return sum(writes(vendor.calls()) for vendor in vendors)
