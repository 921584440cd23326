"""The lists that Xero answers with, checked before anybody believes them; and the idempotency keys of requests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from connectors.exact_json import write
from connectors.xero.error_table import unreadable
from connectors.xero.session import Call

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ID = {
    "Invoices": "InvoiceID",
    "CreditNotes": "CreditNoteID",
    "Payments": "PaymentID",
    "Contacts": "ContactID",
    "Organisations": "OrganisationID",
    "Accounts": "AccountID",
}


def is_uuid(value: object) -> bool:
    """Whether the value has the form of Xero's ids."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def elements(reply: dict[str, Any], name: str, call: Call) -> list[dict[str, Any]]:
    """The elements of a read's reply, each with an id of its own. Raises RetryLater (or OutcomeUnknown for a write)."""
    found = reply.get(name)
    if not isinstance(found, list) or not all(isinstance(element, dict) for element in found):
        raise unreadable(f"no list of {name}", call.name, call.effect)
    ids = [element.get(_ID[name]) for element in found]
    if not all(is_uuid(one) for one in ids):
        raise unreadable(f"one of {name} without an id", call.name, call.effect)
    if len(set(ids)) != len(ids):
        raise unreadable(f"one of {name} twice", call.name, call.effect)
    return found


def last_page(reply: dict[str, Any], found: Sequence[object], page: int, size: int, call: Call) -> bool:
    """Whether a page is the last: it is not full. Raises RetryLater where Xero counts more pages nevertheless (`pagination` of
    its OpenAPI file), as it does if it gives shorter pages than asked for: what is behind would pass for gone."""
    counted = reply.get("pagination")
    pages = counted.get("pageCount") if isinstance(counted, dict) else None
    if len(found) < size and isinstance(pages, int) and page < pages:
        raise unreadable(f"page {page} of {pages} with {len(found)} of {size} records", call.name, call.effect)
    return len(found) < size


def answers(reply: dict[str, Any], name: str, call: Call, wanted: int) -> list[dict[str, Any]]:
    """The elements of a write's reply: as many as were sent, in their order (`summarizeErrors=false`).

    Raises OutcomeUnknown: a list that cannot be the answer says nothing about any element.
    """
    found = reply.get(name)
    if not isinstance(found, list) or len(found) != wanted or not all(isinstance(element, dict) for element in found):
        what = f"{len(found)} of {name} for {wanted}" if isinstance(found, list) else f"no list of {name}"
        raise unreadable(what, call.name, call.effect)
    return found


def one_element(reply: dict[str, Any], name: str, call: Call) -> dict[str, Any]:
    """The only element of a write's reply. Raises OutcomeUnknown."""
    return answers(reply, name, call, 1)[0]


@dataclass(frozen=True, slots=True)
class Keys:
    """Makes idempotency keys out of the engine's: the same for the same request, another for any other.

    Xero refuses a key that comes back with another body, so the body is part of the key; a batch that is cut differently the
    next time is another request, and only the unique number of its documents protects it.
    """

    items: Sequence[str]

    def key(self, step: str, body: object) -> str:
        """64 characters; Xero takes 128."""
        parts = sha256("\x00".join((step, *self.items)).encode())
        parts.update(write(body))
        return parts.hexdigest()
