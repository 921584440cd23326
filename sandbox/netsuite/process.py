"""Builds the sandbox, in a test's process or as `python -m sandbox netsuite`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sandbox.netsuite.account import NetSuiteAccount
from sandbox.netsuite.app import NetSuiteApp
from sandbox.netsuite.control import add_routes
from sandbox.netsuite.tokens import Tokens
from sandbox.serving import Clock, ControlApp, Faults, RunningServer, process_arguments, run_process
from sandbox.serving import serve as serve_app

DEFAULT_ACCOUNT = "1234567"
DEFAULT_CLIENT_ID = "orderhub"
DEFAULT_CERTIFICATE_ID = "certificate-1"
DEFAULT_CONCURRENCY = 5  # the account limit of the smallest service tier, shared by all integrations


def build(
    *,
    now: datetime | None = None,
    running: bool = True,
    state_file: Path | None = None,
    account: str = DEFAULT_ACCOUNT,
    client_id: str = DEFAULT_CLIENT_ID,
    certificate_id: str = DEFAULT_CERTIFICATE_ID,
    certificate: str | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
) -> ControlApp:
    """The sandbox as one WSGI application.

    Args:
        now: where the account's clock starts, aware; the machine's time if None.
        running: whether the clock ticks by itself; a test that compares moments holds it.
        account: account id; `1234567_SB1` is answered under the host `1234567-sb1`.
        certificate: PEM of the certificate or public key that assertions are verified with.
    """
    clock = Clock(now or datetime.now(UTC), running=running)
    state = NetSuiteAccount(clock, account=account)
    control = ControlApp("netsuite", clock=clock, faults=Faults("after_submit"), state=state, state_file=state_file)
    root = f"https://{account.lower().replace('_', '-')}.suitetalk.api.netsuite.com/services/rest"
    tokens = Tokens(f"{root}/auth/oauth2/v1/token", client_id)
    if certificate is not None:
        tokens.map(certificate_id, certificate)
    app = NetSuiteApp(state, tokens, control, root, concurrency=concurrency)
    control.vendor = app
    add_routes(control, state, app)
    return control


def serve(
    *,
    port: int = 0,
    now: datetime | None = None,
    running: bool = True,
    state_file: Path | None = None,
    account: str = DEFAULT_ACCOUNT,
    client_id: str = DEFAULT_CLIENT_ID,
    certificate_id: str = DEFAULT_CERTIFICATE_ID,
    certificate: str | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
) -> RunningServer:
    """Serve the sandbox in a thread of this process; `.url`, `.close()`. Arguments as `build`."""
    app = build(
        now=now,
        running=running,
        state_file=state_file,
        account=account,
        client_id=client_id,
        certificate_id=certificate_id,
        certificate=certificate,
        concurrency=concurrency,
    )
    return serve_app(app, port=port)


def main(arguments: list[str]) -> int:
    """Run as a process."""
    parser = process_arguments("netsuite")
    parser.add_argument("--account", default=DEFAULT_ACCOUNT, help="account id")
    parser.add_argument("--client-id", default=DEFAULT_CLIENT_ID, help="client id of the integration record")
    parser.add_argument("--certificate-id", default=DEFAULT_CERTIFICATE_ID, help="id of the mapped certificate (kid)")
    parser.add_argument("--certificate", type=Path, default=None, help="PEM file that assertions are verified with")
    parser.add_argument("--concurrency", type=int, default=DEFAULT_CONCURRENCY, help="requests served at the same time")
    given = parser.parse_args(arguments)
    app = build(
        now=given.clock,
        state_file=given.state,
        account=given.account,
        client_id=given.client_id,
        certificate_id=given.certificate_id,
        certificate=given.certificate.read_text("ascii") if given.certificate else None,
        concurrency=given.concurrency,
    )
    return run_process(app, port=given.port)
