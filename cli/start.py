"""Where the command `orderhub` begins.

Of what is imported nothing is garbage, and looking for some takes a tenth of the start: Python's collector begins its work
after the last import. Until then Ctrl-C ends the process at once: nothing has begun, and a traceback out of an import would
tell nobody anything.
"""

from __future__ import annotations

import gc
import signal

gc.disable()
on_interrupt = signal.getsignal(signal.SIGINT)
if on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from cli.main import run  # noqa: E402 - the collector rests meanwhile

gc.enable()
signal.signal(signal.SIGINT, on_interrupt)

__all__ = ["run"]
