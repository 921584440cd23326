"""The demo as a user runs it: how long 100 orders take, how much memory its processes hold, how many vendor calls they cost.

One process, `orderhub demo --once --fresh --limit 100 --json`, set-up done before (the environment is installed). The
demo itself counts; this reads its last line. Whether its checks held is reported beside the figures.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.result import Measurement, NotRun

OPTIONS = ("--once", "--fresh", "--limit", "100", "--json")
SECONDS_LIMIT = 180.0
MEMORY_LIMIT = 3072.0
CALLS_LIMIT = 1.05
PATIENCE = 1_800.0
SHOWN = (
    "exit_code", "held", "checks", "orders", "lines", "lines_live", "parked", "duplicates", "second_run_writes", "seconds",
    "pss_mb", "vendor_calls", "fewest_calls", "vendor_calls_by_operation", "fewest_calls_by_operation", "other_calls",
)  # fmt: skip
"""What of the demo's line is kept beside the figure."""


class DemoFailedError(Exception):
    """The demo ended without its line of figures; the message ends with what it said."""


def run(*, rounds: int, full: bool) -> list[Measurement | NotRun]:
    """Once in a small run, `rounds` times in a full one: each takes minutes. Raises DemoFailedError."""
    told = [figures_of_one_demo() for _ in range(rounds if full else 1)]
    return [
        over_runs("demo of 100 orders", told, "wall_seconds", SECONDS_LIMIT, "seconds"),
        over_runs("memory of the demo's processes", told, "pss_mb", MEMORY_LIMIT, "MB"),
        over_runs("vendor calls over the fewest possible", told, "calls_ratio", CALLS_LIMIT, "ratio"),
    ]


def over_runs(
    name: str, told: Sequence[Mapping[str, Any]], field: str, limit: float, unit: str
) -> Measurement | NotRun:
    """One of the demo's figures, its median and spread over the runs."""
    values = [float(one[field]) for one in told if one[field] is not None]
    if len(values) < len(told):
        return NotRun(name, f"the demo could not measure {field} on this system")
    last = told[-1]
    return Measurement(
        name=name,
        ratio=round(statistics.median(values), 4),
        spread=(round(min(values), 4), round(max(values), 4)),
        rounds=len(values),
        method=f"`orderhub demo {' '.join(OPTIONS)}` with Airflow; {last['orders']} orders, {last['lines']} lines",
        limit=limit,
        sense="at_most",
        figures={name: last[name] for name in SHOWN if name in last},
        unit=unit,
    )


def figures_of_one_demo() -> dict[str, Any]:
    """The demo's own last line, with the wall seconds of the whole process and the ratio of calls. Raises DemoFailedError."""
    with tempfile.TemporaryDirectory() as scratch:
        # The installed command's own entry point; it must not depend on where scripts were put.
        command = [sys.executable, "-c", "from cli.main import run; run()", "demo", *OPTIONS]
        begin = time.perf_counter()
        done = subprocess.run(
            [*command, "--state", str(Path(scratch) / "demo")],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        wall = time.perf_counter() - begin
    return parsed(done.stdout, done.stderr, done.returncode, wall)


def parsed(out: str, err: str, code: int, wall: float) -> dict[str, Any]:
    """The figures of a demo that ended. Raises DemoFailedError when it told none."""
    lines = out.strip().splitlines()
    try:
        told: dict[str, Any] = json.loads(lines[-1])
        calls, fewest = int(told["vendor_calls"]), int(told["fewest_calls"])
    except (IndexError, ValueError, KeyError) as error:
        said = (err.strip() or out.strip())[-800:]
        raise DemoFailedError(f"the demo ended with {code} and told no figures. It said: {said}") from error
    return {
        **told,
        "exit_code": code,
        "wall_seconds": round(wall, 1),
        "calls_ratio": calls / fewest if fewest else None,
    }
