"""Puts a simulated network together and serves it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sandbox.gam.app import VENDOR_FAULTS, AdManagerApp
from sandbox.gam.companies import show_company
from sandbox.gam.creatives import show_association, show_creative
from sandbox.gam.line_items import show_line
from sandbox.gam.network import Network
from sandbox.gam.orders import show_order
from sandbox.gam.people import People, TrueState
from sandbox.gam.settings import Settings
from sandbox.gam.users import show_user
from sandbox.serving import Clock, ControlApp, Faults, RunningServer
from sandbox.serving import serve as serve_app

_SHOW = {
    "Company": show_company,
    "Order": show_order,
    "LineItem": show_line,
    "Creative": show_creative,
    "LineItemCreativeAssociation": show_association,
    "User": show_user,
}


def create_app(
    settings: Settings | None = None,
    *,
    clock: datetime | None = None,
    running: bool = True,
    state_file: Path | None = None,
) -> ControlApp:
    """The whole sandbox as a WSGI application; `clock` is where its time starts (aware, default now)."""
    vendor_clock = Clock(clock or datetime.now(UTC), running=running)
    faults = Faults(*VENDOR_FAULTS)
    network = Network(settings or Settings(), vendor_clock, faults)
    state = TrueState(network, _SHOW)
    control = ControlApp("gam", clock=vendor_clock, faults=faults, state=state, state_file=state_file)
    vendor = AdManagerApp(network, control)
    control.vendor = vendor
    state.on_reset = vendor.reset
    People(network, control)
    return control


def serve(
    settings: Settings | None = None,
    *,
    clock: datetime | None = None,
    running: bool = True,
    state_file: Path | None = None,
    port: int = 0,
) -> RunningServer:
    """Serve a sandbox in a thread of this process until `close()`; `url` is its address."""
    return serve_app(create_app(settings, clock=clock, running=running, state_file=state_file), port=port)
