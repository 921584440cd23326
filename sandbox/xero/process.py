"""Builds the sandbox, in a test's process or as `python -m sandbox xero`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from sandbox.serving import Clock, ControlApp, Faults, RunningServer, process_arguments, run_process
from sandbox.serving import serve as serve_app
from sandbox.xero.access import App, Limits, Tokens
from sandbox.xero.app import XeroApp
from sandbox.xero.control import add_routes
from sandbox.xero.ledger import Ledger

DEFAULT_CLIENT_ID = "orderhub"
DEFAULT_TENANT = "6f1d2c3b-4a59-4e68-8777-0123456789ab"
SECRET_VARIABLE = "SANDBOX_XERO_SECRET"  # noqa: S105 - the name of a variable, not a secret
SCOPES = frozenset({"accounting.transactions", "accounting.contacts", "accounting.settings.read"})


def build(
    *,
    now: datetime | None = None,
    running: bool = True,
    state_file: Path | None = None,
    tenant_id: str = DEFAULT_TENANT,
    client_id: str = DEFAULT_CLIENT_ID,
    client_secret: str | None = None,
    minute_limit: int = 60,
    daily_limit: int = 5_000,
    scopes: frozenset[str] = SCOPES,
) -> ControlApp:
    """The sandbox as one WSGI application.

    The shared faults `index_lag` and `partial_batch` never strike here: Xero's reads follow its writes, and its batches fail
    element by element for reasons of the element's own.

    Args:
        now: where the clock starts, aware; the machine's time if None.
        running: whether the clock ticks by itself; a test that compares moments holds it.
        client_secret: without it no log-in succeeds.
    """
    clock = Clock(now or datetime.now(UTC), running=running)
    ledger = Ledger(clock, tenant_id)
    control = ControlApp("xero", clock=clock, faults=Faults(), state=ledger, state_file=state_file)
    tokens = Tokens(App(client_id, client_secret, scopes), clock)
    app = XeroApp(ledger, tokens, Limits(clock, minute_limit, daily_limit), control)
    ledger.on_reset = app.forget
    control.vendor = app
    add_routes(control, ledger, app)
    return control


def serve(
    *,
    port: int = 0,
    now: datetime | None = None,
    running: bool = True,
    state_file: Path | None = None,
    tenant_id: str = DEFAULT_TENANT,
    client_id: str = DEFAULT_CLIENT_ID,
    client_secret: str | None = None,
    minute_limit: int = 60,
    daily_limit: int = 5_000,
    scopes: frozenset[str] = SCOPES,
) -> RunningServer:
    """Serve the sandbox in a thread of this process; `.url`, `.close()`. Arguments as `build`."""
    app = build(
        now=now,
        running=running,
        state_file=state_file,
        tenant_id=tenant_id,
        client_id=client_id,
        client_secret=client_secret,
        minute_limit=minute_limit,
        daily_limit=daily_limit,
        scopes=scopes,
    )
    return serve_app(app, port=port)


def main(arguments: list[str]) -> int:
    """Run as a process. The client's secret comes from the environment, SANDBOX_XERO_SECRET, never from an argument."""
    parser = process_arguments("xero")
    parser.add_argument("--client-id", default=DEFAULT_CLIENT_ID, help="client id of the custom connection")
    parser.add_argument("--tenant-id", default=DEFAULT_TENANT, help="id of the organisation")
    parser.add_argument("--minute-limit", type=int, default=60, help="calls in a minute")
    parser.add_argument("--daily-limit", type=int, default=5_000, help="calls in a day")
    given = parser.parse_args(arguments)
    app = build(
        now=given.clock,
        state_file=given.state,
        tenant_id=given.tenant_id,
        client_id=given.client_id,
        client_secret=os.environ.get(SECRET_VARIABLE),
        minute_limit=given.minute_limit,
        daily_limit=given.daily_limit,
    )
    return run_process(app, port=given.port)
