"""Shared server plumbing of the simulated vendors: clock, faults, call counters, snapshots, control interface, server.

The way of a vendor request::

    ControlApp ──/control/*──▶ its own routes and those the vendor added
        └──── everything else ▶ vendor WSGI application ─▶ CallCounter.count ─▶ with_transport_faults(handle)

Knows no vendor. Listens on 127.0.0.1 only.
"""

from sandbox.serving.calls import CallCounter, Kind
from sandbox.serving.clock import Clock, format_instant, parse_instant
from sandbox.serving.control import ControlApp, ControlError
from sandbox.serving.faults import Fault, Faults
from sandbox.serving.server import RunningServer, process_arguments, run_process, serve
from sandbox.serving.snapshot import Snapshot
from sandbox.serving.transport import LateCommits, drop_connection, with_transport_faults

__all__ = [
    "CallCounter",
    "Clock",
    "ControlApp",
    "ControlError",
    "Fault",
    "Faults",
    "Kind",
    "LateCommits",
    "RunningServer",
    "Snapshot",
    "drop_connection",
    "format_instant",
    "parse_instant",
    "process_arguments",
    "run_process",
    "serve",
    "with_transport_faults",
]
