"""A small order book travels through both sandboxes and back without Airflow, and every promise of the demo holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pytest
import requests

import hub
from cli.demo.configuration import (
    AD_SERVER_TOKEN,
    CRM_SECRET,
    SANDBOX_TOKEN,
    STORE_URL,
    configuration,
    write_configuration,
)
from cli.demo.control import SandboxControl
from cli.demo.crm_client import CrmClient
from cli.demo.engine import DirectEngine
from cli.demo.generated_book import generated_book
from cli.demo.journey import Outcome, Stage, checks, clock_stops, outcome_as_dict, play
from cli.demo.order_book import OrderBook, parse_order_book
from cli.demo.people import People
from sandbox import gam, salesforce

SECRET = "a secret of this test"
ORDERS = 8
MakeStage = Callable[..., Stage]


def small_book() -> OrderBook:
    """Eight orders, all the untidy ones among them; one row more is malformed, one account name is beyond the CRM."""
    whole = generated_book(ORDERS).decode()
    header, first, *_ = whole.split("\r\n")
    malformed = first.replace(first.partition(",")[0], "malformed", 1).replace("2019/09/12 17:41:08Z", "soon")
    columns = dict(zip(header.split(","), first.split(","), strict=False))
    overlong = first.replace(columns["ADID"], "overlong", 1).replace("Harbor\u200b Voice Fund", "X" * 300)
    return parse_order_book((whole + malformed + "\r\n" + overlong + "\r\n").encode(), source="small book")


@pytest.fixture
def make_stage(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeStage]:
    """Build a stage on fresh sandboxes and the test's own store."""
    for name, value in ((STORE_URL, database_url), (CRM_SECRET, SECRET), (AD_SERVER_TOKEN, SANDBOX_TOKEN)):
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:

        def make(book: OrderBook, *, faults: bool = False) -> Stage:
            clock = clock_stops(book)[0]
            ad_server = stack.enter_context(gam.serve(clock=clock, running=False))
            crm = stack.enter_context(salesforce.serve(client_secret=SECRET, now=clock, running=False))
            people = People(SandboxControl("gam-main", ad_server.url), SandboxControl("sfdc", crm.url))
            stack.callback(people.ad_server.close)
            stack.callback(people.crm.close)
            path = tmp_path / "orderhub.yaml"
            write_configuration(path, configuration(crm.url, ad_server.url, trafficker=people.trafficker()))
            opened = stack.enter_context(hub.open_hub(path))
            opened.migrate()
            client = stack.enter_context(CrmClient(crm.url, "orderhub", SECRET))
            return Stage(book, opened, DirectEngine(opened), people, client, faults=faults)

        yield make


def figures(outcome: Outcome) -> dict[str, object]:
    """What must not depend on faults."""
    names = (
        "orders",
        "lines",
        "lines_live",
        "duplicates",
        "parked",
        "delivered",
        "mirrored",
        "second_run_writes",
        "held",
    )
    data = outcome_as_dict(outcome)
    return {name: data[name] for name in names}


def test_a_small_book_travels_and_every_check_holds(make_stage: MakeStage) -> None:
    stage = make_stage(small_book())
    outcome = play(stage)
    assert [check.name for check in outcome.checks if not check.held] == []
    assert outcome.lines == len(stage.book.lines) + 1
    assert 0 < outcome.lines_live <= outcome.lines_usable < outcome.lines
    assert outcome.parked["malformed_row"] == 1
    assert outcome.parked["refused_by_crm"] == 1
    assert outcome.parked["validation"] >= 2
    assert outcome.delivered == outcome.mirrored > 0
    assert outcome.vendor_calls <= 1.05 * outcome.fewest_calls
    # Every live line delivered what its row says: bill and spend differ by the roundings of price and bill alone.
    assert all(abs(Decimal(each)) < Decimal("0.01") * outcome.lines_live for each in outcome.spend_difference.values())
    assert sum(map(Decimal, outcome.spend_parked.values())) > 0
    assert stage.hub.trace(outcome.told_order or "").events

    # The same demo again, on vendors and a store that have seen it all: nothing is created, nothing changes.
    again = play(stage)
    assert figures(again) == figures(outcome)
    assert not [name for name in again.vendor_calls_by_operation if name.startswith("create")]

    # And once more, after a person gave the line that ends before it starts another flight, as the tutorial shows.
    (item,) = [
        row["Id"]
        for row in stage.people.crm.objects("OpportunityLineItem")
        if row["Flight_End__c"] and row["Flight_End__c"] < row["Flight_Start__c"]
    ]
    flight = {"Flight_Start__c": "2030-01-01T00:00:00Z", "Flight_End__c": "2030-01-31T23:59:59Z"}
    edit = {"object": "OpportunityLineItem", "id": item, "fields": flight}
    requests.post(f"{stage.people.crm.url}/control/edit", json=edit, timeout=10).raise_for_status()
    mended = play(stage)
    assert [check.name for check in mended.checks if not check.held] == []
    assert (mended.lines_live, mended.delivered) == (outcome.lines_live + 1, outcome.delivered)


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_a_book_in_a_currency_that_the_generated_one_has_not_travels(make_stage: MakeStage, currency: str) -> None:
    rows = generated_book(ORDERS).decode().replace(",USD,", f",{currency},")
    stage = make_stage(parse_order_book(rows.encode(), source="another currency"))
    assert currency in stage.book.currencies
    outcome = play(stage)
    assert [check.detail for check in outcome.checks if not check.held] == []
    assert outcome.lines_live > 0


def test_faults_change_the_calls_but_not_the_result(make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    # One of each at each vendor: many in a row would make the hub leave the vendor alone for a while, which takes its time.
    faults = {
        "lost_reply": {"rate": 1.0, "count": 1},
        "late_commit": {"rate": 0.5, "count": 1, "seed": 2, "seconds": 0.3},
        "quota": {"rate": 0.5, "count": 1, "seed": 3},
    }
    monkeypatch.setattr("cli.demo.people.FAULTS", faults)
    monkeypatch.setattr("cli.demo.configuration.SETTLE_SECONDS", 0.6)
    stage = make_stage(parse_order_book(generated_book(4), source="four orders"), faults=True)
    outcome = play(stage)
    assert [check.detail for check in outcome.checks if not check.held] == []
    assert outcome.vendor_calls > outcome.fewest_calls
    assert outcome.duplicates == 0


# ---------------------------------------------------------------- each check has a fault that it catches
GOOD = {"lines": 3, "lines_live": 2, "parked": {"validation": 1}, "delivered": 9, "delivered_in_file": 9, "mirrored": 9}


NOTHING_LIVE = {
    "lines_live": 0,
    "lines_usable": 3,
    "parked": {"validation": 3},
    "delivered": 0,
    "delivered_in_file": 0,
    "mirrored": 0,
}


def failed(differences: tuple[str, ...] = (), **changes: object) -> list[str]:
    outcome = Outcome(**{**GOOD, **changes})  # type: ignore[arg-type]
    return [check.name for check in checks(outcome, differences) if not check.held]


def test_a_good_outcome_passes_every_check() -> None:
    assert failed() == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"lines": 4}, "every line is live or parked"),
        (NOTHING_LIVE, "usable lines are live"),
        ({"parked": {"unexplained": 1}}, "every parked line has a bad-input reason"),
        ({"parked": {"refused_by_ad_server": 1}}, "every parked line has a bad-input reason"),
        ({"parked": {"mapping": 1}}, "every parked line has a bad-input reason"),
        ({"duplicates": 1}, "nothing is doubled"),
        ({"delivered": 8}, "file, hub and CRM agree on what was delivered"),
        ({"mirrored": 8}, "file, hub and CRM agree on what was delivered"),
        ({"delivered_in_file": 8}, "file, hub and CRM agree on what was delivered"),
        ({"second_run_writes": 1}, "a second run writes nothing"),
    ],
)
def test_a_planted_fault_fails_its_check(changes: dict[str, object], name: str) -> None:
    assert failed(**changes) == [name]


def test_a_book_of_which_nothing_can_be_used_holds_with_nothing_live() -> None:
    assert failed(**{**NOTHING_LIVE, "lines_usable": 0}) == []


def test_a_line_is_usable_that_has_a_price_a_goal_and_time() -> None:
    book = parse_order_book(generated_book(30), source="thirty orders")
    backwards = [line for line in book.lines if line.flight_end is not None and line.flight_end <= line.start]
    priceless = [line for line in book.lines if line.cpm is None]
    assert backwards
    assert priceless
    assert {line.ad_id for line in book.lines if not line.usable} == {line.ad_id for line in backwards + priceless}


def test_an_order_that_differs_fails_although_the_sums_agree() -> None:
    assert failed(("order a: file 1, hub 2",)) == ["… and order by order"]
