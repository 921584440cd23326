"""Status: the whole hub on one page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from hub.delivery import completeness
from hub.ops import pauses
from hub.ops.reasons import CLASSES
from hub.results import ConnectionStatus, ParkedGroup, StatusResult
from hub.session import Session
from hub.store import breakers, entities, facts, journal, lane_standing, lanes, parking, recoveries, write_ledger
from hub.store.database import Cursor, Row
from hub.sync import breaker, recovery
from oms_schema.ids import EntityKind
from oms_schema.problems import Reason


def status(session: Session) -> StatusResult:
    """How every connection stands, what is parked, and how far orders and lines are. Reads only the store."""
    rows: list[ConnectionStatus] = []
    late = completeness.late_sources(session)
    with session.database.transaction() as cur:
        paused = journal.pauses(cur)
        states = journal.connection_states(cur)
        stopped: dict[str, list[str]] = {}
        for name, in_recovery in recoveries.standing(cur).items():
            stopped.setdefault(name, []).append(recovery.sentence(in_recovery))
        for each in breakers.standing(cur):
            if each.state != breakers.CLOSED:
                stopped.setdefault(each.connection, []).append(breaker.sentence(each))
        for name, settings in session.configuration.connections.items():
            state, message, _, last_read = states.get(name, (journal.NEVER_USED, "", None, None))
            if name in paused:
                state, message = "paused", pauses.sentence(name, paused[name])
            message = " ".join([*([message] if message else []), *stopped.get(name, ())])
            rows.append(_row(cur, name, settings.connector, state, message, last_read))
        for name, sentence in session.configuration.broken.items():
            last_read = states[name][3] if name in states else None
            rows.append(_row(cur, name, "", "misconfigured", sentence, last_read))
        for name in pauses.left_behind(session, cur):
            rows.extend(_left_behind(cur, name, paused.get(name)))
        groups = [parked_group(row) for row in parking.groups(cur)]
        observed = journal.count_observed(cur, "line")
        known = entities.count_by_status(cur, EntityKind.LINE)
        lines = {
            **observed,
            "accepted": sum(known.values()),
            "not seen yet": sum(known.values()) - sum(observed.values()),
        }
        return StatusResult(
            connections=rows,
            parked=groups,
            orders=entities.count_by_status(cur, EntityKind.ORDER),
            lines=lines,
            delivered=facts.total(cur),
            business_time=session.business.now(),
            delivery_missing=[one.sentence for one in late],
        )


def _left_behind(cur: Cursor, name: str, pause: journal.Pause | None) -> Iterator[ConnectionStatus]:
    """A connection that the configuration does not name although work is open there."""
    row = _row(cur, name, "", "not configured", "", None)
    opened = sum(count for state, count in row.lanes.items() if state != "in_sync")
    if not opened:
        return
    if pause is not None:
        yield replace(row, state="paused", message=pauses.sentence(name, pause))
        return
    message = (
        f"The configuration does not name {name}, and work is open there (records: {opened:,}, in doubt: {row.in_doubt:,}). "
        f"Nobody sends it or looks it up. Operations names the connection {name} again or, if it is given up, runs "
        f"`orderhub pause {name}` with a note."
    )
    yield replace(row, message=message)


def _row(
    cur: Cursor, name: str, connector: str, state: str, message: str, last_read: datetime | None
) -> ConnectionStatus:
    """One connection with what the store holds of it, whether it can be used or not."""
    counted = lane_standing.count_states(cur, name)
    echoes, near_misses = write_ledger.counts(cur, name)
    return ConnectionStatus(
        name=name,
        connector=connector,
        state=state,
        message=message,
        lanes=counted,
        in_doubt=counted.get(lanes.IN_DOUBT, 0),
        parked=parking.count(cur, name),
        last_read=last_read,
        last_pushed=lane_standing.last_acknowledged(cur, name),
        echoes=echoes,
        near_misses=near_misses,
    )


def parked_group(row: Row) -> ParkedGroup:
    """A row of `parking.groups` with the rules of its reason class."""
    retry = CLASSES[Reason(row[0])].retry_sentence(is_change=bool(row[12]))
    reason, code, connection, count, sentence, owner, sample, since, key, fix, path, value = row[:12]
    return ParkedGroup(reason, code, connection, count, sentence, owner, sample, since, key, fix, path, value, retry)
