"""Recovery after a restore: a store from a backup does not know what was created since, and would create it again.

While a connection is in recovery nothing is created there; updates, verbs and look-ups go on. It ends when nothing that was
under way can still be applied, every source was read to its present end (the restored cursors stand further back), and a
census adopted what carries our marks. What carries a mark of ours for nothing we know is shown to a person. Documents stay
suspect after that: see `hub.sync.posted_before`.

A restore is noticed by the audit anchor: a line of it names an event that the chain does not hold any more.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import orjson

from connectors.base import CountsRecords, PushesRecords, ReadsChanges, ReportsBilling
from hub.errors import ConnectionBroken, VendorUnavailable
from hub.ops import pauses
from hub.results import RecoverySummary
from hub.session import Channel, Session
from hub.store import journal, recoveries
from hub.store.journal import Entry
from hub.store.recoveries import Recovery
from hub.sync import census, intake, marked_for_nobody
from hub.sync.outcomes import settle_window

TAIL = 64 * 1024
"""Bytes of the anchor file that are read: hundreds of verbs."""


def begin(session: Session, name: str, cause: str, *, anew: bool = False) -> bool:
    """Stop creating at a connection until a census agrees; False when that is so already.

    Begun `anew`, everything that was sent until now counts as under way: also one that a backup holds may stand already.
    Raises NotFound, ConnectionBroken.
    """
    channel = session.channel(name)
    if not _takes_part(channel):
        raise ConnectionBroken(
            name,
            f"Nothing is created at {name}, or it cannot be counted. Nothing was changed. Choose a connection that takes orders "
            "or invoices.",
        )
    now = session.machine.now()
    with session.database.transaction() as cur:
        fresh = recoveries.begin(cur, name, cause, now, anew=anew)
        if fresh:
            journal.write(cur, [Entry(name, "recovery begun", cause)], now, session.business.now())
    return fresh


def _takes_part(channel: Channel) -> bool:
    """Whether the hub creates something at a connection, and can count it: orders, or invoices."""
    connector = channel.connector
    creates = channel.mapping("order", "out") is not None or isinstance(connector, ReportsBilling)
    return creates and isinstance(connector, PushesRecords) and isinstance(connector, CountsRecords)


def recover(session: Session, name: str, cause: str) -> RecoverySummary:
    """Begin, or go on with what was begun; safe to repeat until it has ended.

    Raises ConnectionBroken (ConnectionPaused for a source that a person paused), VendorUnavailable and NotFound; creates
    stay stopped then.
    """
    begin(session, name, cause)
    return _proceed(session, name)


def _proceed(session: Session, name: str) -> RecoverySummary:
    """End what was begun as soon as that is possible. Raises as `recover`."""
    with session.database.transaction() as cur:
        standing = recoveries.standing(cur).get(name)
        busy = recoveries.under_way(cur, name)
    if standing is None:
        return RecoverySummary(name, ended=True, until=None, under_way=0)  # another worker has just done it
    channel = session.channel(name)
    until = quiet_at(channel, standing)
    if session.machine.now() < until or busy:
        return RecoverySummary(name, ended=False, until=until, under_way=busy)
    _read_sources(session, standing.since)
    counted = census.census(session, name)
    if counted.waiting:
        return RecoverySummary(name, ended=False, until=None, under_way=counted.waiting, census=counted)
    now = session.machine.now()
    with session.database.transaction() as cur:
        marked_for_nobody.show(cur, channel, counted.unknown, now)
        if recoveries.end(cur, standing, now):
            told = f"{counted.adopted} adopted, {counted.gone} gone, {len(counted.unknown)} of nobody known"
            journal.write(cur, [Entry(name, "recovery ended", told)], now, session.business.now())
    return RecoverySummary(name, ended=True, until=None, under_way=0, census=counted)


def go_on(session: Session, name: str) -> None:
    """What the settle task does for a recovery: end it as soon as that is possible. A vendor away is tried another time."""
    with session.database.transaction() as cur:
        standing = recoveries.standing(cur)
    if name in standing:
        with suppress(VendorUnavailable, ConnectionBroken):  # settling goes on; the status page shows the recovery
            _proceed(session, name)


def quiet_at(channel: Channel, standing: Recovery) -> datetime:
    """When nothing that was sent before the recovery can still be applied, or be hidden from a census."""
    windows = [settle_window(capability, "update") for capability in channel.capabilities.records.values()]
    return standing.since + max(windows)


def sentence(standing: Recovery) -> str:
    """What a recovery means, for a person."""
    return (
        f"{standing.connection} is in recovery since {standing.since:%Y-%m-%d %H:%M} UTC ({standing.cause}): nothing is created "
        f"there until a census agrees; all else goes on. Operations runs `orderhub recover {standing.connection}`."
    )


def _read_sources(session: Session, since: datetime) -> None:
    """Read every source to its present end that was not read since the recovery began. Raises as `recover`."""
    sources = [
        channel.name
        for channel in session.channels()
        if isinstance(channel.connector, ReadsChanges) and intake.source_streams(channel)
    ]
    with session.database.transaction() as cur:
        done = set(recoveries.read_since(cur, sources, since))
    for name in sources:
        if name not in done:
            pauses.refuse_if_paused(session, name)
            intake.intake(session, name)


# ---------------------------------------------------------------- noticing a restore
def notice_restore(session: Session) -> bool:
    """Compare the newest anchor with the chain; a chain without it came from a backup, and recovery begins everywhere.

    Costs one read of the file's end and one look-up. True when a restore was noticed now.
    """
    file = session.configuration.hub.audit_anchor
    newest = None if file is None else newest_anchor(file)
    if newest is None:
        return False
    sequence, anchor = newest
    now = session.machine.now()
    with session.database.transaction() as cur:
        if recoveries.on_the_chain(cur, sequence, anchor) or not recoveries.notice_lost_anchor(
            cur, anchor, sequence, now
        ):
            return False
    for channel in session.channels():
        if _takes_part(channel):
            begin(session, channel.name, f"the audit chain lost event {sequence}", anew=True)
    return True


def newest_anchor(file: Path) -> tuple[int, bytes] | None:
    """(number, hash) of the highest event that the end of an anchor file names; None when it names none."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - TAIL))
            lines = opened.read().splitlines()
    except OSError:
        return None
    found: list[tuple[int, bytes]] = []
    for line in lines:
        try:
            body = orjson.loads(line)
            found.append((int(body["sequence"]), bytes.fromhex(body["hash"])))
        except (ValueError, KeyError, TypeError):
            continue  # the first line may be cut by the read; `orderhub audit verify` reports one that is no anchor
    return max(found, default=None)
