"""Status: the whole hub on one page."""

from __future__ import annotations

from hub.results import ConnectionStatus, ParkedGroup, StatusResult
from hub.session import Session
from hub.store import entities, facts, journal, lanes, parking
from oms_schema.ids import EntityKind


def status(session: Session) -> StatusResult:
    """How every connection stands, what is parked, and how far orders and lines are. Reads only the store."""
    rows: list[ConnectionStatus] = []
    with session.database.transaction() as cur:
        states = journal.connection_states(cur)
        for name, settings in session.configuration.connections.items():
            state, message, _, last_read = states.get(name, ("never used", "", None, None))
            counted = lanes.count_states(cur, name)
            rows.append(
                ConnectionStatus(
                    name=name,
                    connector=settings.connector,
                    state=state,
                    message=message,
                    lanes=counted,
                    in_doubt=counted.get(lanes.IN_DOUBT, 0),
                    parked=parking.count(cur, name),
                    last_read=last_read,
                    last_pushed=lanes.last_acknowledged(cur, name),
                )
            )
        for name, sentence in session.configuration.broken.items():
            rows.append(ConnectionStatus(name, "", "misconfigured", sentence, {}, 0, 0, None, None))
        groups = [ParkedGroup(*row) for row in parking.groups(cur)]
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
        )
