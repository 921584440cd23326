"""Broken engines that claim, lease or acknowledge what they may not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from connectors.base import Operation, PushItem
from hub.store import lanes
from hub.sync import prepare, push
from simulation.mutants.doubt import dead_workers_are_forgotten
from simulation.mutants.mutant import Mutant, Patches, wrap


def _claim_before_send() -> Patches:
    """A lane counts as done as soon as it is about to be sent."""

    def make(write: Any) -> Any:
        def early(session: Any, cur: Any, channel: Any, batch: Any) -> Any:
            for item in batch:
                cur.execute(
                    "UPDATE lane SET acked_hash = desired_hash, acked_version = desired_version WHERE id = %s",
                    (item.lane.id,),
                )
            return write(session, cur, channel, batch)

        return early

    return [wrap(push, "write_attempts", make)]


def _acknowledging_the_newest() -> Patches:
    """What was sent is acknowledged as whatever is wanted by now."""

    def make(acknowledge: Any) -> Any:
        def generous(cur: Any, lane: Any, payload: bytes, sent_hash: Any, version: int, now: Any, **more: Any) -> Any:
            done = acknowledge(cur, lane, payload, sent_hash, version, now, **more)
            cur.execute("UPDATE lane SET acked_hash = desired_hash WHERE id = %s AND fence = %s", (lane.id, lane.fence))
            return done

        return generous

    return [wrap(lanes, "acknowledge", make)]


def _lock_without_lease() -> Patches:
    """A flag instead of a lease: what a dead worker held is held for ever."""

    def make(claim: Any) -> Any:
        def flagged(cur: Any, connection: str, kind: str, limit: int, now: Any, lease_until: Any, **more: Any) -> Any:
            return claim(cur, connection, kind, limit, now, lease_until + timedelta(days=3650), **more)

        return flagged

    return [wrap(lanes, "claim", make), patch.object(lanes, "hold", _hold_everything)]


def _hold_everything(cur: Any, held: Any, until: Any) -> Any:
    return {(lane.id, lane.fence) for lane in held}


def _no_fence() -> Patches:
    """A worker that stood still goes on as if it still had its lanes."""

    def make(hold: Any) -> Any:
        def trusting(cur: Any, held: Any, until: Any) -> Any:
            hold(cur, held, until)
            return {(lane.id, lane.fence) for lane in held}

        return trusting

    return [wrap(lanes, "hold", make)]


def _short_lease() -> Patches:
    """A lease that ends while the vendor may still be at it."""

    def make(claim: Any) -> Any:
        def hasty(cur: Any, connection: str, kind: str, limit: int, now: Any, lease_until: Any, **more: Any) -> Any:
            return claim(cur, connection, kind, limit, now, now, **more)

        return hasty

    return [
        wrap(lanes, "claim", make),
        patch.object(lanes, "hold", _hold_everything),
        *dead_workers_are_forgotten(),
    ]


def _no_attempt_before_send() -> Patches:
    """Attempts are written after the answer."""

    def make(send: Any) -> Any:
        def late(session: Any, channel: Any, connector: Any, batch: Any, tally: Any) -> Any:
            return send(session, channel, _Early(connector, session), batch, tally)

        return late

    return [wrap(push, "_send", make)]


class _Early:
    """Sends while the attempts are not committed."""

    def __init__(self, connector: Any, session: Any) -> None:
        self._connector, self._session = connector, session

    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Any:
        with self._session.database.transaction() as cur:
            cur.execute("DELETE FROM attempt WHERE outcome IS NULL AND key = ANY(%s)", ([item.key for item in items],))
        return self._connector.push(record, operation, items)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)


def _key_without_version() -> Patches:
    def make(key: Any) -> Any:
        def same(connection: str, kind: Any, entity: str, facet: str, version: int) -> str:
            return str(key(connection, kind, "", "", 0))

        return same

    return [wrap(prepare, "idempotency_key", make)]


CLAIMS: tuple[Mutant, ...] = (
    Mutant("claim before send", "only an answer is evidence", _claim_before_send),
    Mutant("acknowledging the newest", "only what was sent is acknowledged", _acknowledging_the_newest),
    Mutant("flag instead of lease", "what a dead worker held comes back", _lock_without_lease),
    Mutant("no fence", "who lost a lane does not send", _no_fence),
    Mutant("lease too short", "a lease outlives the call", _short_lease),
    Mutant("no attempt before send", "each send is written down before", _no_attempt_before_send),
    Mutant("key without entity", "a key names one write", _key_without_version),
)
