"""What documents point to in Tryton, by the names people use: currencies, accounts, journal, terms, products, parties."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from connectors.errors import Misconfigured, RecordRejected
from connectors.tryton.documents import Party, Sold
from connectors.tryton.error_table import Effect, unreadable
from connectors.tryton.rpc import RpcSession
from connectors.tryton.settings import TrytonSettings

Rows = list[dict[str, Any]]


def rows(found: object, method: str) -> Rows:
    """The rows of a search_read or read. Raises RetryLater when they are none."""
    if not isinstance(found, list) or not all(isinstance(row, dict) and type(row.get("id")) is int for row in found):
        raise unreadable("no list of records", method, Effect.READ)
    return found


class UnknownName(RecordRejected):
    """A name the document uses is unknown in Tryton; `path` is the document's field."""


class Directory:
    """Looks names up and remembers what finance rarely changes, for as long as the connector lives."""

    def __init__(self, session: RpcSession, settings: TrytonSettings) -> None:
        self._session = session
        self._settings = settings
        self._currencies: dict[str, tuple[int, int]] = {}
        self._sold: dict[str | None, Sold] = {}
        self._parties: dict[str, tuple[int, int]] = {}
        self._single: dict[str, int] = {}
        self._countries: dict[str, int | None] = {}

    def forget(self) -> None:
        """Look everything up again: a refusal may mean that finance changed it."""
        remembered: tuple[dict[Any, Any], ...] = (
            *(self._currencies, self._sold, self._parties),
            *(self._single, self._countries),
        )
        for known in remembered:
            known.clear()

    def company(self) -> int:
        """Id of the company the connection works for. Raises Misconfigured when the user belongs to none."""
        company = self._session.context().get("company")
        if type(company) is not int:
            raise Misconfigured(
                "NO-COMPANY",
                f"The user {self._settings.user} belongs to no company in Tryton. Nothing was sent. An administrator of Tryton "
                "gives it one, or the hub's administrator sets `company`.",
            )
        return company

    # ---- settings of the account
    def currency(self, code: str) -> tuple[int, int]:
        """Id and digits of a currency. Raises UnknownName."""
        if code not in self._currencies:
            found = self._search("currency.currency", [["code", "=", code]], ["digits"], 1)
            if not found:
                raise UnknownName(
                    "CURRENCY-UNKNOWN",
                    f"Tryton has no currency {code}. Nothing was created. Finance adds it with a rate; operations then "
                    "replays the document.",
                    path="currency",
                )
            self._currencies[code] = (found[0]["id"], int(found[0]["digits"]))
        return self._currencies[code]

    def receivable(self) -> int:
        """Id of the account that invoices are owed on: the settings' or the company's default."""
        if self._settings.receivable_account is None and "receivable_account" not in self._single:
            configuration = rows(
                self._session.read("account.configuration", "read", [1], ["default_account_receivable"]),
                "account.configuration.read",
            )
            if configuration and type(configuration[0].get("default_account_receivable")) is int:
                self._single["receivable_account"] = configuration[0]["default_account_receivable"]
        domain: list[Any] = [["type.receivable", "=", True], ["closed", "!=", True]]
        return self._only("account.account", "receivable_account", self._settings.receivable_account, domain)

    def revenue(self) -> int:
        """Id of the account of lines without a product."""
        domain: list[Any] = [["type.revenue", "=", True], ["closed", "!=", True]]
        return self._only("account.account", "revenue_account", self._settings.revenue_account, domain)

    def journal(self) -> int:
        """Id of the journal of invoices."""
        return self._only(
            "account.journal", "journal", self._settings.journal, [["type", "=", "revenue"]], company=False
        )

    def payment_term(self) -> int | None:
        """Id of the payment term, None when the settings name none."""
        name = self._settings.payment_term
        if name is None:
            return None
        domain: list[Any] = [["name", "=", name]]
        return self._only("account.invoice.payment_term", "payment_term", None, domain, company=False)

    def term_date(self) -> date | None:
        """The server's today where terms count from the posting, else None. Never remembered: a day ends."""
        if not self._settings.term_from_posting:
            return None
        today = self._session.read("ir.date", "today")
        if not isinstance(today, date):
            raise unreadable("no day", "ir.date.today", Effect.READ)
        return today

    def _only(self, model: str, setting: str, code: str | None, domain: list[Any], *, company: bool = True) -> int:
        """The one record the settings mean. Raises Misconfigured when there is none, or several and none is named."""
        if setting not in self._single:
            wanted = [*domain, *([["company", "=", self.company()]] if company else [])]
            wanted += [["code", "=", code]] if code is not None else []
            found = self._search(model, wanted, [], 2)
            if len(found) != 1:
                how_many = "several records" if found else "no record"
                raise Misconfigured(
                    "SETTING-AMBIGUOUS" if found else "SETTING-UNKNOWN",
                    f"Tryton has {how_many} of {model} that fit `{setting}`. No document is sent. The hub's administrator sets "
                    f"`{setting}` to the one that finance names.",
                )
            self._single[setting] = found[0]["id"]
        return self._single[setting]

    def sold(self, code: str | None) -> Sold:
        """What a line of this product code is booked on; None is a line without a product. Raises UnknownName."""
        if code not in self._sold:
            self._sold[code] = Sold(self.revenue()) if code is None else self._product(code)
        return self._sold[code]

    def _product(self, code: str) -> Sold:
        fields = ["default_uom", "default_uom.digits", "account_category.account_revenue"]
        found = self._search("product.product", [["code", "=", code]], fields, 2)
        account = (found[0].get("account_category.") or {}).get("account_revenue") if found else None
        if len(found) != 1 or type(account) is not int:
            raise UnknownName(
                "PRODUCT-UNKNOWN",
                f"Tryton has no single product {code} with a revenue account. Nothing was created. Finance adds it; operations "
                "then replays the document.",
                path="lines.product",
            )
        unit = found[0].get("default_uom.") or {}
        return Sold(account, found[0]["id"], found[0]["default_uom"], unit.get("digits"))

    # ---- parties
    def parties(self, codes: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Parties by code; unknown codes are absent. Archived ones count, because the code stays taken."""
        found = rows(
            self._session.read(
                "party.party",
                "search_read",
                [["code", "in", list(codes)]],
                0,
                None,
                None,
                ["code", "name", "active", "addresses"],
                context={"active_test": False},
            ),
            "party.search_read",
        )
        return {str(row["code"]): row for row in found}

    def party_ids(self, wanted: Sequence[Party]) -> dict[str, tuple[int, int] | RecordRejected]:
        """By code, the ids of a party and of the address its invoices go to, or why there are none.

        What does not exist is created where it may be. Raises OutcomeUnknown from a creation.
        """
        by_code = {party.code: party for party in wanted if party.code not in self._parties}
        refused: dict[str, RecordRejected] = {}
        if by_code:
            known = self.parties(list(by_code))
            if missing := [party for code, party in by_code.items() if code not in known]:
                refused = self._create_parties(missing)
                known |= self.parties([party.code for party in missing])
            for code in by_code:
                row = known.get(code)
                if row is not None and row.get("addresses") and row.get("active"):
                    self._parties[code] = (row["id"], row["addresses"][0])
                elif row is not None or code not in refused:
                    refused[code] = UnknownName(
                        "PARTY-UNUSABLE",
                        f"The party {code} is archived in Tryton or has no address. No document was created. Finance "
                        "completes it; operations then replays the document.",
                        path="party.code",
                    )
        codes = {party.code for party in wanted}
        return {code: self._parties[code] if code in self._parties else refused[code] for code in codes}

    def _create_parties(self, wanted: Sequence[Party]) -> dict[str, RecordRejected]:
        """Create parties in one request; what is refused is created one by one, and told by code."""
        refused: dict[str, RecordRejected] = {}
        values: list[dict[str, Any]] = []
        creatable: list[Party] = []
        for party in wanted:
            try:
                values.append(self._party_values(party))
                creatable.append(party)
            except UnknownName as error:
                refused[party.code] = error
        try:
            if values:
                self._created(values)
        except RecordRejected as error:
            if len(creatable) == 1:
                return {**refused, creatable[0].code: error}
            for party in creatable:
                refused |= self._create_parties([party])
        return refused

    def create_party(self, wanted: Party) -> int:
        """Create a party; its code is unique, so a second one is refused by Tryton. Returns its id."""
        return self._created([self._party_values(wanted)])[0]

    def _created(self, values: list[dict[str, Any]]) -> list[int]:
        created = self._session.write("party.party", "create", values)
        if (
            not isinstance(created, list)
            or len(created) != len(values)
            or not all(type(native_id) is int for native_id in created)
        ):
            raise unreadable("no id", "party.create", Effect.WRITE)
        return created

    def _party_values(self, wanted: Party) -> dict[str, Any]:
        if not self._settings.create_parties or not wanted.name:
            raise UnknownName(
                "PARTY-UNKNOWN",
                f"Tryton has no party {wanted.code}. No document was created. Finance creates it with this code; operations "
                "then replays the document.",
                path="party.code",
            )
        address: dict[str, Any] = {
            "street": wanted.street or None,
            "city": wanted.city or None,
            "postal_code": wanted.postal_code or None,
        }
        if wanted.country is not None:
            country = self._country(wanted.country)
            if country is not None:
                address["country"] = country
            else:  # a Tryton whose list of countries was never loaded knows none
                address["street"] = "\n".join(part for part in (wanted.street, wanted.country) if part)
        return {"code": wanted.code, "name": wanted.name, "addresses": [["create", [address]]]}

    def _country(self, code: str) -> int | None:
        if code not in self._countries:
            found = self._search("country.country", [["code", "=", code]], [], 1)
            self._countries[code] = found[0]["id"] if found else None
        return self._countries[code]

    def _search(self, model: str, domain: list[Any], fields: list[str], most: int) -> Rows:
        found = self._session.read(model, "search_read", domain, 0, most, None, ["id", *fields])
        return rows(found, f"{model}.search_read")
