"""Schedules: drawn from a seed, run in a world, and reported."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from simulation import questions, rest
from simulation.arena import Arena
from simulation.errors import InvariantBroken, Violation
from simulation.invariants import after_verb, duplicates
from simulation.questions import answers
from simulation.steps import VERBS, CallFault, Crash, Fate, Point, Step, Stop, step_from
from simulation.terms import Terms, draw, terms_from
from simulation.world import World

_DEEDS: Mapping[str, int] = {
    "new_deal": 4,
    "add_line": 6,
    "edit_order": 8,
    "edit_line": 14,
    "touch_all": 3,
    "close_deal": 4,
    "delete_line": 3,
    "delete_deal": 1,
    "rename_account": 4,
    "merge_accounts": 1,
    "traffic_edit": 2,
    "traffic_pause": 2,
    "traffic_archive": 1,
    "stranger": 2,
    "deliver_units": 5,
    "restate": 3,
    "foreign_delivery": 1,
    "next_day": 3,
    "wait": 32,
}
_VERBS: Mapping[str, int] = {
    "intake": 20,
    "push_ads": 26,
    "push_crm": 10,
    "settle_ads": 16,
    "settle_crm": 4,
    "observe": 4,
    "deliver": 5,
    "plan": 2,
    "replay": 2,
    "retarget": 1,
    "look": 1,
    "check_ads": 1,
    "bill": 6,
}
_WAITS = (1.0, 3.0, 6.0, 11.0, 31.0, 61.0, 66.0, 130.0, 300.0, 601.0, 700.0)
_OPENINGS = 12
"""One schedule in so many begins with an edit of what is just being created."""
_BEYOND_LEASE = (601.0, 700.0)
_SHORT_WAITS = (6.0, 11.0, 31.0, 61.0)
_INNER = (
    "wait",
    "settle_ads",
    "push_ads",
    "intake",
    "edit_line",
    "edit_order",
    "push_crm",
    "replay",
    "settle_crm",
    "bill",
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What happens, in order, on which terms. `seed` names it and salts what is drawn on the way."""

    seed: int
    terms: Terms
    steps: tuple[Step, ...]

    def to_json(self) -> str:
        """One line."""
        return json.dumps(
            {"seed": self.seed, "terms": self.terms.as_dict(), "steps": [step.as_dict() for step in self.steps]}
        )


def schedule_from(text: str) -> Schedule:
    """The schedule that `to_json` told."""
    body = json.loads(text)
    return Schedule(int(body["seed"]), terms_from(body["terms"]), tuple(step_from(step) for step in body["steps"]))


@dataclass(frozen=True, slots=True)
class Report:
    """How a schedule went. `log_hash` is over the event log and the store at its end."""

    seed: int
    log_hash: str
    violations: tuple[Violation, ...]
    simulated_seconds: float
    steps: int
    faults: Mapping[str, int] = field(default_factory=dict)
    endings: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    lines: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations


def generate(seed: int, terms: Terms | None = None) -> Schedule:
    """The schedule of a seed: 60 to 200 steps, short ones more often."""
    rng = Random(seed)
    drawn = draw(rng)
    count = 60 + int(140 * rng.random() ** 4)
    steps = [Step("new_deal", rng.getrandbits(32)), Step("intake", rng.getrandbits(32))]
    if steps[0].salt % _OPENINGS == 0:
        steps += _edited_in_creation(Random(steps[1].salt))  # of its own: the other steps stay as they were
    while len(steps) < count:
        steps += _scene(rng) if rng.random() < 0.02 else [_step(rng)]
    return Schedule(seed, terms or drawn, tuple(steps))


def _scene(rng: Random) -> list[Step]:
    """Steps that seldom come in this order by themselves: the work of a worker that stands still is taken over, what is in
    doubt is renamed or deleted at its source before it is settled, or edited at the vendor meanwhile, or a report ends in its
    middle."""
    roll = rng.random()
    if roll < 0.25:
        return _edited_in_doubt(rng)
    if roll < 0.35:
        return _cut_report(rng)
    begin = [_deed(rng, rng.choice(["new_deal", "edit_line", "edit_order", "rename_account"])), _plain(rng, "intake")]
    if rng.random() < 0.5:
        crash = Crash(Point.BEGIN, rng.randrange(3, 30), Stop.STALL, _takeover(rng, "push_ads"))
        return [*begin, Step("push_ads", rng.getrandbits(32), 1, crash=crash)]
    fault = CallFault(rng.randrange(3), rng.choice([Fate.LATE_COMMIT, Fate.LOST_REQUEST]), rng.getrandbits(32))
    renamed = [_deed(rng, rng.choice(["edit_order", "rename_account", "rename_account"])), _plain(rng, "intake")]
    if fault.salt % 4 == 0:  # not drawn anew: the other schedules stay as they were
        renamed[0] = replace(renamed[0], what="delete_deal")
    wait = Step("wait", rng.getrandbits(32), amount=rng.choice(_SHORT_WAITS))
    push = Step("push_ads", rng.getrandbits(32), 1, faults=(fault,))
    return [*begin, push, *renamed, wait, _plain(rng, "settle_ads"), _plain(rng, "push_ads")]


def _edited_in_doubt(rng: Random) -> list[Step]:
    """A trafficker edits records while updates of them are in doubt."""
    fate = rng.choice([Fate.LOST_REPLY, Fate.LOST_REQUEST, Fate.LATE_COMMIT])
    change = [_deed(rng, rng.choice(["edit_line", "edit_order", "touch_all"])), _plain(rng, "intake")]
    push = Step("push_ads", rng.getrandbits(32), faults=(CallFault(rng.randrange(3), fate, rng.getrandbits(32)),))
    edits = [_deed(rng, "traffic_edit") for _ in range(3)]
    wait = Step("wait", rng.getrandbits(32), amount=rng.choice([130.0, 300.0]))
    return [*change, push, *edits, wait, _plain(rng, "settle_ads"), _plain(rng, "push_ads")]


def _edited_in_creation(rng: Random) -> list[Step]:
    """The first order, or its lines, are edited while their creation is in doubt, and what was asked for first is carried out
    between a look-up that found nothing and the next send."""
    fault = CallFault(rng.choice([1, 1, 1, 2]), Fate.LATE_COMMIT, rng.getrandbits(32))  # call 0 creates the account
    push = Step("push_ads", rng.getrandbits(32), faults=(fault,))
    edits = [_deed(rng, what) for what in ("touch_all", "touch_all", "edit_order", "edit_line")]
    look = Step("wait", rng.getrandbits(32), amount=rng.choice([6.0, 11.0, 31.0]))
    late = Step("wait", rng.getrandbits(32), amount=rng.choice([31.0, 61.0, 130.0]))
    again = [_plain(rng, what) for what in ("push_ads", "settle_ads")]
    return [push, *edits, look, _plain(rng, "intake"), _plain(rng, "settle_ads"), late, *again]


def _cut_report(rng: Random) -> list[Step]:
    """What is known of several days is reported once more, and the file ends before all of it is told."""
    days = [_deed(rng, what) for what in ("deliver_units", "next_day", "deliver_units")]
    cut = Step("deliver", rng.getrandbits(32), faults=(CallFault(0, Fate.SHORT, rng.getrandbits(32)),))
    return [*days, _plain(rng, "deliver"), cut]


def _plain(rng: Random, what: str) -> Step:
    return Step(what, rng.getrandbits(32))


def _takeover(rng: Random, what: str) -> tuple[Step, ...]:
    """The lease of a worker that stands still runs out, and another one does its work."""
    taken = (what.replace("push", "settle"), what) if what.startswith("push") else (what,)
    wait = Step("wait", rng.getrandbits(32), amount=rng.choice(_BEYOND_LEASE))
    return (wait, *(_plain(rng, verb) for verb in taken))


def _chosen(rng: Random, weights: Mapping[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _step(rng: Random) -> Step:
    roll = rng.random()
    if roll < 0.03:
        verbs = [_verb(rng, faults=rng.random() < 0.3) for _ in range(rng.choice([2, 2, 3]))]
        return Step("together", rng.getrandbits(32), together=tuple(_without_stall(verb) for verb in verbs))
    if roll < 0.45:
        return _verb(rng, faults=True)
    return _deed(rng, _chosen(rng, _DEEDS))


def _deed(rng: Random, what: str) -> Step:
    amount = rng.choice(_WAITS) if what == "wait" else float(rng.choice([1, 1, 2, 7])) if what == "next_day" else 0.0
    return Step(what, rng.getrandbits(32), amount=amount)


def _verb(rng: Random, *, faults: bool) -> Step:
    what, worker, salt = _chosen(rng, _VERBS), rng.choice([0, 0, 1, 2]), rng.getrandbits(32)
    if not faults:
        return Step(what, salt, worker)
    met: list[CallFault] = []
    if rng.random() < 0.3:
        met = [CallFault(_few(rng), rng.choice(list(Fate)), rng.getrandbits(32)) for _ in range(rng.choice([1, 1, 2]))]
    crash = _crash(rng, what) if rng.random() < 0.2 else None
    return Step(what, salt, worker, faults=tuple(met), crash=crash)


def _few(rng: Random) -> int:
    return min(int(rng.expovariate(0.7)), 6)


def _crash(rng: Random, what: str) -> Crash:
    how = rng.choice([Stop.KILL, Stop.KILL, Stop.INTERRUPT, Stop.STORE_LOST, Stop.STALL])
    if how is Stop.STORE_LOST:
        return Crash(rng.choice([Point.BEGIN, Point.COMMIT, Point.COMMITTED]), min(int(rng.expovariate(0.08)), 40), how)
    if rng.random() < 0.5:
        return Crash(rng.choice([Point.SEND, Point.SENT]), _few(rng), how, _inner(rng, how, what))
    point = rng.choice(
        [Point.BEGIN, Point.COMMITTED] if how is Stop.STALL else [Point.BEGIN, Point.COMMIT, Point.COMMITTED]
    )
    return Crash(point, min(int(rng.expovariate(0.08)), 40), how, _inner(rng, how, what))


def _inner(rng: Random, how: Stop, what: str) -> tuple[Step, ...]:
    """What the others do while a worker stands still: anything, or its own work when its lease is over."""
    if how is not Stop.STALL:
        return ()
    if rng.random() < 0.5:
        return _takeover(rng, what)
    steps = []
    for _ in range(rng.choice([1, 2, 3, 4])):
        what = rng.choice(_INNER)
        if what in VERBS:
            steps.append(Step(what, rng.getrandbits(32), rng.choice([0, 1, 2])))
        else:
            steps.append(_deed(rng, what))
    return tuple(steps)


def _without_stall(step: Step) -> Step:
    if step.crash is not None and step.crash.how is Stop.STALL:
        return Step(step.what, step.salt, step.worker, step.amount, step.faults)
    return step


def run(arena: Arena, schedule: Schedule, *, keep_log: bool = False) -> Report:
    """Run a schedule to rest, checking as it goes; a broken promise ends it."""
    world = World(arena, schedule.seed, schedule.terms, keep_log=keep_log)
    try:
        for number, step in enumerate(schedule.steps):
            world.step = number
            world.perform(step)
            if step.what in VERBS or step.together:
                after_verb(world)
        rest.end_recovery(world)
        rest.come_to_rest(world)
        if world.restored:
            rest.compare(world)
        rest.check(world)
    except InvariantBroken:
        pass
    return _report(world, schedule.steps)


def _report(world: World, steps: Sequence[Step]) -> Report:
    for rows in answers(world.arena, questions.DIGEST):
        world.log("store", str(rows[0][0] if rows else None))
    for line in world.ads.as_at_rest():
        world.log("ads", line)
    passed = (world.now() - world.events.began).total_seconds() + world.business.ahead.total_seconds()
    return Report(
        world.seed,
        world.events.hash(),
        tuple(world.violations),
        passed,
        len(steps),
        dict(world.faults),
        dict(world.endings),
        len(duplicates(world)),
        tuple(world.events.lines),
    )
