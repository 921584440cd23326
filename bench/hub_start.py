"""Starts the hub's side of a comparison of whole processes, as `cli.start` starts the hub's.

`python -m bench.hub_start URL PROCESSES`
"""

from __future__ import annotations

import gc
import sys

gc.disable()

from bench.hub_process import main  # noqa: E402 - the collector rests meanwhile

gc.enable()

if __name__ == "__main__":
    sys.exit(main())
