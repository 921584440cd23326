"""The sync status of a lane: one entity at one connection, the newest wanted version against what the vendor has.

The domain study names the statuses; the rows are those of the push protocol (architecture, decision 3): a send is
written down before it leaves, and one in doubt is never repeated before a look-up has answered after the settle time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from oms_schema.machines.machine import Guard, Machine, Transition
from oms_schema.status import SyncStatus as S


class Answer(StrEnum):
    """What is known of the last send; the six outcomes of a push as far as the lane's status depends on them."""

    APPLIED = "applied"
    """Created, updated or unchanged."""
    REFUSED = "refused"
    """Rejected for good; sending the same again cannot help."""
    NOT_APPLIED = "not_applied"
    """Certainly not applied; may be sent again."""
    UNKNOWN = "unknown"
    """May be applied or not."""


class Finding(StrEnum):
    """What a look-up at the vendor showed after a send in doubt."""

    OURS = "ours"
    """The record is there, as we wrote it."""
    ABSENT = "absent"
    AMBIGUOUS = "ambiguous"
    """Several records, or one that somebody else made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncFacts:
    """What the guards of a lane look at. Times are aware and of machine time; versions count from 1."""

    now: datetime | None = None
    desired_version: int | None = None
    """The newest version the vendor should have; None when it should have none."""
    acknowledged_version: int | None = None
    sent_version: int | None = None
    """The version of the last send."""
    not_before: datetime | None = None
    attempt_written: bool = False
    """The attempt is in the store."""
    answer: Answer | None = None
    lease_lost: bool = False
    """The worker is gone; whether its bytes left is told by `attempt_written`."""
    attempts_left: bool = True
    finding: Finding | None = None
    settled_at: datetime | None = None
    """When a look-up that finds nothing begins to prove absence: send + longest in-flight time + index lag."""
    native_key: bool = False
    """The vendor itself recognises our idempotency key or a unique field, so that the same send is safe to repeat."""
    drift: bool = False
    """A field the hub owns differs at the vendor."""
    conflict: bool = False
    """The drift is for a person to decide."""
    resolved_by: str | None = None
    """Who (a person or a named policy) decided or repaired."""
    wanted: bool = True
    """False once the entity is merged away, replaced, or moved to another vendor object."""


def _newer_wanted(f: SyncFacts) -> str | None:
    if f.desired_version is None:
        return "no version is wanted"
    if f.acknowledged_version is None or f.desired_version > f.acknowledged_version:
        return None
    return f"version {f.acknowledged_version} is there already"


def _overtaken(f: SyncFacts) -> str | None:
    if f.desired_version is None or f.sent_version is None:
        return "it is not known which version was sent or is wanted"
    return None if f.desired_version > f.sent_version else "the one sent is the newest"


def _due(f: SyncFacts) -> str | None:
    if f.not_before is None:
        return None
    if f.now is None:
        return "the time is not known"
    return None if f.now >= f.not_before else f"it is not before {f.not_before.isoformat()}"


def _written(f: SyncFacts) -> str | None:
    return None if f.attempt_written else "it is not"


def _not_written(f: SyncFacts) -> str | None:
    return "one is" if f.attempt_written else None


def _answered(wanted: Answer, f: SyncFacts) -> str | None:
    if f.answer is None:
        return "there is no answer"
    return None if f.answer is wanted else f"the answer is {f.answer.value}"


def _applied(f: SyncFacts) -> str | None:
    return _answered(Answer.APPLIED, f)


def _refused(f: SyncFacts) -> str | None:
    return _answered(Answer.REFUSED, f)


def _not_applied(f: SyncFacts) -> str | None:
    return _answered(Answer.NOT_APPLIED, f)


def _unknown(f: SyncFacts) -> str | None:
    if f.answer is Answer.UNKNOWN or (f.lease_lost and f.answer is None):
        return None
    return _answered(Answer.UNKNOWN, f)


def _lease_lost(f: SyncFacts) -> str | None:
    return None if f.lease_lost else "it is not"


def _newest_there(f: SyncFacts) -> str | None:
    if f.desired_version is None or f.acknowledged_version is None:
        return "no version is acknowledged"
    if f.acknowledged_version >= f.desired_version:
        return None
    return f"version {f.desired_version} is wanted and {f.acknowledged_version} is there"


def _attempts_left(f: SyncFacts) -> str | None:
    return None if f.attempts_left else "they are used up"


def _attempts_gone(f: SyncFacts) -> str | None:
    return "there are some left" if f.attempts_left else None


def _found_ours(f: SyncFacts) -> str | None:
    return _found(Finding.OURS, f)


def _found_ambiguous(f: SyncFacts) -> str | None:
    return _found(Finding.AMBIGUOUS, f)


def _found_absent(f: SyncFacts) -> str | None:
    return _found(Finding.ABSENT, f)


def _found(wanted: Finding, f: SyncFacts) -> str | None:
    if f.finding is None:
        return "no look-up has answered"
    return None if f.finding is wanted else f"the look-up found it {f.finding.value}"


def _settled(f: SyncFacts) -> str | None:
    if f.settled_at is None or f.now is None:
        return "the settle time is not known"
    return None if f.now >= f.settled_at else f"it lasts until {f.settled_at.isoformat()}"


def _native_key(f: SyncFacts) -> str | None:
    return None if f.native_key else "it does not"


def _drift(f: SyncFacts) -> str | None:
    return None if f.drift else "none does"


def _no_drift(f: SyncFacts) -> str | None:
    return "one does" if f.drift else None


def _conflict(f: SyncFacts) -> str | None:
    return None if f.conflict else "a policy decides it"


def _resolved(f: SyncFacts) -> str | None:
    return None if f.resolved_by else "nobody has"


def _unwanted(f: SyncFacts) -> str | None:
    return "it does" if f.wanted else None


def _wanted(f: SyncFacts) -> str | None:
    return None if f.wanted else "it does not"


_G = Guard[SyncFacts]
NEWER_WANTED = _G("a newer version is wanted than the vendor has", _newer_wanted)
OVERTAKEN = _G("a newer version is wanted than was sent", _overtaken)
DUE = _G("the lane is due", _due)
WRITTEN = _G("the attempt is written down first", _written)
NOT_WRITTEN = _G("no attempt is written down", _not_written)
APPLIED = _G("the vendor applied it", _applied)
REFUSED = _G("the vendor refused it", _refused)
NOT_APPLIED = _G("the vendor certainly did not apply it", _not_applied)
UNKNOWN = _G("nobody knows whether the vendor applied it", _unknown)
LEASE_LOST = _G("the worker is gone", _lease_lost)
NEWEST_THERE = _G("the newest version is acknowledged", _newest_there)
ATTEMPTS_LEFT = _G("attempts are left", _attempts_left)
ATTEMPTS_GONE = _G("no attempt is left", _attempts_gone)
FOUND_OURS = _G("a look-up found what we wrote", _found_ours)
FOUND_ABSENT = _G("a look-up found nothing", _found_absent)
FOUND_AMBIGUOUS = _G("a look-up could not tell whose record it is", _found_ambiguous)
SETTLED = _G("the settle time has passed", _settled)
NATIVE_KEY = _G("the vendor recognises a repeated send", _native_key)
DRIFT = _G("an owned field differs at the vendor", _drift)
NO_DRIFT = _G("no owned field differs at the vendor", _no_drift)
CONFLICT = _G("a person has to decide", _conflict)
RESOLVED = _G("somebody resolved it", _resolved)
UNWANTED = _G("the entity no longer belongs at this connection", _unwanted)
WANTED = _G("the entity belongs at this connection", _wanted)


def _row(source: S, target: S, trigger: str, sentence: str, *guards: _G) -> Transition[S, SyncFacts]:
    return Transition(source, target, trigger, guards, sentence)


SYNC: Machine[S, SyncFacts] = Machine(
    "sync",
    "lane",
    S.NEVER,
    [
        _row(S.NEVER, S.PENDING, "version wanted", "A first version waits to be sent.", WANTED, NEWER_WANTED),
        _row(S.PENDING, S.RUNNING, "claimed", "The version is being sent.", WANTED, DUE, WRITTEN),
        _row(S.PENDING, S.IN_SYNC, "nothing to send", "The vendor has the newest version.", NEWEST_THERE, NO_DRIFT),
        _row(S.PENDING, S.NEEDS_HUMAN, "refused before sending", "The version cannot be sent as it is.", REFUSED),
        _row(S.RUNNING, S.IN_SYNC, "applied", "The vendor has the newest version.", APPLIED, NEWEST_THERE),
        _row(S.RUNNING, S.PENDING, "applied, overtaken", "A newer version waits.", APPLIED, OVERTAKEN),
        _row(S.RUNNING, S.PENDING, "worker gone before sending", "The version waits again.", LEASE_LOST, NOT_WRITTEN),
        _row(S.RUNNING, S.RETRYING, "not applied", "The version will be sent again.", NOT_APPLIED, ATTEMPTS_LEFT),
        _row(
            S.RUNNING, S.IN_DOUBT, "no certain answer", "Whether the vendor has it is being settled.", UNKNOWN, WRITTEN
        ),
        _row(S.RUNNING, S.NEEDS_HUMAN, "refused", "The vendor refused the version.", REFUSED),
        _row(S.RUNNING, S.NEEDS_HUMAN, "not applied, last attempt", "No attempt worked.", NOT_APPLIED, ATTEMPTS_GONE),
        _row(S.RETRYING, S.RUNNING, "due again", "The version is being sent again.", WANTED, DUE, WRITTEN),
        _row(S.RETRYING, S.PENDING, "overtaken", "A newer version waits instead.", OVERTAKEN),
        _row(S.IN_DOUBT, S.IN_SYNC, "found", "The vendor has it after all.", FOUND_OURS, NEWEST_THERE),
        _row(S.IN_DOUBT, S.PENDING, "found, overtaken", "The vendor has it; a newer one waits.", FOUND_OURS, OVERTAKEN),
        _row(S.IN_DOUBT, S.PENDING, "proven absent", "The vendor has it not; it waits again.", FOUND_ABSENT, SETTLED),
        _row(S.IN_DOUBT, S.PENDING, "safe to repeat", "The vendor itself knows repeats.", NATIVE_KEY),
        _row(S.IN_DOUBT, S.NEEDS_HUMAN, "ambiguous", "A person must say whose record it is.", FOUND_AMBIGUOUS),
        _row(S.IN_SYNC, S.PENDING, "newer version", "A newer version waits to be sent.", WANTED, NEWER_WANTED),
        _row(S.IN_SYNC, S.DRIFTED, "foreign edit", "Somebody changed our fields at the vendor.", DRIFT),
        _row(S.DRIFTED, S.PENDING, "restore", "Our version will be written again.", RESOLVED),
        _row(S.DRIFTED, S.IN_SYNC, "drift gone", "The vendor's fields are ours again.", NO_DRIFT, NEWEST_THERE),
        _row(S.DRIFTED, S.NEEDS_HUMAN, "conflict", "A person must choose between two values.", CONFLICT),
        _row(S.NEEDS_HUMAN, S.PENDING, "replay", "It was repaired and waits to be sent.", RESOLVED),
        _row(S.NEEDS_HUMAN, S.PENDING, "newer version", "A newer version waits to be sent.", OVERTAKEN),
        _row(S.NEEDS_HUMAN, S.IN_SYNC, "accepted", "A person accepted what the vendor has.", RESOLVED, NEWEST_THERE),
        *(
            _row(source, S.SUPERSEDED, "moved away", "The entity no longer belongs at this connection.", UNWANTED)
            for source in (S.NEVER, S.PENDING, S.RETRYING, S.IN_SYNC, S.DRIFTED, S.NEEDS_HUMAN)
        ),
        _row(S.SUPERSEDED, S.PENDING, "wanted again", "The entity is back; a version waits.", WANTED, NEWER_WANTED),
    ],
)
"""The lane's machine. A lane in doubt or running cannot be superseded: what was sent has to be settled first."""
