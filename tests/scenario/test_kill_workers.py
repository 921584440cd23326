"""Workers and the store killed at random lose nothing and double nothing; and a run with a broken engine says so."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(1_800)]

ROOT = Path(__file__).parents[2]
KILLS = 50
KILLS_OF_A_BROKEN_ENGINE = 15

# Imported by every Python of the run; only workers carry PGAPPNAME. Its settle sends again what it should look up, and takes
# documents in doubt for posted.
NO_LOOK_UP = """
import os
if "PGAPPNAME" in os.environ:
    from hub.store import lanes
    from hub.sync import settle

    def send_again(session, channel, connector, claimed, last, tally):
        with session.database.transaction() as cur:
            for lane in claimed:
                if lane.kind == lanes.DOCUMENT:
                    lanes.acknowledge(cur, lane, b"{}", lane.desired_hash, 1, session.machine.now())
            lanes.release(cur, [lane for lane in claimed if lane.kind != lanes.DOCUMENT], None)
        tally["resent"] += len(claimed)

    settle._settle_batch = send_again
"""


def kill(
    to_its_end: Callable[..., Any], folder: Path, kills: int, *more: str, **environment: str
) -> tuple[int, dict[str, Any], str]:
    """Exit code, last line and what was said of a run in a process of its own."""
    command = [sys.executable, "-m", "chaos", "--kills", str(kills), "--json", "--folder", str(folder), *more]
    done = to_its_end(command, cwd=ROOT, env={**os.environ, **environment})
    assert done.stdout, done.stderr[-4_000:]
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder whose path is short enough for a socket."""
    return tmp_path_factory.mktemp("k")


def test_nothing_is_lost_and_nothing_doubled_when_workers_and_the_store_die(
    folder: Path, to_its_end: Callable[..., Any]
) -> None:
    code, told, heard = kill(to_its_end, folder, KILLS)
    assert (told["duplicates"], told["lost"], told["under_way"]) == (0, 0, 0), heard[-4_000:]
    assert (told["wrong_references"], told["broken_history"], told["second_run_writes"]) == (0, 0, 0), heard[-4_000:]
    assert told["stuck"] == 0, f"{told['parked']} is parked: {heard[-4_000:]}"
    assert code == 0
    assert told["kills"] == KILLS
    assert told["store_crashes"] >= 3
    assert told["kills_holding_work"] >= KILLS / 5, "kills of idle workers prove little"
    assert told["attempts"] > 500
    assert told["documents"] > 20
    assert told["verbs"]["post"] > 0, "a worker that posts documents was killed"
    assert told["in_doubt"] > 20
    assert len(told["moments"]) == 4
    assert told["recovery_s_p50"] is not None


def test_an_engine_that_looks_nothing_up_is_caught(
    folder: Path, tmp_path: Path, to_its_end: Callable[..., Any]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_LOOK_UP, encoding="utf-8")
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    code, told, heard = kill(to_its_end, folder, KILLS_OF_A_BROKEN_ENGINE, "--patience", "20", PYTHONPATH=paths)
    assert code == 1, heard[-4_000:]
    # A line sent twice exists twice. A company or an order is refused under its taken name and never comes out of doubt.
    assert told["duplicates"] + told["under_way"] > 0
    # A document whose request was lost, or of which only the draft was made, is taken for posted.
    assert any("lost: document" in sentence or "lost: credit" in sentence for sentence in told["sentences"]), told
    assert told["held"] is False
