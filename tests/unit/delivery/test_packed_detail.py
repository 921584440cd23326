"""Detail rows of a line in one text: any text comes back as it was, and rows stored before can be packed and unpacked."""

from __future__ import annotations

from typing import Any

import psycopg
from alembic import command
from psycopg.rows import TupleRow

from hub.store import database

HEAD = "Date,Line item ID,Ad unit,Impressions,Clicks\n"
ODD = [
    "",
    " ",
    "NULL",
    "null",
    "{}",
    '"',
    "\\",
    '\\"',
    ",",
    "a,b",
    "{a,b}",
    "\n",
    "\t",
    "é",
    "\U0001f600",
    "'",
    "N",
    "-1",
    "(x)",
    "\r",
    "\r\n",
    "\\N",
    "\\.",
    "\x1b",
    "\x1b0",
    "\x1b\x1b01",
    "\x1e",
    "\x1f",
    "\x1f\x1e\x1b2",
    "1\x1e\x1f2",
]


def test_any_text_comes_back_as_it_was(world: Any) -> None:
    cells = [one.replace('"', '""') for one in ODD]
    rows = "".join(f'2026-03-01,11,"{cell}",{number},0\n' for number, cell in enumerate(cells))
    rows += "".join(f'2026-03-01,"{cell}x",a,{number},0\n' for number, cell in enumerate(cells))
    world.load("ads", HEAD + rows)
    found = world.session.database.rows("SELECT ad_unit, impressions FROM delivery_detail WHERE line_vendor_id = '11'")
    assert sorted(tuple(row) for row in found) == sorted((text, number) for number, text in enumerate(ODD))
    lines = world.session.database.rows("SELECT line_vendor_id, impressions FROM delivery_detail WHERE ad_unit = 'a'")
    assert sorted(tuple(row) for row in lines) == sorted((text + "x", number) for number, text in enumerate(ODD))


def test_a_day_waits_for_no_vacuum_when_it_is_put_in_place_and_plans_know_its_size(world: Any) -> None:
    world.load("ads", HEAD + "".join(f"2026-03-01,{line},a,5,1\n" for line in range(40)))
    ((options, rows, index),) = world.session.database.rows(
        "SELECT c.reloptions, c.reltuples, pg_get_indexdef(i.indexrelid) FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid "
        "WHERE c.relname LIKE 'delivery_detail_%%' AND c.relkind = 'r'"
    )
    assert "autovacuum_enabled=false" in options
    assert rows == 40
    assert "USING brin (line_vendor_id)" in index


def test_rows_stored_before_are_packed_and_can_be_unpacked_again(database_url: str) -> None:
    config = database._alembic(database_url)
    command.upgrade(config, "0010")
    # The hub's own connection takes no older schema.
    store = psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC")
    with store.transaction(), store.cursor() as cur:
        cur.execute("CREATE TABLE delivery_detail_3_7 PARTITION OF delivery_detail FOR VALUES IN (7)")
        cur.execute("CREATE INDEX delivery_line_3_7 ON delivery_detail_3_7 USING brin (line_vendor_id)")
        cur.execute("CREATE TABLE delivery_detail_3_8 PARTITION OF delivery_detail FOR VALUES IN (8)")
        cur.execute(
            "INSERT INTO delivery_detail (part, line_vendor_id, ad_unit, creative, impressions, clicks) VALUES "
            "(7, '11', 'a', 'x', 5, 1), (7, '11', 'a', E'y\\x1f\\x1b1', 6, 2), (7, '12', 'b', 'x', 7, 3)"
        )
        cur.execute("INSERT INTO delivery_detail (part, line_vendor_id, impressions) VALUES (8, '11', 9)")
    every = "SELECT * FROM delivery_detail ORDER BY part, line_vendor_id, ad_unit, creative"
    before = store.execute(every).fetchall()
    assert len(before) == 4
    arrays = "SELECT line_vendor_id, ad_unit, creative, clicks FROM delivery_packed ORDER BY part, 1"
    in_arrays = [("11", ["a", "a"], ["x", "y\x1f\x1b1"], [1, 2]), ("12", ["b"], ["x"], [3]), ("11", None, None, None)]
    for revision in ("0011", "0010", "0011", "0016", "0011", "head"):
        (command.downgrade if revision < database_revision(store) else command.upgrade)(config, revision)
        assert store.execute(every).fetchall() == before, revision
        if revision == "0011":
            assert [tuple(row) for row in store.execute(arrays).fetchall()] == in_arrays
    packed = store.execute(
        "SELECT line_vendor_id, ad_unit, creative, impressions, clicks, detail FROM delivery_packed ORDER BY part, 1"
    ).fetchall()
    assert [tuple(row) for row in packed] == [
        ("11", 2, 3, 4, 5, "\x1fa\x1fx\x1f5\x1f1\x1e\x1fa\x1fy\x1b1\x1b01\x1f6\x1f2\x1e"),
        ("12", 2, 3, 4, 5, "\x1fb\x1fx\x1f7\x1f3\x1e"),
        ("11", None, None, 2, None, "\x1f9\x1e"),
    ]
    store.close()


def database_revision(store: psycopg.Connection[TupleRow]) -> str:
    """The migration that a store stands at."""
    row = store.execute("SELECT version_num FROM alembic_version").fetchone()
    assert row is not None
    return str(row[0])
