"""The proxy between hub and vendors that loses replies: mitmproxy, installed in an environment of its own.

`make kill` installs it from `requirements/mitmproxy.lock` into `.tools/mitmproxy`. Where it is absent the vendors' own
fault knob loses replies instead, and the report says so.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from cli.demo.supervisor import Program, Supervisor

ENVIRONMENT = "ORDERHUB_MITMDUMP"
INSTALLED = Path(__file__).parents[1] / ".tools" / "mitmproxy" / "bin" / "mitmdump"
SCRIPT = Path(__file__).with_name("lose_replies.py")


def mitmdump() -> Path | None:
    """The program, from ORDERHUB_MITMDUMP or the project's own place; None when it is not installed."""
    path = Path(os.environ.get(ENVIRONMENT, str(INSTALLED)))
    return path if path.exists() else None


class LosingProxy:
    """One mitmdump in front of several vendors. `urls` are its ends, in the order of the vendors given."""

    def __init__(self, supervisor: Supervisor, program: Path, vendors: Sequence[str]) -> None:
        self._knob = supervisor.folder / "losses.json"
        self.lose(0.0, seed=0)
        ports = [_free_port() for _ in vendors]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        command = [str(program), "--quiet", "--scripts", str(SCRIPT)]
        for vendor, port in zip(vendors, ports, strict=True):
            command += ["--mode", f"reverse:{vendor}@127.0.0.1:{port}"]
        settings = {
            "confdir": str(supervisor.folder / "mitmproxy"),
            "keep_host_header": "true",  # the vendors name their own address by it, and that must be ours
            "connection_strategy": "lazy",
        }
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        environment = {**os.environ, "ORDERHUB_CHAOS_LOSSES": str(self._knob)}
        self._program = supervisor.start(Program("mitmproxy", command, environment, supervisor.folder))
        supervisor.wait_until(lambda: all(_listens(port) for port in ports), "mitmproxy", 60.0)

    def lose(self, rate: float, *, seed: int) -> None:
        """Drop this share of the replies to writes from now on."""
        fresh = self._knob.with_suffix(".tmp")
        fresh.write_text(json.dumps({"rate": rate, "seed": seed}), encoding="utf-8")
        fresh.replace(self._knob)

    @property
    def dropped(self) -> int:
        """Replies dropped so far."""
        path = self._knob.with_suffix(".dropped")
        return len(path.read_text("utf-8").splitlines()) if path.exists() else 0


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
