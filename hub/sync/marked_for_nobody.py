"""Records at a vendor that carry a mark of ours for nothing we know, as after a restore: shown to a person until that is over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from hub.session import Channel, Session
from hub.store import censuses, journal, parking
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
    named = {mark: found[0] for _, _, mark in unknown if (found := _CANONICAL.search(mark)) is not None}
    orders = censuses.orders_of(cur, sorted(set(named.values())))
    for record, vendor_id, mark in unknown:
        parking.open_items(
            cur,
            [_problem(channel, record, vendor_id, mark)],
            connection=channel.name,
            subject=_subject(channel, record, vendor_id),
            entity_kind=record,
            entity_id=named.get(mark, vendor_id),
            order_id=orders.get(named.get(mark, "")),
            now=now,
        )
    journal.mark_stale(cur, orders.values())


def known(cur: Cursor, channel: Channel, record: str, vendor_id: str, now: datetime) -> None:
    """A record stands for something of ours by now."""
    _over(cur, _subject(channel, record, vendor_id), now, "adopted")


def answered(cur: Cursor, connection: str, entity_id: str, now: datetime) -> None:
    """A person has said what is true of an entity's record: what a census showed of it is over."""
    for subject in censuses.unknown_of(cur, connection, entity_id):
        _over(cur, subject, now, "answered")


def no_more(session: Session, channel: Channel, record: str, unknown: Sequence[Unknown]) -> None:
    """What was shown of a record type and is known by now, or gone, is over."""
    still = {_subject(channel, each, vendor_id) for each, vendor_id, _ in unknown}
    with session.database.transaction() as cur:
        for subject in censuses.open_subjects(cur, UNKNOWN, channel.name, record):
            if subject not in still:
                _over(cur, subject, session.machine.now(), "in sync")


def _over(cur: Cursor, subject: str, now: datetime, why: str) -> None:
    orders = parking.orders_of(cur, subject)
    parking.resolve(cur, now, why, subject=subject)
    journal.mark_stale(cur, orders)


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
        "stands for it now.",
        effect=effect,
        fix=fix,
        owner=owner,
    )
