"""A simulation that is told to end takes its database and its processes with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds for the database to come up, and again for everything to be gone."""
CONNECTED = 8
"""Processes of a database server that somebody works with: its own, and one for each connection."""


def _database(of: psutil.Process) -> Path | None:
    """Where the database of a simulation lies, once workers are connected to it."""
    for each in of.children(recursive=True):
        try:
            words = each.cmdline()
            if each.name() == "postgres" and "-D" in words and len(each.children()) >= CONNECTED:
                return Path(words[words.index("-D") + 1])
        except psutil.NoSuchProcess:
            continue  # a short one of the start
    return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_simulation_that_is_told_to_end_leaves_nothing_behind(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "simulation", "--seeds", "100000", "--jobs", "1", "--engine-only"]
    simulating = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE
    )
    try:
        here = psutil.Process(simulating.pid)
        until = time.monotonic() + PATIENCE
        while (folder := _database(here)) is None:
            assert simulating.poll() is None, "it ended by itself"
            assert time.monotonic() < until, "it did not begin"
            time.sleep(0.05)
        everyone = [here, *here.children(recursive=True)]
        assert folder.exists()
        simulating.send_signal(number)
        assert simulating.wait(PATIENCE) == 128 + number
        _, left = psutil.wait_procs(everyone[1:], PATIENCE)
        assert left == []
        assert not folder.exists()
    finally:
        simulating.terminate()
        simulating.communicate()
