"""One function over many chunks of records in several processes, results in order: for whole exports and backfills.

Mapping is bound by the interpreter, so threads gain nothing. A chunk holds 250 records or more: fewer cost more on
their way to another process and back than they save.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

AHEAD = 2
"""Chunks for each process that are on their way or wait to be taken: what is held at a time is bounded by them."""
_START = "fork" if sys.platform.startswith("linux") else "spawn"
"""A forked process has the compiled mappings of its parent; elsewhere forking is not safe, and each compiles its own."""


class WorkerLost(Exception):  # noqa: N818 - it says what happened
    """A process was ended from outside, mostly for want of memory; its chunks have no result."""


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(work: Callable[[Chunk], Result], chunks: Iterable[Chunk], processes: int) -> Iterator[Result]:
    """The result of each chunk, in order. With one process it is worked out here.

    `work` and what it takes and gives have to be picklable. Begin before other threads run. Raises what `work` raises, and
    WorkerLost.
    """
    if processes <= 1:
        yield from map(work, chunks)
        return
    # A tenth of the start of a command that maps in one process.
    from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(processes, mp_context=get_context(_START), initializer=_belong_to_the_parent)
    try:
        waiting: deque[Future[Result]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(work, chunk))
            if len(waiting) >= processes * AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise WorkerLost("a process was ended from outside") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _belong_to_the_parent() -> None:
    """Interrupts are the parent's to answer, and where it is gone, killed perhaps, nobody is left to work for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
