"""An environment of its own for a peer whose pins do not fit ours: made by hash from its lock when it is wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALL_SECONDS = 600.0


class InstallationError(Exception):
    """The peer cannot be installed here; the message says why."""


def installed(name: str) -> Path:
    """The interpreter of `.tools/<name>`, made from `requirements/<name>.lock` when absent or of another lock.

    Raises InstallationError.
    """
    folder = ROOT / ".tools" / name
    lock_file = ROOT / "requirements" / f"{name}.lock"
    python, mark, lock = folder / "bin" / "python", folder / "installed.lock", lock_file.read_bytes()
    if mark.exists() and mark.read_bytes() == lock:
        return python
    uv = [sys.executable, "-m", "uv"]
    # Compiled like our own environment, else the first start would be the peer's alone to pay.
    sync = ["pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--python", str(python), str(lock_file)]
    for step in ([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], [*uv, *sync]):
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InstallationError(f"{name} cannot be installed ({error})") from error
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or ["uv said nothing"]
            raise InstallationError(f"{name} cannot be installed ({said[-1][:300]})")
    mark.write_bytes(lock)
    return python
