"""What happens seldom: everything is counted or compared, and the store comes from a backup while vendors have gone on.

A schedule of these is the random one of its seed with such steps put in between: all of its faults and crashes stay. After a
restore the hub notices at once, as by its anchor, and in the end Finance prepares again what the store forgot (`rest`).
"""

from __future__ import annotations

from random import Random

from simulation.schedule import Schedule, generate
from simulation.steps import VERBS, Step

_LOOKS = (("census_ads", 3), ("drift_ads", 2), ("recover_ads", 1))
"""Verbs, and how many of each a schedule has at most."""


def schedule(seed: int) -> Schedule:
    """The schedule of a seed, with counts, comparisons, backups and restores in between."""
    drawn = generate(seed)
    rng = Random(f"{seed}/upheaval")
    steps = list(drawn.steps)
    verbs = [step for step in drawn.steps if step.what in VERBS]
    for what, most in _LOOKS:
        for _ in range(rng.randint(0, most)):
            like = rng.choice(verbs)
            step = Step(what, rng.getrandbits(32), like.worker, faults=like.faults, crash=like.crash)
            steps.insert(rng.randrange(2, len(steps)), step)
    for _ in range(rng.choice([0, 1, 1, 2])):
        at = rng.randrange(2, len(steps))
        steps.insert(at, Step("backup", rng.getrandbits(32)))
        steps.insert(min(len(steps), at + 1 + int(rng.expovariate(0.05))), Step("restore", rng.getrandbits(32)))
    return Schedule(seed, drawn.terms, tuple(steps))
