"""Broken engines that take an answer that never came for one, or do not wait until nothing can be under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from connectors.base import Operation, Outcome, PushItem, PushResult
from connectors.errors import OutcomeUnknown
from hub.store import attempts, lanes, never_created
from hub.sync import outcomes, push, settle, young_records
from simulation.mutants.mutant import Mutant, Patches, wrap


def _no_settle_window() -> Patches:
    return [patch.object(module, "settle_window", lambda *_: timedelta(0)) for module in (outcomes, settle)]


def _one_look_is_enough() -> Patches:
    return [
        patch.object(settle, "NEGATIVES_NEEDED", 1),
        *[patch.object(module, "settle_window", lambda *_: timedelta(seconds=5)) for module in (outcomes, settle)],
    ]


def _doubt_is_success() -> Patches:
    def make(conclude: Any) -> Any:
        def trusting(session: Any, cur: Any, channel: Any, batch: Any, ids: Any, results: Any) -> Any:
            return conclude(
                session, cur, channel, batch, ids, [_taken(item, r) for item, r in zip(batch, results, strict=True)]
            )

        return trusting

    return [wrap(push, "conclude", make)]


def _taken(item: Any, result: PushResult) -> PushResult:
    if result.outcome is not Outcome.IN_DOUBT:
        return result
    known = item.lane.vendor_id or result.vendor_id
    if known is None:
        return replace(result, outcome=Outcome.REJECTED)
    return replace(result, outcome=Outcome.UPDATED, vendor_id=known)


def _doubt_is_retried() -> Patches:
    def make(conclude: Any) -> Any:
        def hasty(session: Any, cur: Any, channel: Any, batch: Any, ids: Any, results: Any) -> Any:
            again = [
                replace(result, outcome=Outcome.RETRY, after=1.0) if result.outcome is Outcome.IN_DOUBT else result
                for result in results
            ]
            return conclude(session, cur, channel, batch, ids, again)

        return hasty

    return [wrap(push, "conclude", make)]


def _lost_reply_is_rejection() -> Patches:
    def make(conclude: Any) -> Any:
        def blunt(session: Any, cur: Any, channel: Any, batch: Any, ids: Any, results: Any) -> Any:
            refused = [
                replace(result, outcome=Outcome.REJECTED) if result.outcome is Outcome.IN_DOUBT else result
                for result in results
            ]
            return conclude(session, cur, channel, batch, ids, refused)

        return blunt

    return [wrap(push, "conclude", make)]


def _results_by_position() -> Patches:
    """Answers that are too short, too long or out of order are taken as they come."""

    def make(send: Any) -> Any:
        def careless(session: Any, channel: Any, connector: Any, batch: Any, tally: Any) -> Any:
            return send(session, channel, _Aligned(connector), batch, tally)

        return careless

    return [wrap(push, "_send", make)]


class _Aligned:
    """A connector whose answers are made to fit by position."""

    def __init__(self, connector: Any) -> None:
        self._connector = connector

    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> list[PushResult]:
        results = list(self._connector.push(record, operation, items))
        if not results:
            raise OutcomeUnknown("EMPTY", "no answer at all")
        results = (results * (1 + len(items) // len(results)))[: len(items)]
        return [replace(result, key=item.key) for item, result in zip(items, results, strict=True)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)


def dead_workers_are_forgotten() -> Patches:
    """An attempt without an outcome counts as never sent."""

    def make(last_of: Any) -> Any:
        def forgetful(cur: Any, lane_ids: Any) -> Any:
            return {lane: attempt for lane, attempt in last_of(cur, lane_ids).items() if attempt.outcome is not None}

        return forgetful

    return [wrap(attempts, "last_of", make)]


def _adopting_strangers() -> Patches:
    def make(present: Any) -> Any:
        def greedy(session: Any, cur: Any, channel: Any, lane: Any, attempt: Any, capability: Any, *rest: Any) -> Any:
            return present(session, cur, channel, lane, attempt, replace(capability, mark=None), *rest)

        return greedy

    return [wrap(settle, "_present", make)]


def _cancelled_is_created() -> Patches:
    """What was cancelled before it was sent is sent all the same."""
    return [patch.object(never_created, "not_created", lambda *_: frozenset())]


def _doubt_is_left_alone() -> Patches:
    """What was cancelled is left alone though an earlier create of it may still be carried out."""

    def make(leave: Any) -> Any:
        def hasty(*given: Any) -> Any:
            with patch.object(attempts, "doubtful_creates", lambda *_: {}):
                return leave(*given)

        return hasty

    nothing_dropped = SimpleNamespace(not_created=lambda *_: frozenset())
    return [wrap(push, "leave_alone", make), patch.object(settle, "never_created", nothing_dropped)]


def _stale_acknowledgement() -> Patches:
    """After a doubtful update what was acknowledged before still counts."""

    def make(again: Any) -> Any:
        def trusting(cur: Any, lane: Any, *rest: Any) -> Any:
            lanes.release(cur, [lane], None)

        return trusting

    return [wrap(lanes, "send_again", make)]


def _doubt_overwrites() -> Patches:
    """An update in doubt is repeated unseen."""
    return [patch.object(settle, "worth_a_look", lambda *_: False)]


def _earlier_creates_forgotten() -> Patches:
    """What a look-up finds is taken for the work of the newest create, whatever was asked for before."""
    return [patch.object(settle, "_made_by", lambda cur, attempt, *_: attempt)]


def _renamed_resend() -> Patches:
    """A create in doubt is repeated under its new name."""
    return [
        patch.object(module, "as_first_sent", lambda session, channel, prepared: (list(prepared), []))
        for module in (push,)
    ]


def _hidden_is_missing() -> Patches:
    """What a vendor does not show yet is missing, or done."""
    return [patch.object(young_records, "asked_again", lambda _session, _cur, _channel, _batch, results: list(results))]


DOUBT: tuple[Mutant, ...] = (
    Mutant("no settle window", "waiting until nothing can be under way any more", _no_settle_window),
    Mutant("one early look", "two look-ups past the window", _one_look_is_enough),
    Mutant("doubt is success", "in doubt is never done", _doubt_is_success),
    Mutant("doubt is retried", "in doubt is never resent unseen", _doubt_is_retried),
    Mutant("lost reply is rejection", "in doubt is never refused", _lost_reply_is_rejection),
    Mutant("results by position", "answers that do not fit put the batch in doubt", _results_by_position),
    Mutant("dead workers forgotten", "an open attempt may have been applied", dead_workers_are_forgotten),
    Mutant("adopting strangers", "a stranger's object is never ours", _adopting_strangers),
    Mutant("cancelled is created", "what was cancelled before it was sent is created nowhere", _cancelled_is_created),
    Mutant("doubt is left alone", "what may be there is settled before it is left alone", _doubt_is_left_alone),
    Mutant("stale acknowledgement", "after a doubtful update nothing acknowledged counts", _stale_acknowledgement),
    Mutant("doubt overwrites", "an update in doubt is looked at before it is repeated", _doubt_overwrites),
    Mutant(
        "earlier creates forgotten",
        "what is found is adopted with the content of the create that made it",
        _earlier_creates_forgotten,
    ),
    Mutant("renamed resend", "a repeated create keeps its unique value", _renamed_resend),
    Mutant("hidden is missing", "what a new record's vendor does not show yet decides nothing", _hidden_is_missing),
)
