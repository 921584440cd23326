"""The simulated account is no kinder than the vendor: schema, tokens, governance, periods, external ids, sublists."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sandbox.netsuite import build
from sandbox.netsuite.tokens import read_key

from .conftest import PUBLIC, Wire, assertion, bill, code_of

OTHER = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode("ascii")
)


# ---------------------------------------------------------------- log-in
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"kid": "other"}, "invalid_client"),
        ({"key": OTHER}, "invalid_client"),
        ({"iss": "somebody"}, "invalid_client"),
        ({"aud": "https://7654321.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"}, "invalid_client"),
        ({"lasts": -10}, "invalid_client"),
        ({"lasts": 4000}, "invalid_client"),
        ({"iat": None}, "invalid_client"),
        ({"scope": ["restlets"]}, "invalid_scope"),
        ({"key": "a-shared-secret-of-thirty-two-bytes!", "algorithm": "HS256"}, "invalid_client"),
    ],
)
def test_an_assertion_that_is_not_right_gets_no_token(wire: Wire, changes: dict[str, Any], error: str) -> None:
    reply = wire.log_in(assertion(**changes))
    assert (reply.status_code in (400, 401), reply.get_json()) == (True, {"error": error})


def test_the_other_parts_of_a_token_request_are_checked(wire: Wire) -> None:
    assert wire.log_in(grant_type="password").get_json() == {"error": "unsupported_grant_type"}
    assert wire.log_in(client_assertion_type="x").get_json() == {"error": "invalid_request"}
    assert wire.log_in("no.jwt").get_json() == {"error": "invalid_request"}
    assert wire.client.post("/services/rest/auth/oauth2/v1/token", json={}).get_json() == {"error": "invalid_request"}


def test_a_short_rsa_key_is_no_certificate() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    with pytest.raises(ValueError, match="3072"):
        read_key(short.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii"))


def test_without_a_token_nothing_is_told(wire: Wire) -> None:
    wire.token = "none"
    assert code_of(wire.send("GET", "record/v1/invoice/1")) == (401, "INVALID_LOGIN", "")


# ---------------------------------------------------------------- schema
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"colour": 1}, "colour"),
        ({"total": 5}, "total"),
        ({"entity": "1"}, "entity"),
        ({"entity": {"id": "99"}}, "entity"),
        ({"entity": None}, "entity"),
        ({"tranDate": "01/11/2026"}, "tranDate"),
        ({"tranDate": "2026-02-30"}, "tranDate"),
        ({"memo": "x" * 1000}, "memo"),
        ({"currency": {"id": "9"}}, "currency"),
        ({"item": []}, "item"),
        ({"item": {"items": [{"item": {"id": "9999"}}]}}, "item.items[0].item"),
        ({"item": {"items": [{"quantity": 1}]}}, "item.items[0].item"),
        ({"item": {"items": [{"item": {"id": "1"}, "quantity": "1"}]}}, "item.items[0].quantity"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_at_its_path(wire: Wire, change: dict[str, Any], path: str) -> None:
    assert code_of(wire.send("PUT", "record/v1/invoice/eid:A", {**bill(), **change})) == (400, "INVALID_CONTENT", path)
    assert wire.query("SELECT id FROM transaction") == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "record/v1/unicorn/1", 404),
        ("GET", "record/v1/invoice/1", 404),
        ("PUT", "record/v1/invoice/1", 405),
        ("DELETE", "record/v1/customer/1", 405),
        ("GET", "record/v1/invoice", 501),
        ("GET", "record/v1/metadata-catalog", 501),
        ("POST", "record/v1/customer/1/!transform/invoice", 501),
        ("GET", "query/v1/suiteql", 405),
    ],
)
def test_what_is_not_there_or_not_simulated_says_so(wire: Wire, method: str, path: str, status: int) -> None:
    assert wire.send(method, path, {} if method != "GET" else None).status_code == status


def test_the_headers_are_checked(wire: Wire) -> None:
    assert code_of(wire.send("POST", "query/v1/suiteql", {"q": "SELECT id FROM item"}))[1] == "INVALID_HEADER"
    plain = wire.client.put(
        "/services/rest/record/v1/invoice/eid:A", data="{}", headers={"Authorization": f"Bearer {wire.token}"}
    )
    assert plain.status_code == 415


# ---------------------------------------------------------------- saving
def test_a_save_answers_nothing_but_an_address(wire: Wire) -> None:
    reply = wire.send("PUT", "record/v1/invoice/eid:A", bill())
    assert (reply.status_code, reply.get_data(), reply.headers["Location"].rsplit("/", 2)[1:]) == (
        204,
        b"",
        ["invoice", "1"],
    )
    shown = wire.send("GET", "record/v1/invoice/eid:a").get_json()
    assert (shown["id"], shown["tranId"], shown["total"], shown["status"]["refName"]) == (
        "1",
        "INV000001",
        25.0,
        "Pending Approval",
    )
    assert "items" not in shown["item"]
    lines = wire.send("GET", "record/v1/invoice/1?expandSubResources=true").get_json()["item"]["items"]
    assert [(line["line"], line["amount"]) for line in lines] == [(1, 25.0)]


def test_a_second_save_adds_its_lines_once_more_unless_the_sublist_is_replaced(wire: Wire) -> None:
    totals = []
    for query in ("", "", "?replace=item"):
        assert wire.send("PUT", f"record/v1/invoice/eid:A{query}", bill()).status_code == 204
        totals.append(wire.send("GET", "record/v1/invoice/1").get_json()["total"])
    assert totals == [25.0, 50.0, 25.0]


def test_an_external_id_is_unique_among_transactions(wire: Wire) -> None:
    wire.send("PUT", "record/v1/invoice/eid:A", bill())
    assert code_of(wire.send("POST", "record/v1/invoice", bill(externalId="a"))) == (400, "DUP_RCRD", "externalId")
    assert code_of(wire.send("PUT", "record/v1/creditMemo/eid:A", bill()))[1] == "DUP_RCRD"


def test_amounts_are_rounded_by_the_accounts_own_rule_and_taxed_when_it_says_so(wire: Wire) -> None:
    line = {"item": {"id": "1"}, "quantity": 0.25, "rate": 0.5}
    seen = []
    for rounding, tax in (("half_up", "0"), ("half_even", "0"), ("half_up", "19")):
        wire.act("preferences", rounding=rounding, tax_percent=tax)
        wire.send("PUT", "record/v1/invoice/eid:A?replace=item", bill(item={"items": [line]}))
        seen.append(wire.send("GET", "record/v1/invoice/1").get_json()["total"])
    assert seen == [0.13, 0.12, 0.15]


def test_a_closed_period_takes_nothing(wire: Wire) -> None:
    wire.send("PUT", "record/v1/invoice/eid:A", bill())
    wire.act("period", period="2026-11", closed=True)
    for reply in (
        wire.send("PUT", "record/v1/invoice/eid:B", bill()),
        wire.send("PATCH", "record/v1/invoice/1", {"memo": "x"}),
        wire.send("DELETE", "record/v1/invoice/1"),
    ):
        assert code_of(reply) == (400, "USER_ERROR", "tranDate")
    assert code_of(wire.send("PUT", "record/v1/invoice/eid:C", bill(tranDate="2035-01-01")))[1] == "USER_ERROR"


def test_payments_and_credits_do_not_exceed_what_is_left(wire: Wire) -> None:
    wire.send("PUT", "record/v1/invoice/eid:A", bill())
    pay = {"invoice": "eid:A", "amount": "20.00"}
    assert wire.client.post("/control/pay", json=pay).status_code == 400, "not approved"
    wire.send("PATCH", "record/v1/invoice/1", {"approvalStatus": {"id": "2"}})
    wire.act("pay", **pay)
    applied = {"items": [{"doc": {"id": "1"}, "apply": True, "amount": 6}]}
    assert code_of(wire.send("PUT", "record/v1/creditMemo/eid:C", bill(apply=applied)))[2] == "apply.items[0].amount"
    applied["items"][0]["amount"] = 5
    assert wire.send("PUT", "record/v1/creditMemo/eid:C", bill(apply=applied)).status_code == 204
    assert wire.send("GET", "record/v1/invoice/1").get_json()["status"]["refName"] == "Paid In Full"
    assert wire.send("GET", "record/v1/creditMemo/eid:C").get_json()["unapplied"] == 20.0
    assert wire.send("DELETE", "record/v1/invoice/1").status_code == 400


def test_a_sales_order_becomes_an_invoice(wire: Wire) -> None:
    wire.send("PUT", "record/v1/salesOrder/eid:O", bill())
    reply = wire.send("POST", "record/v1/salesOrder/eid:O/!transform/invoice", {})
    assert reply.headers["Location"].endswith("/invoice/2")
    shown = wire.send("GET", "record/v1/invoice/2").get_json()
    assert (shown["createdFrom"]["id"], shown["total"]) == ("1", 25.0)


def test_one_request_too_many_is_answered_429(wire: Wire) -> None:
    wire.act("setup", concurrency=0)
    assert code_of(wire.send("GET", "record/v1/invoice/1")) == (429, "CONCURRENCY_LIMIT_EXCEEDED", "")


def test_the_account_survives_a_restart(tmp_path: Path) -> None:
    now = datetime(2026, 11, 2, tzinfo=UTC)
    totals = []
    for _ in range(2):
        control = build(now=now, certificate=PUBLIC, state_file=tmp_path / "netsuite.json")
        wire = Wire(control)
        if not totals:
            wire.act("customer", externalId="ADV-1", companyName="Acme")
            wire.send("PUT", "record/v1/invoice/eid:A", bill())
        totals.append(wire.send("GET", "record/v1/invoice/eid:A").get_json()["total"])
        control.close()
    assert totals == [25.0, 25.0]
    Wire(control).act("reset")


# ---------------------------------------------------------------- SuiteQL
def test_suiteql_joins_compares_orders_and_shows_text(wire: Wire) -> None:
    for number, day in (("A", "2026-11-03"), ("B", "2026-11-01"), ("C", "2026-11-02")):
        wire.send("PUT", f"record/v1/invoice/eid:{number}", bill(tranDate=day))
    rows = wire.query(
        "select t.externalid, c.symbol AS money, TO_CHAR(t.trandate, 'YYYY-MM-DD') AS day, t.trandate, t.duedate "
        "from transaction t inner join currency c on c.id = t.currency left join customer u on u.id = t.entity "
        "where (t.trandate > TO_DATE('2026-11-01', 'YYYY-MM-DD') or not t.id <> 99) and t.type in ('CustInvc') "
        "and u.externalid = 'ADV-1' and t.duedate is null order by t.trandate desc, t.id"
    )
    assert rows == [
        {"externalid": "A", "money": "USD", "day": "2026-11-03", "trandate": "11/3/2026"},
        {"externalid": "C", "money": "USD", "day": "2026-11-02", "trandate": "11/2/2026"},
    ]


def test_suiteql_pages(wire: Wire) -> None:
    for number in range(5):
        wire.send("PUT", f"record/v1/invoice/eid:{number}", bill())
    statement = "SELECT id FROM transaction ORDER BY id"
    assert [row["id"] for row in wire.query(statement, "query/v1/suiteql?limit=2&offset=2")] == ["3", "4"]
    reply = wire.send("POST", "query/v1/suiteql?limit=2&offset=4", {"q": statement}, Prefer="transient").get_json()
    assert (reply["count"], reply["hasMore"], reply["totalResults"]) == (1, False, 5)
    bad = wire.send("POST", "query/v1/suiteql?limit=2&offset=3", {"q": statement}, Prefer="transient")
    assert code_of(bad)[1] == "INVALID_PARAMETER"


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "SELECT",
        "DELETE FROM transaction",
        "SELECT colour FROM transaction",
        "SELECT x.id FROM transaction t",
        "SELECT id FROM unicorn",
        "SELECT id FROM transaction t INNER JOIN currency c ON c.id = t.currency",
        "SELECT t.id FROM transaction t INNER JOIN currency t ON t.id = t.currency",
        "SELECT t.id FROM transaction t INNER JOIN currency c ON c.id < t.currency",
        "SELECT id FROM transaction WHERE memo = 'O'Brien'",
        "SELECT id FROM transaction WHERE id = 1; SELECT id FROM item",
        "SELECT LOWER(memo, 'x') FROM transaction",
        "SELECT id FROM currency WHERE id = 'x'",
        "SELECT id FROM item WHERE " + "(" * 3000 + "id = 1" + ")" * 3000,
        "SELECT id FROM item WHERE itemid = '" + "x" * 70_000 + "'",
    ],
)
def test_suiteql_that_the_vendor_would_not_run_is_refused(wire: Wire, statement: str) -> None:
    reply = wire.send("POST", "query/v1/suiteql", {"q": statement}, Prefer="transient")
    assert code_of(reply)[:2] == (400, "INVALID_PARAMETER")
