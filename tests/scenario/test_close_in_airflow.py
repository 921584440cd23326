"""A month closed by Airflow itself: it asks a person, the answer comes over its REST API, and the invoices reach ERP and CRM.

PostgreSQL, CRM, ad server, ERP (the Xero sandbox) and Airflow's own processes run; nothing is called behind their backs.
"""

from __future__ import annotations

import gzip
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from cli.demo import machinery as demo
from cli.demo.airflow_api import ENDED, AirflowApi, AirflowApiError
from cli.demo.configuration import configuration
from cli.demo.crm_seed import seed_crm
from cli.demo.generated_book import generated_book
from cli.demo.journey import clock_stops
from cli.demo.machinery import Machinery, running
from cli.demo.order_book import OrderBook, parse_order_book
from oms_schema.line import CostMethod, Line
from sandbox.xero import serve
from sandbox.xero.process import DEFAULT_TENANT

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(600)]

ORDERS = 6
CLOSE, BACK = "billing_close__erp", "billing_back__erp"
SECRET = "a-secret-of-the-test"
SHOWN = ("Hub_Invoice_Number__c", "Hub_Invoice_Status__c", "Hub_Invoice_Balance__c", "Hub_Invoiced__c", "Hub_Paid__c")
FLOWS = ("INTAKE", "SETTLE", "OBSERVE", "DELIVERY", "REPORTS", "COMPLETENESS", "CHECK", "CENSUS", "BILLING_CLOSE")
SHAPE = {
    "columns": {"day": "day", "line": "line", "impressions": "impressions"},
    "zone": "UTC",
    "counted_by": "seller",
    "complete_by": "gzip",
    "line_ids": "orderhub",
    "outlier_floor": 10**12,
}
T = TypeVar("T")


class Ledger:
    """The ERP, and what Finance does there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False

    def documents(self) -> list[dict[str, Any]]:
        """Every invoice and credit note there is."""
        found: list[dict[str, Any]] = self._http.get(
            f"{self.url}/control/state", params={"type": "documents"}, timeout=60
        ).json()
        return found

    def pay(self, number: str, amount: Decimal) -> None:
        """A payment arrives."""
        body = {"invoice": number, "amount": str(amount)}
        answer = self._http.post(f"{self.url}/control/pay", json=body, timeout=60)
        assert answer.status_code == 200, answer.text

    def close(self) -> None:
        self._http.close()


@dataclass(frozen=True)
class Month:
    """The running system, its book at the CRM, and a month whose delivery is final."""

    machinery: Machinery
    ledger: Ledger
    admin: AirflowApi
    operator: AirflowApi
    period: str
    worth: Mapping[str, Decimal]
    """Expected net by canonical order, from rates and reported impressions in plain Decimal."""


@pytest.fixture(scope="module")
def book() -> OrderBook:
    return parse_order_book(generated_book(ORDERS), source="generated book")


@pytest.fixture(scope="module")
def month(book: OrderBook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    """Everything started, the book accepted from the CRM and its first month reported."""
    state = tmp_path_factory.mktemp("close")
    erp = serve(client_secret=SECRET, now=datetime(2030, 1, 1, tzinfo=UTC), minute_limit=100_000)

    def with_ledger(crm: str, ads: str, *, trafficker: str) -> dict[str, Any]:
        made = configuration(crm, ads, trafficker=trafficker)
        made["connections"]["sfdc"]["overlays"] = ["billing"]
        made["connections"]["counts"] = {"connector": "report-api", "report": SHAPE}
        made["connections"]["erp"] = {
            "connector": "xero",
            "settings": {
                "tenant_id": DEFAULT_TENANT,
                "client_id": "orderhub",
                "client_secret": "env:TEST_XERO_SECRET",
                "account_code": "200",
                "endpoint": erp.url,
                "minute_call_limit": 100_000,
            },
        }
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "configuration", with_ledger)
        patch.setenv("TEST_XERO_SECRET", SECRET)
        for flow in FLOWS:
            patch.setenv(f"ORDERHUB_SCHEDULE_{flow}", "never")
        patch.setenv("ORDERHUB_SCHEDULE_BILLING_BACK", "never")
        ledger = Ledger(erp.url)
        try:
            with running(state, clock_stops(book)[0], with_airflow=True, heard=lambda _: None) as machinery:
                assert machinery.url is not None
                words = json.loads((state / "airflow" / "passwords.json").read_text("utf-8"))
                admin = AirflowApi(machinery.url, "admin", words["admin"])
                operator = AirflowApi(machinery.url, "operator", words["operator"])
                admin.create_pools({"orderhub_erp": 1, "orderhub_counts": 1})
                machinery.people.prepare_vendors(book)
                seed_crm(machinery.crm, book)
                machinery.hub.intake("sfdc")
                period, worth = delivered(machinery, state)
                admin.wait_for_dags([CLOSE, BACK])
                yield Month(machinery, ledger, admin, operator, period, worth)
                admin.close()
                operator.close()
        finally:
            ledger.close()
            erp.close()


def delivered(machinery: Machinery, folder: Path) -> tuple[str, dict[str, Decimal]]:
    """A final report of the month in which most lines began, loaded; the month, and what it is worth by order."""
    hub = machinery.hub
    lines = [
        Line.from_bytes(bytes(row[0]))
        for row in hub.session.database.rows("SELECT canonical FROM entity WHERE kind = 'line' ORDER BY id")
    ]
    first = Counter(line.flight.start.date().replace(day=1) for line in lines).most_common(1)[0][0]
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    rows, worth = ["day,line,impressions"], dict[str, Decimal]()
    for number, line in enumerate(lines):
        assert line.price.method is CostMethod.CPM
        ends = line.flight.end
        if line.flight.start.date() > last or (ends is not None and ends.date() <= first):
            continue
        impressions = min(line.goal.quantity, 10_007 + 13 * number)
        rows.append(f"{max(line.flight.start.date(), first)},{line.id},{impressions}")
        net = Decimal(line.price.rate) / 1_000_000 * impressions / 1000
        worth[line.order_id] = worth.get(line.order_id, Decimal(0)) + net.quantize(Decimal("0.01"), ROUND_HALF_UP)
    file = folder / "counts.csv.gz"
    file.write_bytes(gzip.compress("\n".join([*rows, ""]).encode()))
    hub.set_business_time(datetime.combine(last + timedelta(days=10), datetime.min.time(), UTC))
    hub.load_report("counts", file, since=first, until=last, final=True)
    return f"{first:%Y-%m}", worth


def eventually(question: Callable[[], T | None], what: str, seconds: float = 120.0) -> T:
    """The first answer that is not None. Fails when it takes too long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (answer := question()) is not None:
            return answer
        time.sleep(0.2)
    raise AssertionError(f"{what} did not come within {seconds:.0f} s")


def asked(api: AirflowApi, run: str) -> dict[str, Any] | None:
    """What the run asks a person, None before it does."""
    states = api.task_instances(CLOSE, run)
    failed = [task for task, state in states.items() if state in {"failed", "upstream_failed", "skipped"}]
    assert not failed, "\n".join(api.log(CLOSE, run, task) for task in failed)
    return api.question(CLOSE, run, "approve") if states.get("approve") == "awaiting_input" else None


def approved_as_often_as_asked(month: Month, run: str) -> str:
    """The operator approves like a person, some seconds after the question; how the run ended.

    Airflow 3.3.2 asks again when the answer comes before its executor has told that the task was parked (a tenth of a second).
    """
    until = time.monotonic() + 180
    parked_since: float | None = None
    while time.monotonic() < until:
        if (state := str(month.admin.run(CLOSE, run)["state"])) in ENDED:
            return state
        if asked(month.admin, run) is None:
            parked_since = None
        elif parked_since is None:
            parked_since = time.monotonic()
        elif time.monotonic() - parked_since > 3:
            month.operator.answer(CLOSE, run, "approve", "Approve")
            parked_since = None
        time.sleep(0.2)
    raise AssertionError(f"{run} did not end: {month.admin.task_instances('billing_close__erp', run)}")


def opportunities(month: Month) -> dict[str, Mapping[str, Any]]:
    """The orders as the CRM's user sees them, by canonical id."""
    fields = ", ".join(("Id", "Hub_Id__c", "Hub_Status_Text__c", *SHOWN))
    found = month.machinery.crm.query(f"SELECT {fields} FROM Opportunity WHERE Hub_Id__c != null")
    return {str(one["Hub_Id__c"]): one for one in found}


def held(month: Month) -> dict[str, Decimal]:
    """Net by order of what the ERP holds, from our own documents' references."""
    by_id = dict(month.machinery.hub.session.database.rows("SELECT document_id, order_id FROM billing_document"))
    found: dict[str, Decimal] = {}
    for one in month.ledger.documents():
        order = by_id[one["InvoiceNumber"]]
        assert one["Status"] in {"AUTHORISED", "PAID"}
        found[order] = found.get(order, Decimal(0)) + Decimal(str(one["Total"]))
    return found


def test_a_person_answers_in_airflow_and_the_month_is_posted_mirrored_paid_and_posted_once(month: Month) -> None:
    api = month.admin
    run = api.trigger(CLOSE, {"period": month.period})
    question = eventually(lambda: asked(api, run), "the question")
    assert month.period in question["subject"]
    assert question["options"] == ["Approve", "Reject"]
    assert month.ledger.documents() == [], "nothing is posted before somebody approved"
    assert month.machinery.hub.billing.review(month.period).review_hash in question["body"]

    state = approved_as_often_as_asked(month, run)
    assert state == "success", api.log(CLOSE, run, "close")
    answered = api.question(CLOSE, run, "approve")["responded_by_user"]
    assert answered["name"] == "operator"
    with pytest.raises(AirflowApiError, match="409"):
        month.admin.answer(CLOSE, run, "approve", "Reject")
    approved = month.machinery.hub.session.database.rows(
        "SELECT DISTINCT prepared_by, approved_by FROM billing_document"
    )
    assert approved == [("Airflow", "operator")]
    assert held(month) == {order: net for order, net in month.worth.items() if net}
    told = api.returned(CLOSE, run, "close")
    assert (told["new_documents"], told["second_close_documents"]) == (len(month.worth), 0)

    # The close says that something changed, and the mirror shows it without being asked.
    api.wait_until_at_rest()
    seen = opportunities(month)
    for order, net in month.worth.items():
        assert (
            Decimal(str(seen[order]["Hub_Invoiced__c"])) == Decimal(str(seen[order]["Hub_Invoice_Balance__c"])) == net
        )
        assert seen[order]["Hub_Invoice_Status__c"] == "Open"

    # A payment at the ERP comes back to the CRM's user.
    order, net = max(month.worth.items(), key=lambda item: item[1])
    number = str(seen[order]["Hub_Invoice_Number__c"])
    month.ledger.pay(number, net - Decimal("200.00") if net > 200 else net - Decimal("0.01"))
    back = api.trigger(BACK)
    assert api.wait_for_run(BACK, back) == "success"
    api.wait_until_at_rest()
    paid = opportunities(month)[order]
    rest = Decimal("200.00") if net > 200 else Decimal("0.01")
    assert (Decimal(str(paid["Hub_Paid__c"])), Decimal(str(paid["Hub_Invoice_Balance__c"]))) == (net - rest, rest)
    assert paid["Hub_Invoice_Status__c"] == "Partly paid"

    # Again: nobody is asked, nothing is posted.
    before = month.ledger.documents()
    again = api.trigger(CLOSE, {"period": month.period})
    assert api.wait_for_run(CLOSE, again) == "success"
    assert api.task_instances(CLOSE, again)["approve"] == "skipped"
    assert api.returned(CLOSE, again, "close")["new_documents"] == 0
    assert month.ledger.documents() == before

    # Cleared at random, its tasks run again: nothing is posted, and the CRM's user sees the same.
    shown = opportunities(month)
    cleared = [(CLOSE, run, task) for task in ("prepare", "anything_to_approve", "record_approval", "close")]
    cleared += [(CLOSE, again, "close"), *((BACK, back, task) for task in api.task_instances(BACK, back))]
    random.Random(20260107).shuffle(cleared)
    for flow, which, task in cleared:
        assert task in api.clear(flow, which, [task])
        api.wait_until_at_rest(calm=0.0)
    api.wait_until_at_rest()
    assert api.task_instances(CLOSE, again)["close"] == "success", "it did run"
    assert api.returned(CLOSE, again, "close")["new_documents"] == 0
    assert month.ledger.documents() == before
    assert opportunities(month) == shown
