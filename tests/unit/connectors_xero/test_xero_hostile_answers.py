"""Whatever comes back, the connector answers with results that fit or with one of its own errors, within its bounds."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import responses
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors.base import Operation, Outcome
from connectors.errors import ConnectorError, OutcomeUnknown, PermissionMissing, QuotaExhausted, RetryLater
from connectors.xero import XeroConnector

from .conftest import API, document, sent, settings, shown, uuid

Connect = Callable[..., XeroConnector]
CREATE = Operation.CREATE

WORDS = [
    "Invoices",
    "CreditNotes",
    "Contacts",
    "InvoiceID",
    "InvoiceNumber",
    "Status",
    "Total",
    "ValidationErrors",
    "Message",
]
WORDS += [
    "StatusAttributeString",
    "HasErrors",
    "UpdatedDateUTC",
    "Type",
    "Elements",
    "ContactNumber",
    "ContactID",
    "LineItems",
]
VALUES = [
    uuid(1),
    uuid(2),
    "INV-1",
    "DRAFT",
    "AUTHORISED",
    "ERROR",
    "OK",
    "/Date(1796000000000+0000)/",
    "/Date(",
    "ACCREC",
]
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2), st.sampled_from(VALUES), st.text(max_size=4)
)
hostile = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)
elements = st.lists(st.dictionaries(st.sampled_from(WORDS), hostile, max_size=7), max_size=3)
bodies = hostile | st.fixed_dictionaries(
    {}, optional={"Invoices": elements, "Contacts": elements, "CreditNotes": elements}
)
quick = hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def posting(mock: responses.RequestsMock, drafted: Any, authorised: Any = None, status: int = 200) -> None:
    mock.upsert("PUT", f"{API}/Invoices", json=drafted, status=status)
    mock.upsert("POST", f"{API}/Invoices", json=authorised or {}, status=status)


@given(bodies, st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]), st.booleans())
@quick
def test_no_answer_breaks_a_posting_or_passes_for_a_success(
    xero: responses.RequestsMock, body: Any, status: int, first: bool
) -> None:
    """The hostile answer is the draft's, or the authorisation's after an honest draft."""
    text = json.dumps(body)
    xero.upsert(
        "PUT",
        f"{API}/Invoices",
        body=text if first else json.dumps({"Invoices": [shown()]}),
        status=status if first else 200,
    )
    xero.upsert("POST", f"{API}/Invoices", body=text, status=status)
    connector = XeroConnector(settings())
    try:
        results = connector.push("Invoice", CREATE, [document()])
    except ConnectorError:
        return
    finally:
        connector.close()
    assert [r.key for r in results] == ["k1"]
    if results[0].outcome is Outcome.CREATED:
        told = body["Invoices"][0]
        assert told["Status"] in ("AUTHORISED", "PAID")
        assert told["InvoiceID"] == results[0].vendor_id


@given(bodies)
@quick
def test_no_answer_breaks_a_read_or_a_look_up(xero: responses.RequestsMock, body: Any) -> None:
    for path in ("Invoices", "Contacts", "CreditNotes", "Payments", "Organisation", "Accounts"):
        xero.upsert("GET", f"{API}/{path}", body=json.dumps(body))
    connector = XeroConnector(settings())
    acts: list[Callable[[], object]] = [
        lambda: list(connector.read("Invoice", ["total"], None)),
        lambda: list(connector.read("CreditMemo", ["total", "set_off"], None)),
        lambda: list(connector.read("Party", ["code"], None)),
        lambda: connector.find("Invoice", [document()]),
        lambda: connector.observe("Invoice", [uuid(1)]),
        lambda: list(connector.census("Invoice")),
        connector.check,
    ]
    for act in acts:
        with suppress(ConnectorError):
            act()
    connector.close()


@pytest.mark.parametrize(
    "drafted",
    [
        {"Invoices": []},
        {"Invoices": [shown(1), shown(2)]},
        {"Invoices": [shown(2)]},
        {"Invoices": [{**shown(1), "InvoiceID": "7"}]},
        {"Invoices": "none"},
        {},
    ],
)
def test_an_answer_that_cannot_be_ours_leaves_the_draft_in_doubt(
    xero: responses.RequestsMock, connect: Connect, drafted: Any
) -> None:
    posting(xero, drafted)
    with pytest.raises(OutcomeUnknown):
        connect().push("Invoice", CREATE, [document()])
    assert sent(xero, "POST", "Invoices") == []


@pytest.mark.parametrize(
    "told",
    [
        shown(1),
        shown(1, "VOIDED"),
        shown(1, "AUTHORISED", Total=12.01),
        shown(2, "AUTHORISED"),
        {**shown(1, "AUTHORISED"), "Total": "12"},
    ],
)
def test_a_success_that_does_not_show_the_billed_document_is_in_doubt(
    xero: responses.RequestsMock, connect: Connect, told: Any
) -> None:
    posting(xero, {"Invoices": [shown()]}, {"Invoices": [told]})
    with pytest.raises(OutcomeUnknown):
        connect().push("Invoice", CREATE, [document()])


def test_a_200_with_errors_inside_is_a_refusal(xero: responses.RequestsMock, connect: Connect) -> None:
    refused = {
        **shown(),
        "InvoiceID": uuid(0),
        "StatusAttributeString": "ERROR",
        "ValidationErrors": [{"Message": "Not today."}],
    }
    posting(xero, {"Invoices": [refused]})
    (result,) = connect().push("Invoice", CREATE, [document()])
    assert (result.outcome, result.code) == (Outcome.REJECTED, "VALIDATION")
    assert "Not today." in str(result.message)


def test_a_number_that_xero_calls_taken_but_does_not_show_is_parked_not_tried_for_ever(
    xero: responses.RequestsMock, connect: Connect
) -> None:
    refused = {
        **shown(),
        "StatusAttributeString": "ERROR",
        "ValidationErrors": [{"Message": "Invoice # must be unique."}],
    }
    posting(xero, {"Invoices": [refused]})
    (result,) = connect().push("Invoice", CREATE, [document()])
    assert (result.outcome, result.code, result.reason) == (Outcome.REJECTED, "NUMBER-TAKEN", "duplicate")


def test_a_batch_refused_as_a_whole_is_sent_again_one_by_one(xero: responses.RequestsMock, connect: Connect) -> None:
    posting(xero, {"ErrorNumber": 14, "Type": "PostDataInvalidException", "Message": "bad"}, status=400)
    connector = connect()
    both = connector.push("Invoice", CREATE, [document(1), document(2)])
    assert [(r.outcome, r.alone) for r in both] == [(Outcome.RETRY, True)] * 2
    (one,) = connector.push("Invoice", CREATE, [document(1)])
    assert (one.outcome, one.code) == (Outcome.REJECTED, "POST-DATA")


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (429, "", {"Retry-After": "7", "X-Rate-Limit-Problem": "day"}, QuotaExhausted),
        (429, "", {"Retry-After": "soon"}, QuotaExhausted),
        (403, '{"Detail": "AuthenticationUnsuccessful"}', {}, PermissionMissing),
        (403, "<html>a proxy's page</html>", {}, OutcomeUnknown),
        (400, '{"Type": "NewException"}', {}, OutcomeUnknown),
        (500, '{"Title": "An error occurred"}', {}, OutcomeUnknown),
        (503, "<html>", {}, OutcomeUnknown),
        (302, "", {"Location": "https://elsewhere.example"}, OutcomeUnknown),
        (204, "", {}, OutcomeUnknown),
    ],
)
def test_each_status_of_a_write_has_its_meaning(
    xero: responses.RequestsMock,
    connect: Connect,
    status: int,
    body: str,
    headers: dict[str, str],
    expected: type[Exception],
) -> None:
    xero.upsert("PUT", f"{API}/Invoices", body=body, status=status, headers=headers)
    with pytest.raises(expected) as caught:
        connect().push("Invoice", CREATE, [document()])
    if isinstance(caught.value, QuotaExhausted):
        assert (caught.value.limit, caught.value.after) in [("xero-day", 7.0), ("xero-minute", 60.0)]
    assert "the-secret" not in str(caught.value)


def test_records_out_of_order_doubled_or_without_time_stop_a_read(
    xero: responses.RequestsMock, connect: Connect
) -> None:
    late, early = shown(1), shown(2, UpdatedDateUTC="/Date(1795000000000+0000)/")
    for rows in (
        [late, early],
        [late, late],
        [{**late, "UpdatedDateUTC": "2026-01-01"}],
        [{**late, "InvoiceID": 1}],
        [1],
    ):
        xero.upsert("GET", f"{API}/Invoices", json={"Invoices": rows})
        with pytest.raises(RetryLater):
            list(connect().read("Invoice", ["total"], None))


def test_a_vendor_that_ignores_the_page_number_cannot_hold_a_read_for_ever(
    xero: responses.RequestsMock, connect: Connect
) -> None:
    xero.upsert("GET", f"{API}/Invoices", json={"Invoices": [shown(1)]})
    with pytest.raises(RetryLater, match="same page"):
        list(connect(page_size=1).read("Invoice", ["total"], None))


def test_a_vendor_that_ignores_the_page_number_cannot_hold_a_census_for_ever(
    xero: responses.RequestsMock, connect: Connect
) -> None:
    xero.upsert("GET", f"{API}/Invoices", json={"Invoices": [shown(1)]})
    with pytest.raises(RetryLater, match="same page"):
        list(connect(page_size=1).census("Invoice"))


@pytest.mark.parametrize("act", ["census", "read"])
def test_a_vendor_that_gives_shorter_pages_than_asked_for_ends_nothing(
    xero: responses.RequestsMock, connect: Connect, act: str
) -> None:
    """Xero's own count of its pages (`pagination` of the OpenAPI file) says that there is more."""
    pagination = {"page": 1, "pageSize": 1, "pageCount": 3, "itemCount": 3}
    xero.upsert("GET", f"{API}/Invoices", json={"Invoices": [shown(1)], "pagination": pagination})
    connector = connect(page_size=100)
    with pytest.raises(RetryLater):
        list(connector.census("Invoice") if act == "census" else connector.read("Invoice", ["number"], None))


def test_a_token_reply_that_is_none_is_tried_again(xero: responses.RequestsMock, connect: Connect) -> None:
    for reply in (
        {},
        [],
        {"access_token": "", "expires_in": 1},
        {"access_token": "t", "expires_in": "1"},
        {"access_token": "ü", "expires_in": 1},
    ):
        xero.upsert("POST", "https://identity.xero.com/connect/token", json=reply)
        with pytest.raises(RetryLater):
            connect().find("Invoice", [document()])


# ------------------------------------------------------------ sockets
class Server:
    """Answers every request with the same bytes, a piece at a time."""

    def __init__(self, pieces: Iterator[bytes] | list[bytes]) -> None:
        self.pieces = pieces
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self._serve, daemon=True)]
        self.threads[0].start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    if b"/connect/token" in connection.recv(65_536):
                        token = b'{"access_token": "t", "expires_in": 1800}'
                        connection.sendall(
                            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(token) + token
                        )
                        continue
                    for piece in self.pieces:
                        connection.sendall(piece)

    def close(self) -> None:
        self.listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


def trickle() -> Iterator[bytes]:
    yield HEAD + b"\r\n"
    while True:
        time.sleep(0.005)
        yield b" "


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD + b"Content-Length: 400\r\n\r\n", b'{"Invoices": []}'],
        [HEAD + b"\r\n", b" " * 100_000],
        trickle(),
        [b"\x16\x03\x01"],
        [],
    ],
    ids=["cut", "huge", "trickled", "garbage", "nothing"],
)
def test_a_reply_that_is_cut_huge_trickled_or_missing_is_bounded(connect: Connect, pieces: Any) -> None:
    server = Server(pieces)
    try:
        connector = connect(endpoint=server.url, timeout_seconds=0.3, max_reply_bytes=65_536)
        began = time.monotonic()
        with pytest.raises(RetryLater):
            connector.find("Invoice", [document()])
        assert time.monotonic() - began < 30
    finally:
        server.close()
