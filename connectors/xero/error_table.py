"""What Xero's refusals mean for the hub.

Statuses and forms are from Xero's pages "HTTP response codes and errors" and "OAuth 2.0 API limits" and its OpenAPI file:

| answer | means |
|---|---|
| 400 `ValidationException` (10) | the elements are refused, each with sentences and no codes |
| 400 `PostDataInvalidException` (14) | the body is not what the endpoint takes |
| 400 `QueryParseException` (16) | the `where` or `order` clause is not understood |
| 401 | token expired or unknown; checked before anything is done |
| 403 | the organisation is not connected to this app, or the scope is missing |
| 404 | no such resource |
| 429 | a limit is used up; `X-Rate-Limit-Problem` names it, `Retry-After` in seconds |
| 500, 501, 503 | Xero's own trouble: after a write nobody knows |

Validation errors are English sentences without codes, so sentences are matched by their stable words. A sentence that
matches nothing is still a refusal: Xero said that the element was not saved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from connectors.errors import OutcomeUnknown, RetryLater
from oms_schema.problems import Reason

_WORDS = 300
_SECRETS = re.compile(r"(?i)(bearer|basic)\s+[\w.+/=-]{8,}|eyJ[\w-]+\.[\w-]+\.[\w-]*")
_FINANCE = "Finance corrects it in Xero; operations then replays the document."

MINUTE, DAY, CONCURRENT, APP = "xero-minute", "xero-day", "xero-concurrent", "xero-app-minute"
LIMITS: Mapping[str, tuple[str, float]] = {
    "minute": (MINUTE, 60.0),
    "day": (DAY, 3600.0),
    "concurrent": (CONCURRENT, 5.0),
    "appminute": (APP, 60.0),
}
"""Values of X-Rate-Limit-Problem: our name of the limit, and the wait in seconds when Retry-After is absent."""


class Effect(StrEnum):
    """What a request may do to the organisation; decides what an unknown error means."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused element: our code, the reason class, and who does what. `again`: a fresh look-up will tell more."""

    code: str
    reason: Reason
    fix: str
    path: str = ""
    again: bool = False


_TABLE: tuple[tuple[re.Pattern[str], Refusal], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), refusal)
    for pattern, refusal in (
        (
            r"(invoice|credit note) # must be unique|(invoice|credit note) number .*already",
            Refusal(
                "NUMBER-TAKEN",
                Reason.DUPLICATE,
                "Finance finds the document in Xero; billing gives ours another number.",
                "reference",
                again=True,
            ),
        ),
        (
            r"lock date|period .*lock|locked",
            Refusal(
                "PERIOD-LOCKED", Reason.PERIOD_CLOSED, "Finance moves the lock date or gives the document a later one."
            ),
        ),
        (
            r"contact name .*(already assigned|must be unique)|contact number .*(already|unique)",
            Refusal(
                "CONTACT-TAKEN",
                Reason.DUPLICATE,
                "Finance gives the existing contact our contact number.",
                "party.code",
            ),
        ),
        (
            r"contact .*(archived|could not be found|not valid|does not exist)",
            Refusal("CONTACT-UNUSABLE", Reason.REFERENCE_MISSING, f"{_FINANCE}", "party.code"),
        ),
        (
            r"account code|account .*(archived|not valid|does not exist)",
            Refusal("ACCOUNT-UNKNOWN", Reason.REFERENCE_MISSING, "The hub's administrator corrects `account_code`."),
        ),
        (
            r"tax ?type|tax rate",
            Refusal("TAX-TYPE", Reason.REFERENCE_MISSING, "The hub's administrator corrects `tax_type`."),
        ),
        (
            r"not subscribed to currency|currency",
            Refusal("CURRENCY", Reason.REFERENCE_MISSING, "Finance adds the currency in Xero.", "currency"),
        ),
        (
            r"not of valid status|cannot be (modified|edited)|status",
            Refusal("DOCUMENT-STATE", Reason.VENDOR_STATE, f"{_FINANCE}", "status"),
        ),
        (
            r"exceeds|greater than|outstanding",
            Refusal("AMOUNT-TOO-HIGH", Reason.VALIDATION, "Finance looks at the balance in Xero.", "total"),
        ),
        (
            r"too long|max(imum)? length|exceed.*characters",
            Refusal("TOO-LONG", Reason.LENGTH, "A person shortens the text."),
        ),
    )
)
_OTHER = Refusal("VALIDATION", Reason.VALIDATION, _FINANCE)


def refusal(words: str) -> Refusal:
    """Reads the sentences of a validation error."""
    return next((found for pattern, found in _TABLE if pattern.search(words)), _OTHER)


def one_line(text: object, limit: int = _WORDS) -> str:
    """Vendor words as one printable line without credentials, cut to `limit` characters."""
    line = " ".join(_SECRETS.sub("[credential]", str(text)[: limit * 4]).split())
    line = "".join(c if c.isprintable() else "\ufffd" for c in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def validation_words(element: Mapping[str, object]) -> str:
    """The sentences of an element's ValidationErrors in one line; empty when there are none."""
    errors = element.get("ValidationErrors")
    if not isinstance(errors, list):
        return ""
    said = [str(error.get("Message", "")) for error in errors[:10] if isinstance(error, Mapping)]
    return one_line(" ".join(sentence for sentence in said if sentence))


def unreadable(what: str, call: str, effect: Effect, code: str = "ODD-REPLY") -> OutcomeUnknown | RetryLater:
    """The exception for an answer nobody can read: in doubt after a write, worth another try after a read."""
    if effect is Effect.WRITE:
        return OutcomeUnknown(
            code,
            f"Xero answered {call} with {what}. It is not known whether it was applied. The hub looks it up before it resends.",
        )
    return RetryLater(code, f"Xero answered {call} with {what}. Nothing was changed. The hub tries again by itself.")
