"""Compiles WHERE and HAVING into predicates over rows, and finds which rows an index can offer."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.facts import Field, SObject
from sandbox.salesforce.ids import normalise
from sandbox.salesforce.soql.dates import days_of, range_of
from sandbox.salesforce.soql.syntax import (
    Aggregate,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Included,
    Literal,
    Negation,
    Path,
    Select,
    SemiJoin,
    malformed,
    pointer,
)
from sandbox.salesforce.tables import Row, Table
from sandbox.salesforce.values import parse_date, parse_datetime, stamp

Predicate = Callable[[Row], bool]
Getter = Callable[[Row], Any]
_NUMBERS = ("int", "double", "currency", "percent")
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_XSD_NAMES = {"currency": "double", "percent": "double", "datetime": "dateTime"}


@dataclass(frozen=True)
class Operand:
    """What a condition compares: how to read it and which field it is."""

    get: Getter
    field: Field


Resolve = Callable[[Path | Aggregate], Operand]
SubQuery = Callable[[Select, Path], set[str]]


@dataclass(frozen=True)
class Conditions:
    """Compiles the conditions of one SELECT.

    Args:
        text: the statement, for error messages.
        resolve: finds the operand of a path or an aggregate.
        values_of: runs a semi-join's inner SELECT.
        now, zone: for relative dates.
    """

    text: str
    resolve: Resolve
    values_of: SubQuery
    now: datetime
    zone: tzinfo

    def compile(self, condition: Condition) -> Predicate:
        """The predicate of a condition.

        Raises:
            SalesforceError: INVALID_FIELD, INVALID_QUERY_FILTER_OPERATOR or MALFORMED_QUERY.
        """
        if isinstance(condition, AllOf):
            every = [self.compile(inner) for inner in condition.conditions]
            return lambda row: all(test(row) for test in every)
        if isinstance(condition, AnyOf):
            some = [self.compile(inner) for inner in condition.conditions]
            return lambda row: any(test(row) for test in some)
        if isinstance(condition, Negation):
            inner_test = self.compile(condition.condition)
            return lambda row: not inner_test(row)
        if isinstance(condition, Included):
            return self._included(condition)
        if isinstance(condition, SemiJoin):
            return self._semi_join(condition)
        return self._compare(condition)

    def _operand(self, path: Path | Aggregate) -> Operand:
        operand = self.resolve(path)
        if not operand.field.filterable:
            raise self._error(
                path.at, "INVALID_FIELD", f"field '{operand.field.name}' can not be filtered in a query call"
            )
        return operand

    def _error(self, at: int, code: str, what: str) -> SalesforceError:
        return SalesforceError(400, code, pointer(self.text, at) + what)

    def _included(self, condition: Included) -> Predicate:
        operand = self._operand(condition.path)
        get = operand.get
        fold = operand.field.is_text and not operand.field.caseSensitive  # ids and dates are compared as they are
        found = [self._value(operand.field, literal) for literal in condition.values]
        values = {value.casefold() if fold and value is not None else value for value in found}

        def test(row: Row) -> bool:
            value = get(row)
            return (value.casefold() if fold and value is not None else value) in values

        return (lambda row: not test(row)) if condition.negated else test

    def _semi_join(self, condition: SemiJoin) -> Predicate:
        operand = self._operand(condition.path)
        if operand.field.type not in ("id", "reference"):
            what = "The left operand field in the where expression for outer query should be an id field"
            raise malformed(self.text, condition.path.at, what)
        ids = self.values_of(condition.select, condition.path)
        get, negated = operand.get, condition.negated
        return lambda row: (get(row) in ids) is not negated

    def _compare(self, condition: Compare) -> Predicate:
        operand = self._operand(condition.operand)
        field, get, literal, sign = operand.field, operand.get, condition.value, condition.operator
        if sign == "like":
            return self._like(operand, literal)
        if literal.kind == "date_literal":
            return self._relative(operand, sign, literal)
        value = self._value(field, literal)
        if value is None:
            if sign not in ("=", "!="):
                raise self._operator_error(literal.at, field)
            return (lambda row: get(row) is None) if sign == "=" else (lambda row: get(row) is not None)
        if field.type == "boolean" and sign not in ("=", "!="):
            raise self._operator_error(literal.at, field)
        fold = field.is_text and not field.caseSensitive
        if fold:
            value = value.casefold()
        if sign in ("=", "!="):
            wanted = sign == "="
            if fold:
                return lambda row: ((found := get(row)) is not None and found.casefold() == value) is wanted
            return lambda row: (get(row) == value) is wanted
        order = _ORDERS[sign]
        if fold:
            return lambda row: (found := get(row)) is not None and order(found.casefold(), value)
        return lambda row: (found := get(row)) is not None and order(found, value)

    def _operator_error(self, at: int, field: Field) -> SalesforceError:
        return self._error(at, "INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {field.type} field")

    def _like(self, operand: Operand, literal: Literal) -> Predicate:
        if not operand.field.is_text:
            raise self._operator_error(literal.at, operand.field)
        if literal.kind != "string":
            raise self._type_error(operand.field, literal)
        pattern = re.compile(_like_pattern(literal.value), re.IGNORECASE | re.DOTALL)
        get = operand.get
        return lambda row: (found := get(row)) is not None and pattern.fullmatch(found) is not None

    def _relative(self, operand: Operand, sign: str, literal: Literal) -> Predicate:
        field, get = operand.field, operand.get
        if field.type == "date":
            days = days_of(literal.value, self.now.astimezone(self.zone).date())
            bounds = None if days is None else (days[0].isoformat(), days[1].isoformat())
        else:
            instants = range_of(literal.value, self.now, self.zone)
            bounds = None if instants is None else (stamp(instants[0]), stamp(instants[1]))
        if bounds is None:
            raise malformed(self.text, literal.at, f"unexpected token: '{literal.value}'")
        if field.type not in ("date", "datetime"):
            raise self._type_error(field, literal)
        start, end = bounds
        tests: dict[str, Callable[[str], bool]] = {
            "=": lambda found: start <= found < end,
            "!=": lambda found: not start <= found < end,
            "<": lambda found: found < start,
            "<=": lambda found: found < end,
            ">": lambda found: found >= end,
            ">=": lambda found: found >= start,
        }
        test = tests[sign]
        return lambda row: (found := get(row)) is not None and test(found)

    def _type_error(self, field: Field, literal: Literal) -> SalesforceError:
        kind = "ID" if field.type in ("id", "reference") else _XSD_NAMES.get(field.type, field.type)
        quoted = kind == "ID" or field.is_text
        rule = "should be enclosed in quotes" if quoted else "should not be enclosed in quotes"
        what = f"value of filter criterion for field '{field.name}' must be of type {'string' if quoted else kind} and {rule}"
        return self._error(literal.at, "INVALID_FIELD", what)

    def _value(self, field: Field, literal: Literal) -> Any:
        """The stored form of a literal; None for null and for the empty string."""
        kind, value = literal.kind, literal.value
        if kind == "null":
            return None
        if field.type in ("id", "reference") and kind == "string":
            if not value:
                return None
            id_ = normalise(value)
            if id_ is None:
                raise self._error(literal.at, "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value}")
            return id_
        if field.is_text and kind == "string":
            return value.replace("\\%", "%").replace("\\_", "_") or None
        if field.type in _NUMBERS and kind == "number":
            return float(value)
        if field.type == "boolean" and kind == "boolean":
            return value
        read = None
        if field.type == "datetime" and kind == "datetime":
            read = parse_datetime(value)
        elif field.type == "date" and kind == "date":
            read = parse_date(value)
        if read is None:
            raise self._type_error(field, literal)
        return read

    def candidates(self, condition: Condition | None, table: Table, sobject: SObject) -> Iterable[str] | None:
        """Ids that contain every match of a condition, from an index; None if only a full scan can tell.

        The condition must have compiled before.
        """
        if isinstance(condition, AllOf):
            found = [
                ids for inner in condition.conditions if (ids := self.candidates(inner, table, sobject)) is not None
            ]
            sized = [ids for ids in found if isinstance(ids, set | list)]
            return min(sized, key=len) if sized else (found[0] if found else self._since(condition, table))
        if isinstance(condition, Compare) and condition.operator == "=":
            return self._indexed(condition.operand, (condition.value,), table, sobject)
        if isinstance(condition, Included) and not condition.negated:
            return self._indexed(condition.path, condition.values, table, sobject)
        return None if condition is None else self._since(condition, table)

    def _indexed(
        self, path: Path | Aggregate, literals: Iterable[Literal], table: Table, sobject: SObject
    ) -> list[str] | None:
        if isinstance(path, Aggregate) or len(path.parts) != 1:
            return None
        field = sobject.by_key[path.parts[0].lower()]
        values = [self._value(field, literal) for literal in literals if literal.kind != "date_literal"]
        if None in values or not values:
            return None
        if field.type == "id":
            return [id_ for id_ in dict.fromkeys(values) if id_ in table.rows]
        if table.is_keyed(field.name):
            return sorted({id_ for value in values for id_ in table.keyed(field.name, value)})
        if table.has_children_index(field.name):
            return sorted({id_ for value in values for id_ in table.children(field.name, value)})
        return None

    def _since(self, condition: Condition, table: Table) -> Iterable[str] | None:
        since = self._lower_stamp(condition)
        return None if since is None else table.stamped_since(since)

    def _lower_stamp(self, condition: Condition) -> str | None:
        """The least SystemModstamp that can match, if the condition bounds it."""
        if isinstance(condition, AllOf):
            bounds = [bound for inner in condition.conditions if (bound := self._lower_stamp(inner)) is not None]
            return max(bounds, default=None)
        if isinstance(condition, AnyOf):
            every = [self._lower_stamp(inner) for inner in condition.conditions]
            known = [bound for bound in every if bound is not None]
            return min(known) if len(known) == len(every) else None
        if (
            isinstance(condition, Compare)
            and isinstance(condition.operand, Path)
            and [part.lower() for part in condition.operand.parts] == ["systemmodstamp"]
            and condition.operator in ("=", ">", ">=")
            and condition.value.kind == "datetime"
        ):
            return parse_datetime(condition.value.value)
        return None


def _like_pattern(text: str) -> str:
    out = []
    position = 0
    while position < len(text):
        sign = text[position]
        if sign == "\\" and text[position + 1 : position + 2] in ("%", "_"):
            out.append(re.escape(text[position + 1]))
            position += 2
            continue
        out.append(".*" if sign == "%" else "." if sign == "_" else re.escape(sign))
        position += 1
    return "".join(out)
