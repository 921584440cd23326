"""Where Tryton's programs are, and how they are run: each in a process of its own, on SQLite, on loopback.

`make` installs them from `requirements/tryton.lock` into `.tools/tryton`. They are GPL-3, so nothing of ours imports them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cli.demo.signals import undisturbed

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools" / "tryton"
DATABASE = "publisher"
PRICE_DECIMALS = 6
"""Decimals of a unit price: a CPM in micros."""

START_SECONDS = 60.0
GRACE = 10.0

_CONFIGURATION = """\
[database]
uri = sqlite://
path = {folder}
[web]
listen = 127.0.0.1:{port}
[product]
price_decimal = {price_decimals}
"""


class TrytonError(Exception):
    """The server could not be made or started; the message says who does what."""


def installed(tools: Path = TOOLS) -> bool:
    """Whether the server's environment is there."""
    return all((tools / "bin" / program).exists() for program in ("trytond", "trytond-admin"))


def require_installed(tools: Path) -> None:
    """Raises TrytonError when the server's environment is not there."""
    if not installed(tools):
        raise TrytonError(
            f"Tryton is not installed in {tools}, so there is no ERP. Whoever needs it runs `make tryton`."
        )


def write_configuration(folder: Path, port: int) -> Path:
    """The server's configuration for the database in `folder`."""
    path = folder / "trytond.conf"
    text = _CONFIGURATION.format(folder=folder, port=port, price_decimals=PRICE_DECIMALS)
    path.write_text(text, encoding="utf-8")
    return path


def run_admin(tools: Path, folder: Path, arguments: list[str], environment: dict[str, str]) -> None:
    """Run `trytond-admin` to its end. Raises TrytonError with the end of what it wrote."""
    configuration = write_configuration(folder, 0)
    done = subprocess.run(  # noqa: S603 - a program of the installed environment, arguments of ours
        [str(tools / "bin" / "trytond-admin"), "-c", str(configuration), "-d", DATABASE, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**_environment(), **environment},
        check=False,
    )
    if done.returncode != 0:
        raise TrytonError(
            f"trytond-admin ended with {done.returncode}; the template is not kept. Whoever installs looks at: "
            f"{done.stderr.strip()[-1000:]}"
        )


Launch = Callable[[Sequence[str], Mapping[str, str], Path], "subprocess.Popen[bytes]"]
"""Starts a command with an environment in a folder, in a session of its own."""


class ServerProcess:
    """One `trytond` over the database in a folder. Raises TrytonError when it does not start.

    `launch` starts it where somebody else looks after the processes and keeps what they write.
    """

    def __init__(self, tools: Path, folder: Path, launch: Launch | None = None) -> None:
        self._tools = tools
        self._folder = folder
        self._launch = launch or self._launched
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "trytond.log"
        self.port = 0

    @property
    def pid(self) -> int | None:
        """Process id of the running server, None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the server and return when it accepts connections."""
        with undisturbed():
            self._start()

    def _start(self) -> None:
        self.port = _free_port()
        configuration = write_configuration(self._folder, self.port)
        command = [str(self._tools / "bin" / "trytond"), "-c", str(configuration), "-d", DATABASE]
        self._process = self._launch(command, _environment(), self._folder)
        until = time.monotonic() + START_SECONDS
        while not _listens(self.port):  # it listens once the database's modules are loaded
            ended = self._process.poll()
            if ended is not None or time.monotonic() > until:
                self.stop()
                happened = "was not ready in time and was stopped" if ended is None else f"ended with {ended}"
                raise TrytonError(
                    f"The Tryton server {happened}; there is no ERP. The end of {self._log}: {self._log_tail()}"
                )
            time.sleep(0.05)

    def _launched(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - a program of the installed environment, arguments of ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End the server."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        with undisturbed():
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(GRACE)

    def _log_tail(self) -> str:
        written = self._log.read_text(errors="replace") if self._log.exists() else ""
        return written[-1000:].strip() or "(it wrote nothing)"


def _environment() -> dict[str, str]:
    """What the server needs of our environment; nothing that would lead it to our own packages or secrets."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
