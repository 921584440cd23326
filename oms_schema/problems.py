"""What is wrong with a record, said so that a person can act: path, value, rule, and the three-part sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a change or a lane is parked. Each class has an owner and a retry rule in `hub.ops`."""

    AUTH = "auth"
    PERMISSION = "permission"
    QUOTA = "quota"
    VALIDATION = "validation"
    PICKLIST = "picklist"
    LENGTH = "length"
    REFERENCE_MISSING = "reference_missing"
    VENDOR_STATE = "vendor_state"
    CONFLICT = "conflict"
    AMBIGUOUS = "ambiguous"
    DUPLICATE = "duplicate"
    MAPPING = "mapping"
    PROTOCOL = "protocol"
    PERIOD_CLOSED = "period_closed"
    APPROVAL = "approval"
    GUARD = "guard"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field.

    `path` is the canonical field path (`flight.end`) or, where no canonical field exists yet, the vendor's
    (`OpportunityLineItem.Flight_End__c`). `value` is redacted and cut to 80 characters by whoever builds it.
    """

    code: str
    reason: Reason
    path: str
    value: str
    happened: str
    effect: str
    fix: str
    owner: str

    @property
    def sentence(self) -> str:
        """What happened – effect – who does what."""
        return f"{self.happened} {self.effect} {self.fix}"


def shown(value: object, limit: int = 80) -> str:
    """A value as an error message may show it: one line, control and zero-width characters visible, cut to `limit`."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Problems(ValueError):  # noqa: N818 - it carries several problems, and that is its name everywhere
    """All problems of one record at once; never raised empty."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        if not problems:
            raise ValueError("Problems needs at least one problem")
        self.problems = tuple(problems)
        super().__init__("; ".join(p.sentence for p in problems))
