"""What each NetSuite error code means for the hub: the table `error_codes.json`, and how it is applied.

Errors have the form of the page "Error Handling in REST Web Services": `{"title", "status", "o:errorDetails": [{"detail",
"o:errorCode", "o:errorPath"}]}`. The code decides, not the status. USER_ERROR is whatever a rule or script of the account
says in words, so a closed period is told by its words; and because a script may refuse after the save, no error of a write is
taken for "nothing happened" without looking (see `posting`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from connectors.errors import (
    AuthFailed,
    ConnectorError,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    QuotaExhausted,
    RecordRejected,
    RetryLater,
    SchemaDrift,
)

REQUESTS = "netsuite-requests"
"""The rate that a 429 closes too: NetSuite does not say whether requests at once or in a minute were too many."""
_WORDS = 300
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,79}")
_SECRETS = re.compile(r"(?i)bearer\s+\S+|eyJ[\w-]+\.[\w-]+\.[\w-]*")
_CLOSED = re.compile(
    r"(?i)\b(closed|locked)\b[^.]*\bperiod|\bperiod\b[^.]*\b(closed|locked)\b|date range of your accounting period"
)
_FIELD = re.compile(r"(?i)field '([^']{1,80})'")
_PREFIX = "Error while accessing a resource. "


class Effect(StrEnum):
    """What a request may do to the account; decides what an unknown error means."""

    READ = "read"
    WRITE = "write"


class Absent(RecordRejected):
    """The record that the address names does not exist."""


class Refused(RecordRejected):
    """NetSuite refused the record as it is; `reason` is a value of `oms_schema.problems.Reason`."""

    def __init__(self, code: str, message: str, path: str, reason: str) -> None:
        super().__init__(code, message, path)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """One row of the table."""

    fate: str
    happened: str
    fix: str
    reason: str = "vendor_state"


@dataclass(frozen=True, slots=True)
class VendorError:
    """One entry of `o:errorDetails`."""

    code: str
    words: str
    path: str = ""


@cache
def error_codes() -> Mapping[str, CodeFacts]:
    """The table by code."""
    rows = json.loads(files("connectors.netsuite").joinpath("error_codes.json").read_text("utf-8"))
    return {code: CodeFacts(**row) for code, row in rows.items()}


def one_line(text: object, limit: int = _WORDS) -> str:
    """Vendor words as one printable line without tokens, cut to `limit` characters."""
    line = " ".join(_SECRETS.sub("[token]", str(text)[: limit * 4]).split())
    line = "".join(c if c.isprintable() else "\ufffd" for c in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def vendor_errors(body: object) -> list[VendorError]:
    """All errors of an error body, at most ten; empty when it has another form."""
    details = body.get("o:errorDetails") if isinstance(body, dict) else None
    found: list[VendorError] = []
    for entry in details[:10] if isinstance(details, list) else ():
        code = entry.get("o:errorCode") if isinstance(entry, dict) else None
        if isinstance(code, str) and _CODE.fullmatch(code):
            words = one_line(str(entry.get("detail") or "").replace(_PREFIX, ""))
            found.append(VendorError(code, words, one_line(entry.get("o:errorPath") or "", 120)))
    return found


def vendor_failure(
    errors: list[VendorError], status: int, effect: Effect, *, pause: float, record: str = ""
) -> ConnectorError:
    """The exception for an error body; the worst-known entry decides, all words are told.

    A code that is not in the table is in doubt on a write; on a read it is worth another try.
    """
    unlisted = [error for error in errors if error.code not in error_codes()]
    first = unlisted[0] if unlisted else errors[0]
    words = one_line(" | ".join(dict.fromkeys(error.words for error in errors if error.words)))
    if unlisted:
        return unknown_answer(
            f"HTTP-{status}", f"NetSuite answered {first.code} ({words}), which the hub does not know.", effect
        )
    facts = error_codes()[first.code]
    done = "Nothing was read." if effect is Effect.READ else "The record was not saved."
    said = f"{facts.happened[:-1]} ({words}). {done} {facts.fix}" if words else f"{facts.happened} {done} {facts.fix}"
    match facts.fate:
        case "quota":
            return QuotaExhausted(first.code, said, after=pause, limit=REQUESTS)
        case "expired":
            return AuthFailed(first.code, said)
        case "permission":
            return PermissionMissing(first.code, said, record=record)
        case "retry":
            return RetryLater(first.code, said)
        case "absent":
            return Absent(first.code, said, first.path)
        case "drift":
            named = _FIELD.search(words)
            return SchemaDrift(first.code, said, field=named.group(1) if named else record)
        case "misconfigured":
            return Misconfigured(first.code, said)
    if effect is Effect.READ:  # a rule or a script stands in the way of looking; that says nothing about a record
        return RetryLater(first.code, said)
    if _CLOSED.search(words):
        said = (
            f"The accounting period in NetSuite does not take the record ({words}). The record was not saved. Finance opens the "
            "period or gives the document another date; operations then replays it."
        )
        return Refused(first.code, said, first.path, "period_closed")
    return Refused(first.code, said, first.path, facts.reason)


def unknown_answer(code: str, said: str, effect: Effect) -> OutcomeUnknown | RetryLater:
    """The exception for an answer nobody can read: in doubt after a write, worth another try after a read."""
    if effect is Effect.WRITE:
        return OutcomeUnknown(
            code, f"{said} It is not known whether the write was applied. The hub looks it up before it resends."
        )
    return RetryLater(code, f"{said} Nothing was changed. The hub tries again by itself.")


def odd_reply(why: str, effect: Effect = Effect.READ) -> OutcomeUnknown | RetryLater:
    """The exception for a reply that does not have the promised shape."""
    return unknown_answer("ODD-REPLY", f"Of NetSuite's reply, {why}.", effect)
