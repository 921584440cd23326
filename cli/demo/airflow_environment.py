"""Airflow on this machine: its environment, its four processes, its accounts. Airflow itself is never imported here.

LocalExecutor on the embedded PostgreSQL, everything on loopback, secrets made once per state folder (mode 600), log-in
with three roles. The settings and their reasons were measured with Airflow 3.3.2: the default idle sleep of the scheduler
makes every task wait a second, the default heartbeat keeps slots busy for five, the default parallelism of 32 starts 32
workers at once, and the log servers of scheduler and triggerer listen on all interfaces unless they are left out.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

from cli.demo.airflow_api import AirflowApi
from cli.demo.supervisor import Program, SupervisionError, Supervisor

ROLES = {"admin": "admin", "operator": "op", "viewer": "viewer"}
"""Account name -> role of Airflow's simple auth manager."""

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
WATCHED = ("metadatabase", "scheduler", "dag_processor", "triggerer")
"""What `/api/v2/monitor/health` must call healthy."""

MIGRATION_SECONDS = 180.0
HEALTHY_SECONDS = 180.0
"""Generous: 4 s and 6 s on an idle machine of 4 cores, ten times that on a busy one with 2."""


def free_port() -> int:
    """A TCP port on loopback that nobody used a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dags_folder() -> Path:
    """Folder of the installed package `dags`, found without importing it."""
    found = importlib.util.find_spec("dags")
    if found is None or found.origin is None:
        raise SupervisionError(
            "The package `dags` is not installed, so Airflow has nothing to run. Run the installation again (make install)."
        )
    return Path(found.origin).parent


@dataclass
class AirflowEnvironment:
    """Airflow's settings on this machine. `home` is its folder, `configuration` the hub's file the DAGs are made from.

    `database_url` in SQLAlchemy's form (`postgresql+psycopg2://...`). `hub` is added to the environment of every process:
    the secrets the configuration refers to. `schedules` are `ORDERHUB_SCHEDULE_*` settings by flow name (`dags/schedules`).
    """

    home: Path
    database_url: str
    configuration: Path
    port: int = field(default_factory=free_port)
    parallelism: int = 4
    hub: Mapping[str, str] = field(default_factory=dict)
    schedules: Mapping[str, str] = field(default_factory=dict)
    executor: str = "LocalExecutor"
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Address of the user interface and the API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def passwords(self) -> dict[str, str]:
        """Password of each account, made at the first use and kept in the home folder (mode 600)."""
        made = {account: secrets.token_urlsafe(12) for account in ROLES}
        return {
            str(name): str(word) for name, word in json.loads(self._secret("passwords.json", json.dumps(made))).items()
        }

    def environment(self) -> dict[str, str]:
        """The whole environment of Airflow's processes; foreign `AIRFLOW*` variables are left out."""
        empty = self.home / "no-plugins"
        for folder in (self.home, empty, self.home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        assert self.passwords  # the file must be there before Airflow looks for it
        # Airflow executes every file of its plugins folder under its bare name: a `hub.py` there once replaced our
        # package `hub`. Our plugin is an entry point of the installed package; the folder stays empty.
        settings = {
            "CORE__EXECUTOR": self.executor,
            "CORE__PARALLELISM": str(self.parallelism),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__DAGS_FOLDER": str(dags_folder()),
            "CORE__PLUGINS_FOLDER": str(empty),
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__TEST_CONNECTION": "Enabled",
            "CORE__FERNET_KEY": self._secret("fernet-key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{account}:{role}" for account, role in ROLES.items()),
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "DATABASE__SQL_ALCHEMY_CONN": self.database_url,
            "API__HOST": "127.0.0.1",
            "API__PORT": str(self.port),
            "API__BASE_URL": self.url,
            "API__SECRET_KEY": self._secret("api-secret", secrets.token_hex(32)),
            "API_AUTH__JWT_SECRET": self._secret("jwt-secret", secrets.token_hex(64)),
            "API_AUTH__JWT_ISSUER": "orderhub",
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "LOGGING__BASE_LOG_FOLDER": str(self.home / "logs"),
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        return {
            **kept,
            "AIRFLOW_HOME": str(self.home),
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
            "ORDERHUB_CONFIG": str(self.configuration),
            **{f"ORDERHUB_SCHEDULE_{flow.upper()}": when for flow, when in self.schedules.items()},
            # Loopback is never reached through a proxy; a corporate one would swallow the tasks' calls.
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **self.hub,
            **self.overrides,
        }

    def program(self, name: str, *arguments: str) -> Program:
        """One `airflow` command as a program for the supervisor."""
        return Program(name, [sys.executable, "-m", "airflow", *arguments], self.environment(), self.home)

    def migrate(self, supervisor: Supervisor) -> None:
        """Bring Airflow's metadata to this version's schema and create the connections' pools. Raises SupervisionError."""
        command = [sys.executable, "-m", "plugins.metadata"]
        supervisor.run(Program("airflow-metadata", command, self.environment(), self.home), MIGRATION_SECONDS)

    def start(self, supervisor: Supervisor) -> AirflowApi:
        """Start Airflow's four processes and return its API once all of them are healthy. Raises SupervisionError."""
        for name, arguments in COMPONENTS.items():
            supervisor.start(self.program(f"airflow-{name}", *arguments))
        supervisor.wait_until(self.healthy, "Airflow", HEALTHY_SECONDS)
        return AirflowApi(self.url, "admin", self.passwords["admin"])

    def healthy(self) -> bool:
        """Whether Airflow calls all its components healthy."""
        try:
            reply = requests.get(f"{self.url}/api/v2/monitor/health", timeout=5)
            said = reply.json() if reply.ok else {}
        except (requests.RequestException, ValueError):
            return False
        return all((said.get(one) or {}).get("status") == "healthy" for one in WATCHED)

    def _secret(self, name: str, fresh: str) -> str:
        """The content of a file of mode 600 in the home folder, written with `fresh` when it is absent."""
        path = self.home / name
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text(encoding="utf-8")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(fresh)
        return fresh
