"""One shape of a document goes to every ERP, and one set of names comes back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.base import Connector
from connectors.billing_document import (
    CorrectionShown,
    DocumentShape,
    DocumentShown,
    Kind,
    LineShape,
    PartyShape,
    PaymentShown,
    decimals,
    validated,
)
from connectors.netsuite import NetSuiteConnector
from connectors.netsuite.documents import Document as NetSuiteDocument
from connectors.tryton import TrytonConnector
from connectors.tryton.documents import Document as TrytonDocument
from connectors.xero import XeroConnector
from connectors.xero.documents import Document as XeroDocument

ERPS: list[tuple[type[Connector], type[DocumentShape]]] = [
    (NetSuiteConnector, NetSuiteDocument),
    (TrytonConnector, TrytonDocument),
    (XeroConnector, XeroDocument),
]
SHAPES = [shape for _, shape in ERPS]


def payload(**more: Any) -> dict[str, Any]:
    line = {
        "description": "Homepage",
        "amount": Decimal("33.40"),
        "quantity": Decimal("3.3366"),
        "unit_price": Decimal("10.01"),
        "period": "2026-02",
    }
    return {
        "reference": "doc_1",
        "party": {"code": "pty_1", "name": "Acme", "country": "US"},
        "currency": "USD",
        "date": date(2026, 2, 28),
        "description": "Order 7, 2026-02",
        "total": Decimal("33.40"),
        "lines": [line],
        **more,
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_hub_hands_over_fits_every_erp(shape: type[DocumentShape]) -> None:
    invoice = validated(shape, payload())
    assert (invoice.gross, invoice.sign, invoice.lines[0].words) == (Decimal("33.40"), 1, "Homepage (2026-02)")
    memo = validated(shape, payload(kind="credit_memo", corrects="doc_0"))
    assert (memo.kind, memo.sign) == (Kind.CREDIT_MEMO, -1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"total": Decimal("33.41")}, "not the sum of the lines"),
        ({"kind": "credit_memo"}, "names the document it corrects"),
        ({"lines": [{"description": "x", "amount": Decimal("33.40"), "corrects": 1}]}, "a line of no document"),
        ({"lines": [{"description": "x", "amount": Decimal(-5)}], "total": Decimal(-5)}, "total is negative"),
        ({"tax": Decimal(-1)}, "total is negative"),
        ({"due_date": date(2026, 2, 27)}, "before the date"),
        ({"extra": 1}, "extra: "),
        ({"reference": "a\nb"}, "reference: "),
        ({"reference": "a\x7fb"}, "reference: "),
        ({"reference": "a" * 121}, "reference: "),
        ({"reference": ""}, "reference: "),
        ({"party": {"code": ""}}, "party.code: "),
        ({"lines": []}, "lines: "),
        ({"currency": "usd"}, "currency: "),
        ({"total": Decimal("NaN")}, "total: "),
        ({"description": "a\x00b"}, "description: "),
    ],
)
def test_what_is_no_document_fits_no_erp(shape: type[DocumentShape], wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        validated(shape, payload(**wrong))


def test_every_fault_is_told_at_once_and_no_value_repeated() -> None:
    with pytest.raises(ValueError, match=r"currency: .*; date: ") as caught:
        validated(DocumentShape, payload(currency="secret", date="secret"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"tax": Decimal(1)}, {"due_date": date(2026, 3, 1)}])
def test_tryton_is_never_sent_what_it_would_leave_out(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tax: |due_date: "):
        validated(TrytonDocument, payload(**wrong))
    validated(NetSuiteDocument, payload(**wrong))
    validated(XeroDocument, payload(**wrong))


@pytest.mark.parametrize(
    ("code", "refused_by"),
    [("a/b", NetSuiteDocument), ("a%b", NetSuiteDocument), ("a%b", TrytonDocument), ("a,b", XeroDocument)],
)
def test_a_code_that_one_erp_cannot_look_up_is_refused_there(code: str, refused_by: type[DocumentShape]) -> None:
    assert validated(DocumentShape, payload(reference=code)).reference == code
    for wrong in ({"reference": code}, {"corrects": code}, {"party": {"code": code}}):
        with pytest.raises(ValueError, match="String should match pattern"):
            validated(refused_by, payload(**wrong))


@pytest.mark.parametrize("quantity", ["3.3366", "3.3367", "1", None])
def test_quantity_and_price_count_only_where_every_rounding_gives_the_amount(quantity: str | None) -> None:
    asked = None if quantity is None else Decimal(quantity)
    line = LineShape(description="x", amount=Decimal("33.40"), quantity=asked, unit_price=Decimal("10.01"))
    assert line.multiplies_out(2) is (quantity in ("3.3366", "3.3367"))
    half = LineShape(description="x", amount=Decimal("0.13"), quantity=Decimal("0.5"), unit_price=Decimal("0.25"))
    assert not half.multiplies_out(2), "half to even gives 0.12"


def test_trailing_zeros_are_no_decimals() -> None:
    assert [decimals(Decimal(text)) for text in ("1.500", "100", "1E+3", "0.0001")] == [1, 0, 0, 4]


@pytest.mark.parametrize(("connector", "shape"), ERPS)
def test_the_declared_records_name_what_is_handed_over_and_read_back(
    connector: type[Connector], shape: type[DocumentShape]
) -> None:
    schemas = connector.record_schemas()
    for record in ("Invoice", "CreditMemo"):
        if record not in schemas:
            continue
        fields = schemas[record].fields.values()
        written = {field.path for field in fields if field.createable}
        needed = {name for name, field in shape.model_fields.items() if field.is_required()}
        assert needed <= written <= set(shape.model_fields)
        assert {field.path for field in fields if field.readable} <= set(DocumentShown.__annotations__)
    party = schemas["Customer" if "Customer" in schemas else "Party"].fields.values()
    assert {field.path for field in party if field.createable} == set(PartyShape.model_fields)


def test_a_payment_and_a_correction_are_told_by_the_same_names_everywhere() -> None:
    assert set(PaymentShown.__annotations__) == {"id", "date", "amount", "number", "by_document"}
    assert set(CorrectionShown.__annotations__) == {"id", "reference", "number", "date", "total"}
