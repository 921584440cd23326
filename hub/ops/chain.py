"""Audit: walk the chain and find what was edited, removed, put in or cut off; anchor its end outside the database.

What each check can find: an edited, removed, inserted or moved event breaks a hash, a number or a link. A tail cut off
together with the head table leaves a sound, shorter chain: only an anchor outside the database finds that, and it also finds
a chain that was rewritten from some event on. Events after the last anchor are as safe as the database is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import orjson

from hub.errors import AnchorFailed, NotFound
from hub.results import AnchorResult, AuditFault, AuditResult
from hub.session import Session
from hub.store import audit
from hub.store.audit import Head, Link

MOST_FAULTS = 100
"""Faults named one by one; the others are counted."""


@dataclass
class _Walk:
    events: int = 0
    last: Link | None = None
    since: datetime | None = None
    found: int = 0
    faults: list[AuditFault] = field(default_factory=list)

    def fault(self, kind: str, sequence: int, sentence: str) -> None:
        self.found += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(AuditFault(kind, sequence, sentence))


def verify(session: Session, anchor: Path | None = None) -> AuditResult:
    """Walk the whole chain in chunks and compare it with `anchor`, or with the configured file.

    Raises NotFound when the file that was named is not there, AnchorFailed for one that holds something else. Whoever cuts
    the chain may remove the configured file, too: that is a fault, unless the store holds nothing at all. So is a chain
    without events in a store that holds any work.
    Events that are appended meanwhile are not looked at: the walk ends at the head of its beginning.
    """
    configured = session.configuration.hub.audit_anchor if anchor is None else None
    vanished = configured is not None and not configured.exists()
    file = anchor if vanished or configured is None else configured
    marks = {} if file is None else _read_anchors(file)
    walk = _Walk()
    unseen = dict(marks)
    with session.database.transaction() as cur:
        cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        head = audit.head(cur)
        for link in audit.walk(cur):
            _check(walk, link)
            for wanted, line in unseen.pop(link.sequence, ()):
                if wanted != link.hash:
                    walk.fault(
                        "anchor",
                        link.sequence,
                        f"Event {link.sequence} is not the one that line {line} of the anchor saw. The chain was rewritten "
                        "from there or before. Whoever keeps the anchor compares it with a backup.",
                    )
        _check_head(walk, head)
        worked = walk.last is not None or audit.tells_of_something(cur)
    if walk.last is None and head is None and worked:
        walk.fault(
            "empty",
            0,
            "The chain has no event, and the store holds work that cannot be there without one. Somebody emptied the chain. "
            "Whoever runs the database compares it with a backup.",
        )
    if vanished and worked:
        walk.fault(
            "anchor",
            0 if walk.last is None else walk.last.sequence,
            f"The configured anchor file {configured} is not there. The end of the chain was compared with nothing, so that a "
            "tail that was cut off cannot be seen. Whoever keeps the file restores it, or runs `orderhub audit anchor "
            f"{configured}` when there never was one.",
        )
    for sequence, seen in sorted(unseen.items()):
        for _, line in seen:
            walk.fault(
                "anchor",
                sequence,
                f"Line {line} of the anchor saw event {sequence}, which is not in the chain any more. Events were cut off or "
                "an older backup was restored. Whoever runs the database finds out which.",
            )
    return AuditResult(
        events=walk.events,
        head=0 if walk.last is None else walk.last.sequence,
        hash="" if walk.last is None else walk.last.hash.hex(),
        faults=walk.faults,
        faults_found=walk.found,
        anchors=sum(len(seen) for seen in marks.values()),
        since=walk.since,
        until=None if walk.last is None else walk.last.at,
    )


def _check(walk: _Walk, link: Link) -> None:
    """One event against its own hash and against the one before; after a fault the walk goes on from what is stored."""
    expected = 1 if walk.last is None else walk.last.sequence + 1
    if link.sequence != expected:
        missing = f"{expected} to {link.sequence - 1}" if link.sequence - expected > 1 else str(expected)
        walk.fault(
            "gap",
            expected,
            f"Event {missing} is missing before event {link.sequence}. Somebody removed it, or put this one in. Whoever runs "
            "the database compares it with a backup.",
        )
    elif link.previous != (audit.GENESIS if walk.last is None else walk.last.hash):
        walk.fault(
            "link",
            link.sequence,
            f"Event {link.sequence} does not follow the one before it. One of the two was replaced, or their order changed. "
            "Whoever runs the database compares both with a backup.",
        )
    if not _true_to_itself(link):
        walk.fault(
            "edit",
            link.sequence,
            f"Event {link.sequence} is not what was written: its hash is another. Somebody edited it. Whoever runs the database "
            "compares it with a backup.",
        )
    walk.events += 1
    walk.since = walk.since or link.at
    walk.last = link


def _true_to_itself(link: Link) -> bool:
    try:
        audit.decoded(link)
    except ValueError:
        return False
    content = audit.canonical(link.sequence, link.at, link.actor, link.subject, link.event)
    return audit.link_hash(link.previous, content) == link.hash


def _check_head(walk: _Walk, head: Head | None) -> None:
    last = 0 if walk.last is None else walk.last.sequence
    told = 0 if head is None else head.sequence
    if told != last:
        walk.fault(
            "head",
            last,
            f"The chain ends at event {last}, but its head says {told}. Events were cut off or put in. Whoever runs the "
            "database compares it with a backup.",
        )
    elif head is not None and walk.last is not None and head.hash != walk.last.hash:
        walk.fault(
            "head",
            last,
            f"The last event {last} is not the one that the head knows. It was replaced. Whoever runs the database compares it "
            "with a backup.",
        )


# ---------------------------------------------------------------- anchors
class _HasSession(Protocol):
    session: Session


Verbs = TypeVar("Verbs", bound=_HasSession)
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def anchored(
    verb: Callable[Concatenate[Verbs, Arguments], Answer],
) -> Callable[Concatenate[Verbs, Arguments], Answer]:
    """A verb of the hub that writes the chain's end to the configured file when it committed anything, failed or not."""

    @wraps(verb)
    def called(hub: Verbs, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        try:
            return verb(hub, *args, **kwargs)
        finally:
            database = hub.session.database
            file = hub.session.configuration.hub.audit_anchor
            if file is not None and database.head is not None:
                head, database.head = database.head, None
                write_anchor(file, head)

    return called


def anchor(session: Session, file: Path) -> AnchorResult:
    """Append the chain's present end to a file. Raises NotFound for an empty chain, AnchorFailed when it cannot be written."""
    with session.database.transaction() as cur:
        head = audit.head(cur)
    if head is None:
        raise NotFound("The audit chain has no event yet. Nothing was anchored. Try again after the first work.")
    write_anchor(file, head)
    return AnchorResult(str(file), head.sequence, head.hash.hex(), head.at)


def write_anchor(file: Path, head: Head) -> None:
    """Append one line to an anchor file and wait until it is on the disk. Raises AnchorFailed."""
    line = orjson.dumps({"sequence": head.sequence, "hash": head.hash.hex(), "at": head.at.astimezone(UTC)}) + b"\n"
    try:
        # One write of one line to a file opened for appending: lines of several workers do not mix.
        number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.write(number, line)
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        raise AnchorFailed(
            f"The end of the audit chain (event {head.sequence}) could not be written to {file} ({error.strerror}). The work "
            "itself is done and recorded. Whoever runs the hub makes the file writable, then runs `orderhub audit anchor`."
        ) from error


def _read_anchors(file: Path) -> dict[int, list[tuple[bytes, int]]]:
    """(hash, line number) by event number. Raises NotFound when there is no file, AnchorFailed for a line that is none."""
    try:
        lines: Sequence[bytes] = file.read_bytes().splitlines()
    except OSError as error:
        raise NotFound(
            f"The anchor file {file} cannot be read ({error.strerror}). Nothing was compared. Name the right file with --anchor."
        ) from error
    marks: dict[int, list[tuple[bytes, int]]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            body = orjson.loads(line)
            sequence, digest = int(body["sequence"]), bytes.fromhex(body["hash"])
        except (ValueError, KeyError, TypeError) as error:
            raise AnchorFailed(
                f"Line {number} of the anchor file {file} is no anchor. Nothing was compared. Whoever keeps the file restores it."
            ) from error
        marks.setdefault(sequence, []).append((digest, number))
    if not marks:
        raise NotFound(
            f"The anchor file {file} holds no anchor. Nothing was compared. Whoever keeps the file restores it, or runs "
            "`orderhub audit anchor` when there never was one."
        )
    return marks
