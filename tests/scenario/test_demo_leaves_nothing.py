"""A stop request in the middle of the demo's work leaves no process behind, Airflow's included."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.demo.process_table import ProcessEntry, alive, descendants
from cli.exit_codes import ExitCode

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(600)]


def all_of(root: int, known: dict[int, ProcessEntry]) -> dict[int, ProcessEntry]:
    known.update({one.pid: one for one in descendants([root])})
    return known


@pytest.mark.parametrize("moment", ["Starting Airflow", "line items are in the ad server"])
def test_a_stop_request_to_the_demo_leaves_no_process(tmp_path: Path, moment: str) -> None:
    command = [
        sys.executable,
        "-c",
        "from cli.main import run; run()",
        "demo",
        "--limit",
        "2",
        "--state",
        str(tmp_path / "state"),
    ]
    demo = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    ours: dict[int, ProcessEntry] = {}
    heard: list[str] = []
    try:
        assert demo.stdout is not None
        for line in demo.stdout:
            heard.append(line)
            if moment in line:
                break
        else:
            pytest.fail("".join(heard))
        until = time.monotonic() + 60
        while not any("triggerer" in command_line(pid) for pid in all_of(demo.pid, ours)) and time.monotonic() < until:
            time.sleep(0.01)
        demo.send_signal(signal.SIGTERM)
        while demo.poll() is None:
            all_of(demo.pid, ours)
            time.sleep(0.05)
    finally:
        demo.kill()
        demo.communicate()
    assert demo.returncode == ExitCode.INTERRUPTED
    assert len(ours) > 8
    assert [command_line(one.pid) for one in ours.values() if alive(one)] == []


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
