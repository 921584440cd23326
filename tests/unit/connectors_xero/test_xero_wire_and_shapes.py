"""Values, documents, keys, errors and webhooks, without any request."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.exact_json import Unreadable, Unwritable, write
from connectors.xero import webhooks
from connectors.xero.documents import Line, Party, document, draft, priced
from connectors.xero.elements import Keys
from connectors.xero.error_table import refusal
from connectors.xero.settings import XeroSettings
from connectors.xero.wire import decoded, instant, quoted
from oms_schema.problems import Reason

from .conftest import TENANT, settings, uuid
from .conftest import document as item

_CENT = Decimal("0.01")


# ------------------------------------------------------------ values
def test_dates_are_days_and_instants_by_the_name_of_their_field() -> None:
    read = decoded(b'{"Date": "/Date(1539993600000+0000)/", "UpdatedDateUTC": "/Date(1573755038314)/", "n": 12.50}')
    assert read["Date"] == date(2018, 10, 20)
    assert read["UpdatedDateUTC"] == datetime(2019, 11, 14, 18, 10, 38, 314_000, tzinfo=UTC)
    assert read["n"] == Decimal("12.50")


def test_the_offset_of_a_date_only_says_how_it_was_shown() -> None:
    assert instant("/Date(0+1300)/") == instant("/Date(0-0800)/") == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["/Date(x)/", "/Date()/", "/Date(999999999999999)/", "/Date(1+0000)/ ", "/Date(1e9)/"])
def test_a_date_that_is_none_makes_the_body_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        decoded(json.dumps({"Date": text}).encode())


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"NaN", b"[" * 5000, b"1" * 50, b'{"a": 1e999999}', b"\xff", b'{"a":' * 30 + b"1" + b"}" * 30],
)
def test_a_body_that_would_hurt_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        decoded(body)


def test_texts_that_no_database_holds_are_shown_as_replaced() -> None:
    assert decoded(b'{"a": "\\u0000\\ud800x"}') == {"a": "\ufffd\ufffdx"}


def test_numbers_leave_as_written_and_nothing_inexact_leaves() -> None:
    assert write({"a": Decimal("998.4120"), "d": date(2026, 1, 2)}) == b'{"a":998.4120,"d":"2026-01-02"}'
    assert write(Decimal("1E+3")) == b"1000"
    for wrong in (1.5, Decimal("NaN"), "\x00", object(), Decimal("1E+99"), "\ud800"):
        with pytest.raises(Unwritable):
            write({"a": wrong})


def test_a_quote_can_never_leave_a_where_clause() -> None:
    assert quoted("ADV-1 & Söhne") == '"ADV-1 & Söhne"'
    for text in ('a" OR Name!="', "a\\", "a\nb", ""):
        with pytest.raises(Unwritable):
            quoted(text)


# ------------------------------------------------------------ documents
amounts = st.decimals(min_value="0.01", max_value="99999", places=2)


@given(st.decimals("0.0001", "9999", places=4), st.decimals("0.0001", "999", places=4), st.sampled_from([0, 0, 1, -1]))
def test_what_is_sent_gives_the_billed_amount_under_every_rounding(quantity: Decimal, price: Decimal, off: int) -> None:
    amount = (quantity * price).quantize(_CENT, ROUND_HALF_UP) + off * _CENT
    line = Line(description="x", amount=amount, quantity=quantity, unit_price=price)
    sent_quantity, sent_price = priced(line)
    for how in (ROUND_HALF_UP, ROUND_HALF_EVEN):
        assert (sent_quantity * sent_price).quantize(_CENT, how) == amount


def test_a_price_of_five_decimals_is_never_sent_for_xero_to_cut() -> None:
    line = Line(description="x", amount=Decimal("12.35"), quantity=Decimal(1000), unit_price=Decimal("0.01235"))
    assert priced(line) == (Decimal(1), Decimal("12.35"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"total": Decimal("12.01")}, "not the sum"),
        ({"kind": "credit_memo"}, "names the document it corrects"),
        ({"due_date": date(2026, 11, 29)}, "due date lies before"),
        ({"reference": "A,B"}, "reference"),
        ({"reference": 'A"B'}, "reference"),
        ({"currency": "usd"}, "currency"),
        ({"lines": []}, "lines"),
        ({"colour": "red"}, "colour"),
        ({"tax": Decimal("-1")}, "negative"),
        ({"tax": Decimal("0.001")}, "finer than a cent"),
        ({"party": {"code": "x" * 51}}, "party.code"),
        ({"total": Decimal("NaN")}, "total"),
    ],
)
def test_a_document_that_cannot_be_right_is_refused_with_its_path(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        document({**item().payload, **change})


def test_a_draft_is_a_draft_with_its_own_number_and_terms() -> None:
    made = draft(document(item().payload), uuid(9), settings(due_days=14))
    assert (made["Status"], made["InvoiceNumber"], made["Type"]) == ("DRAFT", "INV-1", "ACCREC")
    assert (made["DueDate"], made["LineAmountTypes"]) == (date(2026, 12, 14), "NoTax")
    memo = draft(document({**item().payload, "kind": "credit_memo", "corrects": "INV-0"}), uuid(9), settings())
    assert (memo["Type"], memo["CreditNoteNumber"], "DueDate" in memo) == ("ACCRECCREDIT", "INV-1", False)


def test_a_key_belongs_to_one_request_and_fits() -> None:
    body = {"Invoices": [{"Total": Decimal("1.0")}]}
    key = Keys(["a", "b"]).key("draft", body)
    assert key == Keys(["a", "b"]).key("draft", dict(body))
    others = [
        Keys(["b", "a"]).key("draft", body),
        Keys(["a", "b"]).key("authorise", body),
        Keys(["a"]).key("draft", body),
    ]
    others.append(Keys(["a", "b"]).key("draft", {"Invoices": []}))
    assert len({key, *others}) == 5
    assert len(key) <= 128


# ------------------------------------------------------------ errors and settings
@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ("Invoice # must be unique.", "NUMBER-TAKEN", Reason.DUPLICATE),
        ("The document date cannot be before the period lock date.", "PERIOD-LOCKED", Reason.PERIOD_CLOSED),
        ("The contact name X is already assigned to another contact.", "CONTACT-TAKEN", Reason.DUPLICATE),
        ("Account code '9' is not a valid code for this document.", "ACCOUNT-UNKNOWN", Reason.REFERENCE_MISSING),
        ("Organisation is not subscribed to currency SEK", "CURRENCY", Reason.REFERENCE_MISSING),
        ("Invoice not of valid status for modification", "DOCUMENT-STATE", Reason.VENDOR_STATE),
        ("Payment amount exceeds the amount outstanding on this document", "AMOUNT-TOO-HIGH", Reason.VALIDATION),
        ("The TaxType code 'X' does not exist", "TAX-TYPE", Reason.REFERENCE_MISSING),
        ("Something new", "VALIDATION", Reason.VALIDATION),
    ],
)
def test_sentences_have_reasons(words: str, code: str, reason: Reason) -> None:
    assert (refusal(words).code, refusal(words).reason) == (code, reason)


@pytest.mark.parametrize(
    "change",
    [
        {"tenant_id": "acme"},
        {"endpoint": "http://erp.example"},
        {"endpoint": "https://user:pw@erp.example"},
        {"tax_type": "OUTPUT2"},
        {"daily_call_reserve": 5000},
        {"page_size": 1001},
        {"max_concurrency": 6},
        {"colour": "red"},
    ],
)
def test_settings_that_cannot_work_are_refused_without_showing_the_secret(change: dict[str, Any]) -> None:
    values = {"tenant_id": TENANT, "client_id": "id", "client_secret": "the-secret", "account_code": "200"}
    with pytest.raises(ValidationError) as caught:
        XeroSettings.model_validate({**values, **change})
    assert "the-secret" not in str(caught.value)


def test_country_and_code_of_a_party_are_bounded() -> None:
    with pytest.raises(ValidationError):
        Party(code="A", name="N", country="Belgium")


# ------------------------------------------------------------ webhooks
def signed(body: bytes, key: str = "hook") -> str:
    return b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def event(**more: Any) -> dict[str, Any]:
    return {
        "resourceId": uuid(1),
        "tenantId": TENANT,
        "tenantType": "ORGANISATION",
        "eventCategory": "INVOICE",
        "eventType": "UPDATE",
        **more,
    }


def test_an_intent_to_receive_is_answered_by_its_signature_alone() -> None:
    body = b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "S0m3"}'
    assert webhooks.status_for(body, signed(body), ["hook"]) == 200
    assert webhooks.status_for(body, signed(body, "wrong"), ["hook"]) == 401
    assert webhooks.notification(body).notices == ()


@pytest.mark.parametrize("signature", [None, "", "é", "x", "a" * 10_000])
def test_anything_but_the_signature_is_refused(signature: str | None) -> None:
    assert not webhooks.genuine(b"{}", signature, ["hook"])


def test_no_key_signs_nothing_and_huge_bodies_are_not_hashed() -> None:
    assert not webhooks.genuine(b"{}", signed(b"{}", ""), [""])
    huge = b" " * (webhooks.MAX_BODY + 1)
    assert not webhooks.genuine(huge, signed(huge), ["hook"])


def test_a_notification_names_the_streams_to_read_and_leaves_out_what_the_hub_does_not() -> None:
    events = [event(), event(eventCategory="CREDITNOTE", eventType="CREATE"), event(eventCategory="SUBSCRIPTION")]
    events += [event(eventType="DELETE"), event(tenantType="APPLICATION")]
    body = json.dumps({"events": events, "firstEventSequence": 3, "lastEventSequence": 7, "entropy": "x"}).encode()
    said = webhooks.notification(body)
    assert [(n.stream, n.created) for n in said.notices] == [("Invoice", False), ("CreditMemo", True)]
    assert (said.first, said.last) == (3, 7)


@pytest.mark.parametrize(
    "said",
    [
        [],
        {},
        {"events": {}},
        {"events": [], "firstEventSequence": "1", "lastEventSequence": 1},
        {"events": [], "firstEventSequence": 1},
        {"events": [1], "firstEventSequence": 1, "lastEventSequence": 1},
        {"events": [event(resourceId="../x")], "firstEventSequence": 1, "lastEventSequence": 1},
    ],
)
def test_a_body_that_is_no_notification_is_a_value_error(said: Any) -> None:
    with pytest.raises(ValueError, match=r"event|sequence|notification"):
        webhooks.notification(json.dumps(said).encode())
