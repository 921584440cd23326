"""When each flow runs by the clock: the environment's ORDERHUB_SCHEDULE_<FLOW>, else the defaults here.

A schedule is a time span (`30s`, `5m`, `2h`, `1d`), a cron expression in UTC (`15 6 * * *`, `@hourly`), or `never` for
work that only assets or people start.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, DeltaTriggerTimetable
from airflow.sdk.bases.timetable import BaseTimetable

from dags.connections import ClockedConnection, Flow
from hub.errors import ConfigurationError

PREFIX = "ORDERHUB_SCHEDULE_"
DEFAULTS = {
    Flow.SETTLE: "1m",
    Flow.OBSERVE: "5m",
    Flow.DELIVERY: "15 6 * * *",
    Flow.REPORTS: "45 6 * * *",
    Flow.COMPLETENESS: "30 7 * * *",
    Flow.CHECK: "1h",
    Flow.CENSUS: "30 3 * * 0",
    Flow.BILLING_CLOSE: "0 8 5 * *",
    Flow.BILLING_BACK: "1h",
}
"""Intake has its own setting per connection (`intake_every_seconds`). Ad servers finish a day's figures overnight."""
DROPPED = "1h"
"""How often a folder of report files is looked into: files come when they come, and looking costs nothing."""

_SPAN = re.compile(r"^(\d+)([smhd])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def timetable(flow: Flow, connection: ClockedConnection) -> BaseTimetable | None:
    """The flow's clock, None for `never`. Raises ConfigurationError when the setting cannot be read."""
    name = PREFIX + flow.upper()
    default = DEFAULTS.get(flow, "never")
    if flow is Flow.INTAKE:
        default = f"{connection.intake_seconds}s"
    elif flow is Flow.REPORTS and connection.drops and not connection.fetches:
        default = DROPPED
    return parse(name, os.environ.get(name, default).strip())


def parse(name: str, text: str) -> BaseTimetable | None:
    """A schedule as a timetable; `name` is the setting it stands in. Raises ConfigurationError."""
    if text == "never":
        return None
    span = _SPAN.match(text)
    if span is not None and int(span[1]) > 0:
        return DeltaTriggerTimetable(timedelta(**{_UNITS[span[2]]: int(span[1])}))
    if text.startswith("@") or len(text.split()) == 5:
        return CronTriggerTimetable(text, timezone="UTC")
    raise ConfigurationError(
        f"{name} is {text!r}, which is no schedule. The flow's DAGs are not loaded. Whoever runs the hub sets it to a span "
        "such as 30s or 5m, a cron expression of five fields, or never."
    )
