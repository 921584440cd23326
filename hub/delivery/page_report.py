"""A report of JSON pages as frames: rows as objects, and what the pages say about themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import polars as pl

from hub.delivery.checking import ASK, Told, network_told
from hub.delivery.refusals import ReportRefused
from hub.delivery.shape import UNITS, Evidence, ReportShape
from hub.delivery.unpacking import AGAIN

LARGEST_PAGE = 64 << 20
"""Bytes of one page; a page is decoded whole."""


def lines(source: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pages of a file, one JSON object per line. Raises ReportRefused for a page beyond `LARGEST_PAGE`."""
    held = b""
    for piece in pieces:
        *whole, held = (held + piece).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(held) > LARGEST_PAGE:
            raise ReportRefused(source, "page_size", f"A page is larger than {LARGEST_PAGE:,} bytes.", ASK)
    if held.strip():
        yield held


def frames(source: str, shape: ReportShape, pages: Iterator[bytes], told: Told) -> Iterator[pl.DataFrame]:
    """Frames with our column names; what the pages claim goes into `told`. Raises ReportRefused."""
    keys = shape.pages
    seen = 0
    last = False
    for number, data in enumerate(pages, start=1):
        if last:
            raise ReportRefused(source, "pages", f"Page {number} comes after the one that said it was the last.", ASK)
        page = _page(source, data, number)
        rows = page.get(keys.rows)
        if not isinstance(rows, list):
            raise ReportRefused(source, "columns", f"Page {number} has no list {keys.rows!r}.", ASK)
        network_told(source, shape, page.get(keys.network))
        last = page.get(keys.complete) is True
        told.final = told.final or page.get(keys.final) is True
        total = page.get(keys.total_rows)
        if isinstance(total, int) and not isinstance(total, bool):
            told.declared_rows = total
        seen = number
        if rows:
            yield _frame(source, shape, rows, told.rows + 1)
    if not seen:
        raise ReportRefused(source, "empty", "The report has no page.", AGAIN)
    if shape.complete_by is Evidence.FLAG:
        told.complete = last
    elif shape.complete_by is Evidence.ROWS:
        told.complete = told.declared_rows is not None
    elif shape.complete_by is Evidence.GZIP:
        told.complete = True


def _page(source: str, data: bytes, number: int) -> Mapping[str, Any]:
    try:
        page = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ReportRefused(source, "json", f"Page {number} is no JSON ({error}).", AGAIN) from error
    if not isinstance(page, dict):
        raise ReportRefused(source, "json", f"Page {number} is no JSON object.", ASK)
    return page


def _frame(source: str, shape: ReportShape, rows: list[Any], first: int) -> pl.DataFrame:
    named = shape.columns.named
    columns: dict[str, list[Any]] = {ours: [] for ours in named}
    for at, row in enumerate(rows, start=first):
        if not isinstance(row, dict):
            raise ReportRefused(source, "json", f"Row {at:,} is no object.", ASK)
        for ours, theirs in named.items():
            if theirs not in row:
                raise ReportRefused(source, "columns", f"Row {at:,} has no {theirs}.", ASK)
            columns[ours].append(_cell(source, shape, at, ours, theirs, row[theirs]))
    kinds = {ours: pl.Int64 if ours in UNITS else pl.String for ours in named}
    return pl.DataFrame(columns, schema=kinds)


def _cell(source: str, shape: ReportShape, at: int, ours: str, theirs: str, value: Any) -> int | str | None:
    if ours not in UNITS:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int):
            return str(value)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    elif isinstance(value, str) and value.strip().removeprefix("-").isdecimal() and len(value) < 19:
        return int(value)
    elif ours != "impressions" and (value is None or value in shape.nothing):
        return None
    word = "a whole number" if ours in UNITS else "text"
    raise ReportRefused(
        source, "number", f"Row {at:,} has {str(value)[:40]!r} under {theirs}, which is not {word}.", ASK
    )
