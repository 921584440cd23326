"""One seed is one history: in another process, in another order, with other hashes of strings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEEDS = 20


def hashes(hash_seed: str, *arguments: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "simulation", "--seeds", str(SEEDS), "--json", "--hashes", "--engine-only", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, str] = json.loads(done.stdout.splitlines()[-1])["hashes"]
    return told


@pytest.mark.scenario
@pytest.mark.timeout(900)
def test_the_same_seeds_give_the_same_event_logs() -> None:
    once = hashes("1", "--jobs", "2")
    again = hashes("4242", "--jobs", "1", "--backwards")
    assert once == again
    assert len(set(once.values())) == SEEDS, "different seeds tell different histories"
