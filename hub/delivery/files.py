"""Reports that arrive as files: named one by one, or dropped into the source's folder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from hub.delivery.answers import ReportSummary
from hub.delivery.loading import Report, claim_quarantine, load_report, shape_of
from hub.delivery.paged import fetch_report
from hub.delivery.unpacking import file_pieces
from hub.errors import ConnectionBroken, NotFound
from hub.ops.people import who
from hub.session import Session
from hub.store import partitions

_UNFINISHED = (".part", ".tmp", ".filepart")
"""Ends of names under which transfer programs write a file that is not whole yet (WinSCP, rsync and others do)."""


def load_file(
    session: Session,
    source: str,
    file: Path,
    *,
    as_of: datetime | None = None,
    since: date | None = None,
    until: date | None = None,
    rows: int | None = None,
    final: bool = False,
    accepted_by: str | None = None,
) -> ReportSummary:
    """Load one file; outliers only when somebody accepted them, whose name the audit chain keeps.

    Raises ReportRefused, ReportHeld, StoreContended, NotFound, ConnectionBroken.
    """
    report = Report(
        name=file.name,
        pieces=file_pieces(file),
        as_of=as_of or session.business.now(),
        since=since,
        until=until,
        rows=rows,
        final=final,
        accept_outliers=accepted_by is not None,
    )
    try:
        if accepted_by is None:
            return load_report(session, source, report)
        with session.database.acting(who(accepted_by)):
            return load_report(session, source, report)
    except OSError as error:
        raise NotFound(
            f"The file {file} cannot be read ({error.strerror or error}). Nothing was loaded. Name a file that "
            "this account may read."
        ) from error


def load_dropped(session: Session, source: str) -> Sequence[ReportSummary]:
    """Load every file of the source's folder that was not loaded before, the oldest first; stops at the first bad one.

    A file is known by its name and the time it was last written, which is also its as-of. Hidden and unfinished files are left.
    Raises as `load_file`.
    """
    folder = shape_of(session, source).folder
    if folder is None:
        raise ConnectionBroken(
            source,
            f"Connection {source} names no folder for its reports. Nothing was loaded. Operations adds `report.folder`, or a "
            "file is named.",
        )
    try:
        files = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    except OSError as error:
        raise ConnectionBroken(
            source,
            f"The folder {folder} of {source} cannot be read ({error.strerror}). Nothing was loaded. Operations mends it.",
        ) from error
    dropped = sorted(
        (datetime.fromtimestamp(file.stat().st_mtime_ns // 1000 / 1_000_000, UTC), file)
        for file in files
        if not file.name.endswith(_UNFINISHED)
    )
    loaded = []
    for written, file in dropped:
        as_of = min(written, session.business.now())
        with session.database.transaction() as cur:
            known = partitions.has_report(cur, source, file.name, as_of)
        if not known:
            loaded.append(load_file(session, source, file, as_of=as_of))
    return loaded


__all__ = ["claim_quarantine", "fetch_report", "load_dropped", "load_file"]
