"""Lists that the simulator sends to PostgreSQL arrive as psycopg sends them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.array import ListDumper

from simulation.values import Lists

LISTS: list[list[Any]] = [
    [],
    ["a"],
    ["a", "b c", "", "NULL", "{x}", "a,b"],
    ['quoted "once"', "plain"],
    ['"', '","'],
    ["back\\slash"],
    ["ä", "😀", "\n"],
    ["a", None],
    [b"", b"\x00\xff", b'"\\'],
    [UUID(int=0), UUID(int=2**128 - 1)],
    [1, 2**40],
    [None, None],
    [["a"], ["b"]],
    [True, False],
]


@pytest.mark.parametrize("values", LISTS, ids=repr)
def test_a_list_means_to_the_server_what_psycopg_would_have_sent(database_url: str, values: list[Any]) -> None:
    found = []
    for dumper in (ListDumper, Lists):
        with psycopg.connect(database_url) as connection:
            connection.adapters.register_dumper(list, dumper)
            transformer = Transformer(connection)
            sent = transformer.get_dumper(values, PyFormat.AUTO)
            row = connection.execute("SELECT (%s::text[])::text", (values,)).fetchone()
            found.append((sent.oid, sent.format, row))
    assert found[0] == found[1]
