"""Runs a parsed statement over rows: joins by hash, SQL's three-valued conditions, TO_CHAR and TO_DATE.

Cells are text, Decimal, date or datetime; a date cell is shown in the account's format (here M/D/YYYY) unless TO_CHAR says
otherwise, as the vendor does.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sandbox.netsuite.errors import NetSuiteError
from sandbox.netsuite.suiteql.syntax import (
    CallOf,
    Column,
    Comparison,
    Condition,
    Included,
    Join,
    Junction,
    Literal,
    Not,
    Null,
    Select,
    Value,
    invalid,
)

Cell = str | Decimal | date | datetime | None
Cells = Mapping[str, Cell]
Bound = Mapping[str, Cells]
"""The row of each alias."""

_PARTS = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH24": "%H", "MI": "%M", "SS": "%S"}
_FORMAT = re.compile("|".join(_PARTS))
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Tables:
    """Tables by name: the columns each has, and its rows."""

    def __init__(self, columns: Mapping[str, frozenset[str]], rows: Callable[[str], Sequence[Cells]]) -> None:
        self.columns = columns
        self.rows = rows


def run(select: Select, tables: Tables) -> list[dict[str, str]]:
    """All rows of the answer, as the wire shows them: every value text, columns without a value left out.

    Raises NetSuiteError INVALID_PARAMETER for an unknown table, column or function.
    """
    sources = [select.source, *(join.source for join in select.joins)]
    for source in sources:
        if source.table not in tables.columns:
            raise invalid(f"Search error occurred: Record '{source.table}' was not found.")
    known = {source.alias: tables.columns[source.table] for source in sources}
    if len(known) != len(sources):
        raise invalid("Search error occurred: an alias is used twice.")
    scope = _Scope(known)
    found: list[Bound] = [{select.source.alias: row} for row in tables.rows(select.source.table)]
    for join in select.joins:
        found = _joined(found, join, tables, scope)
    if select.where is not None:
        condition = scope.condition(select.where)
        found = [bound for bound in found if condition(bound) is True]
    for column, descending in reversed(select.order):
        get = scope.value(column)
        found.sort(key=partial(_sorted_by, get), reverse=descending)
    shown = [(item.alias, scope.value(item.value)) for item in select.items]
    return [{name: _text(cell) for name, get in shown if (cell := get(bound)) is not None} for bound in found]


def _joined(found: Sequence[Bound], join: Join, tables: Tables, scope: _Scope) -> list[Bound]:
    inside, outside = join.one, join.other
    if scope.alias(inside) != join.source.alias:
        inside, outside = outside, inside
    if scope.alias(inside) != join.source.alias or scope.alias(outside) == join.source.alias:
        raise invalid("Search error occurred: a join must compare its table with one before it.")
    by_key: dict[Cell, list[Cells]] = {}
    for row in tables.rows(join.source.table):
        by_key.setdefault(row.get(inside.name), []).append(row)
    get = scope.value(outside)
    result: list[Bound] = []
    for bound in found:
        key = get(bound)
        partners = by_key.get(key, []) if key is not None else []
        if not partners and join.left:
            partners = [{}]
        result += [{**bound, join.source.alias: partner} for partner in partners]
    return result


class _Scope:
    """Resolves names against the aliases of a statement and compiles values and conditions."""

    def __init__(self, known: Mapping[str, frozenset[str]]) -> None:
        self._known = known

    def alias(self, column: Column) -> str:
        if column.table:
            if column.table not in self._known:
                raise invalid(f"Search error occurred: Record '{column.table}' was not found.")
            candidates = [column.table] if column.name in self._known[column.table] else []
        else:
            candidates = [alias for alias, columns in self._known.items() if column.name in columns]
        if len(candidates) != 1:
            reason = "REMOVED" if not candidates else "AMBIGUOUS"
            record = column.table or next(iter(self._known))
            raise invalid(
                f"Search error occurred: Field '{column.name}' for record '{record}' was not found. Reason: {reason}."
            )
        return candidates[0]

    def value(self, value: Value) -> Callable[[Bound], Cell]:
        if isinstance(value, Column):
            alias, name = self.alias(value), value.name
            return lambda bound: bound[alias].get(name)
        if isinstance(value, Literal):
            fixed: Cell = Decimal(value.value) if value.number else value.value
            return lambda bound: fixed
        return self._call(value)

    def _call(self, call: CallOf) -> Callable[[Bound], Cell]:
        if call.name not in ("TO_CHAR", "TO_DATE") or len(call.arguments) != 2:
            raise _unknown_function(call.name)
        inner, pattern = self.value(call.arguments[0]), call.arguments[1]
        if not isinstance(pattern, Literal):
            raise invalid(f"{call.name} needs a format.")
        layout = _FORMAT.sub(lambda match: _PARTS[match.group()], pattern.value)
        if call.name == "TO_CHAR":

            def shown(bound: Bound) -> Cell:
                cell = inner(bound)
                return cell.strftime(layout) if isinstance(cell, date) else cell

            return shown

        def read(bound: Bound) -> Cell:
            cell = inner(bound)
            try:
                return datetime.strptime(str(cell), layout)  # noqa: DTZ007 - the account's wall time has no zone
            except ValueError:
                raise invalid("Search error occurred: a literal does not match its date format.") from None

        return read

    def condition(self, condition: Condition) -> Callable[[Bound], bool | None]:
        if isinstance(condition, Junction):
            parts = [self.condition(part) for part in condition.conditions]
            return _every(parts) if condition.every else _any(parts)
        if isinstance(condition, Not):
            test = self.condition(condition.condition)
            return lambda bound: None if (answer := test(bound)) is None else not answer
        if isinstance(condition, Null):
            get, wanted = self.value(condition.value), not condition.negated
            return lambda bound: (get(bound) is None) is wanted
        if isinstance(condition, Included):
            return self._included(condition)
        return self._compared(condition)

    def _included(self, condition: Included) -> Callable[[Bound], bool | None]:
        if len(condition.values) > 1000:
            raise invalid("Search error occurred: an IN list holds at most 1000 values.")
        get, values = self.value(condition.value), [self.value(value) for value in condition.values]

        def test(bound: Bound) -> bool | None:
            cell = get(bound)
            if cell is None:
                return None
            found = any(_equal(cell, value(bound)) for value in values)
            return found is not condition.negated

        return test

    def _compared(self, condition: Comparison) -> Callable[[Bound], bool | None]:
        left, right, sign = self.value(condition.left), self.value(condition.right), _SIGNS[condition.operator]

        def test(bound: Bound) -> bool | None:
            one, other = left(bound), right(bound)
            if one is None or other is None:
                return None
            one, other = _alike(one, other)
            return sign(one, other)

        return test


def _every(parts: Sequence[Callable[[Bound], bool | None]]) -> Callable[[Bound], bool | None]:
    def test(bound: Bound) -> bool | None:
        answers = [part(bound) for part in parts]
        return False if False in answers else None if None in answers else True

    return test


def _any(parts: Sequence[Callable[[Bound], bool | None]]) -> Callable[[Bound], bool | None]:
    def test(bound: Bound) -> bool | None:
        answers = [part(bound) for part in parts]
        return True if True in answers else None if None in answers else False

    return test


def _equal(one: Cell, other: Cell) -> bool:
    if one is None or other is None:
        return False
    left, right = _alike(one, other)
    return bool(left == right)


def _alike(one: Cell, other: Cell) -> tuple[Cell, Cell]:
    """Two cells in a form that can be compared; ids are text on the wire but compare with numbers."""
    if isinstance(one, Decimal) or isinstance(other, Decimal):
        try:
            return Decimal(str(one)), Decimal(str(other))
        except ArithmeticError:
            raise invalid("Search error occurred: Invalid number.") from None
    if isinstance(one, date) or isinstance(other, date):
        if not (isinstance(one, date) and isinstance(other, date)):
            raise invalid("Search error occurred: a date is compared with text; use TO_DATE.")
        return _moment(one), _moment(other)
    return one, other


def _moment(day: date) -> datetime:
    return day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)  # noqa: DTZ001 - wall time


def _sorted_by(get: Callable[[Bound], Cell], bound: Bound) -> tuple[int, Any]:
    return _sortable(get(bound))


def _sortable(cell: Cell) -> tuple[int, Any]:
    """Ids in the order of their numbers, absent values last."""
    if cell is None:
        return 1, 0
    return 0, _moment(cell) if isinstance(cell, date) else cell


def _text(cell: Cell) -> str:
    if isinstance(cell, date):
        return f"{cell.month}/{cell.day}/{cell.year}"
    return format(cell, "f") if isinstance(cell, Decimal) else str(cell)


def _unknown_function(name: str) -> NetSuiteError:
    return invalid(f"Search error occurred: Unknown identifier '{name}'.")
