"""Replay and ignore: what a person does with parked work, one item, one group or many; and how items are put back.

Putting back is the same for a person and for the hub's own retries: a lane wakes and recomputes its payload from the newest
canonical state; a change of a source is accepted anew. Both happen in one transaction with the closing of the item, so that
nothing is parked nowhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hub.errors import ConnectionBroken, Refused, StoreContended
from hub.ops.known_names import must_be_known
from hub.ops.people import who, why
from hub.session import Channel, Session
from hub.store import acceptances, changes, journal, lanes, limits, parking
from hub.store.audit import note
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.store.parking import Item, Selection
from hub.sync import intake
from hub.sync.push import CONTENDED_TRIES

MASS_REPLAYS = 5
"""Mass replays that may follow each other at once; then one every `MASS_PAUSE` seconds."""
MASS_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class PutBack:
    """How many subjects got another try, the connections whose changes could not be tried (name, sentence), and how many
    records were left because no try tells which of two values holds."""

    tried: int
    broken: tuple[tuple[str, str], ...] = ()
    undecided: int = 0


def put_back(session: Session, cur: Cursor, items: Sequence[Item], resolution: str) -> PutBack:
    """Give these items another try, inside the caller's transaction."""
    if any(item.change_id is not None for item in items):
        changes.one_at_a_time(cur)  # before anything is locked that an intake may want meanwhile
    now = session.machine.now()
    tried = 0
    lane_ids = {i.lane_id for i in items if i.lane_id is not None}
    undecided = acceptances.undecided(cur, sorted(lane_ids)) if lane_ids else frozenset()
    for lane_id in lanes.wake(cur, sorted(lane_ids - undecided), now, resolution):
        parking.resolve(cur, now, resolution, subject=lanes.subject(lane_id))
        tried += 1
    journal.mark_stale(cur, [item.order_id for item in items if item.order_id is not None])
    by_connection: dict[str, set[int]] = {}
    for item in items:
        if item.change_id is not None:
            by_connection.setdefault(item.connection, set()).add(item.change_id)
    broken: list[tuple[str, str]] = []
    for name, change_ids in sorted(by_connection.items()):
        try:
            channel = session.channel(name)
        except ConnectionBroken as error:
            broken.append((name, str(error)))
            continue
        tried += _accept_again(session, cur, channel, sorted(change_ids), resolution)
    return PutBack(tried, tuple(broken), len(undecided))


def _accept_again(session: Session, cur: Cursor, channel: Channel, change_ids: Sequence[int], resolution: str) -> int:
    """Changes whose stream still has a mapping are tried again; the others stay parked as they are."""
    known = [
        change
        for change in changes.refused(cur, change_ids)
        if change.connection == channel.name and intake.mapping_of(channel, change.stream) is not None
    ]
    for change in known:
        subject = f"change:{channel.name}:{change.stream}:{change.native_id}"
        parking.resolve(cur, session.machine.now(), resolution, subject=subject)
    intake.replay_changes(session, channel.name, [change.id for change in known])
    return len(known)


def replay(session: Session, selection: Selection, *, by: str | None, note_text: str | None, key: str | None) -> int:
    """Put back what is selected; returns how many records and changes got another try.

    More than one subject is a mass replay: it has a key (the caller's, or one made of what is selected) and does nothing
    when that key was used before, returning what the first call returned; and only so many may follow each other.
    Raises Refused, NotFound when nothing has or had a name of the selection, and ConnectionBroken when changes of an unusable
    source were selected (the others were put back).
    """
    actor, reason = who(by), why(note_text)
    return _undisturbed(lambda: _replay(session, selection, actor, reason, key))


def _replay(session: Session, selection: Selection, actor: str, reason: str, key: str | None) -> int:
    with session.database.acting(actor), session.database.transaction() as cur:
        items = parking.items(cur, selection)
        subjects = {item.subject for item in items}
        if key is not None or len(subjects) > 1:
            name = key or _own_key(selection, items)
            done = parking.begin_mass_replay(
                cur, name, at=session.machine.now(), actor=actor, note_text=reason, subjects=len(subjects)
            )
            if done is not None:
                return done
        if len(subjects) > 1:
            _slowly(session, cur)
        if not items:
            must_be_known(cur, selection, session.names, "put back")
            return 0
        result = put_back(session, cur, items, f"replayed by {actor}")
        if result.undecided and not result.tried:
            raise Refused(
                f"{result.undecided} records have other values at the vendor than in their orders, and nothing to try again. "
                "They stay parked. Ad operations decides: `orderhub resync ORDER` writes the order's values, `orderhub accept "
                "ORDER` keeps theirs."
            )
        note(cur, f"person:{actor}", "replay", selection=selection.named, note=reason, subjects=result.tried)
        _tell(session, cur, items, f"put back by {actor}", reason)
    if result.broken:
        name, sentence = result.broken[0]
        raise ConnectionBroken(name, f"{result.tried} put back, but not the changes of {name}. {sentence}")
    return result.tried


def _undisturbed(step: Callable[[], int]) -> int:
    """One transaction of a person, done again when another worker's locks go first: nobody else would do it again."""
    for _ in range(CONTENDED_TRIES - 1):
        with suppress(StoreContended):
            return step()
    return step()


def _own_key(selection: Selection, items: Sequence[Item]) -> str:
    """The key of a mass replay that nobody named: the items it is about. Parked again, they are other items."""
    ids = ",".join(str(item.id) for item in items)
    return hashlib.blake2b(f"{sorted(selection.named.items())}|{ids}".encode(), digest_size=16).hexdigest()


def _slowly(session: Session, cur: Cursor) -> None:
    wait = limits.take(
        cur, "hub", "mass replay", limit=1, per=MASS_PAUSE, burst=MASS_REPLAYS, now=session.machine.now()
    )
    if wait > 0:
        raise Refused(
            f"Too many mass replays follow each other. Nothing was put back. Wait {wait:.0f} s and look at `orderhub parked`: "
            "what comes back at once needs its cause removed first."
        )


def ignore(session: Session, selection: Selection, *, by: str | None, note_text: str) -> int:
    """Close what is selected without sending it; returns how many items. It comes up again when its entity changes.

    Raises Refused without a note, and without any selection: nobody ignores everything by accident. NotFound as `replay`.
    """
    actor, reason = who(by), why(note_text)
    if not reason:
        raise Refused("Ignoring needs a note that says why. Nothing was closed. Give one with --note.")
    if not selection.named:
        raise Refused("Ignoring needs a group, reason, code, connection or subject. Nothing was closed. Name one.")
    return _undisturbed(lambda: _ignore(session, selection, actor, reason))


def _ignore(session: Session, selection: Selection, actor: str, reason: str) -> int:
    with session.database.acting(actor), session.database.transaction() as cur:
        changes.one_at_a_time(cur)  # what an intake has just accepted is parked no more
        items = parking.items(cur, selection)
        if not items:
            must_be_known(cur, selection, session.names, "closed")
        now = session.machine.now()
        closed = parking.resolve_items(cur, now, f"ignored by {actor}: {reason}", [item.id for item in items])
        if not closed:
            return 0
        for item in {item.change_id: item for item in items if item.change_id is not None}.values():
            assert item.change_id is not None
            if not _still_open(cur, item.subject):
                changes.conclude(cur, item.change_id, "ignored")
        journal.mark_stale(cur, [item.order_id for item in items if item.order_id is not None])
        note(cur, f"person:{actor}", "ignore", selection=selection.named, note=reason, items=closed)
        _tell(session, cur, items, f"ignored by {actor}", reason)
    return closed


def _still_open(cur: Cursor, subject: str) -> bool:
    return bool(parking.items(cur, Selection(subject=subject)))


def _tell(session: Session, cur: Cursor, items: Sequence[Item], what: str, detail: str) -> None:
    entries = {
        item.subject: Entry(
            item.connection, f"{item.entity_kind} {what}", detail, item.order_id, item.entity_kind, item.entity_id
        )
        for item in items
    }
    journal.write(cur, entries.values(), session.machine.now(), session.business.now())
