"""Chunks through several processes: in order, bounded, with the errors of the work, and nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mappings import processes
from mappings.processes import AHEAD, WorkerLost, each


def doubled(number: int) -> tuple[int, int]:
    return number * 2, os.getpid()


def refusing(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


def dying(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_come_in_order(count: int) -> None:
    results = list(each(doubled, range(50), count))
    assert [number for number, _ in results] == [number * 2 for number in range(50)]
    assert (os.getpid() in {process for _, process in results}) is (count == 1)


def test_no_more_chunks_are_taken_than_can_be_worked_on() -> None:
    taken: list[int] = []

    def chunks() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = each(doubled, chunks(), 2)
    next(results)
    assert len(taken) == 2 * AHEAD
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [1, 2])
def test_what_the_work_raises_is_raised(count: int) -> None:
    results = each(refusing, range(9), count)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_a_process_that_is_ended_from_outside_is_told() -> None:
    with pytest.raises(WorkerLost):
        list(each(dying, range(4), 2))


def test_nobody_works_on_for_a_parent_that_was_killed() -> None:
    program = (
        "import os, signal, time\n"
        "from mappings.processes import each\n"
        "def work(number):\n"
        "    if number:\n"
        "        time.sleep(600)\n"
        "    return number\n"
        "for _ in each(work, range(4), 2):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # Standard output is closed when the last of them has ended.
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == -signal.SIGKILL


def test_processors_are_those_that_may_be_used() -> None:
    assert 1 <= processes.processors() <= (os.cpu_count() or 1)
