"""Stumbles: a defect of a connector that one record meets is told of that record, and the others are worked on all the same.

Halves of what was asked together are tried until the record is found. What is only looked at is shown or left out; what a
worker has claimed is tried again and at last shown to a person (`hub.sync.push`, `hub.sync.look_ups`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from connectors.base import Native, ObservesRecords
from hub.errors import ConnectorStumbled
from hub.session import Channel, Session
from hub.store import entities
from hub.store.database import Cursor
from hub.store.lanes import DOCUMENT, Lane
from hub.sync.outcomes import reference_kind
from hub.sync.prepare import Prepared, Refused, prepare
from hub.sync.vendor import ask
from oms_schema.ids import EntityKind
from oms_schema.problems import Problem, Reason

APART = 16
"""Records found one by one at a connection; more are told together. Each costs about nine questions of a batch of 500, and
each question a token of the vendor's rate: a defect that meets everything is known long before."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Apart:
    """How many more records are found one by one."""

    left: int = APART


Stumble = tuple[Sequence[T], ConnectorStumbled]
"""Those that a connector stumbled over, one or (once enough were found) several together."""


def by_halves(
    work: Callable[[Sequence[T]], R], together: Sequence[T], apart: Apart
) -> tuple[list[R], list[Stumble[T]]]:
    """What `work` answers of the groups that the connector can do, in order, and those that it stumbles over.

    Raises what `work` raises but ConnectorStumbled.
    """
    if not together:
        return [], []
    try:
        return [work(together)], []
    except ConnectorStumbled as stumble:
        if len(together) == 1 or apart.left <= 0:
            apart.left -= 1
            return [], [([*together], stumble)]
    middle = len(together) // 2
    done: list[R] = []
    stumbles: list[Stumble[T]] = []
    for half in (together[:middle], together[middle:]):
        some, others = by_halves(work, half, apart)
        done += some
        stumbles += others
    return done, stumbles


def prepared_apart(
    session: Session, channel: Channel, lanes: Sequence[Lane], apart: Apart
) -> tuple[list[Prepared], list[Refused]]:
    """What would be sent of these lanes and what cannot be, CONNECTOR-DEFECT among the reasons; writes nothing.

    Raises VendorUnavailable and ConnectionBroken.
    """
    done, stumbles = by_halves(lambda some: prepare(session, channel, some, planning=True), lanes, apart)
    refused = [each for _, group in done for each in group]
    if stumbles:
        with session.database.transaction() as cur:
            refused += [
                Refused(lane, title(cur, lane), (_defect(lane, stumble, len(group)),))
                for group, stumble in stumbles
                for lane in group
            ]
    return [each for group, _ in done for each in group], refused


def shown_apart(
    session: Session,
    channel: Channel,
    connector: ObservesRecords,
    record: str,
    vendor_ids: Sequence[str],
    apart: Apart,
) -> tuple[dict[str, Native], dict[str, ConnectorStumbled]]:
    """What the vendor shows of these records, and over which of them the connector stumbled.

    Raises VendorUnavailable and ConnectionBroken.
    """

    def shown(some: Sequence[str]) -> dict[str, Native]:
        return dict(ask(session, channel, "observe", lambda: connector.observe(record, some)))

    done, stumbles = by_halves(shown, vendor_ids, apart)
    natives = {vendor_id: native for group in done for vendor_id, native in group.items()}
    return natives, {vendor_id: stumble for group, stumble in stumbles for vendor_id in group}


def title(cur: Cursor, lane: Lane) -> str:
    """What people call the record behind a lane."""
    stored = None if lane.kind == DOCUMENT else entities.get(cur, EntityKind(reference_kind(lane.kind)), lane.entity_id)
    return lane.entity_id if stored is None else stored.name


def _defect(lane: Lane, stumble: ConnectorStumbled, together: int) -> Problem:
    others = f" It failed over {together} records together, which were not tried one by one." if together > 1 else ""
    return Problem(
        code="CONNECTOR-DEFECT",
        reason=Reason.PROTOCOL,
        path=lane.kind,
        value="",
        happened=f"CONNECTOR-DEFECT: {stumble}{others}",
        effect="Nothing of it is planned, and the rest is.",
        fix="The next push tries it again.",
        owner="Integration",
    )
