"""Who a payer is at the ERP: the customer codes that Finance gave, in a file of the ERP's connection.

Without a row a payer's code is its own id here, and the ERP makes a new customer of it (where it may): fine in an empty ERP, and
a second customer in one that has known the payer for years. Nothing is matched by name: two customers may share one.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hub.billing.answers import Customer, Customers
from hub.billing.preparing import BILLABLE_ORDERS
from hub.encoding import decode
from hub.errors import Refused
from hub.session import Channel, Session
from hub.store import billing_counts, documents, entities
from hub.store.billing_documents import StoredDocument
from hub.store.database import Cursor
from hub.store.entities import StoredEntity
from oms_schema.ids import EntityKind
from oms_schema.party import Party

PARTY, CODE = "party", "code"
LONGEST_CODE = 120
"""Characters of a code that a document takes."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes by the payer's id here or at its source."""

    given: Mapping[str, str] = field(default_factory=dict)

    def of(self, party: StoredEntity) -> str:
        """The code that documents name a payer by."""
        return self.given_to(party) or party.external_id or party.id

    def given_to(self, party: StoredEntity) -> str | None:
        """The code that Finance gave; None without one."""
        return self.given.get(party.id) or self.given.get(party.native_id)


def codes(channel: Channel) -> Codes:
    """The codes of a connection; none without a file. Raises Refused for a file that cannot be read or contradicts itself."""
    path = channel.settings.customer_codes
    return Codes() if path is None else Codes(_read(path))


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if rows.fieldnames is None or not {PARTY, CODE} <= set(rows.fieldnames):
                raise _unusable(path, f"it has no columns `{PARTY}` and `{CODE}`")
            found: dict[str, str] = {}
            for row in rows:
                party, code = (row[PARTY] or "").strip(), (row[CODE] or "").strip()
                if party and code:
                    _check(path, rows.line_num, party, code, found)
                    found[party] = code
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unusable(path, str(error)) from error
    return found


def _check(path: Path, line: int, party: str, code: str, found: Mapping[str, str]) -> None:
    if found.get(party, code) != code:
        raise _unusable(path, f"line {line} gives {party} the code {code}, and another line {found[party]}")
    if len(code) > LONGEST_CODE or not code.isprintable():
        raise _unusable(path, f"the code of line {line} is longer than {LONGEST_CODE} characters or not printable")


def _unusable(path: Path, why: str) -> Refused:
    return Refused(
        f"The customer codes in {path} cannot be used: {why}. Nothing was posted. Finance corrects the file."
    )


def codes_of_documents(
    cur: Cursor, channel: Channel, wanted: Sequence[StoredDocument], parties: Mapping[str, StoredEntity]
) -> dict[str, str]:
    """By document, the code of its payer. A correction keeps the one of what it corrects: they belong together."""
    given = codes(channel)
    sent = documents.by_ids(cur, channel.name, sorted({one.corrects for one in wanted if one.corrects is not None}))
    before = {document_id: str(decode(one.payload)["party"]["code"]) for document_id, one in sent.items()}
    return {
        one.document_id: before.get(one.corrects or "") or given.of(parties[one.bill_to])
        for one in wanted
        if one.bill_to in parties
    }


def customers(session: Session, channel: Channel) -> Customers:
    """Everybody who pays for an order that is billed, with the code that the next document names; reads only.

    `unknown` are rows of the file that name nobody who pays.
    """
    given = codes(channel)
    with session.database.transaction() as cur:
        orders = billing_counts.payers(cur, [str(status) for status in BILLABLE_ORDERS])
        stored = entities.many(cur, EntityKind.PARTY, sorted(orders))
    listed = [
        Customer(
            party_id=party_id,
            name=Party.from_bytes(one.canonical).name,
            source=one.source,
            native_id=one.native_id,
            orders=orders[party_id],
            code=given.of(one),
            given=given.given_to(one) is not None,
        )
        for party_id, one in stored.items()
    ]
    named = {name for one in stored.values() for name in (one.id, one.native_id)}
    unknown = sorted(set(given.given) - named)
    return Customers(channel.name, sorted(listed, key=lambda one: (one.given, one.name, one.party_id)), unknown)
