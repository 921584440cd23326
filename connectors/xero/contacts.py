"""Contacts by our code: Xero's ContactNumber, which only the API can set. Found, or created once.

Xero keeps ContactNumber and, among active contacts, Name unique (its page "Contacts"; the OpenAPI file shows the refusal).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from connectors.base import Outcome, PushItem, PushResult
from connectors.billing_document import validated
from connectors.errors import OutcomeUnknown, RecordRejected
from connectors.xero.documents import Party
from connectors.xero.elements import Keys, elements, is_uuid, one_element
from connectors.xero.error_table import Effect, refusal, unreadable, validation_words
from connectors.xero.session import Call, XeroSession
from connectors.xero.settings import XeroSettings
from connectors.xero.wire import quoted, writable_in_where
from oms_schema.problems import Reason

_LOOKED_UP_AT_ONCE = 20  # an address of 20 codes of 50 characters stays under 2,000 characters


class UnknownContact(RecordRejected):
    """The code has no contact that a document can name."""


class Contacts:
    """Looks contacts up and remembers their ids for as long as the connector lives."""

    def __init__(self, session: XeroSession, settings: XeroSettings) -> None:
        self._session = session
        self._settings = settings
        self._ids: dict[str, str] = {}

    def by_code(self, codes: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Contacts by code, archived ones too, because the code stays taken; unknown codes are absent."""
        found: dict[str, dict[str, Any]] = {}
        wanted = sorted({code for code in codes if writable_in_where(code)})
        for start in range(0, len(wanted), _LOOKED_UP_AT_ONCE):
            some = wanted[start : start + _LOOKED_UP_AT_ONCE]
            where = " OR ".join(f"ContactNumber=={quoted(code)}" for code in some)
            call = Call("Contacts", params={"where": where, "includeArchived": "true"})
            for contact in elements(self._session.send(call), "Contacts", call):
                if contact.get("ContactNumber") in some:
                    found[str(contact["ContactNumber"])] = contact
        return found

    def ids(self, parties: Sequence[Party], keys: Keys) -> dict[str, str | UnknownContact]:
        """The contact id of each code, created where that is allowed; the exception says why there is none.

        Raises OutcomeUnknown, RetryLater and the like; what was created until then is found by the next try.
        """
        unknown = {party.code: party for party in parties if party.code not in self._ids}
        answers: dict[str, str | UnknownContact] = {}
        there = self.by_code(unknown)
        for code, party in unknown.items():
            contact = there.get(code)
            try:
                if contact is None:
                    self._ids[code] = self.create(party, keys)
                elif contact.get("ContactStatus") == "ACTIVE":
                    self._ids[code] = str(contact["ContactID"])
                else:
                    raise UnknownContact(
                        "CONTACT-ARCHIVED",
                        f"The contact {code} is archived in Xero. No document was created. Finance restores it; operations "
                        "then replays the document.",
                        path="party.code",
                    )
            except UnknownContact as error:
                answers[code] = error
        return answers | {party.code: self._ids[party.code] for party in parties if party.code in self._ids}

    def create(self, wanted: Party, keys: Keys) -> str:
        """Create a contact and return its id. Raises UnknownContact when it may not be or Xero refuses it."""
        if not self._settings.create_contacts or not wanted.name:
            raise UnknownContact(
                "CONTACT-UNKNOWN",
                f"Xero has no contact with the number {wanted.code}. No document was created. Finance creates it, or the hub's "
                "administrator allows create_contacts; operations then replays the document.",
                path="party.code",
            )
        body = {"Contacts": [contact(wanted)]}
        call = Call("Contacts", "PUT", {"summarizeErrors": "false"}, body, key=keys.key("contact", body))
        made = one_element(self._session.send(call), "Contacts", call)
        if words := _refused(made):
            found = refusal(words)
            raise UnknownContact(
                found.code,
                f"Xero refused the contact {wanted.code}: {words} Nothing was created. {found.fix}",
                "party.code",
            )
        if not is_uuid(made.get("ContactID")) or made.get("ContactNumber") != wanted.code:
            raise unreadable("another contact than the one sent", call.name, Effect.WRITE)
        return str(made["ContactID"])

    def push(self, item: PushItem) -> PushResult:
        """Create one contact, or take the one that has the code and the name already."""
        try:
            wanted = validated(Party, item.payload)
        except ValueError as error:
            return _rejected(
                item,
                "PARTY-SHAPE",
                f"The party cannot be sent to Xero: {error}. Nothing was created. Integration corrects what makes it.",
                Reason.MAPPING,
            )
        known = self.by_code([wanted.code]).get(wanted.code)
        if known is not None and known.get("Name") != wanted.name:
            return _rejected(
                item,
                "CODE-TAKEN",
                f"The number {wanted.code} belongs to another contact in Xero, {known.get('ContactID')}. Nothing was created. "
                "Finance says which of the two names is right, or gives the customer another code.",
                Reason.DUPLICATE,
            )
        if known is not None:
            return PushResult(item.key, Outcome.CREATED, vendor_id=str(known["ContactID"]), evidence={"existed": True})
        try:
            return PushResult(item.key, Outcome.CREATED, vendor_id=self.create(wanted, Keys((item.key,))))
        except UnknownContact as error:
            return _rejected(item, error.code, error.message, Reason.REFERENCE_MISSING)
        except OutcomeUnknown:
            raise
        except RecordRejected as error:
            return _rejected(item, error.code, error.message, Reason.VALIDATION)


def contact(wanted: Party) -> dict[str, Any]:
    """The element of `PUT /Contacts`."""
    address = {
        "AddressLine1": wanted.street,
        "City": wanted.city,
        "PostalCode": wanted.postal_code,
        "Country": wanted.country or "",
    }
    filled = {name: value for name, value in address.items() if value}
    values: dict[str, Any] = {"ContactNumber": wanted.code, "Name": wanted.name}
    if filled:
        values["Addresses"] = [{"AddressType": "POBOX", **filled}]  # the kind that invoices are addressed to
    return values


def _refused(element: dict[str, Any]) -> str:
    if element.get("StatusAttributeString") == "ERROR" or element.get("HasValidationErrors") is True:
        return validation_words(element) or "no reason given."
    return ""


def _rejected(item: PushItem, code: str, message: str, reason: Reason) -> PushResult:
    return PushResult(item.key, Outcome.REJECTED, code=code, message=message, reason=str(reason))
