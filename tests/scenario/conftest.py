"""Programs that a scenario starts: whoever stops the test, stops them in order, with all that they started themselves."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

CLEAN_UP = 90.0
"""Seconds that a stopped program has for what it started; Airflow's components need 2-12 s, PostgreSQL a little."""


def _to_its_end(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """What a program said, once it ended by itself. `subprocess.run` would kill it, and leave what it started behind."""
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=cwd, start_new_session=True
    )
    try:
        said, complained = program.communicate()
    except BaseException:
        program.send_signal(signal.SIGINT)
        try:
            program.communicate(timeout=CLEAN_UP)
        except subprocess.TimeoutExpired:
            program.kill()
            program.communicate()
        raise
    return subprocess.CompletedProcess(command, program.returncode, said, complained)


@pytest.fixture(scope="session")
def to_its_end() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command until it ends; stops it in order when the test is stopped or takes too long."""
    return _to_its_end
