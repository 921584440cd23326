"""What each Salesforce error code means for the hub: the table `error_codes.json`, and how it is applied.

Salesforce has one vocabulary of codes in several forms: REST answers `[{"errorCode", "message", "fields"}]`, collections
`errors: [{"statusCode", "message", "fields"}]`, Bulk 2.0 the text `CODE:message:fields --`. The HTTP class decides
nothing: 403 is both REQUEST_LIMIT_EXCEEDED and a missing right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import NoReturn

from connectors.base import Outcome, PushResult
from connectors.errors import (
    AuthFailed,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    QuotaExhausted,
    RecordRejected,
    RetryLater,
    SchemaDrift,
)

DAILY_CALLS = "salesforce-daily-calls"
CONCURRENT_CALLS = "salesforce-concurrent-calls"
"""No rate, so none is declared for it: the hub then holds every request of the org back for the pause."""
CONCURRENT_PAUSE = 5.0  # a place is free as soon as one of the org's long requests ends
_WORDS = 300
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,79}")
_SECRETS = re.compile(r"(?i)00D[A-Za-z0-9]{12,15}![\w.]+|bearer\s+\S+|eyJ[\w-]+\.[\w-]+\.[\w-]*")
_NO_SUCH = re.compile(r"No such (?:column|relation) '([^']{1,120})'|Didn't understand relationship '([^']{1,120})'")


class Fate(StrEnum):
    """What the hub does next about an error; `connectors.errors` has one class for each but `expired`."""

    RETRY = "retry"
    QUOTA = "quota"
    EXPIRED = "expired"
    AUTH = "auth"
    PERMISSION = "permission"
    REJECTED = "rejected"
    DRIFT = "drift"
    MISCONFIGURED = "misconfigured"


class Effect(StrEnum):
    """What a request may do to the org; decides what an unknown error means."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """One row of the table."""

    fate: Fate
    happened: str
    effect: str
    fix: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class VendorError:
    """One error as Salesforce reports it."""

    code: str
    words: str
    fields: tuple[str, ...] = ()

    @property
    def facts(self) -> CodeFacts | None:
        """The table's row, None for a code that is not in it."""
        return error_codes().get(self.code)

    def sentence(self) -> str:
        """What happened – effect – who does what, with the vendor's own words."""
        facts = self.facts
        if facts is None:
            return f"Salesforce answered {self.code} ({self.words}), which the hub does not know."
        said = f"{facts.happened[:-1]} ({self.words})." if self.words else facts.happened
        return f"{said} {facts.effect} {facts.fix}"


@cache
def error_codes() -> Mapping[str, CodeFacts]:
    """The table by code."""
    rows = json.loads(files("connectors.salesforce").joinpath("error_codes.json").read_text("utf-8"))
    return {
        code: CodeFacts(Fate(row["fate"]), row["happened"], row["effect"], row["fix"], row.get("reason"))
        for code, row in rows.items()
    }


def one_line(text: object, limit: int = _WORDS) -> str:
    """Vendor words as one printable line without tokens, cut to `limit` characters."""
    line = " ".join(_SECRETS.sub("[token]", str(text)[: limit * 4]).split())
    line = "".join(c if c.isprintable() else "\ufffd" for c in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def vendor_error(entry: object) -> VendorError | None:
    """One entry of an `errors` list or a REST error array; None when it is not one."""
    if not isinstance(entry, Mapping):
        return None
    code = entry.get("errorCode", entry.get("statusCode"))
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return None
    named = entry.get("fields")
    fields = tuple(one_line(f, 120) for f in named[:10]) if isinstance(named, list) else ()
    return VendorError(code, one_line(entry.get("message") or ""), fields)


def vendor_errors(content: object) -> tuple[VendorError, ...]:
    """All errors of a REST error body; empty when the body is anything else."""
    if not isinstance(content, list) or not content:
        return ()
    errors = [vendor_error(entry) for entry in content]
    return tuple(e for e in errors if e is not None) if all(errors) else ()


def missing_field(error: VendorError) -> str:
    """The field an INVALID_FIELD error is about, empty when it does not say."""
    if error.fields:
        return error.fields[0]
    found = _NO_SUCH.search(error.words)
    return (found.group(1) or found.group(2)) if found else ""


def raise_for(error: VendorError, status: int, effect: Effect, *, pause: float, record: str = "") -> NoReturn:
    """Raise what an error about a whole request means. `pause` is the wait after a used-up quota, in seconds.

    A code that is not in the table is in doubt on a write; on a read it is worth another try.
    """
    facts, said = error.facts, error.sentence()
    if facts is None:
        raise unknown_answer(f"HTTP {status}", error.code, said, effect)
    match facts.fate:
        case Fate.RETRY:
            raise RetryLater(error.code, said)
        case Fate.QUOTA if "concurrent" in error.words.lower():
            raise QuotaExhausted(error.code, said, after=CONCURRENT_PAUSE, limit=CONCURRENT_CALLS)
        case Fate.QUOTA:
            raise QuotaExhausted(error.code, said, after=pause, limit=DAILY_CALLS)
        case Fate.EXPIRED | Fate.AUTH:
            raise AuthFailed(error.code, said)
        case Fate.PERMISSION:
            raise PermissionMissing(error.code, said, record=record)
        case Fate.REJECTED:
            raise RecordRejected(error.code, said, path=", ".join(error.fields))
        case Fate.DRIFT:
            raise SchemaDrift(error.code, said, field=missing_field(error) or record)
        case Fate.MISCONFIGURED:
            raise Misconfigured(error.code, said)


def unknown_answer(subject: str, code: str, said: str, effect: Effect) -> OutcomeUnknown | RetryLater:
    """The exception for an answer nobody can read: in doubt after a write, worth another try after a read."""
    if effect is Effect.WRITE:
        return OutcomeUnknown(
            code,
            f"{said} It is not known whether the write was applied ({subject}). The hub looks it up before it resends.",
        )
    return RetryLater(code, f"{said} Nothing was changed ({subject}). The hub tries again by itself.")


def refused(key: str, errors: Sequence[VendorError], *, pause: float, marker: str | None = None) -> PushResult:
    """What became of a record that Salesforce says it did not save.

    `marker` is the external id field of an upsert: DUPLICATE_VALUE on it means that another upsert was faster, so a new
    try will find the record; on any other field somebody else owns the value.
    """
    unlisted = [e for e in errors if e.facts is None]
    if unlisted or not errors:
        shown = unlisted[0] if unlisted else VendorError("NO_ERROR_NAMED", "success is false, but no error is named")
        return _result(key, Outcome.IN_DOUBT, shown, reason="protocol")
    worst = next((e for e in errors if e.facts is not None and e.facts.fate not in (Fate.RETRY, Fate.QUOTA)), errors[0])
    facts = worst.facts
    if facts is None:  # not reached: unlisted codes are handled above; mypy cannot see it
        return _result(key, Outcome.IN_DOUBT, worst, reason="protocol")
    if facts.fate is Fate.QUOTA:
        return _result(key, Outcome.RETRY, worst, reason="quota", after=pause)
    if facts.fate in (Fate.RETRY, Fate.EXPIRED, Fate.AUTH):
        return _result(key, Outcome.RETRY, worst, reason=None)
    if marker and worst.code == "DUPLICATE_VALUE" and f"duplicate value found: {marker} duplicates" in worst.words:
        return _result(key, Outcome.RETRY, worst, reason=None)
    return _result(key, Outcome.REJECTED, worst, reason=facts.reason or "mapping")


def _result(
    key: str, outcome: Outcome, error: VendorError, *, reason: str | None, after: float | None = None
) -> PushResult:
    path = ", ".join(error.fields) or (missing_field(error) if error.code == "INVALID_FIELD" else "")
    return PushResult(
        key=key,
        outcome=outcome,
        code=error.code,
        message=error.sentence(),
        path=path or None,
        reason=reason,
        after=after,
        evidence={"code": error.code, "words": error.words, "fields": list(error.fields)},
    )
