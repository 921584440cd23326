"""Records at a vendor that carry a mark of ours for nothing we know, as after a restore: shown to a person until that is over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from hub.session import Channel, Session
from hub.store import censuses, parking
from hub.store.censuses import UNKNOWN
from hub.store.database import Cursor
from oms_schema.problems import Problem, Reason, shown

OUR_DOCUMENT = re.compile(r"doc_[a-z2-7]{24}")
"""The id of a document, as its number at the vendor holds it."""
_CANONICAL = re.compile(r"(?:pty|ord|lin|dea|doc)_[a-z2-7]{24}")

Unknown = tuple[str, str, str]
"""(record type, vendor id, mark)."""


def show(cur: Cursor, channel: Channel, unknown: Sequence[Unknown], now: datetime) -> None:
    """Park each for the person who can tell what it is, under the id that it bears: it is looked for before that is created."""
    for record, vendor_id, mark in unknown:
        named = _CANONICAL.search(mark)
        parking.open_items(
            cur,
            [_problem(channel, record, vendor_id, mark)],
            connection=channel.name,
            subject=_subject(channel, record, vendor_id),
            entity_kind=record,
            entity_id=vendor_id if named is None else named[0],
            order_id=None,
            now=now,
        )


def known(cur: Cursor, channel: Channel, record: str, vendor_id: str, now: datetime) -> None:
    """A record stands for something of ours by now."""
    parking.resolve(cur, now, "adopted", subject=_subject(channel, record, vendor_id))


def answered(cur: Cursor, connection: str, entity_id: str, now: datetime) -> None:
    """A person has said what is true of an entity's record: what a census showed of it is over."""
    for subject in censuses.unknown_of(cur, connection, entity_id):
        parking.resolve(cur, now, "answered", subject=subject)


def no_more(session: Session, channel: Channel, record: str, unknown: Sequence[Unknown]) -> None:
    """What was shown of a record type and is known by now, or gone, is over."""
    still = {_subject(channel, each, vendor_id) for each, vendor_id, _ in unknown}
    with session.database.transaction() as cur:
        for subject in censuses.open_subjects(cur, UNKNOWN, channel.name, record):
            if subject not in still:
                parking.resolve(cur, session.machine.now(), "in sync", subject=subject)


def _subject(channel: Channel, record: str, vendor_id: str) -> str:
    return f"{UNKNOWN}:{channel.name}:{record}:{vendor_id}"


def _problem(channel: Channel, record: str, vendor_id: str, mark: str) -> Problem:
    if OUR_DOCUMENT.search(mark):
        effect = "It was posted before the database was restored, and the hub counts nothing of it as billed."
        fix = (
            "Finance prepares and approves its period again: the hub then finds it there and posts no second one. "
            "If it is not owed, Finance voids it there."
        )
        owner = "Finance"
    else:
        effect = "It may deliver, and the hub does not look after it."
        fix = "Ad operations looks whether its order still exists in the CRM, and archives it if not."
        owner = "Ad operations"
    return Problem(
        code="MARKED-FOR-NOBODY",
        reason=Reason.AMBIGUOUS,
        path=record,
        value=vendor_id,
        happened=f"{record} {vendor_id} at {channel.connector.title} carries our mark {shown(mark, 60)}, and nothing in the hub "
        "has that name.",
        effect=effect,
        fix=fix,
        owner=owner,
    )
