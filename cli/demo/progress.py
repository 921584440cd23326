"""Progress bars while the journey runs: what the hub's own status says, read twice a second in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

import hub
from cli.demo.engine import AD_SERVER, SOURCE
from hub.errors import HubError
from hub.results import StatusResult

PAUSE = 0.5
_BARS = ("Accepted lines", "Ad server", "CRM mirror", "Delivered impressions")


@contextmanager
def watched(console: Console, configuration: Path, *, lines: int, impressions: int) -> Iterator[None]:
    """Show bars on a terminal until the block ends; nothing where the console is none."""
    if not console.is_terminal:
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bars = {name: progress.add_task(name, total=None) for name in _BARS}
        ended = threading.Event()
        arguments = (progress, bars, configuration, lines, impressions, ended)
        thread = threading.Thread(target=_show, args=arguments, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def counted(status: StatusResult, lines: int, impressions: int) -> dict[str, tuple[int, int]]:
    """(done, of how many) by bar."""
    by_name = {each.name: each.lanes for each in status.connections}
    return {
        _BARS[0]: (status.lines.get("accepted", 0), lines),
        _BARS[1]: _settled(by_name.get(AD_SERVER, {})),
        _BARS[2]: _settled(by_name.get(SOURCE, {})),
        _BARS[3]: (status.delivered, impressions),
    }


def _settled(lanes: Mapping[str, int]) -> tuple[int, int]:
    return lanes.get("in_sync", 0) + lanes.get("parked", 0), sum(lanes.values())


def _show(
    progress: Progress,
    bars: Mapping[str, TaskID],
    configuration: Path,
    lines: int,
    impressions: int,
    ended: threading.Event,
) -> None:
    with hub.open_hub(configuration) as opened:
        while not ended.wait(PAUSE):
            try:
                status = opened.status()
            except HubError as error:
                progress.console.print(f"The progress cannot be read: {error}", style="yellow")
                return
            for name, (done, total) in counted(status, lines, impressions).items():
                progress.update(bars[name], completed=done, total=total or None)
