"""Seen plans: which lanes a person saw in a plan, at which versions, so that a push sends these and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from hub.store.database import Cursor


class SeenLane(NamedTuple):
    """One lane as the plan showed it. One that was blocked does not go: what it would have sent was not shown."""

    kind: str
    entity_id: str
    facet: str
    version: int
    content: UUID
    goes: bool


@dataclass(frozen=True, slots=True)
class SeenPlan:
    """What a plan showed of one connection."""

    lanes: tuple[SeenLane, ...]

    @property
    def parameters(self) -> Mapping[str, Sequence[Any]]:
        """For statements that name `SEEN` or `GOES`."""
        columns: Sequence[Sequence[Any]] = [*zip(*self.lanes, strict=True)] or [()] * len(SeenLane._fields)
        return {f"seen_{name}": list(column) for name, column in zip(SeenLane._fields, columns, strict=True)}


SEEN = (
    "unnest(%(seen_kind)s::text[], %(seen_entity_id)s::text[], %(seen_facet)s::text[], %(seen_version)s::int[], "
    "%(seen_content)s::uuid[], %(seen_goes)s::bool[]) AS s (kind, entity_id, facet, version, content, goes)"
)
GOES = (
    "(l.kind, l.entity_id, l.facet, l.desired_version, l.desired_hash) IN "
    f"(SELECT s.kind, s.entity_id, s.facet, s.version, s.content FROM {SEEN} WHERE s.goes)"
)
"""Whether a lane `l` still is what the plan showed, and may be sent."""


class Beside(NamedTuple):
    """Due lanes that a bound push leaves: all of them, and those that the plan showed with other content."""

    lanes: int
    moved: int


def beside(cur: Cursor, connection: str, seen: SeenPlan) -> Beside:
    """What is due or will be, and is not in the plan as it stands now."""
    cur.execute(
        f"SELECT count(*), count(s.kind) FROM lane l LEFT JOIN {SEEN} ON s.kind = l.kind AND s.entity_id = l.entity_id "
        "AND s.facet = l.facet WHERE l.connection = %(c)s AND l.dirty AND l.state = 'ready' AND (s.kind IS NULL "
        "OR s.version <> l.desired_version OR s.content <> l.desired_hash)",
        {"c": connection, **seen.parameters},
    )
    row = cur.fetchone()
    assert row is not None
    return Beside(*row)


def outlook(cur: Cursor, connection: str, seen: SeenPlan) -> tuple[int, datetime | None]:
    """How many lanes of the plan are not due yet, and the earliest time among them and all that is in doubt."""
    cur.execute(
        "SELECT count(l.not_before) FILTER (WHERE l.state = 'ready'), min(l.not_before) FROM lane l WHERE l.connection = %(c)s "
        f"AND (l.state = 'in_doubt' OR (l.dirty AND l.state = 'ready' AND {GOES}))",
        {"c": connection, **seen.parameters},
    )
    row = cur.fetchone()
    assert row is not None
    return row[0], row[1]


def moved(cur: Cursor, claimed: Mapping[int, tuple[int, UUID]]) -> frozenset[int]:
    """Of claimed lanes, by number with the version and content they were claimed for, those that want something else now.

    Asked after their content was loaded: a version that came in between went out under the older one's name.
    """
    cur.execute(
        "SELECT l.id FROM lane l JOIN unnest(%s::bigint[], %s::int[], %s::uuid[]) AS w (id, version, content) ON l.id = w.id "
        "WHERE w.version <> l.desired_version OR w.content <> l.desired_hash",
        (list(claimed), [version for version, _ in claimed.values()], [content for _, content in claimed.values()]),
    )
    return frozenset(row[0] for row in cur.fetchall())
