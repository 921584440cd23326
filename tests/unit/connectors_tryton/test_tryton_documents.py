"""The document's shape, and the draft made of it: amounts survive Tryton's own rounding, faults are named."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.tryton.documents import Booking, Line, Sold, document, draft, priced
from connectors.tryton.posting import differences
from connectors.tryton.wire import decoded, encoded

BOOKING = Booking(
    party=2,
    address=3,
    currency=4,
    digits=2,
    account=5,
    journal=6,
    payment_term=None,
    sold=[Sold(7, 8, 9, 3), Sold(7)],
    origins=[None, None],
)


def payload(**changes: Any) -> dict[str, Any]:
    lines = [
        {
            "description": "Home page",
            "quantity": Decimal("987.654"),
            "unit_price": Decimal("12.345678"),
            "amount": Decimal("12193.26"),
            "period": "2020-03",
        },
        {"description": "Set-up", "amount": Decimal("100.00")},
    ]
    return {
        "reference": "doc-1",
        "party": {"code": "A-1", "name": "Acme"},
        "currency": "USD",
        "date": "2020-03-31",
        "total": Decimal("12293.26"),
        "lines": lines,
        **changes,
    }


def test_a_draft_carries_our_id_the_total_to_hold_and_every_line() -> None:
    values = draft(document(payload()), BOOKING, 6)
    assert (values["reference"], values["source_total_amount"]) == ("doc-1", Decimal("12293.26"))
    first, second = values["lines"][0][1]
    assert (first["quantity"].number, first["unit_price"]) == (Decimal("987.654"), Decimal("12.345678"))
    assert (first["product"], first["unit"], first["description"]) == (8, 9, "Home page (2020-03)")
    assert (second["quantity"].number, second["unit_price"], "product" in second) == (1, Decimal("100.00"), False)


def test_a_credit_memo_is_booked_with_negative_quantities_and_points_to_what_it_corrects() -> None:
    lines = [{"description": "Home page", "amount": Decimal("10.00"), "corrects": 1}]
    wanted = document(payload(kind="credit_memo", corrects="doc-0", lines=lines, total=Decimal("10.00")))
    booking = Booking(2, 3, 4, 2, 5, 6, None, [Sold(7)], [31])
    (line,) = draft(wanted, booking, 4)["lines"][0][1]
    assert (line["quantity"].number, line["unit_price"], line["origin"]) == (
        -1,
        Decimal("10.00"),
        "account.invoice.line,31",
    )
    assert wanted.booked_total == Decimal("-10.00")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"total": Decimal("12293.27")}, "the total is not the sum of the lines"),
        ({"kind": "credit_memo"}, "names the document it corrects"),
        ({"currency": "usd"}, "currency"),
        ({"reference": "100%"}, "reference"),
        ({"lines": []}, "lines"),
        ({"colour": "red"}, "colour"),
        ({"party": {"code": ""}}, "party.code"),
        ({"total": Decimal("NaN")}, "total"),
    ],
)
def test_a_fault_of_the_document_is_named_with_its_path(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        document(payload(**changes))


def test_an_owed_back_total_cannot_travel_as_an_invoice() -> None:
    lines = [{"description": "Refund", "amount": Decimal("-5.00")}]
    with pytest.raises(ValueError, match="credit memo with positive amounts"):
        document(payload(lines=lines, total=Decimal("-5.00")))


money = st.decimals(min_value=Decimal("0"), max_value=Decimal("100000"), places=6)
counts = st.decimals(min_value=Decimal("0"), max_value=Decimal("100000"), places=3)


@given(quantity=counts, price=money, digits=st.sampled_from([0, 2, 3]), kept=st.integers(2, 6))
def test_what_is_sent_gives_the_billed_amount_under_trytons_own_rounding(
    quantity: Decimal, price: Decimal, digits: int, kept: int
) -> None:
    """Planted fault: sending quantity × price always would fail here on every tie and on every fine price."""
    unit = Decimal(1).scaleb(-digits)
    amount = (quantity * price).quantize(unit, ROUND_HALF_UP)
    line = Line(description="x", amount=amount, quantity=quantity, unit_price=price)
    sent_quantity, sent_price = priced(line, digits, kept, 3)
    assert (sent_quantity * sent_price).quantize(unit, ROUND_HALF_EVEN) == amount
    assert sent_price == round(sent_price, max(kept, digits))


def test_a_tie_that_tryton_would_round_down_is_sent_as_one_amount() -> None:
    line = Line(description="x", amount=Decimal("0.13"), quantity=Decimal("1"), unit_price=Decimal("0.125"))
    assert priced(line, 2, 4) == (1, Decimal("0.13"))


def shown(**changes: Any) -> dict[str, Any]:
    return {
        "total_amount": Decimal("12293.26"),
        "tax_amount": Decimal("0.00"),
        "currency.": {"code": "USD"},
        "party.": {"code": "A-1"},
        "invoice_date": date(2020, 3, 31),
        "line_lines.": [{"amount": Decimal("100.00")}, {"amount": Decimal("12193.26")}],
        **changes,
    }


def test_the_erps_own_document_is_compared_to_the_cent() -> None:
    wanted = document(payload())
    assert differences(wanted, shown()) == []
    assert differences(wanted, shown(total_amount=Decimal("12293.27")))[0].startswith("total is 12293.27")


@pytest.mark.parametrize(
    "changes",
    [
        {"tax_amount": Decimal("1.00")},
        {"currency.": {"code": "EUR"}},
        {"party.": None},
        {"line_lines.": [{"amount": Decimal("12293.26")}]},
        {"line_lines.": None},
    ],
)
def test_nothing_but_the_billed_document_is_taken_for_it(changes: dict[str, Any]) -> None:
    assert differences(document(payload()), shown(**changes))


def test_finance_may_give_a_draft_another_date() -> None:
    assert differences(document(payload()), shown(invoice_date=date(2020, 4, 1))) == []


def test_a_draft_survives_the_wire_with_every_digit() -> None:
    sent = decoded(encoded(draft(document(payload()), BOOKING, 6)))
    assert sent["lines"][0][1][0]["unit_price"] == Decimal("12.345678")
    assert sent["lines"][0][1][0]["quantity"] == Decimal("987.654")
    assert sent["invoice_date"] == date(2020, 3, 31)
