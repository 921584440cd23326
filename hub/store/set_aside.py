"""Report files that were refused: each with its content's digest and the sentence, until it is loaded, replaced or gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.store.database import Cursor


@dataclass(frozen=True, slots=True)
class SetAside:
    """One file as it was found. `as_of` is business time, `since` machine time."""

    source: str
    report: str
    digest: bytes
    as_of: datetime
    code: str
    sentence: str
    since: datetime


def put(cur: Cursor, one: SetAside) -> None:
    """Set a file aside; the same content of the same name again only says anew why."""
    cur.execute(
        "INSERT INTO delivery_set_aside (source, report, digest, as_of, code, sentence, since) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (source, report, digest) DO UPDATE SET as_of = excluded.as_of, "
        "code = excluded.code, sentence = excluded.sentence",
        (one.source, one.report, one.digest, one.as_of, one.code, one.sentence, one.since),
    )


def is_known(cur: Cursor, source: str, report: str, digest: bytes) -> bool:
    """Whether this very content was refused before, loaded by a person since then or not."""
    cur.execute(
        "SELECT 1 FROM delivery_set_aside WHERE source = %s AND report = %s AND digest = %s", (source, report, digest)
    )
    return cur.fetchone() is not None


def loaded(cur: Cursor, source: str, report: str, digest: bytes, now: datetime) -> None:
    """This very content was loaded after all: it is no news any more, and is not tried again."""
    cur.execute(
        "UPDATE delivery_set_aside SET loaded_at = %s WHERE source = %s AND report = %s AND digest = %s AND loaded_at IS NULL",
        (now, source, report, digest),
    )


def keep(cur: Cursor, source: str, found: Sequence[tuple[str, bytes]]) -> None:
    """Forget what is not among these (report, digest): files that were taken away or replaced."""
    cur.execute(
        "DELETE FROM delivery_set_aside s WHERE source = %s AND NOT EXISTS (SELECT 1 FROM unnest(%s::text[], %s::bytea[]) "
        "AS f(report, digest) WHERE f.report = s.report AND f.digest = s.digest)",
        (source, [report for report, _ in found], [digest for _, digest in found]),
    )


def names(cur: Cursor, source: str) -> set[str]:
    """Reports of a source of which any content was refused."""
    cur.execute("SELECT DISTINCT report FROM delivery_set_aside WHERE source = %s", (source,))
    return {str(row[0]) for row in cur.fetchall()}


def standing(cur: Cursor, source: str | None) -> list[SetAside]:
    """What waits for a person, of one source or of all, the oldest first."""
    cur.execute(
        "SELECT source, report, digest, as_of, code, sentence, since FROM delivery_set_aside "
        "WHERE loaded_at IS NULL AND (%(s)s::text IS NULL OR source = %(s)s) ORDER BY since, source, report",
        {"s": source},
    )
    return [SetAside(row[0], row[1], bytes(row[2]), *row[3:]) for row in cur.fetchall()]
