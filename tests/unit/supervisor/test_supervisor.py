"""Promises of the supervisor: ready means ready, dead is told with its words, and nothing of ours outlives a stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.demo.process_table import MemoryMeter, descendants, entry, pss_mb
from cli.demo.supervisor import Program, SupervisionError, Supervisor

SLEEPER = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
# A parent that ignores its child, which moved to a session of its own: the shape of the orphans of `airflow standalone`.
FAMILY = f"""
import json, subprocess, sys, time
one = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}])
other = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], start_new_session=True, stdout=subprocess.PIPE)
other.stdout.readline()
print(json.dumps({{"ready": True, "children": [one.pid, other.pid]}}), flush=True)
time.sleep(600)
"""


def python(name: str, source: str) -> Program:
    return Program(name, [sys.executable, "-c", source])


def gone(pid: int) -> bool:
    now = entry(pid)
    return now is None or now.zombie


def eventually(fact: Callable[[], bool], seconds: float = 20.0) -> bool:
    until = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def test_a_program_announces_itself_and_after_the_stop_no_process_of_ours_lives(tmp_path: Path) -> None:
    with Supervisor(tmp_path, grace=0.3) as supervisor:
        family = supervisor.start(python("family", FAMILY))
        said = supervisor.wait_for_announcement(family)
        ours = [one.pid for one in descendants([family.pid])]
        assert set(said["children"]) < set(ours)
    assert [pid for pid in ours if not gone(pid)] == []
    assert not (tmp_path / "processes.json").exists()


def test_a_program_that_ends_in_peace_is_not_killed(tmp_path: Path) -> None:
    mark = tmp_path / "ended-in-peace"
    polite = (
        "import signal, sys, pathlib\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(mark)!r}).touch(), sys.exit(0)))\n"
        "print('{\"ready\": true}', flush=True)\nsignal.pause()"
    )
    with Supervisor(tmp_path) as supervisor:
        supervisor.wait_for_announcement(supervisor.start(python("polite", polite)))
    assert mark.exists()


def test_a_program_that_dies_at_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        other = supervisor.start(python("other", SLEEPER))
        died = supervisor.start(python("died", "raise SystemExit('no port is free')"))
        with pytest.raises(SupervisionError, match=r"died ended unexpectedly with exit code 1.*no port is free"):
            supervisor.wait_for_announcement(died)
    assert gone(other.pid)


def test_a_program_that_is_never_ready_is_an_error_with_all_logs(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("quiet", SLEEPER))
        with pytest.raises(SupervisionError, match=r"The system was not ready within 0 s"):
            supervisor.wait_until(lambda: False, "The system", 0.05, pause=0.01)


def test_a_missing_program_is_a_sentence(tmp_path: Path) -> None:
    with (
        Supervisor(tmp_path) as supervisor,
        pytest.raises(SupervisionError, match=r"cannot be executed.*make install"),
    ):
        supervisor.start(Program("absent", [str(tmp_path / "absent")]))


def test_run_returns_the_log_and_a_failure_is_an_error(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        assert supervisor.run(python("said", "print('done')"), 30).strip() == "done"
        with pytest.raises(SupervisionError, match=r"broke failed with exit code 3"):
            supervisor.run(python("broke", "raise SystemExit(3)"), 30)
        with pytest.raises(SupervisionError, match=r"did not end within"):
            supervisor.run(python("slow", SLEEPER), 0.05)
        assert supervisor.programs == []


OWNER = """
import sys, time
from pathlib import Path
from cli.demo.signals import stopping_on_signals
from cli.demo.supervisor import Program, Supervisor
with stopping_on_signals(), Supervisor(Path(sys.argv[1]), grace=0.5) as supervisor:
    family = supervisor.start(Program("family", [sys.executable, "-c", sys.argv[2]]))
    supervisor.wait_for_announcement(family)
    print(family.pid, *supervisor.wait_for_announcement(family)["children"], flush=True)
    time.sleep(600)
"""


def start_owner(folder: Path) -> tuple[subprocess.Popen[str], list[int]]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), FAMILY], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert owner.stdout is not None
    return owner, [int(word) for word in owner.stdout.readline().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_supervisor_leaves_no_orphan(tmp_path: Path, number: signal.Signals) -> None:
    owner, ours = start_owner(tmp_path)
    try:
        assert len(ours) == 3
        owner.send_signal(number)
        time.sleep(0.005)
        owner.send_signal(number)  # an impatient second one does not interrupt the clean-up
        assert owner.wait(30) == 128 + number
        assert [pid for pid in ours if not gone(pid)] == []
    finally:
        owner.kill()
        owner.communicate()


def test_a_supervisor_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what nohup hands down
    try:
        owner, ours = start_owner(tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)
    try:
        owner.send_signal(signal.SIGHUP)
        owner.send_signal(signal.SIGTERM)
        assert owner.wait(30) == 128 + signal.SIGTERM
        assert [pid for pid in ours if not gone(pid)] == []
    finally:
        owner.kill()
        owner.communicate()


def test_what_a_killed_supervisor_left_is_stopped_by_the_next_one(tmp_path: Path) -> None:
    owner, ours = start_owner(tmp_path)
    with pytest.raises(SupervisionError, match=rf"Another supervisor \(process {owner.pid}\)"):
        Supervisor(tmp_path).stop_leftovers()
    owner.kill()
    owner.communicate()
    assert [pid for pid in ours if not gone(pid)] == ours, "the test needs orphans"
    with Supervisor(tmp_path, grace=0.3):
        assert eventually(lambda: all(gone(pid) for pid in ours))


def test_a_stranger_with_a_remembered_id_is_left_alone(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "theirs") as theirs:
        stranger = theirs.start(python("stranger", SLEEPER))
        record = {"owner": {"pid": 2**22, "started": 1}, "programs": [{"pid": stranger.pid, "started": 1}]}
        (tmp_path / "processes.json").write_text(json.dumps(record))
        Supervisor(tmp_path).stop_leftovers()
        assert not gone(stranger.pid)


def test_memory_is_measured_over_all_processes(tmp_path: Path) -> None:
    alone = pss_mb([os.getpid()])
    hungry = "hold = bytearray(60_000_000); hold[::4096] = b'x' * len(hold[::4096]); print('{\"ready\": true}', flush=True); "
    with MemoryMeter() as meter, Supervisor(tmp_path) as supervisor:
        supervisor.wait_for_announcement(supervisor.start(python("hungry", hungry + SLEEPER)))
        together = supervisor.pss_mb()
        meter.sample()
    assert alone > 0
    assert together - alone > 50
    assert meter.peak_mb - alone > 50
