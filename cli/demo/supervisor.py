"""A small supervisor: starts programs in sessions of their own, knows when they are ready, and leaves no orphan.

`airflow standalone` is not used because it leaves processes behind when it is stopped (seen: ten after a SIGTERM). Here
every program leads its own session; at the end each session gets SIGTERM, and after a grace of 15 seconds SIGKILL, with
all descendants that meanwhile moved to another session. What a killed supervisor left behind is written in
`processes.json` of the state folder and stopped by the next one.

    with stopping_on_signals(), Supervisor(state) as supervisor:
        sandbox = supervisor.start(Program("gam", [sys.executable, "-m", "sandbox", "gam", "--port", "0", ...]))
        url = supervisor.wait_for_announcement(sandbox)["url"]
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cli.demo.process_table import ProcessEntry, alive, descendants, entry, pss_mb
from cli.demo.signals import undisturbed

GRACE = 15.0
"""Seconds between SIGTERM and SIGKILL; Airflow's components need 2-12 s."""

TAIL = 2000
"""Characters of a log shown when a program died."""


class SupervisionError(Exception):
    """A program did not start, was not ready in time, or died; the message ends with the end of its log."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start. `environment` is the whole environment; None hands down our own."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None


@dataclass(slots=True)
class Supervised:
    """A started program: its process, and the file that holds its standard output and error."""

    program: Program
    process: subprocess.Popen[bytes]
    log_file: Path
    expected_to_end: bool = field(default=False)

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name

    @property
    def pid(self) -> int:
        """Process id, which is also its session's and its group's."""
        return self.process.pid

    def log_tail(self) -> str:
        """The end of what it wrote."""
        return self.log_file.read_text(errors="replace")[-TAIL:].strip() or "(it wrote nothing)"

    def announcement(self) -> dict[str, Any] | None:
        """The JSON line `{"ready": true, ...}` that it has written, None so far."""
        for line in self.log_file.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                with contextlib.suppress(json.JSONDecodeError):
                    said = json.loads(line)
                    if isinstance(said, dict) and said.get("ready") is True:
                        return said
        return None


class Supervisor:
    """Owns the programs it started; a context manager that stops them all. Logs go to `<folder>/logs/<name>.log`."""

    def __init__(self, folder: Path, *, grace: float = GRACE) -> None:
        self.folder = folder
        self.programs: list[Supervised] = []
        self._grace = grace
        self._record = folder / "processes.json"

    def __enter__(self) -> Self:
        self.stop_leftovers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- starting
    def start(self, program: Program) -> Supervised:
        """Start a program in a session of its own. Raises SupervisionError when its file cannot be executed."""
        with undisturbed():  # a signal between the start and the entry in our list would leave an orphan
            return self._start(program)

    def _start(self, program: Program) -> Supervised:
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        log_file = logs / f"{program.name}.log"
        try:
            with log_file.open("wb") as log:
                process = subprocess.Popen(  # noqa: S603 - commands come from our own code, never from input
                    list(program.command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=program.folder,
                    env=None if program.environment is None else dict(program.environment),
                    start_new_session=True,
                )
        except OSError as error:
            raise SupervisionError(
                f"{program.name} could not be started: {program.command[0]} cannot be executed ({error.strerror}). "
                "Nothing more was started. Whoever installs runs the installation again (make install)."
            ) from error
        supervised = Supervised(program, process, log_file)
        self.programs.append(supervised)
        self._write_record()
        return supervised

    def run(self, program: Program, timeout: float) -> str:
        """Run a program to its end and return its log. Raises SupervisionError when it fails or takes too long."""
        supervised = self.start(program)
        supervised.expected_to_end = True
        try:
            code = supervised.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise SupervisionError(
                f"{program.name} did not end within {timeout:.0f} s and was stopped. Its log, {supervised.log_file}, "
                f"ends: {supervised.log_tail()}"
            ) from None
        finally:
            self.stop_program(supervised)
        if code != 0:
            raise SupervisionError(
                f"{program.name} failed with exit code {code}. Its log, {supervised.log_file}, ends: "
                f"{supervised.log_tail()}"
            )
        return supervised.log_file.read_text(errors="replace")

    # ---- watching
    def check(self) -> None:
        """Raises SupervisionError when a program that should run has ended."""
        for one in self.programs:
            code = one.process.poll()
            if code is not None and not one.expected_to_end:
                how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                raise SupervisionError(
                    f"{one.name} ended unexpectedly with {how}. What depends on it stands still. "
                    f"Its log, {one.log_file}, ends: {one.log_tail()}"
                )

    def wait_until(self, ready: Callable[[], bool], what: str, timeout: float, *, pause: float = 0.1) -> None:
        """Poll `ready` until it says True, watching all programs meanwhile. Raises SupervisionError."""
        until = time.monotonic() + timeout
        while not ready():
            self.check()
            if time.monotonic() > until:
                tails = "\n".join(f"--- {one.log_file}\n{one.log_tail()}" for one in self.programs)
                raise SupervisionError(f"{what} was not ready within {timeout:.0f} s. The logs end:\n{tails}")
            time.sleep(pause)

    def wait_for_announcement(self, supervised: Supervised, timeout: float = 60.0) -> dict[str, Any]:
        """Wait for the JSON line by which a sandbox says that it is ready. Raises SupervisionError."""
        self.wait_until(lambda: supervised.announcement() is not None, supervised.name, timeout, pause=0.02)
        said = supervised.announcement()
        assert said is not None
        return said

    def pids(self) -> list[int]:
        """Process ids of the programs that run."""
        return [one.pid for one in self.programs if one.process.poll() is None]

    def pss_mb(self) -> float:
        """Memory of this process and all it started, in MB; see `process_table.pss_mb`."""
        return pss_mb([os.getpid(), *self.pids()])

    # ---- stopping
    def stop_program(self, supervised: Supervised) -> None:
        """Stop one program and everything it started."""
        self._stop([supervised])

    def stop(self) -> None:
        """Stop all programs, the last started first, all within one grace period."""
        self._stop(list(reversed(self.programs)))

    def stop_leftovers(self) -> None:
        """Stop what an earlier supervisor of this folder, killed without a chance to clean up, left running.

        Raises SupervisionError when that supervisor still runs.
        """
        if not self._record.exists():
            return
        said = json.loads(self._record.read_text())
        owner = entry(said["owner"]["pid"])
        if owner is not None and owner.started == said["owner"]["started"] and owner.pid != os.getpid():
            raise SupervisionError(
                f"Another supervisor (process {owner.pid}) runs with the same folder {self.folder}. "
                "Nothing was started. Stop it first, or choose another folder."
            )
        left: list[ProcessEntry] = []
        for one in said["programs"]:
            now = entry(one["pid"])
            if now is None or now.started == one["started"]:  # else the id belongs to somebody else by now
                left.extend(each for each in descendants([one["pid"]]) if each.started >= one["started"])
        for each in left:
            _signal(each.pid, signal.SIGTERM)
        until = time.monotonic() + self._grace
        while any(alive(each) for each in left) and time.monotonic() < until:
            time.sleep(0.05)
        _kill_and_wait(left)
        self._record.unlink()

    def _stop(self, chosen: Sequence[Supervised]) -> None:
        with undisturbed():
            self._stop_undisturbed(chosen)

    def _stop_undisturbed(self, chosen: Sequence[Supervised]) -> None:
        left: dict[int, ProcessEntry] = {}
        for one in chosen:
            # Seen before the first signal: later the tree is torn apart and orphans can no longer be attributed.
            left.update({each.pid: each for each in descendants([one.pid])})
            _signal_group(one.pid, signal.SIGTERM)
        until = time.monotonic() + self._grace
        while time.monotonic() < until:
            for one in chosen:
                left.update({each.pid: each for each in descendants([one.pid])})
            ended = all(one.process.poll() is not None for one in chosen)
            if ended and not any(alive(each) for each in left.values()):
                break
            time.sleep(0.05)
        for one in chosen:
            _signal_group(one.pid, signal.SIGKILL)
            left.update({each.pid: each for each in descendants([one.pid])})
        _kill_and_wait(left.values())
        for one in chosen:
            one.process.wait()
        self.programs = [one for one in self.programs if one not in chosen]
        self._write_record()

    def _write_record(self) -> None:
        if not self.programs:
            self._record.unlink(missing_ok=True)
            return
        owner, *known = [entry(pid) for pid in (os.getpid(), *(one.pid for one in self.programs))]
        if owner is None:  # no /proc: leftovers cannot be told from strangers, so nothing is remembered
            return
        said = {"owner": _name(owner), "programs": [_name(each) for each in known if each is not None]}
        fresh = self._record.with_suffix(".tmp")
        fresh.write_text(json.dumps(said))
        fresh.replace(self._record)


def _name(one: ProcessEntry) -> dict[str, int]:
    return {"pid": one.pid, "started": one.started}


def _kill_and_wait(left: Collection[ProcessEntry]) -> None:
    """SIGKILL whoever still lives, and return when the kernel has taken them away (a moment; at most five seconds)."""
    for each in left:
        if alive(each):
            _signal(each.pid, signal.SIGKILL)
    until = time.monotonic() + 5
    while any(alive(each) for each in left) and time.monotonic() < until:
        time.sleep(0.005)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says PermissionError for a zombie's group
        os.killpg(pid, number)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
