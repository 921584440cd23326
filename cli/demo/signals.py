"""How a stop request reaches the demo: as an exception that lets every `with` block clean up, and never inside a clean-up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turn the first SIGTERM, SIGINT or SIGHUP into SystemExit (128 + number) and ignore the next ones.

    A SIGHUP that is ignored stays so: `nohup` asked for it.

    Belongs around the blocks that own processes, in the main thread. What follows the first signal is clean-up with
    bounded waits, so ignoring a second one delays the end by at most those.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        for one in STOP_SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        raise SystemExit(128 + number)

    stops = [one for one in STOP_SIGNALS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, leave) for one in stops}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep stop signals back until the block ends, then deliver the first one. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {one: signal.signal(one, lambda number, _frame: came.append(number)) for one in STOP_SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        if came:
            signal.raise_signal(came[0])
