"""Starts the hub's side of a comparison of whole processes: `python -m bench.hub_start URL`.

Of what is imported nothing is garbage, and looking for it takes a tenth of the start: Python's collector begins its work
with the first page.
"""

from __future__ import annotations

import gc
import sys

gc.disable()

from bench.hub_process import main  # noqa: E402 - the collector rests meanwhile

if __name__ == "__main__":
    sys.exit(main())
