"""Where the command `orderhub` begins.

Of what is imported nothing is garbage, and looking for some takes a tenth of the start: Python's collector begins its work
after the last import.
"""

from __future__ import annotations

import gc

gc.disable()

from cli.main import run  # noqa: E402 - the collector rests meanwhile

gc.enable()

__all__ = ["run"]
