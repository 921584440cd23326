"""SOQL that the vendor refuses, and how: HTTP 400, an array, the vendor's code and words."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sandbox.salesforce.soql.dates import days_of, range_of

TODAY = date(2019, 9, 11)  # a Wednesday


@pytest.mark.parametrize(
    ("soql", "code", "words"),
    [
        ("", "MALFORMED_QUERY", "A query string has to be specified"),
        ("SELECT Id FROM", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Account ORDER", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Account WHERE Name IS NULL", "MALFORMED_QUERY", "unexpected token: 'IS'"),
        ("SELECT Id FROM Account WHERE Name = foo", "MALFORMED_QUERY", "unexpected token: 'FOO'"),
        ("SELECT Id FROM Account WHERE Name = :foo", "MALFORMED_QUERY", "Bind variables only allowed in Apex code"),
        ("SELECT Id FROM Account WHERE Name = 'x", "MALFORMED_QUERY", "mismatched character '<EOF>'"),
        ("SELECT * FROM Account", "MALFORMED_QUERY", "no viable alternative at character '*'"),
        (
            "SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
            "MALFORMED_QUERY",
            "unexpected token: 'OR'",
        ),
        ("SELECT Id FROM Account WHERE Name = 'a\\qb'", "MALFORMED_QUERY", "Illegal character sequence"),
        ("SELECT Foo FROM Account", "INVALID_FIELD", "No such column 'Foo' on entity 'Account'."),
        ("SELECT Id FROM Account WHERE Foo__c = 1", "INVALID_FIELD", "No such column 'Foo__c' on entity 'Account'."),
        ("SELECT Id FROM Account ORDER BY Foo", "INVALID_FIELD", "No such column 'Foo' on entity 'Account'."),
        ("SELECT Owner.Foo FROM Account", "INVALID_FIELD", "No such column 'Foo' on entity 'User'."),
        ("SELECT Boss.Name FROM Account", "INVALID_FIELD", "Didn't understand relationship 'Boss' in field path."),
        ("SELECT Id, Name, id FROM Account", "INVALID_FIELD", "duplicate field selected: Id"),
        ("SELECT Id FROM Invoice", "INVALID_TYPE", "sObject type 'Invoice' is not supported."),
        (
            "SELECT (SELECT Id FROM Lines) FROM Account",
            "INVALID_TYPE",
            "Didn't understand relationship 'Lines' in FROM part",
        ),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD", "field 'Description' can not be filtered"),
        (
            "SELECT Id FROM OpportunityLineItem ORDER BY Interests__c",
            "MALFORMED_QUERY",
            "field 'Interests__c' can not be sorted",
        ),
        (
            "SELECT Id FROM Opportunity WHERE Amount = '5'",
            "INVALID_FIELD",
            "must be of type double and should not be enclosed",
        ),
        (
            "SELECT Id FROM Opportunity WHERE Name = 5",
            "INVALID_FIELD",
            "must be of type string and should be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Opportunity WHERE CloseDate = '2019-01-01'",
            "INVALID_FIELD",
            "must be of type date and should not",
        ),
        ("SELECT Id FROM Opportunity WHERE CloseDate > 2019-01-01T00:00:00Z", "INVALID_FIELD", "must be of type date"),
        ("SELECT Id FROM Opportunity WHERE CreatedDate > 2019-01-01", "INVALID_FIELD", "must be of type dateTime"),
        ("SELECT Id FROM Opportunity WHERE IsWon = 'true'", "INVALID_FIELD", "must be of type boolean"),
        ("SELECT Id FROM Account WHERE Id = 'abc'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: abc"),
        ("SELECT Id FROM Account WHERE Name > null", "INVALID_QUERY_FILTER_OPERATOR", "invalid operator"),
        ("SELECT Name, COUNT(Id) FROM Account", "MALFORMED_QUERY", "Field must be grouped or aggregated: Name"),
        ("SELECT SUM(Name) FROM Account", "MALFORMED_QUERY", "does not support aggregate operator SUM"),
        ("SELECT COUNT(Id) FROM Account GROUP BY CreatedDate", "MALFORMED_QUERY", "can not be grouped"),
        ("SELECT Id FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"),
    ],
)
def test_wrong_soql_is_refused_in_the_vendors_words(api: Any, soql: str, code: str, words: str) -> None:
    (error,) = api.query(soql, status=400)
    assert error["errorCode"] == code
    assert words in error["message"]


def test_the_message_points_at_the_place(api: Any) -> None:
    (error,) = api.query("SELECT Id,\n  Foo FROM Account", status=400)
    assert error["message"].startswith("\n  Foo FROM Account\n  ^\nERROR at Row:2:Column:3\nNo such column 'Foo'")


def test_a_long_statement_is_shown_around_the_place_only(api: Any) -> None:
    soql = "SELECT Id, Name, Industry, Phone, Fax, Website, Rating, Site, AnnualRevenue, Description, Foo FROM Account"
    (error,) = api.query(soql, status=400)
    shown, caret = error["message"].split("\n")[1:3]
    assert "SELECT" not in shown
    assert shown[caret.index("^") :].startswith("Foo FROM")
    assert f"Column:{soql.index('Foo') + 1}\n" in error["message"]


@pytest.mark.parametrize(
    "soql",
    [
        "SELECT FIELDS(ALL) FROM Account LIMIT 1",
        "SELECT toLabel(Industry) FROM Account",
        "SELECT TYPEOF Owner WHEN User THEN Name END FROM Account",
        "SELECT Id FROM Account USING SCOPE mine",
        "SELECT Id FROM Account FOR UPDATE",
        "SELECT CALENDAR_YEAR(CreatedDate) FROM Account GROUP BY CALENDAR_YEAR(CreatedDate)",
    ],
)
def test_soql_beyond_the_sandbox_is_not_called_wrong(api: Any, soql: str) -> None:
    (error,) = api.query(soql, status=501)
    assert error["errorCode"] == "SANDBOX_NOT_SIMULATED"


@pytest.mark.parametrize(
    ("literal", "first", "past"),
    [
        ("TODAY", "2019-09-11", "2019-09-12"),
        ("THIS_WEEK", "2019-09-08", "2019-09-15"),
        ("LAST_WEEK", "2019-09-01", "2019-09-08"),
        ("NEXT_MONTH", "2019-10-01", "2019-11-01"),
        ("THIS_QUARTER", "2019-07-01", "2019-10-01"),
        ("NEXT_QUARTER", "2019-10-01", "2020-01-01"),
        ("LAST_YEAR", "2018-01-01", "2019-01-01"),
        ("LAST_N_DAYS:7", "2019-09-04", "2019-09-12"),
        ("NEXT_N_DAYS:7", "2019-09-12", "2019-09-19"),
        ("LAST_N_WEEKS:2", "2019-08-25", "2019-09-08"),
        ("LAST_N_MONTHS:2", "2019-07-01", "2019-09-01"),
        ("NEXT_N_QUARTERS:2", "2019-10-01", "2020-04-01"),
        ("N_DAYS_AGO:3", "2019-09-08", "2019-09-09"),
        ("N_MONTHS_AGO:9", "2018-12-01", "2019-01-01"),
        ("LAST_90_DAYS", "2019-06-13", "2019-09-12"),
        ("THIS_FISCAL_QUARTER", "2019-07-01", "2019-10-01"),
    ],
)
def test_relative_dates_cover_the_days_the_vendor_documents(literal: str, first: str, past: str) -> None:
    assert days_of(literal, TODAY) == (date.fromisoformat(first), date.fromisoformat(past))


def test_unknown_relative_dates_are_none() -> None:
    for literal in ("SOMEDAY", "LAST_N_DAYS", "LAST_N_DAYS:x", "N_DAYS_AGO:-1"):
        assert days_of(literal, TODAY) is None


def test_relative_instants_are_days_of_the_users_zone() -> None:
    now = datetime(2019, 9, 12, 2, 0, tzinfo=UTC)  # still the 11th in New York
    bounds = range_of("TODAY", now, ZoneInfo("America/New_York"))
    assert bounds is not None
    assert [bound.astimezone(UTC).isoformat() for bound in bounds] == [
        "2019-09-11T04:00:00+00:00",
        "2019-09-12T04:00:00+00:00",
    ]
