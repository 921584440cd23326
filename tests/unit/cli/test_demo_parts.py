"""The demo's smaller parts: its state folder, its book, its people, what it loads into the CRM, its progress."""

from __future__ import annotations

import csv
import io
import json
import signal
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.demo.configuration import DemoSecrets, configuration, write_configuration
from cli.demo.control import ControlError, SandboxControl, other_calls, writes
from cli.demo.crm_client import CrmClient, CrmError
from cli.demo.crm_seed import TARGETING_FIELDS, opportunity_names, seed_crm
from cli.demo.generated_book import generated_book
from cli.demo.machinery import write_environment
from cli.demo.order_book import OrderBook, parse_order_book
from cli.demo.people import CUSTOM_KEYS, custom_targeting, split_values
from cli.demo.progress import counted
from cli.demo.run import MARK, StateError, chosen_book, prepare_state
from hub import config
from hub.results import ConnectionStatus, StatusResult
from sandbox import salesforce

SECRET = "a secret of this test"


def book_of(orders: int, seed: int = 1) -> OrderBook:
    return parse_order_book(generated_book(orders, seed), source=f"generated {seed}")


# ---------------------------------------------------------------- the state folder
def test_a_state_folder_is_bound_to_its_book_and_fresh_unbinds_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    prepare_state(state, book_of(2), fresh=False)
    (state / "gam.json").write_text("{}")
    prepare_state(state, book_of(2), fresh=False)
    assert (state / "gam.json").exists()
    with pytest.raises(StateError, match=r"begun with another book \(generated 1, 2 orders\).*--fresh"):
        prepare_state(state, book_of(2, seed=2), fresh=False)
    prepare_state(state, book_of(2, seed=2), fresh=True)
    assert not (state / "gam.json").exists()
    assert (state / MARK).exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_that_is_no_demos_is_never_touched(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StateError, match="no demo's"):
        prepare_state(tmp_path, book_of(1), fresh=fresh)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_state_folder_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for state in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StateError, match=r"cannot be used \(Not a directory\)\. Nothing was started\. .*--state"):
            prepare_state(state, book_of(1), fresh=False)
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.parametrize("mark", [b"", b"{}", b"[1]", b"\xff"], ids=["empty", "no hash", "a list", "not UTF-8"])
def test_a_state_folder_whose_mark_was_cut_off_asks_for_fresh(tmp_path: Path, mark: bytes) -> None:
    state = tmp_path / "state"
    prepare_state(state, book_of(1), fresh=False)
    (state / MARK).write_bytes(mark)
    with pytest.raises(StateError, match=r"book\.json.* does not name the book.*Nothing was started\. Add --fresh"):
        prepare_state(state, book_of(1), fresh=False)
    prepare_state(state, book_of(1), fresh=True)
    prepare_state(state, book_of(1), fresh=False)


def test_secrets_are_made_once_and_readable_by_nobody_else(tmp_path: Path) -> None:
    first = DemoSecrets.of(tmp_path)
    assert DemoSecrets.of(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_the_environment_file_is_for_its_owner_and_survives_odd_values(tmp_path: Path) -> None:
    path = tmp_path / "environment.sh"
    path.write_text("old")
    write_environment(path, {"A": "x y'z"})
    assert path.read_text() == "export A='x y'\"'\"'z'\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_configuration_holds_references_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "orderhub.yaml"
    write_configuration(path, configuration("http://127.0.0.1:1", "http://127.0.0.1:2", trafficker="7"))
    read = config.load(path)
    assert set(read.connections) == {"sfdc", "gam-main"}
    assert read.broken == {}
    assert str(read.connections["sfdc"].settings["consumer_secret"]).startswith("env:")
    assert str(read.connections["gam-main"].settings["access_token"]).startswith("env:")


# ---------------------------------------------------------------- which book
def test_the_file_named_wins_then_the_data_folder_then_the_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERHUB_DATA", str(tmp_path))
    assert len(chosen_book(None).orders) == 100
    there = tmp_path / "snap-political-ads" / "ads.csv"
    there.parent.mkdir()
    there.write_bytes(generated_book(3))
    assert len(chosen_book(None).orders) == 3
    named = tmp_path / "mine.csv"
    named.write_bytes(generated_book(2))
    assert len(chosen_book(named).orders) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_demo_says_so_and_ends_with_130(
    number: signal.Signals, tmp_path: Path, orderhub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr("cli.demo.run.running", stopped)
    monkeypatch.setenv("ORDERHUB_DATA", str(tmp_path))
    shown = orderhub("demo", "--state", str(tmp_path / "state"), "--limit", "1", "--json")
    told = json.loads(shown.stdout)
    assert (shown.exit_code, told["error"], told["exit_code"]) == (130, "interrupted", 130)
    assert "Interrupted. What was done until then is recorded" in " ".join(shown.stderr.split())


def test_a_demo_that_cannot_begin_is_a_sentence_and_code_3(tmp_path: Path, orderhub: Any) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"\xff")
    result = orderhub("demo", "--once", "--orders", str(bad), "--state", str(tmp_path / "state"), "--json")
    assert result.exit_code == 3
    assert "is not UTF-8: byte 0" in result.stdout
    assert not (tmp_path / "state").exists()


# ---------------------------------------------------------------- people
@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a", ["a"]),
        ("a,b , c", ["a", "b", "c"]),
        ("Occupation (Legal, Education or Health),Parents", ["Occupation (Legal, Education or Health)", "Parents"]),
        ("Household Income ( $125,000-$149,999)", ["Household Income ( $125,000-$149,999)"]),
        (",a,,", ["a"]),
        ("a) b,c", ["a) b", "c"]),
        ("", []),
    ],
)
def test_values_are_split_at_commas_outside_parentheses(text: str, values: list[str]) -> None:
    assert split_values(text) == values


def test_custom_targeting_holds_every_value_of_the_book_once() -> None:
    keys = custom_targeting(book_of(60).lines)
    assert set(keys) <= set(CUSTOM_KEYS.values())
    assert all(len(values) == len(set(values)) for values in keys.values())
    assert "Provided by Advertiser" in keys["segment"]


# ---------------------------------------------------------------- the CRM
@pytest.fixture
def crm() -> Iterator[str]:
    with salesforce.serve(client_secret=SECRET, now=datetime(2019, 9, 11, tzinfo=UTC), running=False) as server:
        yield server.url


def test_a_book_is_loaded_once_however_often_it_is_loaded(crm: str) -> None:
    book = book_of(9)
    with CrmClient(crm, "orderhub", SECRET) as client:
        first = seed_crm(client, book)
        again = seed_crm(client, book)
        stages = {row["StageName"] for row in client.query("SELECT Id, StageName FROM Opportunity")}
        lines = list(client.query("SELECT Id, CPM__c, External_Line_Id__c FROM OpportunityLineItem"))
    assert (first.opportunities, first.lines) == (again.opportunities, again.lines)
    assert stages == {"Closed Won"}
    assert len(lines) == len(book.lines) == len(first.lines)
    prices = {line.ad_id: line.cpm for line in book.lines}
    assert all((row["CPM__c"] is None) == (prices[row["External_Line_Id__c"]] is None) for row in lines)


def test_what_the_crm_refuses_is_reported_and_the_rest_goes_on(crm: str) -> None:
    text = generated_book(3).decode().replace("Civic Lantern Media", "Civic Lantern Media" + "!" * 300)
    book = parse_order_book(text.encode(), source="overlong agency")
    with CrmClient(crm, "orderhub", SECRET) as client:
        seeded = seed_crm(client, book)
    refused = {line.ad_id for order in book.orders if "!" in order.key.agency for line in order.lines}
    assert {each.ad_id for each in seeded.refused} == refused
    assert {each.code for each in seeded.refused} == {"STRING_TOO_LONG"}
    assert set(seeded.lines) == {line.ad_id for line in book.lines} - refused


def test_a_currency_the_crm_does_not_know_refuses_its_orders_only(crm: str) -> None:
    book = parse_order_book(generated_book(9).decode().replace(",USD,", ",XTS,").encode(), source="test money")
    with CrmClient(crm, "orderhub", SECRET) as client:
        seeded = seed_crm(client, book)
    known = {line.ad_id for order in book.orders if order.key.currency != "XTS" for line in order.lines}
    assert set(seeded.lines) == known
    assert len(seeded.refused) == len(book.lines) - len(known) > 0


def test_a_value_without_a_field_in_the_crm_is_reported(crm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {column: name for column, name in TARGETING_FIELDS.items() if column != "Location Categories (Excluded)"}
    monkeypatch.setattr("cli.demo.crm_seed.TARGETING_FIELDS", fields)
    header, *rows = csv.reader(io.StringIO(generated_book(1).decode(), newline=""))
    rows[0][header.index("Location Categories (Excluded)")] = "High Schools"
    out = io.StringIO(newline="")
    csv.writer(out).writerows([header, rows[0]])
    book = parse_order_book(out.getvalue().encode(), source="one line")
    with CrmClient(crm, "orderhub", SECRET) as client:
        (unplaced,) = seed_crm(client, book).unplaced
    assert unplaced[1:] == ("Location Categories (Excluded)", "High Schools")


def test_a_refused_log_in_is_a_sentence(crm: str) -> None:
    with pytest.raises(CrmError, match="refused the log-in"):
        CrmClient(crm, "orderhub", "wrong")


def test_a_vendor_that_is_gone_is_a_sentence() -> None:
    with salesforce.serve(client_secret=SECRET) as server:
        client, control = CrmClient(server.url, "orderhub", SECRET), SandboxControl("sfdc", server.url)
    with pytest.raises(CrmError, match="does not answer"):
        list(client.query("SELECT Id FROM Account"))
    with pytest.raises(ControlError, match="does not answer"):
        control.now()


def test_deals_have_distinct_names_that_fit() -> None:
    text = generated_book(30).decode().replace("Green Valley for Council", "Green " * 60)
    book = parse_order_book(text.encode(), source="long names")
    names = opportunity_names(book.orders)
    assert len(set(names.values())) == len(book.orders)
    assert max(map(len, names.values())) <= 120
    twins = parse_order_book(generated_book(2).decode().replace("2019/11", "2019/09").encode(), source="x")
    assert len(set(opportunity_names(twins.orders * 2).values())) == len(twins.orders)


# ---------------------------------------------------------------- control and progress
def test_control_tells_clock_calls_and_refusals(crm: str) -> None:
    control = SandboxControl("sfdc", crm)
    control.set_clock(datetime(2020, 1, 1, tzinfo=UTC), running=False)
    assert control.now() - datetime(2020, 1, 1, tzinfo=UTC) < timedelta(seconds=1)
    with CrmClient(crm, "orderhub", SECRET) as client:
        client.create("Account", [{"Name": "A"}])
        list(client.query("SELECT Id FROM Account"))
    assert writes(control.calls()) == 1
    assert other_calls(control.calls()) == {"login": 1, "read": 1}
    with pytest.raises(ControlError, match="refused GET /control/state"):
        control.objects("Nothing")
    control.close()


def test_progress_counts_what_is_settled() -> None:
    rows = [
        ConnectionStatus("gam-main", "gam", "ok", "", {"in_sync": 5, "parked": 1, "pending": 4}, 0, 1, None, None),
        ConnectionStatus("sfdc", "salesforce", "ok", "", {"in_sync": 2, "retrying": 1}, 0, 0, None, None),
    ]
    status = StatusResult(rows, [], {}, {"accepted": 3}, 700, datetime(2020, 1, 1, tzinfo=UTC))
    assert list(counted(status, 10, 1_000).values()) == [(3, 10), (6, 10), (2, 3), (700, 1_000)]
