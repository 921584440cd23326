"""Keeps Airflow's database and the logs of its tasks from growing without end: `python -m plugins.housekeeping`.

Every flow runs by a clock of a minute, so a connection leaves some thousands of runs and log files a day. Only Airflow's own
tables and files are touched: what the hub did stands in its store, and stays. Safe to run at any time, and again.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

KEEP_DAYS = 60
SHORTEST_DAYS = 35
"""A close of the month waits up to 28 days for its approval; the run that waits must not be taken for an old one."""


def clean_database(before: datetime) -> None:
    """Delete runs, task instances, XComs, events and Celery's results from before an instant; the last run of a DAG stays.

    Raises what the database raises: then some tables may be clean, and the next time does the others.
    """
    from airflow.sdk import timezone
    from airflow.utils.db_cleanup import run_cleanup  # costs a second

    run_cleanup(
        clean_before_timestamp=timezone.coerce_datetime(before),
        confirm=False,
        skip_archive=True,
        error_on_cleanup_failure=True,
    )


def remove_logs(folder: Path, before: datetime) -> int:
    """Delete log files that nobody has written to since, and folders left empty as long; returns how many files."""
    oldest, removed = before.timestamp(), 0
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_symlink():
            continue
        if entry.is_dir():
            # Asked before its files go: a folder that nothing was put into for so long is nobody's, a new one may be a task's.
            stands_since = entry.stat().st_mtime
            removed += remove_logs(Path(entry.path), before)
            if stands_since < oldest and not any(os.scandir(entry.path)):
                os.rmdir(entry.path)
        elif entry.stat().st_mtime < oldest:
            os.unlink(entry.path)
            removed += 1
    return removed


def keep_house(keep_days: int) -> None:
    """One round, and a line that says what it did."""
    from airflow.configuration import conf

    before = datetime.now(UTC) - timedelta(days=keep_days)
    clean_database(before)
    removed = remove_logs(Path(conf.get("logging", "base_log_folder")), before)
    print(f"Airflow's runs before {before:%Y-%m-%d %H:%M} UTC are deleted, and {removed} log files.", flush=True)  # noqa: T201


def main(arguments: Sequence[str] | None = None, stop: threading.Event | None = None) -> None:
    """The command; with `--every-hours` it goes on until SIGTERM. A round that fails ends it, and a restart does it again."""
    parser = argparse.ArgumentParser(
        prog="python -m plugins.housekeeping", description=__doc__.partition(":")[0], allow_abbrev=False
    )
    parser.add_argument(
        "--keep-days", type=int, default=KEEP_DAYS, help=f"{SHORTEST_DAYS} or more (default: {KEEP_DAYS})"
    )
    parser.add_argument("--every-hours", type=float, help="go on, a round each so many hours (default: one round)")
    parser.add_argument("--sign-of-life", type=Path, help="a file to touch after each round, for a health check")
    asked = parser.parse_args(arguments)
    if asked.keep_days < SHORTEST_DAYS:
        parser.error(
            f"--keep-days {asked.keep_days} would delete runs that still wait for an approval: {SHORTEST_DAYS} or more."
        )
    if asked.every_hours is not None and asked.every_hours <= 0:
        parser.error("--every-hours is more than 0.")
    stopped = stop or _stopped_by_sigterm()
    while True:
        keep_house(asked.keep_days)
        if asked.sign_of_life is not None:
            asked.sign_of_life.touch()
        if asked.every_hours is None or stopped.wait(asked.every_hours * 3600):
            return


def _stopped_by_sigterm() -> threading.Event:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stopped.set())
    return stopped


if __name__ == "__main__":
    main()
