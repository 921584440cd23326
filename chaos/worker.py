"""One worker process: calls one verb of the hub over and over until it is told to stop, or killed.

    python -m chaos.worker --config orderhub.yaml --verb push --connection gam-main

It does what a task of Airflow does, round after round: a vendor or a store that cannot be reached ends the round, and
the next one goes on. Anything else ends the process with a trace, which the run counts as a crash.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from chaos.bills import bill
from hub import Hub, open_hub
from hub.errors import ConnectionBroken, StoreUnavailable, VendorUnavailable

PAUSE_AFTER_TROUBLE = 0.3
PUSH_SECONDS = 20.0


def push(hub: Hub, connection: str) -> None:
    """Send what is due."""
    hub.push(connection, max_seconds=PUSH_SECONDS)


def settle(hub: Hub, connection: str) -> None:
    """Look up what is in doubt."""
    hub.settle(connection)


def mirror(hub: Hub, connection: str) -> None:
    """What Airflow's mirror does at a CRM: push the projections, settle what is in doubt."""
    hub.push(connection, max_seconds=PUSH_SECONDS)
    hub.settle(connection)


def post(hub: Hub, connection: str) -> None:
    """What a billing close does at an ERP: push documents, settle what is in doubt."""
    hub.push(connection, max_seconds=PUSH_SECONDS)
    hub.settle(connection)


def intake(hub: Hub, connection: str) -> None:
    """Read the source to its present end."""
    hub.intake(connection)


def observe(hub: Hub, connection: str) -> None:
    """Read back how our records stand."""
    hub.observe(connection)


def delivery(hub: Hub, connection: str) -> None:
    """One step of a delivery report: ask for it, see whether it is ready, load it."""
    summary = hub.start_delivery(connection)
    if summary.state == "running":
        summary = hub.poll_delivery(connection, summary.job)
    if summary.state == "ready":
        hub.load_delivery(connection, summary.job)


VERBS: Mapping[str, tuple[Callable[[Hub, str], None], float]] = {
    "push": (push, 0.1),
    "settle": (settle, 0.2),
    "mirror": (mirror, 0.2),
    "intake": (intake, 0.5),
    "observe": (observe, 2.0),
    "delivery": (delivery, 3.0),
    "post": (post, 0.2),
    "bill": (bill, 0.4),
}
"""What each verb calls, and the seconds between two rounds."""


def work(config: Path, verb: str, connection: str, stop: threading.Event) -> None:
    """Rounds of a verb until `stop` is set, or the process that started this one is gone."""
    call, pause = VERBS[verb]
    starter = os.getppid()
    with open_hub(config) as hub:
        while not stop.is_set() and os.getppid() == starter:
            try:
                call(hub, connection)
            except (ConnectionBroken, StoreUnavailable, VendorUnavailable) as error:
                sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S.%f} {type(error).__name__}: {error}\n")
                stop.wait(PAUSE_AFTER_TROUBLE)
            else:
                stop.wait(pause)


def main() -> int:
    """Read the arguments and work; SIGTERM ends the process after the round under way."""
    parser = argparse.ArgumentParser(prog="python -m chaos.worker", description=__doc__.partition("\n")[0])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--verb", choices=sorted(VERBS), required=True)
    parser.add_argument("--connection", required=True)
    given = parser.parse_args()
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    work(given.config, given.verb, given.connection, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
