"""The topology of docker-compose.yml, started natively: CeleryExecutor, Redis, PostgreSQL, FAB log-in, a real worker.

The same DAGs carry a small book from the CRM to the ad server and back, with every check of the demo. Needs `redis-server`
on the PATH; without it the test says so, and ORDERHUB_REQUIRE_REDIS=1 makes that a failure.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cli.demo.airflow_environment import AirflowEnvironment, free_port
from cli.demo.engine import AD_SERVER, SOURCE, AirflowEngine
from cli.demo.generated_book import generated_book
from cli.demo.journey import Stage, clock_stops, play
from cli.demo.machinery import running
from cli.demo.order_book import parse_order_book
from cli.demo.process_table import alive, descendants
from cli.demo.supervisor import Program, Supervisor

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(1200)]

ORDERS = 4
WORKER_SECONDS = 120.0


@pytest.fixture(scope="module")
def redis_server() -> str:
    """Path of redis-server; the test is left out, or fails, where there is none."""
    found = shutil.which("redis-server")
    if found is None:
        said = "not run: redis-server is not installed"
        if os.environ.get("ORDERHUB_REQUIRE_REDIS") == "1":
            pytest.fail(said)
        pytest.skip(said)
    return found


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_redis(supervisor: Supervisor, server: str, folder: Path) -> str:
    """A Redis on loopback with a password; returns its address."""
    port, password = free_port(), secrets.token_hex(16)
    configuration = folder / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\ndir {folder}\n', encoding="utf-8"
    )
    supervisor.start(Program("redis", [server, str(configuration)]))
    supervisor.wait_until(lambda: answers(port), "Redis", 30)
    return f"redis://:{password}@127.0.0.1:{port}/0"


def celery_environment(airflow: AirflowEnvironment, store_url: str, redis_url: str) -> AirflowEnvironment:
    """The settings of docker-compose.yml on top of the demo's."""
    airflow.executor = "CeleryExecutor"
    airflow.overrides = {
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CELERY__BROKER_URL": redis_url,
        "AIRFLOW__CELERY__RESULT_BACKEND": store_url.replace("postgresql://", "db+postgresql+psycopg2://"),
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
    }
    return airflow


def create_admin(supervisor: Supervisor, airflow: AirflowEnvironment) -> None:
    # One word with its `=`: one password in 64 begins with a dash.
    command = ["users", "create", "--role", "Admin", "--username", "admin", f"--password={airflow.passwords['admin']}"]
    command += ["--firstname", "Orderhub", "--lastname", "Admin", "--email", "admin@localhost"]
    supervisor.run(airflow.program("airflow-users", *command), 180)


def worker_answers(airflow: AirflowEnvironment) -> bool:
    """The health check of the compose file's worker."""
    app = "airflow.providers.celery.executors.celery_executor.app"
    command = [sys.executable, "-m", "celery", "--app", app, "inspect", "ping", "--timeout", "5"]
    done = subprocess.run(
        command, env=airflow.environment(), cwd=airflow.home, capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and "pong" in done.stdout


def test_the_same_dags_carry_a_book_there_and_back_on_celery(redis_server: str, tmp_path: Path) -> None:
    book = parse_order_book(generated_book(ORDERS), source="a generated book")
    environment_before = dict(os.environ)
    try:
        with running(tmp_path, clock_stops(book)[0], with_airflow=False, heard=print) as machinery:
            supervisor = machinery.supervisor
            redis_url = start_redis(supervisor, redis_server, tmp_path)
            metadata = machinery.hub.session.database.url.replace("/orderhub?", "/airflow?")
            airflow = celery_environment(
                AirflowEnvironment(
                    tmp_path / "airflow",
                    metadata.replace("postgresql://", "postgresql+psycopg2://"),
                    machinery.configuration,
                    schedules={"intake": "30s", "settle": "10s", "delivery": "never"},
                ),
                metadata,
                redis_url,
            )
            airflow.migrate(supervisor)
            create_admin(supervisor, airflow)
            worker = supervisor.start(airflow.program("airflow-worker", "celery", "worker", "--skip-serve-logs"))
            api = airflow.start(supervisor)
            supervisor.wait_until(lambda: worker_answers(airflow), "The Celery worker", WORKER_SECONDS, pause=1.0)
            api.wait_for_dags([f"intake__{SOURCE}", f"push__{AD_SERVER}", f"mirror__{SOURCE}"])
            engine = AirflowEngine(api, machinery.hub)
            outcome = play(Stage(book, machinery.hub, engine, machinery.people, machinery.crm))
            ran_by = {run["dag_id"] for run in api.runs(state="success")}
            log = worker.log_file.read_text(errors="replace")
            ours = descendants([os.getpid(), *supervisor.pids()])
            api.close()
        broken = [f"{check.name}: {check.detail}" for check in outcome.checks if not check.held]
        assert broken == []
        assert outcome.lines_live > 0
        assert outcome.mirrored == outcome.delivered > 0
        assert {f"intake__{SOURCE}", f"push__{AD_SERVER}", f"mirror__{SOURCE}", f"delivery__{AD_SERVER}"} <= ran_by
        assert "execute_workload" in log, "the tasks ran in the Celery worker"
        assert [one.pid for one in ours if alive(one) and one.pid != os.getpid()] == []
    finally:
        os.environ.clear()
        os.environ.update(environment_before)
