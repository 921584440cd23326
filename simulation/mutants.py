"""Deliberately broken engines. A checker that nobody has seen fail proves nothing: each of these must be caught.

Each mutant replaces one thing in the engine (or in what a connector promises it) for the time of a campaign and says which
discipline it gives up. The engine's files are not touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from connectors.base import Operation, Outcome, PushItem, PushResult
from connectors.errors import OutcomeUnknown
from hub.delivery import pull
from hub.store import attempts, changes, entities, facts, journal, lanes, limits, never_created, parking
from hub.sync import accept, intake, outcomes, prepare, push, repeat, settle, targets
from simulation import crm, vendors

Patches = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken engine: its name, what it gives up, and the replacements that make it."""

    name: str
    gives_up: str
    patches: Callable[[], Patches]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While this lasts, every hub of this process is this mutant."""
        with ExitStack() as stack:
            for each in self.patches():
                stack.enter_context(each)
            yield


def _wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> Any:
    return patch.object(owner, name, make(getattr(owner, name)))


# ---------------------------------------------------------------- doubt
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

    return [_wrap(push, "conclude", make)]


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

    return [_wrap(push, "conclude", make)]


def _lost_reply_is_rejection() -> Patches:
    def make(conclude: Any) -> Any:
        def blunt(session: Any, cur: Any, channel: Any, batch: Any, ids: Any, results: Any) -> Any:
            refused = [
                replace(result, outcome=Outcome.REJECTED) if result.outcome is Outcome.IN_DOUBT else result
                for result in results
            ]
            return conclude(session, cur, channel, batch, ids, refused)

        return blunt

    return [_wrap(push, "conclude", make)]


def _results_by_position() -> Patches:
    """Answers that are too short, too long or out of order are taken as they come."""

    def make(send: Any) -> Any:
        def careless(session: Any, channel: Any, connector: Any, batch: Any, tally: Any) -> Any:
            return send(session, channel, _Aligned(connector), batch, tally)

        return careless

    return [_wrap(push, "_send", make)]


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


def _dead_workers_are_forgotten() -> Patches:
    """An attempt without an outcome counts as never sent."""

    def make(last_of: Any) -> Any:
        def forgetful(cur: Any, lane_ids: Any) -> Any:
            return {lane: attempt for lane, attempt in last_of(cur, lane_ids).items() if attempt.outcome is not None}

        return forgetful

    return [_wrap(attempts, "last_of", make)]


def _adopting_strangers() -> Patches:
    def make(present: Any) -> Any:
        def greedy(session: Any, cur: Any, channel: Any, lane: Any, attempt: Any, capability: Any, *rest: Any) -> Any:
            return present(session, cur, channel, lane, attempt, replace(capability, mark=None), *rest)

        return greedy

    return [_wrap(settle, "_present", make)]


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
    return [_wrap(push, "leave_alone", make), patch.object(settle, "never_created", nothing_dropped)]


# ---------------------------------------------------------------- claims and acknowledgements
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

    return [_wrap(push, "write_attempts", make)]


def _acknowledging_the_newest() -> Patches:
    """What was sent is acknowledged as whatever is wanted by now."""

    def make(acknowledge: Any) -> Any:
        def generous(cur: Any, lane: Any, payload: bytes, sent_hash: Any, version: int, now: Any, **more: Any) -> Any:
            done = acknowledge(cur, lane, payload, sent_hash, version, now, **more)
            cur.execute("UPDATE lane SET acked_hash = desired_hash WHERE id = %s AND fence = %s", (lane.id, lane.fence))
            return done

        return generous

    return [_wrap(lanes, "acknowledge", make)]


def _lock_without_lease() -> Patches:
    """A flag instead of a lease: what a dead worker held is held for ever."""

    def make(claim: Any) -> Any:
        def flagged(cur: Any, connection: str, kind: str, limit: int, now: Any, lease_until: Any, **more: Any) -> Any:
            return claim(cur, connection, kind, limit, now, lease_until + timedelta(days=3650), **more)

        return flagged

    return [_wrap(lanes, "claim", make), patch.object(lanes, "hold", _hold_everything)]


def _hold_everything(cur: Any, held: Any, until: Any) -> Any:
    return {(lane.id, lane.fence) for lane in held}


def _no_fence() -> Patches:
    """A worker that stood still goes on as if it still had its lanes."""

    def make(hold: Any) -> Any:
        def trusting(cur: Any, held: Any, until: Any) -> Any:
            hold(cur, held, until)
            return {(lane.id, lane.fence) for lane in held}

        return trusting

    return [_wrap(lanes, "hold", make)]


def _short_lease() -> Patches:
    """A lease that ends while the vendor may still be at it."""

    def make(claim: Any) -> Any:
        def hasty(cur: Any, connection: str, kind: str, limit: int, now: Any, lease_until: Any, **more: Any) -> Any:
            return claim(cur, connection, kind, limit, now, now, **more)

        return hasty

    return [
        _wrap(lanes, "claim", make),
        patch.object(lanes, "hold", _hold_everything),
        *_dead_workers_are_forgotten(),
    ]


def _no_attempt_before_send() -> Patches:
    """Attempts are written after the answer."""

    def make(send: Any) -> Any:
        def late(session: Any, channel: Any, connector: Any, batch: Any, tally: Any) -> Any:
            return send(session, channel, _Early(connector, session), batch, tally)

        return late

    return [_wrap(push, "_send", make)]


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


def _stale_acknowledgement() -> Patches:
    """After a doubtful update what was acknowledged before still counts."""

    def make(again: Any) -> Any:
        def trusting(cur: Any, lane: Any, *rest: Any) -> Any:
            lanes.release(cur, [lane], None)

        return trusting

    return [_wrap(lanes, "send_again", make)]


def _doubt_overwrites() -> Patches:
    """An update in doubt is repeated unseen."""
    return [patch.object(settle, "worth_a_look", lambda *_: False)]


def _renamed_resend() -> Patches:
    """A create in doubt is repeated under its new name."""
    return [
        patch.object(module, "as_first_sent", lambda session, channel, prepared: (list(prepared), []))
        for module in (push,)
    ]


def _key_without_version() -> Patches:
    def make(key: Any) -> Any:
        def same(connection: str, kind: Any, entity: str, facet: str, version: int) -> str:
            return str(key(connection, kind, "", "", 0))

        return same

    return [_wrap(prepare, "idempotency_key", make)]


# ---------------------------------------------------------------- retries and parking
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

    return [_wrap(lanes, "wake", make)]


def _parking_nothing() -> Patches:
    def make(park: Any) -> Any:
        def patient(session: Any, cur: Any, channel: Any, lane: Any, name: str, problems: Any) -> None:
            lanes.release(cur, [lane], None)

        return patient

    return [_wrap(push, "park", make), _wrap(outcomes, "park", make), _wrap(settle, "park", make)]


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

    return [_wrap(push, "conclude", make)]


def _no_budget() -> Patches:
    return [patch.object(module, "take_tokens", lambda *_, **__: None) for module in (push, intake)] + [
        patch.object(limits, "take", lambda *_, **__: 0.0)
    ]


# ---------------------------------------------------------------- intake
def _overlap_zero() -> Patches:
    def make(init: Any) -> Any:
        def narrow(self: Any, terms: Any) -> None:
            init(self, terms)
            self.overlap = 0.0

        return narrow

    return [_wrap(crm.Crm, "__init__", make)]


def _cursor_beyond() -> Patches:
    """`>` instead of `>=`, and no overlap to hide it."""

    def make(init: Any) -> Any:
        def strict(self: Any, terms: Any) -> None:
            init(self, terms)
            self.overlap, self.strict_cursor = 0.0, True

        return strict

    return [_wrap(crm.Crm, "__init__", make)]


def _cursor_before_records() -> Patches:
    """The cursor is saved before what it stands for is durable."""

    def remember(position: Any) -> Any:
        def told(cur: Any, connection: str, stream: str) -> Any:
            _STREAM[0] = stream
            return position(cur, connection, stream)

        return told

    def early_saver(next_page: Any) -> Any:
        def early(session: Any, channel: Any, pages: Any) -> Any:
            page = next_page(session, channel, pages)
            if page is not None and page.records:
                with session.database.transaction() as cur:
                    changes.save_position(cur, channel.name, _STREAM[0], page.cursor, session.machine.now())
            return page

        return early

    return [_wrap(changes, "position", remember), _wrap(intake, "_next_page", early_saver)]


_STREAM = [""]


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

    return [_wrap(changes, "known_hashes", make)]


class _Any:
    """Equal to every hash."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def _held_is_dropped() -> Patches:
    return [patch.object(changes, "waiting_for", lambda cur, ids: [])]


def _tombstones_ignored() -> Patches:
    def make(mapped: Any) -> Any:
        def blind(channel: Any, mapping: Any, incoming: Any, known: Any) -> Any:
            return None if incoming.deleted else mapped(channel, mapping, incoming, known)

        return blind

    return [_wrap(accept, "_mapped", make)]


def _lanes_not_touched() -> Patches:
    """A new line version does not reach its lane while the order is unchanged."""

    def make(want: Any) -> Any:
        def lazy(cur: Any, *, kind: str, version: int, **more: Any) -> Any:
            if kind == "line" and version % 3 == 0:
                return False
            return want(cur, kind=kind, version=version, **more)

        return lazy

    return [_wrap(lanes, "want", make)]


# ---------------------------------------------------------------- references, order, mirror
def _reference_not_recorded() -> Patches:
    return [patch.object(outcomes, "_record_reference", lambda *_, **__: None)]


def _children_first() -> Patches:
    order = sorted(targets.STAGES, key=lambda kind: -targets.STAGES[kind])
    stages = {kind: number for number, kind in enumerate(order)}
    ready = "true"
    return [patch.object(lanes, "_READY_TO_SEND", ready), patch.dict(targets.STAGES, stages), _parent_guess()]


def _parent_guess() -> Any:
    def make(vendor_id: Any) -> Any:
        def guess(self: Any, kind: Any, entity_id: str, facet: str) -> Any:
            return vendor_id(self, kind, entity_id, facet) or "1"

        return guess

    return _wrap(prepare.StoreContext, "vendor_id", make)


def _mirror_not_told() -> Patches:
    return [patch.object(journal, "mark_stale", lambda *_: None)]


def _float_money() -> Patches:
    def make(shown: Any) -> Any:
        def floating(session: Any, channel: Any, claimed: Any, **more: Any) -> Any:
            ready, refused = shown(session, channel, claimed, **more)
            return [_floated(item) for item in ready], refused

        return floating

    return [_wrap(push, "prepare", make)]


def _floated(item: Any) -> Any:
    cost = item.payload.get("costPerUnit")
    if not isinstance(cost, dict):
        return item
    micros = int(cost["microAmount"] / 1000 * 1.1 / 1.1 * 1000)
    return replace(item, payload={**item.payload, "costPerUnit": {**cost, "microAmount": micros}})


def _foreign_fields() -> Patches:
    """Everything read is written back, other people's fields too."""

    def make(shown: Any) -> Any:
        def nosy(session: Any, channel: Any, claimed: Any, **more: Any) -> Any:
            ready, refused = shown(session, channel, claimed, **more)
            return [replace(item, payload={**item.payload, "deliveryRateType": "EVENLY"}) for item in ready], refused

        return nosy

    return [_wrap(push, "prepare", make)]


# ---------------------------------------------------------------- delivery
def _delivery_overwritten() -> Patches:
    """A restatement replaces the fact instead of standing beside it."""

    def make(merge: Any) -> Any:
        def flat(cur: Any, connection: str, as_of: Any, job_id: str) -> Any:
            merged = merge(cur, connection, as_of, job_id)
            cur.execute("DELETE FROM delivery_superseded WHERE as_of < %s AND source = %s", (as_of, connection))
            return merged

        return flat

    return [_wrap(facts, "merge", make)]


def _partial_report_replaces() -> Patches:
    """What a report does not mention is taken for zero."""

    def make(merge: Any) -> Any:
        def zeroing(cur: Any, connection: str, as_of: Any, job_id: str) -> Any:
            cur.execute(
                "DELETE FROM delivery_day d WHERE d.source = %s AND NOT EXISTS (SELECT 1 FROM staged s JOIN reference r "
                "ON r.vendor_id = s.line_vendor_id AND r.kind = 'line' WHERE r.entity_id = d.line_id AND s.day = d.day)",
                (connection,),
            )
            return merge(cur, connection, as_of, job_id)

        return zeroing

    return [_wrap(facts, "merge", make)]


def _cut_report_is_kept() -> Patches:
    def make(checked: Any) -> Any:
        def lenient(rows: Any, job: Any) -> Any:
            seen = 0
            try:
                for row in checked(rows, job):
                    seen += 1
                    yield (*row[:3], row[3] * 2, *row[4:]) if seen % 5 == 0 else row
            except OutcomeUnknown:
                return

        return lenient

    return [_wrap(pull, "_checked", make)]


def _report_antedated() -> Patches:
    """Numbers are dated otherwise than by when their report was asked for: which of two is newer cannot be told any more."""

    def make(merge: Any) -> Any:
        def backwards(cur: Any, connection: str, as_of: Any, job_id: str) -> Any:
            return merge(cur, connection, as_of - timedelta(days=3), job_id)

        return backwards

    return [_wrap(facts, "merge", make)]


def _plan_remembers() -> Patches:
    """A look writes."""

    def make(dirty: Any) -> Any:
        def writing(cur: Any, connection: str) -> Any:
            found = dirty(cur, connection)
            journal.mark_stale(cur, [lane.order_id for lane in found if lane.order_id])
            return found

        return writing

    return [_wrap(lanes, "dirty", make)]


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

    return [_wrap(accept, "_put", make)]


class _Never:
    """Equal to no hash."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


_NEVER: Any = _Never()


MUTANTS: tuple[Mutant, ...] = (
    Mutant("no settle window", "waiting until nothing can be under way any more", _no_settle_window),
    Mutant("one early look", "two look-ups past the window", _one_look_is_enough),
    Mutant("doubt is success", "in doubt is never done", _doubt_is_success),
    Mutant("doubt is retried", "in doubt is never resent unseen", _doubt_is_retried),
    Mutant("lost reply is rejection", "in doubt is never refused", _lost_reply_is_rejection),
    Mutant("results by position", "answers that do not fit put the batch in doubt", _results_by_position),
    Mutant("dead workers forgotten", "an open attempt may have been applied", _dead_workers_are_forgotten),
    Mutant("adopting strangers", "a stranger's object is never ours", _adopting_strangers),
    Mutant("cancelled is created", "what was cancelled before it was sent is created nowhere", _cancelled_is_created),
    Mutant("doubt is left alone", "what may be there is settled before it is left alone", _doubt_is_left_alone),
    Mutant("claim before send", "only an answer is evidence", _claim_before_send),
    Mutant("acknowledging the newest", "only what was sent is acknowledged", _acknowledging_the_newest),
    Mutant("flag instead of lease", "what a dead worker held comes back", _lock_without_lease),
    Mutant("no fence", "who lost a lane does not send", _no_fence),
    Mutant("lease too short", "a lease outlives the call", _short_lease),
    Mutant("no attempt before send", "each send is written down before", _no_attempt_before_send),
    Mutant("stale acknowledgement", "after a doubtful update nothing acknowledged counts", _stale_acknowledgement),
    Mutant("doubt overwrites", "an update in doubt is looked at before it is repeated", _doubt_overwrites),
    Mutant("renamed resend", "a repeated create keeps its unique value", _renamed_resend),
    Mutant("key without entity", "a key names one write", _key_without_version),
    Mutant("replay closes", "a replay sends anew what was sent before", _replay_closes),
    Mutant("parking nothing", "what can never pass is taken out of work", _parking_nothing),
    Mutant("parking in silence", "whatever is parked is told", _parking_in_silence),
    Mutant("refusal is success", "a refusal is never success", _refusal_is_success),
    Mutant("no budget", "calls stay within the vendor's rate", _no_budget),
    Mutant("overlap 0", "what becomes visible behind the cursor is read", _overlap_zero),
    Mutant("cursor beyond", "equal stamps are read", _cursor_beyond),
    Mutant("cursor before records", "a cursor is saved with its records", _cursor_before_records),
    Mutant("echo by user", "echoes are told by value, not by who wrote", _echo_by_user),
    Mutant("held is dropped", "what waits gets its turn", _held_is_dropped),
    Mutant("tombstones ignored", "a deletion is a change", _tombstones_ignored),
    Mutant("lane not touched", "each version reaches its lane", _lanes_not_touched),
    Mutant("reference not recorded", "a created object is remembered", _reference_not_recorded),
    Mutant("children first", "parents go before children", _children_first),
    Mutant("mirror not told", "what happened marks the projection stale", _mirror_not_told),
    Mutant("float money", "money is integers", _float_money),
    Mutant("foreign fields", "only owned fields are written", _foreign_fields),
    Mutant("delivery overwritten", "facts are immutable", _delivery_overwritten),
    Mutant("partial report replaces", "absent is not zero", _partial_report_replaces),
    Mutant("cut report is kept", "a report is loaded whole or not at all", _cut_report_is_kept),
    Mutant("report antedated", "a number bears the time of its report", _report_antedated),
    Mutant("a look writes", "plan, status and trace write nothing", _plan_remembers),
    Mutant("versions without news", "a version has news", _versions_without_news),
)

__all__ = ["MUTANTS", "Counter", "Mutant", "entities", "repeat", "vendors"]
