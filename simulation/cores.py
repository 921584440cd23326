"""Cores: each simulating process and the PostgreSQL backends that answer it share one.

They take turns, hundreds of times for each schedule, so nothing is lost by sharing; on two cores each turn waits for a
sleeping core to wake up, which takes longer than most answers. Where the system has no affinities, nothing happens.
"""

from __future__ import annotations

import os
from contextlib import suppress


def settle_on_one(number: int) -> None:
    """Keep this process on one of the cores it may use: the `number`-th, counted round."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {usable[number % len(usable)]})


def bring_here(backend: int) -> None:
    """Let a server process use no other cores than this one; not where it belongs to somebody else."""
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(backend, os.sched_getaffinity(0))
