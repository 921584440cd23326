"""Builds the sandbox, in a test's process or as `python -m sandbox salesforce`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from sandbox.salesforce.api.app import SalesforceApp
from sandbox.salesforce.api.service import DailyUsage
from sandbox.salesforce.api.sessions import DEFAULT_CLIENT_ID, App, Sessions, read_public_key
from sandbox.salesforce.control import add_routes
from sandbox.salesforce.state import SalesforceOrg
from sandbox.serving import Clock, ControlApp, Faults, RunningServer, process_arguments, run_process
from sandbox.serving import serve as serve_app

DEFAULT_DAILY_LIMIT = 100_000
SECRET_VARIABLE = "SANDBOX_SF_SECRET"  # noqa: S105 - the name of a variable, not a secret


def build(
    *,
    now: datetime | None = None,
    running: bool = True,
    state_file: Path | None = None,
    multi_currency: bool = True,
    template: str | None = "adsales",
    client_id: str = DEFAULT_CLIENT_ID,
    client_secret: str | None = None,
    certificate: str | None = None,
    daily_limit: int = DEFAULT_DAILY_LIMIT,
) -> ControlApp:
    """The sandbox as one WSGI application.

    Args:
        now: where the org's clock starts, aware; the machine's time if None.
        running: whether the clock ticks by itself; a test that compares moments holds it.
        certificate: PEM of the certificate or public key that JWT assertions are verified with.
        client_secret: the app's secret; without it no client-credentials login succeeds.
    """
    clock = Clock(now or datetime.now(UTC), running=running)
    org = SalesforceOrg(clock, multi_currency=multi_currency, template=template)
    key = read_public_key(certificate) if certificate else None
    sessions = Sessions(App(client_id, client_secret, key))
    control = ControlApp(
        "salesforce", clock=clock, faults=Faults("lock_row", "job_stop"), state=org, state_file=state_file
    )
    app = SalesforceApp(org, sessions, control, DailyUsage(daily_limit))
    org.on_reset = app.forget
    control.vendor = app
    add_routes(control, org, app)
    return control


def serve(
    *,
    port: int = 0,
    now: datetime | None = None,
    running: bool = True,
    state_file: Path | None = None,
    multi_currency: bool = True,
    template: str | None = "adsales",
    client_id: str = DEFAULT_CLIENT_ID,
    client_secret: str | None = None,
    certificate: str | None = None,
    daily_limit: int = DEFAULT_DAILY_LIMIT,
) -> RunningServer:
    """Serve the sandbox in a thread of this process; `.url`, `.close()`. Arguments as `build`."""
    app = build(
        now=now,
        running=running,
        state_file=state_file,
        multi_currency=multi_currency,
        template=template,
        client_id=client_id,
        client_secret=client_secret,
        certificate=certificate,
        daily_limit=daily_limit,
    )
    return serve_app(app, port=port)


def main(arguments: list[str]) -> int:
    """Run as a process. The app's secret comes from the environment, SANDBOX_SF_SECRET, never from an argument."""
    parser = process_arguments("salesforce")
    parser.add_argument("--single-currency", action="store_true", help="an org where CurrencyIsoCode does not exist")
    parser.add_argument("--bare", action="store_true", help="an org without the ad sales fields")
    parser.add_argument("--client-id", default=DEFAULT_CLIENT_ID, help="consumer key of the integration's app")
    parser.add_argument("--certificate", type=Path, default=None, help="PEM file that JWT assertions are verified with")
    parser.add_argument("--daily-limit", type=int, default=DEFAULT_DAILY_LIMIT, help="API calls per 24 hours")
    given = parser.parse_args(arguments)
    app = build(
        now=given.clock,
        state_file=given.state,
        multi_currency=not given.single_currency,
        template=None if given.bare else "adsales",
        client_id=given.client_id,
        client_secret=os.environ.get(SECRET_VARIABLE),
        certificate=given.certificate.read_text("ascii") if given.certificate else None,
        daily_limit=given.daily_limit,
    )
    return run_process(app, port=given.port)
