"""SOQL as text: names checked by pattern, values quoted by the library, instants with their milliseconds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from connectors.errors import SchemaDrift

_NAME = r"[A-Za-z][A-Za-z0-9_]{0,79}"
_FIELD = re.compile(rf"{_NAME}(?:\.{_NAME}){{0,4}}")
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
# The address of a request may have 16,384 bytes (REST API guide, limits); the rest of it is host, path and other clauses.
_LONGEST_CLAUSE = 6_000


def is_id(value: object) -> bool:
    """Whether the value has the form of a record id: 15 characters, or 18 with check characters."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def same_id(one: str, other: str) -> bool:
    """Whether two ids name the same record: the first 15 characters are the id, the last 3 only guard its case."""
    return one[:15] == other[:15]


def checked_fields(record: str, fields: Iterable[str]) -> tuple[str, ...]:
    """The field paths without repetitions. Raises SchemaDrift for one that cannot be a field."""
    kept = dict.fromkeys(fields)
    for name in kept:
        if not isinstance(name, str) or not _FIELD.fullmatch(name):
            raise SchemaDrift(
                "FIELD-NAME",
                f"{name!r:.80} cannot be a field of {record}. Nothing was read. Whoever keeps the mapping mends it.",
                field=str(name)[:80],
            )
    return tuple(kept)


def instant(text: object) -> datetime:
    """A Salesforce date-time (`2019-09-11T17:41:08.000+0000`) as an aware instant. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("no date-time")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a date-time without a zone")
    return moment.astimezone(UTC)


def instant_literal(moment: datetime) -> str:
    """An instant as SOQL takes it, with milliseconds.

    `format_soql` cuts a datetime to seconds; `SystemModstamp = :t` would then miss a record with milliseconds and a
    read would begin the same second over and over.
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def select(record: str, fields: Sequence[str], where: str, *, order: str = "", limit: int | None = None) -> str:
    """A query; `fields` are checked names, `where` is built by the functions here."""
    text = f"SELECT {', '.join(fields)} FROM {record} WHERE {where}"  # noqa: S608 - names are checked, values quoted
    if order:
        text += f" ORDER BY {order}"
    return text if limit is None else f"{text} LIMIT {int(limit)}"


def changed_since(start: datetime | None) -> str:
    """The condition of a read's first page: changed at `start` or later; None is everything."""
    return f"SystemModstamp >= {instant_literal(start or datetime(1970, 1, 1, tzinfo=UTC))}"


def changed_after(moment: datetime, last_id: str) -> str:
    """The condition of the next page: behind (moment, id) in that order, so any number of records may share a moment."""
    from simple_salesforce import format_soql

    stamp = instant_literal(moment)
    return str(
        format_soql(
            "((SystemModstamp = {stamp:literal} AND Id > {last}) OR SystemModstamp > {stamp:literal})",
            stamp=stamp,
            last=last_id,
        )
    )


def above_id(last_id: str) -> str:
    """The condition of a page in Id order, behind `last_id`; an empty one begins."""
    from simple_salesforce import format_soql

    return str(format_soql("Id > {last}", last=last_id or "000000000000000AAA"))


def one_of(field: str, values: Sequence[str]) -> str:
    """`field IN (...)` with quoted values."""
    from simple_salesforce import format_soql

    return str(format_soql("{field:literal} IN {values}", field=field, values=list(values)))


def chunks(values: Sequence[str], most: int, longest: int = _LONGEST_CLAUSE) -> Iterator[list[str]]:
    """The values in groups that fit into one request: at most `most`, and short enough once they are in an address."""
    group: list[str] = []
    length = 0
    for value in values:
        size = len(quote(value, safe="")) + 9  # two quotes and a comma, each %xx
        if group and (len(group) == most or length + size > longest):
            yield group
            group, length = [], 0
        group.append(value)
        length += size
    if group:
        yield group
