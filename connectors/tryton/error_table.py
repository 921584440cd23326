"""What each kind of Tryton's exceptions means for the hub.

JSON-RPC answers errors with HTTP 200 and `{"error": [kind, arguments]}` (`trytond/protocols/jsonrpc.py`, series 8.0). All
kinds named here are raised inside the transaction, which is then rolled back: certainly not applied. An error that names
no kind is a fault of the server, `[words, traceback]`: on a write it is in doubt.

| kind | arguments | means |
|---|---|---|
| UserError | message, description, domain | the record is refused as it is |
| UserWarning | name, message, description | a question to a person; never answered by the hub |
| ConcurrencyException | message | somebody else wrote the record meanwhile; read and try again |
| LoginException | name, message, type | the server wants (another) log-in |

A UserError says nothing but words in the user's language, so the hub's user has English (`en`), and only these words are
looked for: a closed or missing period, a date before the last number's, a total that is not the source's, a missing right.
Source: the message files of the modules (`message.xml`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from connectors.errors import (
    AuthFailed,
    ConnectorError,
    OutcomeUnknown,
    PermissionMissing,
    RecordRejected,
    RetryLater,
    SchemaDrift,
)

_WORDS = 300
_SECRETS = re.compile(r"(?i)(session|basic|bearer)\s+[\w+/=-]{8,}")
_PERIOD = re.compile(
    r"(?i)you must (reopen|create) (the|a) (period|fiscal year)|(period of move|fiscal ?year) .* is closed"
    r"|(in|on) closed (journal-)?period"
)
_NO_RIGHT = re.compile(r"(?i)you are not allowed to")
_TOO_EARLY = re.compile(r"(?i)you must set an invoice date after")
_SOURCE = re.compile(r"(?i)must equal the source value")
_NO_FIELD = re.compile(r"_fields\[[^\]]*\][^\n]*\n(?:[\s~^]*\n)?\s*KeyError: '([A-Za-z0-9_.]{1,80})'")
"""The end of the traceback that a read of an unknown field answers with."""


class Effect(StrEnum):
    """What a request may do to the database; decides what an unknown error means."""

    READ = "read"
    WRITE = "write"


class Question(RecordRejected):
    """Tryton asks a person (UserWarning). `name` is the warning's own, `path` its record."""

    def __init__(self, name: str, words: str) -> None:
        self.name = name
        super().__init__(
            "UserWarning",
            f"Tryton asks: “{words}” The hub does not answer for a person, so nothing was done. Finance decides in Tryton: "
            "correct the draft or post it there; then operations replays the document.",
            path=name,
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a UserError refused a record, as far as its words tell: a value of `oms_schema.problems.Reason`, and who acts."""

    reason: str
    fix: str


def refusal(words: str) -> Refusal:
    """Reads the words of a UserError."""
    if _PERIOD.search(words):
        return Refusal(
            "period_closed",
            "Finance opens or adds the period, and operations replays the document; or billing dates it anew.",
        )
    if _TOO_EARLY.search(words):
        return Refusal(
            "vendor_state",
            "Numbers must not run against dates: finance gives the draft a later date and posts it, then operations replays "
            "the document; or billing dates it anew.",
        )
    if _SOURCE.search(words):
        return Refusal("validation", "Finance and billing find out which amount is right.")
    if _NO_RIGHT.search(words):
        return Refusal("permission", "An administrator of Tryton grants the hub's user the right.")
    return Refusal("vendor_state", "Finance looks at the record in Tryton; operations replays it after the correction.")


def one_line(text: object, limit: int = _WORDS) -> str:
    """Vendor words as one printable line without credentials, cut to `limit` characters."""
    line = " ".join(_SECRETS.sub("[credential]", str(text)[: limit * 4]).split())
    line = "".join(c if c.isprintable() else "\ufffd" for c in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def rpc_error(error: object, method: str, effect: Effect) -> ConnectorError:
    """The exception for the `error` of a reply to `method`."""
    kind, arguments = _split(error)
    match kind, arguments:
        case "UserError" | "UserWarning", [_, *_] if effect is Effect.READ:
            words = one_line(" – ".join(str(part) for part in arguments[:2] if part))
            if refusal(words).reason == "permission":
                return PermissionMissing(
                    kind,
                    f"Tryton does not let the hub's user read: {words} Nothing was changed. An administrator of Tryton grants "
                    "the right.",
                    record=method,
                )
            return RetryLater(
                kind, f"Tryton did not answer {method}: {words} Nothing was changed. The hub tries again."
            )
        case "UserError", [message, *rest]:
            words = one_line(" – ".join(str(part).strip() for part in (message, *rest[:1]) if part))
            fix = refusal(words).fix
            return RecordRejected("UserError", f"Tryton refused it: {words} Nothing was changed. {fix}")
        case "UserWarning", [str(name), message, *rest]:
            return Question(one_line(name), one_line(" – ".join(str(part) for part in (message, *rest[:1]) if part)))
        case "ConcurrencyException", _:
            return RetryLater(
                "ConcurrencyException",
                "Somebody wrote the same record in Tryton at the same moment. Nothing was changed. The hub tries again.",
            )
        case "LoginException", _:
            return AuthFailed(
                "LoginException",
                "Tryton asks for another log-in. This connection's work stops. An administrator lets the hub's user log in "
                "with its password alone.",
            )
    missing = _NO_FIELD.search(str(error[1])) if isinstance(error, list) and len(error) > 1 else None
    if missing and effect is Effect.READ:
        return SchemaDrift(
            "FIELD-UNKNOWN",
            f"Tryton does not know the field {missing[1]} that {method} asks for. Nothing was read. Integration checks the "
            "series of the server (8.0) and its modules.",
            field=missing[1],
        )
    return unreadable(f"an error of no known kind, {one_line(kind, 120)}", method, effect, code="SERVER-ERROR")


def _split(error: object) -> tuple[str, Sequence[Any]]:
    if not isinstance(error, list) or not error:
        return str(error), ()
    arguments = error[1:2]
    return str(error[0]), arguments[0] if arguments and isinstance(arguments[0], list) else arguments


def unreadable(what: str, method: str, effect: Effect, code: str = "ODD-REPLY") -> OutcomeUnknown | RetryLater:
    """The exception for an answer nobody can read: in doubt after a write, worth another try after a read."""
    if effect is Effect.WRITE:
        return OutcomeUnknown(
            code,
            f"Tryton answered {method} with {what}. It is not known whether it was applied. The hub looks it up before it "
            "resends.",
        )
    return RetryLater(
        code, f"Tryton answered {method} with {what}. Nothing was changed. The hub tries again by itself."
    )
