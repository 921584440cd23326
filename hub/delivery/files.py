"""Reports that arrive as files: named one by one, or dropped into the source's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime
from pathlib import Path

from hub.delivery.answers import ReportSummary
from hub.delivery.loading import Report, claim_quarantine, load_report, shape_of
from hub.delivery.paged import fetch_report
from hub.delivery.refusals import ReportRefused
from hub.delivery.shape import ReportShape
from hub.delivery.unpacking import file_pieces
from hub.errors import ConnectionBroken, NotFound
from hub.ops.people import who
from hub.session import Session
from hub.store import partitions, set_aside
from hub.store.set_aside import SetAside

SET_ASIDE = "set aside"
"""State of a report of which nothing was loaded."""
NO_CONTENT = b""
"""Stands for the content of a file that cannot be read; as soon as it can be, it is another one."""

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
        with session.database.acting(who(accepted_by)) if accepted_by is not None else nullcontext():
            summary = load_report(session, source, report)
        with session.database.transaction() as cur:
            if file.name in set_aside.names(cur, source):
                digest = _digest(file, shape_of(session, source))
                set_aside.loaded(cur, source, file.name, digest, session.machine.now())
    except OSError as error:
        raise NotFound(
            f"The file {file} cannot be read ({error.strerror or error}). Nothing was loaded. Name a file that "
            "this account may read."
        ) from error
    return summary


def load_dropped(session: Session, source: str) -> Sequence[ReportSummary]:
    """Load every new file of the source's folder, the oldest first. One that is refused or held is set aside, the others go on.

    A file is known by its name and the time it was last written, which is also its as-of. What was set aside stays where it
    lies and is not read again until its content or the source's declaration is another, or somebody loads it by name; it is
    forgotten when it is taken away. Hidden and unfinished files are left.
    Raises StoreContended, NotFound, ConnectionBroken.
    """
    shape = shape_of(session, source)
    dropped = _dropped(source, shape)
    with session.database.transaction() as cur:
        asides = set_aside.names(cur, source)
    told: list[ReportSummary] = []
    present: list[tuple[str, bytes]] = []
    for written, file in dropped:
        as_of = min(written, session.business.now())
        with session.database.transaction() as cur:
            known = partitions.has_report(cur, source, file.name, as_of)
        if known and file.name not in asides:
            continue
        try:
            digest = _digest(file, shape)
        except FileNotFoundError:  # taken away meanwhile
            continue
        except OSError:
            digest = NO_CONTENT
        with session.database.transaction() as cur:
            refused = set_aside.is_known(cur, source, file.name, digest)
        if refused:
            present.append((file.name, digest))
        elif not known:
            try:
                told.append(load_file(session, source, file, as_of=as_of))
            except (ReportRefused, NotFound) as error:
                code = error.code if isinstance(error, ReportRefused) else "unreadable"
                now = session.machine.now()
                with session.database.transaction() as cur:
                    set_aside.put(cur, SetAside(source, file.name, digest, as_of, code, str(error), now))
                present.append((file.name, digest))
                told.append(ReportSummary(source, file.name, SET_ASIDE, as_of, sentence=str(error)))
    if asides:
        with session.database.transaction() as cur:
            set_aside.keep(cur, source, present)
    return told


def _dropped(source: str, shape: ReportShape) -> list[tuple[datetime, Path]]:
    """The finished files of a source's folder by the time they were last written. Raises ConnectionBroken."""
    folder = shape.folder
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
    dropped = []
    for file in files:
        if not file.name.endswith(_UNFINISHED):
            with suppress(FileNotFoundError):  # taken away meanwhile
                written = datetime.fromtimestamp(file.stat().st_mtime_ns // 1000 / 1_000_000, UTC)
                dropped.append((written, file))
    return sorted(dropped)


def _digest(file: Path, shape: ReportShape) -> bytes:
    """Of a file's bytes and of how they were to be read: a mended declaration makes a refused file new. Raises OSError."""
    content = hashlib.blake2b(shape.model_dump_json().encode(), digest_size=16)
    for piece in file_pieces(file):
        content.update(piece)
    return content.digest()


__all__ = ["claim_quarantine", "fetch_report", "load_dropped", "load_file"]
