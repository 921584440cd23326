"""What documents point to in NetSuite, by the names people use: currencies, items, customers."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from connectors.errors import RecordRejected
from connectors.netsuite.documents import Party
from connectors.netsuite.error_table import Absent, odd_reply
from connectors.netsuite.session import AccountSession
from connectors.netsuite.settings import NetSuiteSettings
from connectors.netsuite.suiteql import is_id, text

_LONGEST_NAME = 83
_LONGEST_COMMENT = 4000


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as far as documents need it."""

    id: str
    name: str
    inactive: bool


class UnknownName(RecordRejected):
    """A name the document uses is unknown in NetSuite; `path` is the document's field."""


def eid(external_id: str) -> str:
    """An external id as the address of a record takes it."""
    return f"eid:{quote(external_id, safe='')}"


class Directory:
    """Looks names up and remembers what finance rarely changes, for as long as the connector lives."""

    def __init__(self, session: AccountSession, settings: NetSuiteSettings) -> None:
        self._session = session
        self._settings = settings
        self._currencies: dict[str, str] = {}
        self._items: dict[str, str] = {}
        self._customers: dict[str, str] = {}

    def currency(self, symbol: str) -> str:
        """Id of a currency. Raises UnknownName."""
        if symbol not in self._currencies:
            statement = f"SELECT id FROM currency WHERE symbol = {text(symbol)}"  # noqa: S608 - quoted
            found = self._ids(statement, "currency")
            if len(found) != 1:
                raise UnknownName(
                    "CURRENCY-UNKNOWN",
                    f"NetSuite has no single currency {symbol}. Nothing was created. Finance adds it; operations then replays "
                    "the document.",
                    path="currency",
                )
            self._currencies[symbol] = found[0]
        return self._currencies[symbol]

    def item(self, name: str | None) -> str:
        """Id of the item a line is sold as; None is the connection's own. Raises UnknownName."""
        wanted = name or self._settings.item
        if wanted not in self._items:
            statement = f"SELECT id FROM item WHERE itemid = {text(wanted)} AND isinactive = 'F'"  # noqa: S608 - quoted
            found = self._ids(statement, "item")
            if len(found) != 1:
                raise UnknownName(
                    "ITEM-UNKNOWN",
                    f"NetSuite has no single active item {wanted}. Nothing was created. Finance adds it, or the hub's "
                    "administrator sets `item`; operations then replays the document.",
                    path="lines.product",
                )
            self._items[wanted] = found[0]
        return self._items[wanted]

    def present_customer(self, code: str) -> Customer | None:
        """The customer that a save by this external id would change; None when it would create one.

        Read by the same address, because only NetSuite knows which spellings it takes for the same external id.
        """
        try:
            found = self._session.get("customer", eid(code))
        except Absent:
            return None
        id_ = found.get("id")
        if not isinstance(id_, str) or not is_id(id_):
            raise odd_reply("a customer has no id")
        return Customer(id_, str(found.get("companyName") or ""), inactive=found.get("isInactive") is True)

    def customer(self, wanted: Party) -> str:
        """Id of a customer; created when it does not exist and may be. Raises UnknownName, and what a write raises."""
        if wanted.code not in self._customers:
            known = self.present_customer(wanted.code)
            if known is not None and known.inactive:
                raise UnknownName(
                    "CUSTOMER-INACTIVE",
                    f"The customer {wanted.code} is inactive in NetSuite. No document was created. Finance makes it active; "
                    "operations then replays the document.",
                    path="party.code",
                )
            self._customers[wanted.code] = known.id if known is not None else self.create_customer(wanted)
        return self._customers[wanted.code]

    def create_customer(self, wanted: Party) -> str:
        """Create a customer by its external id, which is unique. Returns its id."""
        if len(wanted.name) > _LONGEST_NAME:
            raise UnknownName(
                "CUSTOMER-NAME",
                f"The name of the customer {wanted.code} has {len(wanted.name)} characters, NetSuite takes {_LONGEST_NAME}. No "
                "document was created. Finance creates the customer with this external id under a shorter name.",
                path="party.name",
            )
        if not self._settings.create_customers or not wanted.name:
            raise UnknownName(
                "CUSTOMER-UNKNOWN",
                f"NetSuite has no customer with the external id {wanted.code}. No document was created. Finance creates it "
                "with this external id; operations then replays the document.",
                path="party.code",
            )
        values: dict[str, object] = {"companyName": wanted.name, "isPerson": False}
        if self._settings.subsidiary is not None:
            values["subsidiary"] = {"id": self._settings.subsidiary}
        address = ", ".join(
            part
            for part in (wanted.street, wanted.postal_code, wanted.city, wanted.country)
            if part is not None and part
        )
        if address:  # an address book is a subrecord, which REST does not update; finance completes it from here
            values["comments"] = address[:_LONGEST_COMMENT]
        return self._session.write("PUT", f"record/v1/customer/{eid(wanted.code)}", values, record="customer")

    def _ids(self, statement: str, record: str) -> list[str]:
        found = [row.get("id") for row in self._session.query(statement, most=2, record=record)]
        ids = [id_ for id_ in found if id_ is not None and is_id(id_)]
        if len(ids) != len(found):
            raise odd_reply(f"a {record} has no id")
        return ids
