"""Which processes descend from ours, and how much memory they really use: read from `/proc`.

Linux only. On another system `/proc` is absent: nothing is listed, and `pss_mb` answers 0.0, which the demo shows as
"not measured".
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    """One process as the kernel sees it. `started` (clock ticks after boot) with `pid` names it beyond reuse of ids."""

    pid: int
    parent: int
    group: int
    session: int
    started: int
    zombie: bool


def entry(pid: int) -> ProcessEntry | None:
    """The entry of one process, None when it is gone (or there is no `/proc`)."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # proc(5): the name stands in parentheses and may hold spaces and parentheses; state is field 3.
    fields = text.rpartition(")")[2].split()
    return ProcessEntry(
        pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), zombie=fields[0] in {"Z", "X"}
    )


def entries() -> dict[int, ProcessEntry]:
    """Every process of this machine by id, zombies included."""
    if not PROC.is_dir():
        return {}
    found = (entry(int(name)) for name in os.listdir(PROC) if name.isdigit())
    return {one.pid: one for one in found if one is not None}


def descendants(roots: Iterable[int]) -> list[ProcessEntry]:
    """The processes `roots`, their children's children, and whoever shares a session that a root leads."""
    wanted = set(roots)
    leaders = set(wanted)
    table = entries()
    found: dict[int, ProcessEntry] = {}
    grown = True
    while grown:
        grown = False
        for one in table.values():
            if one.pid not in found and (one.pid in wanted or one.parent in wanted or one.session in leaders):
                found[one.pid] = one
                wanted.add(one.pid)
                grown = True
    return [one for one in found.values() if not one.zombie]


def alive(one: ProcessEntry) -> bool:
    """Whether exactly this process still runs (not another that was given its id)."""
    now = entry(one.pid)
    return now is not None and now.started == one.started and not now.zombie


def pss_mb(roots: Iterable[int]) -> float:
    """Proportional set size of `roots` and all their descendants, in MB of 10^6 bytes; 0.0 without `/proc`.

    Shared pages count once over all processes (proc(5), smaps_rollup), unlike a sum of resident sizes.
    """
    kilobytes = 0
    for one in descendants(roots):
        try:
            rollup = (PROC / str(one.pid) / "smaps_rollup").read_text()
        except OSError:  # it ended meanwhile
            continue
        kilobytes += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return round(kilobytes * 1024 / 1e6, 1)


class MemoryMeter:
    """Samples the PSS of this process and all it started, every `interval` seconds; `peak_mb` is the highest sample."""

    def __init__(self, interval: float = 2.0) -> None:
        self.peak_mb = 0.0
        self._interval = interval
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_ended, name="memory-meter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def sample(self) -> float:
        """The present PSS in MB, also taken into the peak."""
        now = pss_mb([os.getpid()])
        self.peak_mb = max(self.peak_mb, now)
        return now

    def _sample_until_ended(self) -> None:
        self.sample()
        while not self._ended.wait(self._interval):
            self.sample()
