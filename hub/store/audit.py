"""The audit chain: every transition as one event, each bound to the one before by its hash, written with what it tells.

    hash[n] = blake2b-256(hash[n-1] || canonical(event[n])),   hash[0] = 32 zero bytes

The canonical form covers number, machine time, actor, subject and event, so that no column can be edited unseen. Store
functions note events on their cursor; the transaction appends them as one batch immediately before it commits, under
the lock of the one-row table `audit_head`: numbers have no gap, and no worker waits longer than one append and commit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import orjson
import psycopg
from psycopg.rows import TupleRow

from hub.encoding import encode

Cursor = psycopg.Cursor[TupleRow]

GENESIS = bytes(32)
"""What the first event follows."""

HUB = "hub"
"""The actor of everything that no person asked for."""

CHUNK = 5000
"""Events read at once while verifying: 2 MB."""


class Event(NamedTuple):
    """One transition: of what (`lane:17`, `attempt:4`, `line:lin_…`), and what happened to it."""

    subject: str
    what: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: number and hash of the newest event, and when it was written (machine time)."""

    sequence: int
    hash: bytes
    at: datetime


class Link(NamedTuple):
    """One event as stored."""

    sequence: int
    at: datetime
    actor: str
    subject: str
    event: bytes
    previous: bytes
    hash: bytes


# A cursor lives as long as its transaction: events of one that is rolled back go with it.
_noted: WeakKeyDictionary[Cursor, list[Event]] = WeakKeyDictionary()


def note(cur: Cursor, subject: str, what: str, **detail: Any) -> None:
    """Remember a transition that this transaction makes; appended to the chain when it commits."""
    noted = _noted.get(cur)
    if noted is None:
        noted = _noted[cur] = []
    noted.append(Event(subject, what, detail))


def hand_over(cur: Cursor, outer: Cursor) -> None:
    """A savepoint ended well: its events belong to the transaction around it."""
    noted = _noted.pop(cur, None)
    if noted:
        _noted.setdefault(outer, []).extend(noted)


def canonical(sequence: int, at: datetime, actor: str, subject: str, event: bytes) -> bytes:
    """The bytes that are hashed: one JSON object with sorted keys, the event's own bytes inside."""
    return b'{"actor":%b,"at":"%b","event":%b,"sequence":%d,"subject":%b}' % (
        orjson.dumps(actor),
        at.astimezone(UTC).isoformat(timespec="microseconds").encode(),
        event,
        sequence,
        orjson.dumps(subject),
    )


def link_hash(previous: bytes, content: bytes) -> bytes:
    """blake2b-256 over the hash before and the canonical event."""
    return hashlib.blake2b(previous + content, digest_size=32).digest()


def append(cur: Cursor, at: datetime, actor: str) -> Head | None:
    """Write what was noted on this cursor; the last act of a transaction. None when nothing was noted."""
    noted = _noted.pop(cur, None)
    if not noted:
        return None
    sequence, previous = _lock_head(cur)
    links: list[Link] = []
    for number, (subject, what, detail) in enumerate(noted, sequence + 1):
        event = encode({**detail, "what": what})
        digest = link_hash(previous, canonical(number, at, actor, subject, event))
        links.append(Link(number, at, actor, subject, event, previous, digest))
        previous = digest
    if len(links) > COPY_FROM:
        _copy(cur, links)
    else:
        _insert(cur, links)
    return Head(links[-1].sequence, previous, at)


COPY_FROM = 16
"""Events from which COPY pays for its second round trip: 5 instead of 17 microseconds an event (measured)."""


def _insert(cur: Cursor, links: Sequence[Link]) -> None:
    last = links[-1]
    cur.execute(
        "WITH moved AS (UPDATE audit_head SET sequence = %(last)s, hash = %(head)s) "
        "INSERT INTO audit (sequence, at, actor, subject, event, previous, hash) "
        "SELECT n, %(at)s, %(actor)s, s, e, p, h FROM unnest(%(n)s::bigint[], %(s)s::text[], %(e)s::bytea[], %(p)s::bytea[], "
        "%(h)s::bytea[]) AS x(n, s, e, p, h)",
        {
            "last": last.sequence,
            "head": last.hash,
            "at": last.at,
            "actor": last.actor,
            "n": [link.sequence for link in links],
            "s": [link.subject for link in links],
            "e": [link.event for link in links],
            "p": [link.previous for link in links],
            "h": [link.hash for link in links],
        },
    )


def _copy(cur: Cursor, links: Sequence[Link]) -> None:
    statement = "COPY audit (sequence, at, actor, subject, event, previous, hash) FROM STDIN (FORMAT BINARY)"
    with cur.copy(statement) as copy:
        copy.set_types(["int8", "timestamptz", "text", "text", "bytea", "bytea", "bytea"])
        for link in links:
            copy.write_row(link)
    cur.execute("UPDATE audit_head SET sequence = %s, hash = %s", (links[-1].sequence, links[-1].hash))


HEAD = "SELECT sequence, hash FROM audit_head FOR UPDATE"


def _lock_head(cur: Cursor) -> tuple[int, bytes]:
    """The end of the chain, locked until this transaction ends; an empty chain gets its head here."""
    cur.execute(HEAD)
    row = cur.fetchone()
    if row is None:
        cur.execute(
            "INSERT INTO audit_head (one, sequence, hash) VALUES (true, 0, %s) ON CONFLICT DO NOTHING", (GENESIS,)
        )
        cur.execute(HEAD)
        row = cur.fetchone()
        assert row is not None
    return int(row[0]), bytes(row[1])


def head(cur: Cursor) -> Head | None:
    """The newest event's number, hash and time as the head table says; None before the first event."""
    cur.execute(
        "SELECT h.sequence, h.hash, a.at FROM audit_head h LEFT JOIN audit a ON a.sequence = h.sequence WHERE h.sequence > 0"
    )
    row = cur.fetchone()
    return None if row is None else Head(int(row[0]), bytes(row[1]), row[2] or datetime.min.replace(tzinfo=UTC))


def tells_of_something(cur: Cursor) -> bool:
    """Whether the store holds anything that cannot be there without an event."""
    cur.execute(
        "SELECT EXISTS (SELECT 1 FROM entity) OR EXISTS (SELECT 1 FROM lane) OR EXISTS (SELECT 1 FROM attempt) "
        "OR EXISTS (SELECT 1 FROM reference) OR EXISTS (SELECT 1 FROM parked)"
    )
    row = cur.fetchone()
    return row is not None and bool(row[0])


def chunk(cur: Cursor, after: int, limit: int = CHUNK) -> list[Link]:
    """Up to `limit` events behind a number, in order."""
    cur.execute(
        "SELECT sequence, at, actor, subject, event, previous, hash FROM audit WHERE sequence > %s ORDER BY sequence LIMIT %s",
        (after, limit),
    )
    return [Link(row[0], row[1], row[2], row[3], bytes(row[4]), bytes(row[5]), bytes(row[6])) for row in cur.fetchall()]


def walk(cur: Cursor) -> Iterator[Link]:
    """Every event in order, read in chunks."""
    after = -(2**62)
    while links := chunk(cur, after):
        yield from links
        after = links[-1].sequence


def decoded(link: Link) -> dict[str, Any]:
    """What an event says. Raises ValueError when it is no JSON object."""
    event = json.loads(link.event)
    if not isinstance(event, dict):
        raise ValueError("an audit event is a JSON object")
    return event
