"""The reason classes of parked work: who acts, what the class means, the fix, when the hub tries again by itself.

Rules in one place, as data; `hub.ops.retry` carries them out. A group is everything parked at one connection for one cause:
it has one key, one row in `orderhub parked`, and one replay.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from oms_schema.problems import Problem, Reason

PAUSE = timedelta(hours=1)
"""Between two attempts of the hub's own at one group (machine time)."""


class Retry(StrEnum):
    """What makes the hub try again by itself. News of the entity itself always does, for every reason."""

    CHECK = "after a successful check of the connection"
    REFERENCE = "as soon as what is missing arrives"
    SAMPLE = "one of the group every hour, the others once that one passes"


@dataclass(frozen=True, slots=True)
class ReasonClass:
    """One reason: the owner's role, what it means, the usual fix, and its rules.

    `sends` are the rules for writes to a vendor, `changes` for what a source brought (tried in the store alone, no vendor is
    asked). `by_value`: different offending values are different causes.
    """

    reason: Reason
    owner: str
    sentence: str
    fix: str
    sends: frozenset[Retry] = frozenset()
    changes: frozenset[Retry] = frozenset()
    by_value: bool = False

    def retries(self, *, is_change: bool) -> frozenset[Retry]:
        """The rules for a change of a source, or for a write to a vendor."""
        return self.changes if is_change else self.sends

    def retry_sentence(self, *, is_change: bool) -> str:
        """When the hub tries again by itself, for a person."""
        rules = sorted(self.retries(is_change=is_change))
        if not rules:
            return "Not tried again by itself, except when the entity changes."
        return f"Tried again by itself: {'; '.join(rules)}."


def _class(
    reason: Reason,
    owner: str,
    sentence: str,
    fix: str,
    *,
    sends: tuple[Retry, ...] = (),
    changes: tuple[Retry, ...] = (),
    by_value: bool = False,
) -> ReasonClass:
    return ReasonClass(reason, owner, sentence, fix, frozenset(sends), frozenset(changes), by_value)


CLASSES: Mapping[Reason, ReasonClass] = {
    each.reason: each
    for each in (
        _class(
            Reason.AUTH,
            "Administrator",
            "The vendor does not accept the hub's credentials. Nothing is written with them.",
            "Whoever owns the credentials renews them and runs `orderhub check`.",
            sends=(Retry.CHECK,),
            changes=(Retry.CHECK,),
        ),
        _class(
            Reason.PERMISSION,
            "Administrator",
            "The hub's user lacks a right at the vendor. The record stays as it was there.",
            "An administrator of the vendor account grants the right.",
            sends=(Retry.CHECK, Retry.SAMPLE),
            changes=(Retry.SAMPLE,),
            by_value=True,
        ),
        _class(
            Reason.QUOTA,
            "Operations",
            "A limit of the vendor is used up. The record waits.",
            "Nobody needs to act unless it lasts; then operations asks the vendor for more.",
            sends=(Retry.SAMPLE,),
            changes=(Retry.SAMPLE,),
        ),
        _class(
            Reason.VALIDATION,
            "Sales",
            "A value breaks a rule. The record is not used.",
            "Sales corrects the record in the CRM; it then goes on by itself.",
        ),
        _class(
            Reason.PICKLIST,
            "Integration",
            "A value is not in the list of the other side. The record is not used.",
            "The value is added to the list or to the mapping's table, or Sales chooses a known one.",
            sends=(Retry.SAMPLE,),
            changes=(Retry.SAMPLE,),
            by_value=True,
        ),
        _class(
            Reason.LENGTH,
            "Sales",
            "A text is longer than the vendor can hold. The record is not sent.",
            "Sales shortens it, or the mapping is told to cut it.",
        ),
        _class(
            Reason.REFERENCE_MISSING,
            "Ad operations",
            "The record points to something that is not there. It waits.",
            "Whoever owns what is missing creates it; the record then goes on by itself.",
            sends=(Retry.REFERENCE, Retry.SAMPLE),
            changes=(Retry.REFERENCE, Retry.SAMPLE),
            by_value=True,
        ),
        _class(
            Reason.VENDOR_STATE,
            "Ad operations",
            "The vendor's record is in a state that does not allow the change. It stays as it was there.",
            "Ad operations reopens the record and replays the work, or books a new one.",
        ),
        _class(
            Reason.CONFLICT,
            "Ad operations",
            "The vendor's record was edited there and in the CRM. Neither is overwritten.",
            "A person decides which value holds.",
        ),
        _class(
            Reason.AMBIGUOUS,
            "Operations",
            "The vendor never said whether it created the record. It is not sent again, so that it cannot exist twice.",
            "Operations looks it up and answers: `orderhub adopt ENTITY VENDOR_ID --connection NAME`, or with `--absent` instead "
            "of the id.",
        ),
        _class(
            Reason.DUPLICATE,
            "Ad operations",
            "Two records claim to be the same one. The second is not used.",
            "A person merges or renames one of them, or says which it is with `orderhub adopt`.",
            changes=(Retry.SAMPLE,),
        ),
        _class(
            Reason.MAPPING,
            "Integration",
            "The mapping cannot translate the record. It is kept and not used.",
            "Whoever owns the mapping corrects it.",
            sends=(Retry.SAMPLE,),
            changes=(Retry.SAMPLE,),
            by_value=True,
        ),
        _class(
            Reason.PROTOCOL,
            "Integration",
            "An answer was not what the vendor's interface promises. Nothing was concluded from it.",
            "Integration looks at the evidence of the attempt; the vendor's support is asked when it lasts.",
            sends=(Retry.SAMPLE,),
            changes=(Retry.SAMPLE,),
        ),
        _class(
            Reason.PERIOD_CLOSED,
            "Finance",
            "The accounting period is closed. The document is held.",
            "Finance names the period that it belongs to.",
        ),
        _class(
            Reason.APPROVAL,
            "Finance",
            "The document needs a second person's approval. It is held.",
            "Somebody other than who prepared it approves it.",
        ),
        _class(
            Reason.GUARD,
            "Operations",
            "The plan touches more than a plan may touch unasked. Nothing of it is sent.",
            "Operations looks at the plan and approves it, or corrects the source.",
        ),
    )
}

_INDEX = re.compile(r"\[\d+\]")
_SPACE = re.compile(r"\s+")


def normalised_path(path: str) -> str:
    """A field path without the places in lists: `lines[3].rate` and `lines[7].rate` break the same rule."""
    return _INDEX.sub("[]", path.strip())


def normalised_value(value: str) -> str:
    """A value without what does not make it another cause: case, and spaces around and between words."""
    return _SPACE.sub(" ", value).strip().casefold()


def group_key(connection: str, problem: Problem) -> str:
    """What makes two parked items one: connection, reason, code, path, and the value where the reason says so.

    Short enough to type: the reason and eight hexadecimal digits, as `picklist-3f9a01c2`.
    """
    value = normalised_value(problem.value) if CLASSES[problem.reason].by_value else ""
    parts = (connection, problem.reason, problem.code, normalised_path(problem.path), value)
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=4).hexdigest()
    return f"{problem.reason}-{digest}"


def reasons_with(retry: Retry, *, is_change: bool) -> list[str]:
    """The reasons that a rule holds for."""
    return sorted(each.reason for each in CLASSES.values() if retry in each.retries(is_change=is_change))
