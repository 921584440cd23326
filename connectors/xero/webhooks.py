"""Webhooks of Xero: whether a notification is genuine, what to answer, and what it says changed. Pure; no server.

Source: Xero's pages "Webhooks" and the file `xero-webhooks.yaml`. The header `x-xero-signature` is the base64 HMAC-SHA256 of
the raw body under the webhook's key. Before a webhook is switched on Xero sends an *intent to receive*: several bodies, some
signed wrongly on purpose; the receiver must answer 200 to the right ones and 401 to the others, each within five seconds
and with an empty body. A notification only says that something changed; what changed is read from the API, so a
notification that is late, doubled or out of order does no harm.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.xero.elements import is_uuid

MAX_BODY = 1024 * 1024
_STREAMS = {"INVOICE": "Invoice", "CREDITNOTE": "CreditMemo", "CONTACT": "Party"}


@dataclass(frozen=True, slots=True)
class Notice:
    """One change: the stream to read, the record's id, and whether it is new."""

    stream: str
    native_id: str
    tenant_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class Notification:
    """A genuine notification. Sequences count up per webhook: a gap to the one before means that some were missed."""

    first: int
    last: int
    notices: Sequence[Notice]


def genuine(body: bytes, signature: str | None, keys: Sequence[str]) -> bool:
    """Whether one of the webhook's keys made the signature; several keys while one is being replaced."""
    if not signature or not signature.isascii() or len(body) > MAX_BODY:
        return False
    made = [b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()) for key in keys if key]
    # Every key is compared, in constant time, so that the time taken tells nothing.
    return sum(hmac.compare_digest(one, signature.encode()) for one in made) > 0


def status_for(body: bytes, signature: str | None, keys: Sequence[str]) -> int:
    """The HTTP status to answer with an empty body: 200, or 401 for what is not genuine. Also for an intent to receive."""
    return 200 if genuine(body, signature, keys) else 401


def notification(body: bytes) -> Notification:
    """What a genuine body says; an intent to receive has no notices. Raises ValueError for anything else.

    Events of categories and kinds that the hub does not read are left out.
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("the notification is no JSON") from error
    events = said.get("events") if isinstance(said, dict) else None
    if not isinstance(events, list) or type(said.get("firstEventSequence")) is not int:
        raise ValueError("the notification has no events or no sequence")
    if type(said.get("lastEventSequence")) is not int:
        raise ValueError("the notification has no last sequence")
    notices: list[Notice] = []
    for event in events:
        if not isinstance(event, dict):
            raise ValueError("an event is no object")
        stream = _STREAMS.get(str(event.get("eventCategory")))
        kind = event.get("eventType")
        if stream is None or kind not in ("CREATE", "UPDATE") or event.get("tenantType") != "ORGANISATION":
            continue
        native_id, tenant_id = event.get("resourceId"), event.get("tenantId")
        if not is_uuid(native_id) or not is_uuid(tenant_id):
            raise ValueError("an event names no record")
        notices.append(Notice(stream, str(native_id), str(tenant_id), kind == "CREATE"))
    return Notification(said["firstEventSequence"], said["lastEventSequence"], tuple(notices))
