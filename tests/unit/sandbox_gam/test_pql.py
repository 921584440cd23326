"""The query language: what parses, what it selects, and that a table's indexes never change an answer."""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gam.pql import And, Comparison, Or, Property, parse, select
from sandbox.gam.records import Table
from sandbox.gam.soap import ApiFaultError

Row = dict[str, Any]
PROPERTIES: dict[str, Property[Row]] = {
    "id": Property("number", lambda row: row["id"]),
    "name": Property("text", lambda row: row["name"]),
    "orderid": Property("number", lambda row: row["orderId"]),
    "isopen": Property("boolean", lambda row: row["open"]),
    "start": Property("moment", lambda row: row["start"]),
}


def rows_of(statement: str, rows: list[Row], **values: Any) -> list[int]:
    entries = [{"key": key, "value": value} for key, value in values.items()]
    query = parse({"query": statement, "values": entries})
    found = select(query, rows, PROPERTIES, zone_name="America/New_York", default_order="id")
    return [row["id"] for row in found.page]


def row(number: int, name: str | None = "x", order: int = 1, is_open: bool = True, start: int | None = 0) -> Row:
    return {"id": number, "name": name, "orderId": order, "open": is_open, "start": start}


ROWS = [row(1, "Acme"), row(2, "acme", 2), row(3, "Acme 100% pure", 2, is_open=False), row(4, None, 3, start=None)]


@pytest.mark.parametrize(
    ("statement", "ids"),
    [
        ("", [1, 2, 3, 4]),
        ("WHERE id = 2", [2]),
        ("where ID != 2", [1, 3, 4]),
        ("WHERE id >= 2 AND id < 4", [2, 3]),
        ("WHERE id <= 1 OR id > 3", [1, 4]),
        ("WHERE id = 1 OR id = 2 AND orderId = 9", [1]),
        ("WHERE (id = 1 OR id = 2) AND orderId = 2", [2]),
        ("WHERE name = 'Acme'", [1]),
        ("WHERE name LIKE 'Acme%'", [1, 3]),
        ("WHERE name LIKE '%100%pure'", [3]),
        ("WHERE name IS NULL", [4]),
        ("WHERE name != 'Acme'", [2, 3]),
        ("WHERE id IN (1, 4, 9)", [1, 4]),
        ("WHERE name IN ('Acme', 'acme')", [1, 2]),
        ("WHERE isOpen = false", [3]),
        ("WHERE start >= '1970-01-01T00:00:00'", []),
        ("WHERE start >= '1969-12-31T19:00:00'", [1, 2, 3]),
        ("ORDER BY id DESC LIMIT 2", [4, 3]),
        ("ORDER BY id LIMIT 2 OFFSET 1", [2, 3]),
        ("ORDER BY id LIMIT 1, 2", [2, 3]),
        ("ORDER BY name", [4, 1, 3, 2]),
        ("WHERE id > 1 LIMIT 0", []),
    ],
)
def test_a_statement_selects_what_it_says(statement: str, ids: list[int]) -> None:
    assert rows_of(statement, ROWS) == ids


@pytest.mark.parametrize(
    "statement",
    [
        "WHERE",
        "WHERE id",
        "WHERE id == 1",
        "WHERE id = 1 AND",
        "WHERE name = 'open",
        'WHERE name = "x"',
        "id = 1",
        "WHERE id = 1; DROP",
        "WHERE NOT id = 1",
        "WHERE name IS NOT NULL",
        "LIMIT x",
        "LIMIT 1.5",
        "OFFSET 3",
        "ORDER BY id, name",
        "WHERE id IN ()",
        "SELECT FROM Geo_Target",
    ],
)
def test_what_the_published_grammar_lacks_is_unparsable(statement: str) -> None:
    with pytest.raises(ApiFaultError, match=r"PublisherQueryLanguageSyntaxError\.UNPARSABLE"):
        rows_of(statement, ROWS)


@pytest.mark.parametrize(
    "statement",
    [
        "WHERE budget = 5",
        "ORDER BY budget",
        "WHERE id = 'x'",
        "WHERE name = 5",
        "WHERE name > true",
        "WHERE id LIKE '1%'",
        "WHERE isOpen = 'yes'",
        "WHERE start > 'yesterday'",
        "WHERE start = 5",
    ],
)
def test_a_wrong_property_or_kind_of_value_is_unexecutable(statement: str) -> None:
    with pytest.raises(ApiFaultError, match=r"PublisherQueryLanguageContextError\.UNEXECUTABLE"):
        rows_of(statement, ROWS)


def number(value: int) -> dict[str, Any]:
    return {"@type": "NumberValue", "value": str(value)}


def test_bind_variables_of_each_kind() -> None:
    text = {"@type": "TextValue", "value": "it's"}
    assert rows_of("WHERE name = :n", [row(1, "it's")], n=text) == [1]
    assert rows_of("WHERE isOpen = :b", ROWS, b={"@type": "BooleanValue", "value": False}) == [3]
    assert rows_of("WHERE id IN :s", ROWS, s={"@type": "SetValue", "values": [number(1), number(3)]}) == [1, 3]
    assert rows_of("WHERE id IN (:a, 4)", ROWS, a=number(1)) == [1, 4]
    moment = {"date": {"year": 1970, "month": 1, "day": 1}, "hour": 0, "minute": 0, "second": 0, "timeZoneId": "UTC"}
    assert rows_of("WHERE start = :t", ROWS, t={"@type": "DateTimeValue", "value": moment}) == [1, 2, 3]


def test_an_unbound_variable_is_named() -> None:
    with pytest.raises(ApiFaultError, match=r"StatementError\.VARIABLE_NOT_BOUND_TO_VALUE @ ; trigger:'missing'"):
        rows_of("WHERE id = :missing", ROWS)


@pytest.mark.parametrize(
    "value",
    [
        {"@type": "NumberValue", "value": "seven"},
        {"@type": "NumberValue"},
        {"@type": "DateTimeValue", "value": {"hour": 1, "timeZoneId": "UTC"}},
        {"@type": "DateTimeValue", "value": {"date": {"year": 2019, "month": 1, "day": 1}, "timeZoneId": "Nowhere"}},
        {"@type": "TargetingValue", "value": {}},
    ],
)
def test_a_bound_value_that_is_none_is_unexecutable(value: dict[str, Any]) -> None:
    with pytest.raises(ApiFaultError, match="UNEXECUTABLE"):
        rows_of("WHERE id = :v", ROWS, v=value)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_can_be_written_as_a_literal(text: str) -> None:
    literal = text.replace("\\", "\\\\").replace("'", "\\'")
    query = parse({"query": f"WHERE name = '{literal}'"})
    assert query.condition == Comparison("name", "=", (text,))


@given(st.text(max_size=40))
def test_any_query_parses_or_is_refused_with_a_typed_error(text: str) -> None:
    try:
        parse({"query": text})
    except ApiFaultError as refused:
        assert {error.type for error in refused.errors} <= {  # noqa: PT017 - both outcomes are right
            "PublisherQueryLanguageSyntaxError",
            "StatementError",
        }


def test_and_binds_closer_than_or() -> None:
    a, b, c = (Comparison(name, "=", (Decimal(1),)) for name in "abc")
    assert parse({"query": "WHERE a = 1 OR b = 1 AND c = 1"}).condition == Or((a, And((b, c))))


NUMBERS = st.integers(0, 6)
COMPARISONS = st.one_of(
    st.tuples(st.sampled_from(["id", "orderId"]), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), NUMBERS).map(
        lambda parts: f"{parts[0]} {parts[1]} {parts[2]}"
    ),
    st.tuples(st.sampled_from(["id", "orderId"]), st.lists(NUMBERS, min_size=1, max_size=3)).map(
        lambda parts: f"{parts[0]} IN ({', '.join(map(str, parts[1]))})"
    ),
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
        lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
    ),
    max_leaves=6,
)
ORDERS = st.lists(st.integers(0, 4), max_size=7)


@given(CONDITIONS, ORDERS)
def test_reading_a_table_by_index_selects_the_same(condition: str, orders: list[int]) -> None:
    table = Table(0, {"orderid": operator.itemgetter("orderId")})
    rows = [row(table.new_id(), order=order) for order in orders]
    for each in rows:
        table.put(each)
    query = parse({"query": f"WHERE {condition}"})
    arguments: dict[str, Any] = {"zone_name": "UTC", "default_order": "id"}
    by_index = select(query, table.candidates(query.condition), PROPERTIES, **arguments)
    assert by_index == select(query, rows, PROPERTIES, **arguments)


@given(CONDITIONS, ORDERS)
def test_a_condition_means_what_python_says(condition: str, orders: list[int]) -> None:
    rows = [row(place, order=order) for place, order in enumerate(orders)]
    python = condition.replace("AND", "and").replace("OR", "or").replace(" = ", " == ").replace("IN (", "in (0.5, ")
    expected = [each["id"] for each in rows if eval(python, {}, {"id": each["id"], "orderId": each["orderId"]})]
    assert rows_of(f"WHERE {condition}", rows) == expected


def test_a_row_that_changes_its_key_moves_in_the_index() -> None:
    table = Table(1, {"name": operator.itemgetter("name")})
    table.put(row(table.new_id(), "old"))
    table.put(row(1, "new"))
    assert table.having("name", "old") == []
    assert [each["id"] for each in table.having("name", "new")] == [1]
    table.remove(1)
    assert table.having("name", "new") == []
    assert table.new_id() == 2
