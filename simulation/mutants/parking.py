"""Broken engines that park, replay or retry wrongly, or exceed the vendor's rate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

from connectors.base import Outcome
from hub.store import lanes, limits, parking
from hub.sync import outcomes, push, settle, vendor
from simulation.mutants.mutant import Mutant, Patches, wrap


def _replay_closes() -> Patches:
    """A replay strikes out parked work whose record is in the ledger of sends: that proves which record, not what it holds."""

    def make(wake: Any) -> Any:
        def closing(cur: Any, lane_ids: Any, now: Any, why: str) -> Any:
            cur.execute(
                "SELECT DISTINCT l.id FROM lane l JOIN attempt a ON a.lane_id = l.id WHERE l.id = ANY(%s) "
                "AND l.state = 'parked' AND a.outcome IN ('created', 'updated')",
                (list(lane_ids) if why.startswith("replayed") else [],),
            )
            sent = {row[0] for row in cur.fetchall()}
            return sorted({*wake(cur, [lane_id for lane_id in lane_ids if lane_id not in sent], now, why), *sent})

        return closing

    return [wrap(lanes, "wake", make)]


def _parking_nothing() -> Patches:
    def make(park: Any) -> Any:
        def patient(session: Any, cur: Any, channel: Any, lane: Any, name: str, problems: Any) -> None:
            lanes.release(cur, [lane], None)

        return patient

    return [wrap(push, "park", make), wrap(outcomes, "park", make), wrap(settle, "park", make)]


def _parking_in_silence() -> Patches:
    return [patch.object(parking, "open_items", lambda *_, **__: None)]


def _refusal_is_success() -> Patches:
    def make(conclude: Any) -> Any:
        def cheerful(session: Any, cur: Any, channel: Any, batch: Any, ids: Any, results: Any) -> Any:
            done = [
                replace(result, outcome=Outcome.UPDATED)
                if result.outcome is Outcome.REJECTED and result.vendor_id
                else result
                for result in results
            ]
            return conclude(session, cur, channel, batch, ids, done)

        return cheerful

    return [wrap(push, "conclude", make)]


def _no_budget() -> Patches:
    return [patch.object(module, "take_tokens", lambda *_, **__: None) for module in (push, vendor)] + [
        patch.object(limits, "take", lambda *_, **__: 0.0)
    ]


PARKING: tuple[Mutant, ...] = (
    Mutant("replay closes", "a replay sends anew what was sent before", _replay_closes),
    Mutant("parking nothing", "what can never pass is taken out of work", _parking_nothing),
    Mutant("parking in silence", "whatever is parked is told", _parking_in_silence),
    Mutant("refusal is success", "a refusal is never success", _refusal_is_success),
    Mutant("no budget", "calls stay within the vendor's rate", _no_budget),
)
