"""`make kill`: kill workers and the store while orders travel, then compare both vendors with what was promised.

Exit code 0 when nothing was lost and nothing doubled, 1 when something was, 2 when the run could not be made.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from chaos.run import DRAIN_PATIENCE, Report, run
from cli.demo.control import ControlError
from cli.demo.crm_client import CrmError
from cli.demo.embedded_postgres import EmbeddedPostgresError
from cli.demo.signals import stopping_on_signals
from cli.demo.supervisor import SupervisionError
from hub.errors import HubError

TROUBLE = (ControlError, CrmError, EmbeddedPostgresError, HubError, SupervisionError, TimeoutError)


def main() -> int:
    """Read the arguments, run, tell."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="workers to kill (default 50; nightly 1000)")
    parser.add_argument("--seed", type=int, default=1, help="chooses victims, moments, orders and edits")
    parser.add_argument("--json", action="store_true", help="the report as JSON in the last line")
    parser.add_argument("--folder", type=Path, help="where everything is kept; without it, in a folder that is removed")
    parser.add_argument(
        "--patience", type=float, default=DRAIN_PATIENCE, help="seconds the workers have to come to rest at the end"
    )
    given = parser.parse_args()
    if given.kills < 1:
        parser.error("--kills must be 1 or more")
    # A short path: PostgreSQL's socket lies in it and keeps its address over a crash.
    folder = given.folder or Path(tempfile.mkdtemp(prefix="oh-kill-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty")
    try:
        with stopping_on_signals():
            report = run(given.kills, given.seed, folder, _say, patience=given.patience)
    except TROUBLE as error:
        _say(f"The run could not be made: {error} Everything is kept in {folder}.")
        return 2
    for sentence in report.sentences[:40]:
        _say(sentence)
    _tell(report, as_json=given.json)
    if given.folder is None and report.held:
        shutil.rmtree(folder, ignore_errors=True)
    elif not report.held:
        _say(f"Everything is kept in {folder}.")
    return 0 if report.held else 1


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def _tell(report: Report, *, as_json: bool) -> None:
    data = report.as_dict()
    if as_json:
        sys.stdout.write(json.dumps(data) + "\n")
        return
    for name, value in data.items():
        if name != "sentences":
            sys.stdout.write(f"{name:22} {value}\n")


if __name__ == "__main__":
    sys.exit(main())
