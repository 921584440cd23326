"""SOQL: what it finds, in what order and form."""

from __future__ import annotations

from typing import Any

import pytest

NAMES = ("Delta", "alpha", "Charlie", "bravo")


@pytest.fixture
def book(api: Any, deal: Any) -> dict[str, str]:
    """Four accounts and four opportunities: ids by name. Deal itself has 3 lines."""
    ids = {name: api.create("Account", Name=name, Industry=None if name == "bravo" else "Media") for name in NAMES}
    for place, name in enumerate(NAMES):
        fields: dict[str, Any] = {"AccountId": ids[name], "StageName": "Closed Won" if place < 2 else "Qualification"}
        fields |= {"CloseDate": f"2019-09-{10 + place}", "Amount": 100.5 * place if place else None}
        ids["o" + name] = api.create("Opportunity", Name=f"O {name}", **fields)
    for number in range(3):
        api.create("OpportunityLineItem", **deal.line(External_Line_Id__c=f"L{number}", Quantity=number + 1))
    return ids


def _names(api: Any, where: str, order: str = "Name") -> list[str]:
    rows = api.rows(f"SELECT Name FROM Opportunity WHERE Name LIKE 'O %' AND ({where}) ORDER BY {order}")
    return [row["Name"].removeprefix("O ") for row in rows]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("Amount > 100", ["alpha", "bravo", "Charlie"]),
        ("Amount >= 201.0", ["bravo", "Charlie"]),
        ("Amount < 201", ["alpha"]),
        ("Amount = null", ["Delta"]),
        ("Amount != null", ["alpha", "bravo", "Charlie"]),
        ("Amount != 100.5", ["bravo", "Charlie", "Delta"]),
        ("Amount <> 100.5 AND Amount <> null", ["bravo", "Charlie"]),
        ("Name = 'o ALPHA'", ["alpha"]),
        ("Name IN ('O alpha', 'O DELTA')", ["alpha", "Delta"]),
        ("Name NOT IN ('O alpha', 'O DELTA')", ["bravo", "Charlie"]),
        ("Name LIKE '%A'", ["alpha", "Delta"]),
        ("Name LIKE 'O _r%'", ["bravo"]),
        ("NOT Name LIKE '%a%'", []),
        ("IsWon = TRUE", ["alpha", "Delta"]),
        ("IsWon = false AND NOT (Amount > 250)", ["Charlie"]),
        ("(IsWon = TRUE AND Amount = null) OR Amount > 300", ["bravo", "Delta"]),
        ("CloseDate = 2019-09-11", ["alpha"]),
        ("CloseDate > 2019-09-11", ["bravo", "Charlie"]),
        ("CloseDate = TODAY", ["alpha"]),
        ("CloseDate = YESTERDAY", ["Delta"]),
        ("CloseDate = LAST_N_DAYS:1", ["alpha", "Delta"]),
        ("CloseDate = NEXT_N_DAYS:2", ["bravo", "Charlie"]),
        ("CloseDate > TODAY", ["bravo", "Charlie"]),
        ("CloseDate = THIS_MONTH", ["alpha", "bravo", "Charlie", "Delta"]),
        ("CloseDate = LAST_QUARTER", []),
        ("CreatedDate = TODAY", ["alpha", "bravo", "Charlie", "Delta"]),
        ("SystemModstamp >= 2019-09-11T17:41:08Z", ["alpha", "bravo", "Charlie", "Delta"]),
        ("SystemModstamp > 2019-09-11T17:41:08.000+00:00", []),
        ("SystemModstamp < 2019-09-11T19:41:09+02:00", ["alpha", "bravo", "Charlie", "Delta"]),
        ("Account.Name = 'CHARLIE'", ["Charlie"]),
        ("Account.Industry = null", ["bravo"]),
        ("Account.Owner.Name LIKE 'Orderhub%'", ["alpha", "bravo", "Charlie", "Delta"]),
        ("Opportunity.Name = 'O alpha'", ["alpha"]),
        ("Hub_Id__c = ''", ["alpha", "bravo", "Charlie", "Delta"]),
    ],
)
def test_conditions_find_what_the_vendor_finds(api: Any, book: Any, where: str, found: list[str]) -> None:
    assert sorted(_names(api, where), key=str.casefold) == found


def test_ids_compare_in_both_lengths_and_by_order(api: Any, book: dict[str, str]) -> None:
    id_ = book["oalpha"]
    assert _names(api, f"Id = '{id_[:15]}'") == _names(api, f"Id = '{id_}'") == ["alpha"]
    assert _names(api, f"Id IN ('{id_}', '{book['oDelta'][:15]}')") == ["alpha", "Delta"]
    assert len(_names(api, f"Id > '{id_}'")) + len(_names(api, f"Id <= '{id_}'")) == 4
    assert _names(api, f"AccountId = '{book['bravo']}'") == ["bravo"]


def test_semi_joins_select_by_what_another_query_finds(api: Any, book: dict[str, str], deal: Any) -> None:
    inner = "SELECT OpportunityId FROM OpportunityLineItem WHERE Quantity > 2"
    assert api.rows(f"SELECT Id FROM Opportunity WHERE Id IN ({inner})") == [{"Id": deal.opportunity}]
    rows = api.rows(f"SELECT Id FROM Opportunity WHERE Id NOT IN ({inner})")
    assert deal.opportunity not in [row["Id"] for row in rows]
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("Name", ["alpha", "bravo", "Charlie", "Delta"]),
        ("Name DESC", ["Delta", "Charlie", "bravo", "alpha"]),
        ("Amount", ["Delta", "alpha", "Charlie", "bravo"]),
        ("Amount NULLS LAST", ["alpha", "Charlie", "bravo", "Delta"]),
        ("Amount DESC", ["Delta", "bravo", "Charlie", "alpha"]),
        ("Amount DESC NULLS LAST", ["bravo", "Charlie", "alpha", "Delta"]),
        ("IsWon DESC, Name", ["alpha", "Delta", "bravo", "Charlie"]),
        ("Account.Name DESC", ["Delta", "Charlie", "bravo", "alpha"]),
    ],
)
def test_order_ignores_case_and_puts_nulls_first(api: Any, book: Any, order: str, found: list[str]) -> None:
    assert _names(api, "Name != null", order) == found


def test_limit_and_offset_cut_a_window(api: Any, book: Any) -> None:
    soql = "SELECT Name FROM Account WHERE Name != 'Acme' ORDER BY Name LIMIT 2 OFFSET 1"
    assert [row["Name"] for row in api.rows(soql)] == ["bravo", "Charlie"]


def test_parents_and_children_are_nested_as_the_vendor_nests_them(api: Any, book: Any, deal: Any) -> None:
    soql = (
        "SELECT Id, Account.Name, Account.Owner.LastName, "
        "(SELECT External_Line_Id__c FROM OpportunityLineItems WHERE Quantity > 1 ORDER BY Quantity DESC LIMIT 1) "
        f"FROM Opportunity WHERE Id = '{deal.opportunity}'"
    )
    (row,) = api.query(soql)["records"]
    prefix = "/services/data/v68.0/sobjects"
    line = row["OpportunityLineItems"]["records"][0]
    assert row == {
        "attributes": {"type": "Opportunity", "url": f"{prefix}/Opportunity/{deal.opportunity}"},
        "Id": deal.opportunity,
        "Account": {
            "attributes": {"type": "Account", "url": f"{prefix}/Account/{deal.account}"},
            "Name": "Acme",
            "Owner": {
                "attributes": {"type": "User", "url": row["Account"]["Owner"]["attributes"]["url"]},
                "LastName": "Integration",
            },
        },
        "OpportunityLineItems": {"totalSize": 1, "done": True, "records": [line]},
    }
    assert line["External_Line_Id__c"] == "L2"


def test_a_missing_parent_and_an_empty_child_list_are_null(api: Any) -> None:
    api.create("Opportunity", Name="Lone", StageName="Prospecting", CloseDate="2019-10-01")
    (row,) = api.rows("SELECT Account.Name, (SELECT Id FROM OpportunityLineItems) FROM Opportunity")
    assert row == {"Account": None, "OpportunityLineItems": None}


def test_custom_look_ups_are_reached_by_their_relationship(api: Any, book: dict[str, str]) -> None:
    api("PATCH", f"sobjects/Opportunity/{book['oalpha']}", {"Agency__c": book["Delta"]})
    rows = api.rows("SELECT Agency__r.Name FROM Opportunity WHERE Agency__r.Name = 'delta'")
    assert [row["Agency__r"]["Name"] for row in rows] == ["Delta"]
    soql = "SELECT (SELECT Name FROM Agency_Opportunities__r) FROM Account WHERE Name = 'Delta'"
    (account,) = api.rows(soql)
    assert [row["Name"] for row in account["Agency_Opportunities__r"]["records"]] == ["O alpha"]


def test_names_are_case_insensitive_and_come_back_exact(api: Any, book: Any) -> None:
    (row,) = api.query("select NAME, account.industry from opportunity where name = 'O alpha'")["records"]
    assert set(row) == {"attributes", "Name", "Account"}
    assert row["Account"]["Industry"] == "Media"


def test_an_alias_may_qualify_fields(api: Any, book: Any) -> None:
    assert api.rows("SELECT o.Name FROM Opportunity o WHERE o.Account.Name = 'alpha'") == [{"Name": "O alpha"}]


def test_count_without_a_field_is_a_total_without_records(api: Any, book: Any) -> None:
    answer = api.query("SELECT COUNT() FROM Opportunity WHERE Name LIKE 'O %'")
    assert answer == {"totalSize": 4, "done": True, "records": []}


def test_aggregates_group_and_filter(api: Any, book: Any) -> None:
    soql = (
        "SELECT StageName stage, COUNT(Id), SUM(Amount) total, MIN(CloseDate) FROM Opportunity WHERE Name LIKE 'O %' "
        "GROUP BY StageName HAVING COUNT(Id) > 1 ORDER BY StageName"
    )
    answer = api.query(soql)
    assert answer["records"][0] == {
        "attributes": {"type": "AggregateResult"},
        "stage": "Closed Won",
        "expr0": 2,
        "total": 100.5,
        "expr1": "2019-09-10",
    }
    assert [row["stage"] for row in answer["records"]] == ["Closed Won", "Qualification"]
    (whole,) = api.rows(
        "SELECT AVG(Quantity), COUNT_DISTINCT(OpportunityId), MAX(External_Line_Id__c) FROM OpportunityLineItem"
    )
    assert whole == {"expr0": 2.0, "expr1": 1, "expr2": "L2"}


def test_escaped_quotes_and_wildcards_are_literal(api: Any) -> None:
    for name in ("100% O'Brien", "100x O'Brien"):
        api.create("Account", Name=name)
    assert api.rows(r"SELECT Name FROM Account WHERE Name LIKE '100\% O\'Brien'") == [{"Name": "100% O'Brien"}]
    assert len(api.rows(r"SELECT Name FROM Account WHERE Name LIKE '100_ O\'Brien'")) == 2


def test_4000_lines_page_by_keyset_each_once(api: Any, deal: Any) -> None:
    for start in range(0, 4000, 200):
        records = [
            {"attributes": {"type": "OpportunityLineItem"}, **deal.line(External_Line_Id__c=f"x{n}", Brand__c="b" * 60)}
            for n in range(start, start + 200)
        ]
        answers = api("POST", "composite/sobjects", {"records": records})
        assert all(answer["success"] for answer in answers)
    seen: list[str] = []
    where = ""
    while True:
        soql = f"SELECT Id, Name, SystemModstamp FROM OpportunityLineItem{where} ORDER BY SystemModstamp, Id LIMIT 1000"
        rows = api.rows(soql)
        if not rows:
            break
        seen += [row["Id"] for row in rows]
        stamp = rows[-1]["SystemModstamp"].replace("+0000", "Z")
        where = f" WHERE SystemModstamp > {stamp} OR (SystemModstamp = {stamp} AND Id > '{rows[-1]['Id']}')"
    assert len(seen) == len(set(seen)) == 4000
