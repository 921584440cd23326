"""The arithmetic behind the demo's figures."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cli.demo.figures import (
    BAD_INPUT,
    DECLARED_BATCH,
    AdServerImage,
    Cause,
    CrmImage,
    changed_records,
    duplicates,
    fewest_calls,
    first_cause,
    live_lines,
    order_mark,
    spend_difference,
    spend_of,
)
from cli.demo.order_book import BookLine

Rows = dict[str, dict[str, Any]]


def image(companies: Rows | None = None, orders: Rows | None = None, lines: Rows | None = None) -> AdServerImage:
    return AdServerImage(companies or {}, orders or {}, lines or {})


def crm(orders: Rows | None = None, lines: Rows | None = None) -> CrmImage:
    return CrmImage(orders or {}, lines or {})


EMPTY = (image(), crm())
APPROVED: Rows = {"1": {"status": "APPROVED", "name": "a [abc]"}}


# ---------------------------------------------------------------- live and doubled
@pytest.mark.parametrize("status", ["READY", "DELIVERING", "COMPLETED"])
def test_a_line_of_an_approved_order_is_live_in_these_states(status: str) -> None:
    lines: Rows = {"7": {"externalId": "lin_a", "orderId": 1, "status": status}}
    assert live_lines(image(orders=APPROVED, lines=lines)) == {"lin_a": ["7"]}


@pytest.mark.parametrize(
    "changes", [{"status": "INACTIVE"}, {"status": "DRAFT"}, {"isArchived": True}, {"orderId": 2}, {"orderId": 3}]
)
def test_any_other_line_is_not_live(changes: dict[str, Any]) -> None:
    orders = {**APPROVED, "2": {"status": "DRAFT"}}
    lines: Rows = {"7": {"externalId": "lin_a", "orderId": 1, "status": "READY", **changes}}
    assert live_lines(image(orders=orders, lines=lines)) == {}


def test_objects_beyond_one_per_mark_are_duplicates_and_archived_ones_are_not() -> None:
    assert duplicates(image()) == 0
    lines: Rows = {
        "1": {"externalId": "lin_a"},
        "2": {"externalId": "lin_a"},
        "3": {"externalId": "lin_a", "isArchived": True},
        "4": {"externalId": "lin_b"},
    }
    assert duplicates(image(lines=lines)) == 1


def test_a_company_may_be_advertiser_and_agency_but_not_twice_the_same() -> None:
    companies: Rows = {
        "1": {"externalId": "pty_a", "type": "ADVERTISER"},
        "2": {"externalId": "pty_a", "type": "AGENCY"},
    }
    assert duplicates(image(companies=companies)) == 0
    assert duplicates(image(companies={**companies, "3": {"externalId": "pty_a", "type": "AGENCY"}})) == 1


def test_parts_of_a_split_order_are_no_duplicates_and_a_second_part_1_is() -> None:
    orders: Rows = {"1": {"name": "Spring [k3v9 1/2]"}, "2": {"name": "Spring [k3v9 2/2]"}}
    assert duplicates(image(orders=orders)) == 0
    assert duplicates(image(orders={**orders, "3": {"name": "Spring 2 [k3v9 1/2]"}})) == 1


def test_an_object_without_a_mark_is_beyond() -> None:
    assert duplicates(image(orders={"1": {"name": "made by hand"}}, lines={"2": {}}, companies={"3": {}})) == 3


@pytest.mark.parametrize(("name", "mark"), [("a [b]", "b"), ("a [b] [c 1/2]", "c 1/2"), ("a", ""), ("[b] a", "")])
def test_the_mark_stands_in_the_last_brackets(name: str, mark: str) -> None:
    assert order_mark({"name": name}) == mark


# ---------------------------------------------------------------- how few calls would have done
def test_fewest_calls_rounds_up_per_connection_operation_and_cycle() -> None:
    one = {("gam-main", "create LineItem"): 51, ("gam-main", "create Order"): 50, ("sfdc", "update Opportunity"): 200}
    apart = {"gam-main create LineItem": 2, "gam-main create Order": 1, "sfdc update Opportunity": 1}
    assert fewest_calls([one]) == apart
    assert fewest_calls([one, {("sfdc", "update Opportunity"): 1}, {}]) == {**apart, "sfdc update Opportunity": 2}
    assert sum(fewest_calls([{("sfdc", "update Opportunity"): 0}]).values()) == 0


def test_new_objects_are_creations_and_an_approval_is_an_act() -> None:
    lines: Rows = {"7": {"status": "READY"}, "8": {"status": "READY"}}
    after = (image({"5": {}}, {"1": {"status": "APPROVED"}, "2": {"status": "DRAFT"}}, lines), crm())
    assert changed_records(EMPTY, after) == {
        ("gam-main", "create Company"): 1,
        ("gam-main", "create Order"): 2,
        ("gam-main", "act Order"): 1,
        ("gam-main", "create LineItem"): 2,
    }


def test_what_the_vendor_computes_is_no_update_and_what_we_own_is() -> None:
    before = (
        image(orders={"1": {"status": "APPROVED", "totalBudget": 1}}, lines={"7": {"status": "READY", "name": "a"}}),
        crm(),
    )
    ticked = (
        image(
            orders={"1": {"status": "APPROVED", "totalBudget": 2}}, lines={"7": {"status": "DELIVERING", "name": "a"}}
        ),
        crm(),
    )
    renamed = (
        image(orders={"1": {"status": "APPROVED"}}, lines={"7": {"status": "READY", "name": "b", "_modified": 3}}),
        crm(),
    )
    assert not changed_records(before, ticked)
    assert changed_records(before, renamed) == {("gam-main", "update LineItem"): 1}


def test_a_moved_start_of_a_line_is_an_update_and_a_derived_start_of_an_order_is_not() -> None:
    before = (image(orders={"1": {"startDateTime": 1}}, lines={"7": {"startDateTime": 1}}), crm())
    after = (image(orders={"1": {"startDateTime": 2}}, lines={"7": {"startDateTime": 2}}), crm())
    assert changed_records(before, after) == {("gam-main", "update LineItem"): 1}


def test_a_mirrored_field_counts_and_the_time_of_mirroring_or_a_salespersons_field_does_not() -> None:
    before = crm({"006": {"Hub_Delivered__c": 1, "Amount": 1}}, {"00k": {}})
    same = crm({"006": {"Hub_Delivered__c": 1, "Amount": 2, "Hub_Last_Sync__c": "now"}}, {"00k": {}})
    told = crm({"006": {"Hub_Delivered__c": 2}}, {"00k": {"Hub_Status__c": "Live"}})
    assert not changed_records((image(), before), (image(), same))
    assert changed_records((image(), before), (image(), told)) == {
        ("sfdc", "update Opportunity"): 1,
        ("sfdc", "update OpportunityLineItem"): 1,
    }


def test_the_declared_batches_are_the_connectors_own() -> None:
    from connectors.gam import GamConnector
    from connectors.salesforce import SalesforceConnector

    gam = GamConnector(GamConnector.config.model_validate({"network_code": "1", "access_token": "t"}))
    settings = {"domain": "acme.my", "consumer_key": "k", "consumer_secret": "s"}
    salesforce = SalesforceConnector(SalesforceConnector.config.model_validate(settings))
    assert {each.batch for each in gam.capabilities.records.values()} == {DECLARED_BATCH["gam-main"]}
    assert {each.batch for each in salesforce.capabilities.records.values()} == {DECLARED_BATCH["sfdc"]}


# ---------------------------------------------------------------- money and causes
def line(spend: str, impressions: int) -> BookLine:
    return BookLine(1, "a", Decimal(spend), impressions, datetime(2020, 1, 1, tzinfo=UTC), None, "", {})


def test_spend_differs_by_the_rounding_of_the_price_alone_and_per_currency() -> None:
    # 1 / 3,000,000,000 per thousand rounds to 0: nothing is billed where 1 was spent.
    lines = [("USD", line("1", 3_000_000_000)), ("USD", line("7107", 741_638)), ("JPY", line("10", 3))]
    assert spend_difference((*each, each[1].impressions) for each in lines) == {"JPY": "0", "USD": "-1.00"}


def test_what_was_delivered_is_billed_and_not_what_the_file_says() -> None:
    lines = [("USD", line("100", 10_000), 5_000), ("USD", line("100", 10_000), 0), ("EUR", line("3", 1_000), 1_000)]
    assert spend_difference(lines) == {"EUR": "0.00", "USD": "-150.00"}


def test_a_small_amount_is_written_out() -> None:
    assert spend_difference([("USD", line("0.00000001", 1000), 0)]) == {"USD": "-0.00000001"}
    assert spend_of([("USD", line("0.00000001", 1000))]) == {"USD": "0.00000001"}


def test_the_spend_of_parked_lines_is_told_by_itself_and_per_currency() -> None:
    assert spend_of([("USD", line("1.5", 10)), ("USD", line("2", 10)), ("JPY", line("3", 1))]) == {
        "JPY": "3",
        "USD": "3.5",
    }


def test_the_lines_own_cause_speaks_before_its_orders_and_a_missing_reference_speaks_last() -> None:
    own, order = Cause("length", "L", "gam-main"), Cause("validation", "V", "sfdc")
    waits = Cause("reference_missing", "R", "sfdc")
    assert first_cause({"lin": own, "ord": order}, ["lin", "ord"]) == own
    assert first_cause({"lin": waits, "ord": order}, ["lin", "ord", "pty"]) == order
    assert first_cause({"lin": waits}, ["lin", "ord"]) == waits
    assert first_cause({}, ["lin"]) is None


def test_what_the_ad_server_refused_is_no_bad_input_because_the_mapping_let_it_through() -> None:
    refused = Cause("validation", "GeoTargetingError.POSTAL_CODES_CANNOT_BE_EXCLUDED", "gam-main")
    assert refused.word not in BAD_INPUT
    assert Cause("validation", "required_missing", "sfdc").word in BAD_INPUT
    assert Cause("length", "StringLengthError.TOO_LONG", "gam-main").word in BAD_INPUT
