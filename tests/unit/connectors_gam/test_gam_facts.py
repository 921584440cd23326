"""What the connector declares: capabilities, record types, error table, and what `check` sees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from connectors.base import (
    CreateProtocol,
    FieldType,
    ForecastsAvailability,
    ObservesRecords,
    PushesRecords,
    ReadsChanges,
    ReportsDelivery,
    ResolvesNames,
    Severity,
)
from connectors.discovery import load
from connectors.errors import Misconfigured, RecordRejected, RetryLater
from connectors.gam import GamConnector, GamSettings
from connectors.gam.checks import sunsets, user_finding, version_finding
from connectors.gam.faults import Fate, actions, read_message, verdict
from connectors.gam.objects import PLACES
from connectors.gam.statement import Where, date_time, moment_of
from oms_schema.problems import Reason


def test_it_is_found_by_its_entry_point_and_does_what_it_says(gam: GamConnector) -> None:
    assert load("gam") is GamConnector
    for ability in (
        ReadsChanges,
        PushesRecords,
        ObservesRecords,
        ResolvesNames,
        ReportsDelivery,
        ForecastsAvailability,
    ):
        assert isinstance(gam, ability)


def test_construction_asks_nothing(vendor: Any, settings: Callable[..., GamSettings]) -> None:
    connector = GamConnector(settings())
    assert connector.capabilities.records
    assert GamConnector.record_schemas()
    assert (vendor.calls, vendor.wsdls) == ([], 0)
    with pytest.raises(Misconfigured):
        GamConnector(_Other())


class _Other(GamSettings.__mro__[1]):  # type: ignore[misc, name-defined]
    """Not our settings."""


def test_capabilities_follow_the_settings(settings: Callable[..., GamSettings]) -> None:
    connector = GamConnector(settings(batch_size=20, lines_per_order=300, requests_per_second=8, index_lag_seconds=5))
    capabilities = connector.capabilities
    company, order, line = (capabilities.records[name] for name in ("Company", "Order", "LineItem"))
    assert (company.create, company.marker, company.mark) == (CreateProtocol.UNIQUE_FIELD, "name", "externalId")
    assert (order.create, order.marker, order.mark) == (CreateProtocol.UNIQUE_FIELD, "name", None)
    assert (line.create, line.marker) == (CreateProtocol.PROBE, "externalId")
    assert order.children == {"LineItem": 300}
    assert {r.batch for r in (company, order, line)} == {20}
    assert all(r.atomic and r.index_lag == 5 and r.max_in_flight == 300 for r in (company, order, line))
    assert {"ApproveOrders", "SubmitOrdersForApproval", "ArchiveOrders"} <= order.actions
    rates = {rate.name: rate for rate in capabilities.rates}
    assert (rates["requests"].limit, rates["requests"].operations) == (8, frozenset())
    assert rates["reports"].operations == {"runReportJob", "start_delivery"}


def test_marks_and_parents_are_real_fields() -> None:
    schemas = GamConnector.record_schemas()
    assert schemas["Order"].fields["name"].length == 255
    assert schemas["LineItem"].fields["externalId"].length == 255
    assert schemas["Company"].fields["name"].length == 127
    line = schemas["LineItem"].fields
    assert line["orderId"].createable
    assert not line["orderId"].updateable
    assert not line["status"].createable
    assert line["costPerUnit.microAmount"].type is FieldType.INTEGER
    assert line["startDateTime"].type is FieldType.DATETIME
    assert "STANDARD" in line["lineItemType"].values
    assert line["lineItemType"].values_closed


def test_every_row_of_the_error_table_has_a_known_reason() -> None:
    from connectors.gam.faults import _table

    codes = [code for code, _ in _table()]
    assert len(codes) == len(set(codes))
    for code, row in _table():
        assert (row.fate is Fate.REJECT) == (row.reason is not None), code
        if row.reason is not None:
            assert Reason(row.reason)


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        ("QuotaError.REPORT_JOB_LIMIT", Fate.REPORT_QUOTA),
        ("QuotaError.SOMETHING_NEW", Fate.QUOTA),
        ("InternalApiError.ERROR_GENERATING_RESPONSE", Fate.WRITTEN),
        ("UniqueError.NOT_UNIQUE", Fate.TAKEN),
        ("UniqueError", Fate.TAKEN),
        ("OrderActionError.PERMISSION_DENIED", Fate.PERMISSION),
        ("OrderActionError.IS_ARCHIVED", Fate.REJECT),
        ("ForecastError.UNKNOWN", Fate.UNKNOWN),
        ("CommonError.UNKNOWN", Fate.UNKNOWN),
        ("ServerError.SERVER_ERROR", Fate.UNSURE),
        ("NextYearsError.X", Fate.UNKNOWN),
        ("", Fate.UNKNOWN),
    ],
)
def test_codes_have_their_fate(code: str, fate: Fate) -> None:
    assert verdict(code).fate is fate


def test_a_setting_makes_a_code_retryable() -> None:
    assert (
        verdict("OrderError.PRIMARY_USER_REQUIRED", frozenset({"OrderError.PRIMARY_USER_REQUIRED"})).fate is Fate.RETRY
    )


def test_errors_are_read_from_a_fault_string_when_there_is_no_detail() -> None:
    text = "[UniqueError.NOT_UNIQUE @ [0].name; trigger:'A [1/2]'], [RequiredError.REQUIRED @ lineItem[3].targeting]"
    first, second = read_message(text)
    assert (first.code, first.index, first.field, first.trigger) == ("UniqueError.NOT_UNIQUE", 0, "name", "A [1/2]")
    assert (second.code, second.index, second.field) == ("RequiredError.REQUIRED", 3, "targeting")


def test_every_action_says_what_shows_that_it_was_done() -> None:
    for record in ("Order", "LineItem"):
        assert PLACES[record].act
        for name, facts in actions(record).items():
            assert facts.keys() & {"status", "field", "lines", "gone"}, name


# ---------------------------------------------------------------- statements
def test_statements_bind_in_order() -> None:
    statement = Where().among("name", ["a", "b"]).equals("Targetable", True).above("id", 7).statement(
        order="id", limit=10, offset=20, select="SELECT Id FROM T"
    )  # fmt: skip
    assert statement["query"] == (
        "SELECT Id FROM T WHERE name IN (:v0, :v1) AND Targetable = :v2 AND id > :v3 ORDER BY id LIMIT 10 OFFSET 20"
    )
    assert [v["value"]["xsi_type"] for v in statement["values"]] == [
        "TextValue",
        "TextValue",
        "BooleanValue",
        "NumberValue",
    ]
    with pytest.raises(ValueError, match="no values"):
        Where().among("name", [])


def test_moments_go_there_and_back() -> None:
    at = datetime(2020, 2, 29, 23, 59, 58, tzinfo=UTC)
    assert moment_of(date_time(at)) == at
    with pytest.raises(ValueError, match="no time zone"):
        date_time(datetime(2020, 1, 1))  # noqa: DTZ001 - the mistake under test


# ---------------------------------------------------------------- check
def answers(**changes: Any) -> Callable[[str, list[Any]], Any]:
    network = {
        "networkCode": "123",
        "displayName": "Acme",
        "timeZone": "Europe/Oslo",
        "currencyCode": "USD",
        "secondaryCurrencyCodes": ["EUR"],
        "isTest": True,
        **changes,
    }
    user = {"id": 7, "name": "hub", "email": "hub@acme", "roleName": "Administrator", "isActive": True}
    return lambda operation, _: network if operation == "getCurrentNetwork" else user


def test_a_check_names_network_user_version_and_fields(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = answers()
    report = gam.check({"Order": ["name", "poNumber"], "LineItem": ["costPerUnit.microAmount"]})
    assert report.account == "gam:123"
    assert report.usable
    words = " ".join(finding.sentence for finding in report.findings)
    assert "Europe/Oslo" in words
    assert "USD, EUR" in words
    assert "Administrator" in words


def test_a_check_finds_missing_fields_and_another_network(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = answers(networkCode="999")
    report = gam.check({"Order": ["colour"], "Nonsense": ["x"]})
    assert {f.subject for f in report.findings if f.severity is Severity.ERROR} == {
        "network_code",
        "Order.colour",
        "Nonsense",
    }


@pytest.mark.parametrize(
    ("today", "severity"),
    [
        (date(2027, 1, 1), Severity.OK),
        (date(2027, 7, 1), Severity.OK),
        (date(2027, 7, 3), Severity.WARNING),
        (date(2027, 8, 31), Severity.WARNING),
        (date(2027, 9, 1), Severity.ERROR),
    ],
)
def test_a_sunset_is_told_sixty_days_before(today: date, severity: Severity) -> None:
    assert version_finding("v202608", today).severity is severity


def test_an_unknown_version_is_a_warning() -> None:
    assert version_finding("v209901", date(2026, 1, 1)).severity is Severity.WARNING
    assert "v202608" in sunsets()


def test_the_clock_of_a_check_is_injected(vendor: Any, settings: Callable[..., GamSettings]) -> None:
    vendor.answer = answers()
    late = GamConnector(settings(), now=lambda: datetime(2030, 1, 1, tzinfo=UTC))
    assert not late.check().usable
    late.close()


def test_roles_that_may_not_approve_are_told() -> None:
    assert user_finding({"email": "a", "roleName": "Salesperson"}).severity is Severity.WARNING
    assert user_finding({"email": "a", "roleName": "Trafficker", "isActive": False}).severity is Severity.ERROR


# ---------------------------------------------------------------- forecast
LINE = {"name": "n", "lineItemType": "STANDARD", "primaryGoal": {"units": 1000}}


def test_a_forecast_says_what_is_left(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: {"matchedUnits": 900, "availableUnits": 500, "possibleUnits": 700}
    assert gam.availability("LineItem", LINE) == {"matched": 900, "available": 500, "possible": 700}
    [(name, [prospective, _])] = vendor.calls
    assert name == "getAvailabilityForecast"
    assert prospective == {"lineItem": LINE}


def test_no_forecast_yet_is_a_wait_and_a_bad_line_a_rejection(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(("ForecastError", "NO_FORECAST_YET", "", ""))
    with pytest.raises(RetryLater) as caught:
        gam.availability("LineItem", LINE)
    assert caught.value.after == 30
    vendor.answer = lambda *_: vendor.fault(("RequiredError", "REQUIRED", "lineItem.targeting", ""))
    with pytest.raises(RecordRejected):
        gam.availability("LineItem", LINE)
    with pytest.raises(RecordRejected):
        gam.availability("LineItem", {"nonsense": 1})
    with pytest.raises(Misconfigured):
        gam.availability("Order", {})
