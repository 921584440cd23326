"""Sets up the publisher's company in an empty Tryton over JSON-RPC: accounts, years, numbers, currencies, products, users.

Everything is done by the calls that Tryton's own clients make. Rates are round figures: what matters is that each currency
has one. Invoice numbers come from one strict sequence a month, because Tryton refuses a date before the last one of its
sequence, and months are billed side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.tryton.rpc import RpcSession
from connectors.tryton.wire import Quantity

HUB_USER = "orderhub"
BOOKKEEPER = "bookkeeper"
PAYMENT_TERM = "30 days"
PAYMENT_METHOD = "Bank"
PRODUCT = "MEDIA"
COMPANY = "Sample Publisher Inc"

CURRENCIES: dict[str, tuple[str, int, str]] = {
    "USD": ("US Dollar", 2, "1"),
    "AUD": ("Australian Dollar", 2, "1.5"),
    "CAD": ("Canadian Dollar", 2, "1.35"),
    "CHF": ("Swiss Franc", 2, "0.95"),
    "DKK": ("Danish Krone", 2, "6.7"),
    "EUR": ("Euro", 2, "0.9"),
    "GBP": ("Pound Sterling", 2, "0.8"),
    "JPY": ("Yen", 0, "150"),
    "KWD": ("Kuwaiti Dinar", 3, "0.3"),
    "NOK": ("Norwegian Krone", 2, "9.5"),
    "SEK": ("Swedish Krona", 2, "10"),
}
"""Name, digits and units per US dollar. ISO 4217."""

_CASH = "1.1.1"
REVENUE = "4.1.2"
"""Services, in Tryton's universal chart of accounts."""

_LETTER = """\
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:py="http://genshi.edgewall.org/">
  <body py:for="invoice in records">
    <h1>${invoice.company.rec_name}: ${invoice.total_amount >= 0 and 'Invoice' or 'Credit Note'} ${invoice.number}</h1>
    <p>${invoice.party.rec_name}, ${invoice.invoice_date}</p>
    <p>${invoice.description}, reference ${invoice.reference}</p>
    <table>
      <tr py:for="line in invoice.lines"><td>${line.description}</td><td>${line.amount}</td></tr>
      <tr><th>${invoice.currency.code}</th><th>${invoice.total_amount}</th></tr>
    </table>
  </body>
</html>
"""
"""The invoice on paper, which Tryton makes and keeps as it posts one. Its own template is a LibreOffice document, and filling
that took half as long again as the posting of a small invoice (0.1 s)."""

_HUB_GROUPS = (("account", "group_account"), ("sale", "group_sale"))
_BOOKKEEPER_GROUPS = (*_HUB_GROUPS, ("account", "group_account_admin"), ("party", "group_party_admin"))


def set_up(session: RpcSession, hub_password: str, bookkeeper_password: str, years: Sequence[int]) -> None:
    """Everything, as the administrator. Raises any ConnectorError; the database is thrown away then."""
    currencies = _currencies(session)
    company = _company(session, currencies["USD"])
    session.forget_context()
    _chart(session, company)
    _journals(session, company)
    _letter(session)
    _fiscal_years(session, company, years)
    _product(session)
    for login, password, groups in (
        (HUB_USER, hub_password, _HUB_GROUPS),
        (BOOKKEEPER, bookkeeper_password, _BOOKKEEPER_GROUPS),
    ):
        _user(session, company, login, password, groups)


def _one(session: RpcSession, model: str, domain: list[Any]) -> int:
    found: list[int] = session.read(model, "search", domain, 0, 1, None)
    if not found:
        raise LookupError(f"there is no {model} {domain} in the empty Tryton")
    return found[0]


def _create(session: RpcSession, model: str, values: dict[str, Any]) -> int:
    created: list[int] = session.write(model, "create", [values])
    return created[0]


def _data_id(session: RpcSession, module: str, name: str) -> int:
    return int(session.read("ir.model.data", "get_id", module, name))


def _currencies(session: RpcSession) -> dict[str, int]:
    ids: dict[str, int] = {}
    for code, (name, digits, rate) in CURRENCIES.items():
        ids[code] = _create(
            session,
            "currency.currency",
            {
                "name": name,
                "symbol": code,
                "code": code,
                "digits": digits,
                "rounding": Decimal(1).scaleb(-digits),
                "rates": [["create", [{"date": date(2000, 1, 1), "rate": Decimal(rate)}]]],
            },
        )
    return ids


def _company(session: RpcSession, currency: int) -> int:
    party = _create(session, "party.party", {"name": COMPANY, "code": "SELF", "addresses": [["create", [{}]]]})
    company = _create(session, "company.company", {"party": party, "currency": currency})
    session.write("res.user", "write", [session.user_id], {"companies": [["add", [company]]], "company": company})
    return company


def _chart(session: RpcSession, company: int) -> None:
    template = _data_id(session, "account", "account_template_root_en")
    wizard = session.wizard("account.create_chart", "create")[0]
    chosen = {"account_template": template, "company": company}
    session.wizard("account.create_chart", "execute", wizard, {"start": {}, "account": chosen}, "create_account")
    properties = {"company": company}
    for kind in ("receivable", "payable"):
        theirs = [[f"type.{kind}", "=", True], ["party_required", "=", True], ["closed", "!=", True]]
        properties[f"account_{kind}"] = _one(session, "account.account", theirs)
    for kind in ("revenue", "expense"):
        properties[f"category_account_{kind}"] = _account(session, kind)
    form = {"start": {}, "account": chosen, "properties": properties}
    session.wizard("account.create_chart", "execute", wizard, form, "create_properties")
    session.wizard("account.create_chart", "delete", wizard)


def _account(session: RpcSession, kind: str) -> int:
    return _one(session, "account.account", [[f"type.{kind}", "=", True], ["closed", "!=", True]])


def _journals(session: RpcSession, company: int) -> None:
    cash = _one(session, "account.account", [["code", "=", _CASH]])
    _create(
        session,
        "account.invoice.payment.method",
        {
            "name": PAYMENT_METHOD,
            "company": company,
            "journal": _one(session, "account.journal", [["type", "=", "cash"]]),
            "credit_account": cash,
            "debit_account": cash,
        },
    )
    exchange = _create(session, "account.journal", {"name": "Currency exchange", "code": "EXC", "type": "write-off"})
    session.write(
        "account.configuration",
        "write",
        [1],
        {
            "currency_exchange_journal": exchange,
            "currency_exchange_credit_account": _one(session, "account.account", [["code", "=", REVENUE]]),
            "currency_exchange_debit_account": _account(session, "expense"),
        },
    )
    after_30_days = {"type": "remainder", "relativedeltas": [["create", [{"days": 30}]]]}
    _create(session, "account.invoice.payment_term", {"name": PAYMENT_TERM, "lines": [["create", [after_30_days]]]})


def _letter(session: RpcSession) -> None:
    report = _one(session, "ir.action.report", [["report_name", "=", "account.invoice"]])
    session.write(
        "ir.action.report",
        "write",
        [report],
        {"template_extension": "html", "extension": "html", "report_content_html": _LETTER},
    )


def _fiscal_years(session: RpcSession, company: int, years: Sequence[int]) -> None:
    """Years, months and number sequences, each kind in one call: a call costs a transaction."""
    of_moves = _data_id(session, "account", "sequence_type_account_move")
    moves = [
        {"name": f"Moves {year}", "prefix": f"{year}/", "sequence_type": of_moves, "company": company} for year in years
    ]
    move_ids = session.write("ir.sequence.strict", "create", moves)
    whole_years = _invoice_sequences(session, company, [str(year) for year in years])
    values = [
        {
            "name": str(year),
            "company": company,
            "start_date": date(year, 1, 1),
            "end_date": date(year, 12, 31),
            "move_sequence": sequence,
            "invoice_sequences": [["create", [{"company": company, "sequence": 99, **whole_years[str(year)]}]]],
        }
        for year, sequence in zip(years, move_ids, strict=True)
    ]
    ids = session.write("account.fiscalyear", "create", values)
    session.write("account.fiscalyear", "create_period", ids)
    fields = ["start_date", "fiscalyear"]
    periods = session.read("account.period", "search_read", [["fiscalyear", "in", ids]], 0, None, None, fields)
    months = {row["id"]: f"{row['start_date']:%Y-%m}" for row in periods}
    numbers = _invoice_sequences(session, company, sorted(months.values()))
    rows = [
        {
            "fiscalyear": row["fiscalyear"],
            "company": company,
            "sequence": row["start_date"].month,
            "period": row["id"],
            **numbers[months[row["id"]]],
        }
        for row in periods
    ]
    session.write("account.fiscalyear.invoice_sequence", "create", rows)


def _invoice_sequences(session: RpcSession, company: int, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """For each name two sequences, for invoices and for credit notes, customers and suppliers alike."""
    kind = _data_id(session, "account_invoice", "sequence_type_account_invoice")
    common = {"sequence_type": kind, "company": company, "padding": 4}
    values = [
        {"name": f"{title} {name}", "prefix": f"{prefix}-{name}-", **common}
        for name in names
        for title, prefix in (("Invoices", "INV"), ("Credit notes", "CRN"))
    ]
    ids = session.write("ir.sequence.strict", "create", values)
    fields = [f"{way}_{kind}_sequence" for kind in ("invoice", "credit_note") for way in ("out", "in")]
    return {
        name: dict(zip(fields, (ids[at], ids[at], ids[at + 1], ids[at + 1]), strict=True))
        for name, at in zip(names, range(0, len(ids), 2), strict=True)
    }


def _product(session: RpcSession) -> None:
    category = _create(
        session,
        "product.category",
        {
            "name": "Media",
            "accounting": True,
            "account_revenue": _one(session, "account.account", [["code", "=", REVENUE]]),
            "account_expense": _account(session, "expense"),
        },
    )
    units = _create(session, "product.uom.category", {"name": "Impressions"})
    thousand = _create(
        session,
        "product.uom",
        {
            "name": "Thousand impressions",
            "symbol": "CPM",
            "category": units,
            "factor": Quantity(Decimal(1)),
            "rate": Quantity(Decimal(1)),
            "digits": 3,
            "rounding": Quantity(Decimal("0.001")),
        },
    )
    _create(
        session,
        "product.template",
        {
            "name": "Advertising",
            "code": PRODUCT,
            "type": "service",
            "default_uom": thousand,
            "salable": True,
            "sale_uom": thousand,
            "list_price": Decimal(1),
            "account_category": category,
            "products": [["create", [{}]]],
        },
    )


def _user(session: RpcSession, company: int, login: str, password: str, groups: Sequence[tuple[str, str]]) -> None:
    ids = [_data_id(session, module, name) for module, name in groups]
    _create(
        session,
        "res.user",
        {
            "name": login.capitalize(),
            "login": login,
            "password": password,
            "companies": [["add", [company]]],
            "company": company,
            "groups": [["add", ids]],
        },
    )
