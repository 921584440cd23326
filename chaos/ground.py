"""Everything a run needs besides its workers: database, vendors, the proxy between them and the hub, and the people."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from chaos.proxy import LosingProxy, mitmdump
from cli.demo.configuration import CONSUMER_KEY, LEDGER, DemoSecrets, configuration, write_configuration
from cli.demo.control import SandboxControl
from cli.demo.crm_client import CrmClient
from cli.demo.embedded_postgres import EmbeddedPostgres
from cli.demo.engine import AD_SERVER, SOURCE
from cli.demo.machinery import SANDBOX_SECRET
from cli.demo.people import People
from cli.demo.supervisor import Program, Supervisor
from hub import Hub, open_hub

LEASE_SECONDS = 8.0
"""After this a killed worker's lanes are taken up; production has ten minutes, a run cannot wait for them."""
TIMEOUT_SECONDS = 6.0
"""How long a worker waits for a vendor: below the lease, as in production, else others take up what is still being sent."""
IN_FLIGHT_SECONDS = 4.0
"""How long the vendors may still apply what they dropped: their late commits take a second, a busy machine the rest."""
REQUESTS_PER_SECOND = 20.0
CALLS_A_DAY = 10_000_000
SANDBOX_XERO_SECRET = "SANDBOX_XERO_SECRET"
LEDGER_SECRET = "ORDERHUB_LEDGER_SECRET"
TENANT = "6f1d2c3b-4a59-4e68-8777-0123456789ab"
CLIENT = "orderhub"
LEDGER_LIMITS = ("--tenant-id", TENANT, "--client-id", CLIENT, "--minute-limit", "1000000", "--daily-limit", "10000000")
CRASH_PATIENCE = 30.0


@dataclass(frozen=True)
class Ground:
    """The running system. `proxy` is None where mitmproxy is not installed."""

    supervisor: Supervisor
    postgres: EmbeddedPostgres
    config: Path
    environment: Mapping[str, str]
    hub: Hub
    people: People
    crm: CrmClient
    ledger: SandboxControl
    proxy: LosingProxy | None

    def crash_store(self) -> None:
        """PostgreSQL dies without a shutdown checkpoint (`immediate`) and recovers from its log. Its address stays."""
        pid, address = self.postgres.pid, self.postgres.hub_url
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        until = time.monotonic() + CRASH_PATIENCE
        while self.postgres.pid is not None:
            if time.monotonic() > until:
                raise TimeoutError("PostgreSQL did not end after SIGQUIT. The run stops. Look at postgres.log.")
            time.sleep(0.01)
        self.postgres.start()
        self.hub.session.database.close()  # its connection died with the server; the next use makes another
        if self.postgres.hub_url != address:
            raise RuntimeError(f"PostgreSQL moved from {address}. The run stops. Choose a folder with a shorter path.")


@contextmanager
def running(folder: Path, clock: datetime, *, heard: Callable[[str], None]) -> Iterator[Ground]:
    """Start everything in an empty folder, and stop it at the end.

    Raises EmbeddedPostgresError, SupervisionError, CrmError, ControlError and what the hub raises.
    """
    keys = DemoSecrets.of(folder)
    with ExitStack() as stack:
        # Durable: a crash of the server must not lose what it had confirmed, else the hub's promises have no ground.
        postgres = stack.enter_context(EmbeddedPostgres(folder / "pg"))
        postgres.create_databases()
        supervisor = stack.enter_context(Supervisor(folder, grace=30.0))
        heard("Starting the vendors …")
        ad_server = stack.enter_context(closing(_sandbox(supervisor, "gam", AD_SERVER, clock, {})))
        crm_control = stack.enter_context(
            closing(_sandbox(supervisor, "salesforce", SOURCE, clock, {SANDBOX_SECRET: keys.crm}))
        )
        ledger_secret = token_urlsafe(24)
        ledger = stack.enter_context(
            closing(_sandbox(supervisor, "xero", LEDGER, clock, {SANDBOX_XERO_SECRET: ledger_secret}, *LEDGER_LIMITS))
        )
        people = People(ad_server, crm_control)
        program = mitmdump()
        vendors = [ad_server.url, crm_control.url, ledger.url]
        proxy = None if program is None else LosingProxy(supervisor, program, vendors)
        ad_server_url, crm_url, ledger_url = vendors if proxy is None else proxy.urls
        config = folder / "orderhub.yaml"
        write_configuration(config, settings(crm_url, ad_server_url, ledger_url, trafficker=people.trafficker()))
        variables = {**keys.environment(postgres.hub_url), LEDGER_SECRET: ledger_secret}
        os.environ.update(variables)
        hub = stack.enter_context(open_hub(config))
        hub.migrate()
        crm = stack.enter_context(CrmClient(crm_control.url, CONSUMER_KEY, keys.crm))
        yield Ground(supervisor, postgres, config, variables, hub, people, crm, ledger, proxy)


def settings(crm_url: str, ad_server_url: str, ledger_url: str, *, trafficker: str) -> dict[str, Any]:
    """The demo's configuration and a ledger, with short waits and wide limits."""
    content = configuration(crm_url, ad_server_url, trafficker=trafficker)
    content["lease_seconds"] = LEASE_SECONDS
    connections = content["connections"]
    connections[LEDGER] = {
        "connector": "xero",
        "settings": {
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "client_secret": f"env:{LEDGER_SECRET}",
            "account_code": "200",
            "endpoint": ledger_url,
            "max_in_flight_seconds": IN_FLIGHT_SECONDS,
            "minute_call_limit": CALLS_A_DAY,
            "daily_call_limit": CALLS_A_DAY,
            "timeout_seconds": TIMEOUT_SECONDS,
        },
    }
    for connection in connections.values():
        connection["breaker"] = {"failures": 8, "pause_seconds": 1.0, "longest_pause_seconds": 4.0}
        connection["guard"] = {"share_percent": 100}  # nobody is there to approve what the disturber edits
    connections[AD_SERVER]["settings"] |= {
        "max_in_flight_seconds": IN_FLIGHT_SECONDS,
        "requests_per_second": REQUESTS_PER_SECOND,
        "busy_wait_seconds": 0.5,
        "reports_per_hour": 100_000,
        "timeout_seconds": TIMEOUT_SECONDS,
    }
    connections[SOURCE]["settings"] |= {
        "max_in_flight_seconds": IN_FLIGHT_SECONDS,
        "overlap_seconds": 5.0,
        "daily_call_limit": CALLS_A_DAY,
        "timeout_seconds": TIMEOUT_SECONDS,
    }
    return content


def _sandbox(
    supervisor: Supervisor, vendor: str, connection: str, clock: datetime, secrets: Mapping[str, str], *more: str
) -> SandboxControl:
    command = [sys.executable, "-m", "sandbox", vendor, "--port", "0", "--clock", clock.isoformat(), *more]
    started = supervisor.start(Program(f"sandbox-{vendor}", command, {**os.environ, **secrets}, supervisor.folder))
    return SandboxControl(connection, supervisor.wait_for_announcement(started)["url"])
