"""Broken engines that read a source with holes, or pass over what it told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

from hub.store import changes, lanes
from hub.sync import accept, intake
from simulation import crm, people
from simulation.mutants.mutant import Mutant, Patches, wrap


def _overlap_zero() -> Patches:
    def make(init: Any) -> Any:
        def narrow(self: Any, terms: Any) -> None:
            init(self, terms)
            self.overlap = 0.0

        return narrow

    return [wrap(crm.Crm, "__init__", make)]


def _cursor_beyond() -> Patches:
    """`>` instead of `>=`, and no overlap to hide it."""

    def make(init: Any) -> Any:
        def strict(self: Any, terms: Any) -> None:
            init(self, terms)
            self.overlap, self.strict_cursor = 0.0, True

        return strict

    return [wrap(crm.Crm, "__init__", make)]


def _cursor_before_records() -> Patches:
    """The cursor is saved before what it stands for is durable; the source shows everything at once: no overlap hides it."""

    def early_saver(pages_of_stream: Any) -> Any:
        def early(session: Any, channel: Any, connector: Any, stream: str, mapping: Any, position: Any) -> Any:
            for page in pages_of_stream(session, channel, connector, stream, mapping, position):
                if page.records:
                    with session.database.transaction() as cur:
                        changes.save_position(cur, channel.name, stream, page.cursor, session.machine.now())
                yield page

        return early

    source = [*_overlap_zero(), patch.object(people, "_later", lambda *_: 0.0)]
    return [*source, wrap(intake, "_pages", early_saver)]


def _echo_by_user() -> Patches:
    """Whatever comes soon after a write of ours is taken for its echo."""

    def make(known_hashes: Any) -> Any:
        def deaf(cur: Any, connection: str, stream: str, native_ids: Any) -> Any:
            known = known_hashes(cur, connection, stream, native_ids)
            cur.execute(
                "SELECT DISTINCT r.vendor_id FROM attempt a JOIN lane l ON l.id = a.lane_id JOIN reference r ON "
                "r.connection = l.connection AND r.entity_id = l.entity_id AND r.facet = '' WHERE l.connection = %s",
                (connection,),
            )
            ours = {row[0] for row in cur.fetchall()}
            return {native_id: _Any() if native_id in ours else found for native_id, found in known.items()}

        return deaf

    return [wrap(changes, "known_hashes", make)]


class _Any:
    """Equal to every hash."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def _held_is_dropped() -> Patches:
    return [patch.object(changes, "waiting_for", lambda cur, ids: [])]


def _tombstones_ignored() -> Patches:
    def make(mapped: Any) -> Any:
        def blind(channel: Any, mapping: Any, incoming: Any, *rest: Any) -> Any:
            return None if incoming.deleted else mapped(channel, mapping, incoming, *rest)

        return blind

    return [wrap(accept, "_mapped", make)]


def _lanes_not_touched() -> Patches:
    """A new line version does not reach its lane while the order is unchanged."""

    def make(want_all: Any) -> Any:
        def lazy(cur: Any, connection: str, wants: Any, now: Any) -> Any:
            wanted = [want for want in wants if want.kind != "line" or want.version % 3]
            return want_all(cur, connection, wanted, now)

        return lazy

    return [wrap(lanes, "want_all", make)]


def _versions_without_news() -> Patches:
    def make(put: Any) -> Any:
        return lambda session, cur, channel, incoming, model, known, *rest, **more: put(
            session,
            cur,
            channel,
            incoming,
            model,
            None if known is None else replace(known, content_hash=_NEVER),
            *rest,
            **more,
        )

    return [wrap(accept, "_put", make)]


class _Never:
    """Equal to no hash."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


_NEVER: Any = _Never()


INTAKE: tuple[Mutant, ...] = (
    Mutant("overlap 0", "what becomes visible behind the cursor is read", _overlap_zero),
    Mutant("cursor beyond", "equal stamps are read", _cursor_beyond),
    Mutant("cursor before records", "a cursor is saved with its records", _cursor_before_records),
    Mutant("echo by user", "echoes are told by value, not by who wrote", _echo_by_user),
    Mutant("held is dropped", "what waits gets its turn", _held_is_dropped),
    Mutant("tombstones ignored", "a deletion is a change", _tombstones_ignored),
    Mutant("lane not touched", "each version reaches its lane", _lanes_not_touched),
    Mutant("versions without news", "a version has news", _versions_without_news),
)
