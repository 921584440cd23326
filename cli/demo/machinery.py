"""Everything the demo runs on this machine: embedded PostgreSQL, two simulated vendors, and Airflow on top of the hub."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import hub
from cli.demo.airflow_environment import AirflowEnvironment
from cli.demo.configuration import CONSUMER_KEY, LEDGER, DemoSecrets, configuration, write_configuration
from cli.demo.control import SandboxControl
from cli.demo.crm_client import CrmClient
from cli.demo.embedded_postgres import EmbeddedPostgres
from cli.demo.engine import AD_SERVER, SOURCE, AirflowEngine, DirectEngine, Engine
from cli.demo.people import People
from cli.demo.supervisor import Program, Supervisor
from hub import Hub

CONFIGURATION = "orderhub.yaml"
ENVIRONMENT = "environment.sh"
SANDBOX_SECRET = "SANDBOX_SF_SECRET"  # noqa: S105 - the name of a variable, not a secret
DEMO_CRM, DEMO_AD_SERVER = "DEMO_CRM", "DEMO_AD_SERVER"
"""Variables that tell a person at another terminal where the simulated vendors listen."""
POOL_SLOTS = 1
"""Tasks of one connection at a time: two workers that share what is due send more and smaller batches."""

Heard = Callable[[str], None]


@dataclass(frozen=True)
class Machinery:
    """The running system. `url` and `password` are of Airflow's user interface, None without it."""

    supervisor: Supervisor
    hub: Hub
    engine: Engine
    people: People
    crm: CrmClient
    configuration: Path
    url: str | None
    password: str | None


@contextmanager
def running(state: Path, clock: datetime, *, with_airflow: bool, heard: Heard) -> Iterator[Machinery]:
    """Start everything in the state folder; `clock` is where the vendors' time starts if they are new. Stops all at the end.

    Raises EmbeddedPostgresError, SupervisionError, CrmError, ControlError and what the hub raises.
    """
    state = state.resolve()
    keys = DemoSecrets.of(state)
    with ExitStack() as stack:
        supervisor = stack.enter_context(Supervisor(state))
        heard("Starting PostgreSQL and the vendors …")
        postgres = stack.enter_context(EmbeddedPostgres(state / "postgres"))
        postgres.create_databases()
        stack.callback(supervisor.stop)  # before PostgreSQL goes: Airflow needs it to end its runs in peace
        ad_server = stack.enter_context(_closing(_sandbox(supervisor, "gam", AD_SERVER, state, clock, {})))
        crm_control = stack.enter_context(
            _closing(_sandbox(supervisor, "salesforce", SOURCE, state, clock, {SANDBOX_SECRET: keys.crm}))
        )
        people = People(ad_server, crm_control)
        path = state / CONFIGURATION
        write_configuration(path, configuration(crm_control.url, ad_server.url, trafficker=people.trafficker()))
        variables = keys.environment(postgres.hub_url)
        os.environ.update(variables)
        addresses = {"ORDERHUB_CONFIG": str(path), DEMO_CRM: crm_control.url, DEMO_AD_SERVER: ad_server.url}
        write_environment(state / ENVIRONMENT, {**variables, **addresses})
        opened = stack.enter_context(hub.open_hub(path))
        opened.migrate()
        crm = stack.enter_context(CrmClient(crm_control.url, CONSUMER_KEY, keys.crm))
        engine: Engine = DirectEngine(opened)
        url = password = None
        if with_airflow:
            heard("Starting Airflow …")
            airflow = AirflowEnvironment(state / "airflow", postgres.airflow_url, path, hub=variables)
            airflow.migrate(supervisor)
            api = airflow.start(supervisor)
            stack.callback(api.close)
            api.create_pools({f"orderhub_{name}": POOL_SLOTS for name in (AD_SERVER, SOURCE, LEDGER)})
            api.wait_for_dags([f"intake__{SOURCE}", f"push__{AD_SERVER}", f"mirror__{SOURCE}"])
            engine = AirflowEngine(api, opened)
            url, password = airflow.url, airflow.passwords["admin"]
        yield Machinery(supervisor, opened, engine, people, crm, path, url, password)


def write_environment(path: Path, variables: dict[str, str]) -> None:
    """A shell file (mode 600) that lets `orderhub` work on the demo from another terminal: `. environment.sh`."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()), "utf-8")


def _sandbox(
    supervisor: Supervisor, vendor: str, connection: str, state: Path, clock: datetime, secrets: dict[str, str]
) -> SandboxControl:
    command = [sys.executable, "-m", "sandbox", vendor, "--port", "0"]
    command += ["--state", str(state / f"{vendor}.json"), "--clock", clock.isoformat()]
    started = supervisor.start(Program(f"sandbox-{vendor}", command, {**os.environ, **secrets}, state))
    return SandboxControl(connection, supervisor.wait_for_announcement(started)["url"])


@contextmanager
def _closing(control: SandboxControl) -> Iterator[SandboxControl]:
    try:
        yield control
    finally:
        control.close()
