"""How long it takes until what a killed worker held is settled again, measured by a thread that looks all the time."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos.watch import Watch
from hub import open_hub

LOOK_EVERY = 0.05


@dataclass(slots=True)
class Recovery:
    """One kill of a worker that held lanes. `seconds` is None until all of them are settled."""

    worker: str
    killed_at: datetime
    lanes: tuple[int, ...]
    seconds: float | None = None


class RecoveryMeter:
    """Times recoveries until the block ends."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._recoveries: list[Recovery] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="recovery-meter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def killed(self, worker: str, killed_at: datetime, lanes: tuple[int, ...]) -> None:
        """Begin to time a kill that left lanes behind."""
        with self._lock:
            self._recoveries.append(Recovery(worker, killed_at, lanes))

    @property
    def held_work(self) -> int:
        """Kills of workers that held lanes."""
        with self._lock:
            return len(self._recoveries)

    @property
    def open(self) -> int:
        """Kills whose lanes are not settled yet."""
        with self._lock:
            return sum(one.seconds is None for one in self._recoveries)

    def seconds(self) -> Sequence[float]:
        """The recovery times of all that are settled, shortest first."""
        with self._lock:
            return sorted(one.seconds for one in self._recoveries if one.seconds is not None)

    def _look(self) -> None:
        with open_hub(self._config) as hub:
            watch = Watch(hub)
            while not self._ended.wait(LOOK_EVERY):
                with self._lock:
                    waiting = [one for one in self._recoveries if one.seconds is None]
                for one in waiting:
                    if watch.settled(one.lanes, one.killed_at):
                        one.seconds = (datetime.now(UTC) - one.killed_at).total_seconds()


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which `share` of the sorted values lie, None without any."""
    if not values:
        return None
    if share == 0.5:
        return round(statistics.median(values), 2)
    return round(values[min(len(values) - 1, int(share * len(values)))], 2)
