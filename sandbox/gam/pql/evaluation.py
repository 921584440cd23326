"""Evaluates a parsed query over objects by the properties that may be filtered; any other property is refused.

Text compares by exact spelling and LIKE ignores nothing but its wildcard `%`: whether the vendor folds case is not
documented. A missing value meets no condition but IS NULL.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

from sandbox.gam.moments import zone
from sandbox.gam.pql.grammar import And, Comparison, Condition, Moment, Query
from sandbox.gam.soap import fail

T = TypeVar("T")
Kind = Literal["number", "text", "boolean", "moment"]
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Property(Generic[T]):
    """A property that statements may name; `get` returns a number, text, boolean, instant (seconds) or None."""

    kind: Kind
    get: Callable[[T], Any]


@dataclass(frozen=True)
class Selection(Generic[T]):
    """What a query selected: how many match in all, and the page that LIMIT and OFFSET cut out."""

    total: int
    start: int
    page: list[T]


def select(
    query: Query, objects: Iterable[T], properties: Mapping[str, Property[T]], *, zone_name: str, default_order: str
) -> Selection[T]:
    """Filter, sort and cut. `properties` by lower-case name; times written as text are in `zone_name`.

    Nobody promises in which order equal ones come: here it is another one on every second page, so that a client that leans on
    it loses some and sees others twice.

    Raises:
        ApiFaultError: PublisherQueryLanguageContextError.UNEXECUTABLE for an unknown property or a value of the wrong
            kind.
    """
    test = matches(query.condition, properties, zone_name=zone_name)
    found = [each for each in objects if test(each)]
    if query.limit and query.offset // query.limit % 2:
        found.reverse()
    order = _property(query.order or default_order, properties)
    present = [each for each in found if order.get(each) is not None]
    absent = [each for each in found if order.get(each) is None]
    present.sort(key=order.get, reverse=query.descending)
    found = present + absent if query.descending else absent + present
    end = None if query.limit is None else query.offset + query.limit
    return Selection(len(found), query.offset, found[query.offset : end])


def matches(
    condition: Condition | None, properties: Mapping[str, Property[T]], *, zone_name: str
) -> Callable[[T], bool]:
    """The condition as a function of an object."""
    if condition is None:
        return lambda _: True
    if isinstance(condition, Comparison):
        return _comparison(condition, _property(condition.property, properties), zone_name)
    parts = [matches(part, properties, zone_name=zone_name) for part in condition.parts]
    if isinstance(condition, And):
        return lambda each: all(part(each) for part in parts)
    return lambda each: any(part(each) for part in parts)


def equal_values(condition: Condition | None, name: str) -> tuple[Any, ...] | None:
    """The values a property must equal one of for the condition to hold, or None if it may have others.

    Lets a table be read by index. `name` in lower case.
    """
    if isinstance(condition, Comparison):
        if condition.property.lower() == name and condition.operator in ("=", "IN"):
            return condition.values
        return None
    if isinstance(condition, And):
        for part in condition.parts:
            if (values := equal_values(part, name)) is not None:
                return values
    return None


def _property(name: str, properties: Mapping[str, Property[T]]) -> Property[T]:
    found = properties.get(name.lower())
    if found is None:
        fail("PublisherQueryLanguageContextError", "UNEXECUTABLE", "", f"'{name}' cannot be filtered or sorted")
    return found


def _comparison(condition: Comparison, prop: Property[T], zone_name: str) -> Callable[[T], bool]:
    get = prop.get
    if condition.operator == "IS NULL":
        return lambda each: get(each) is None
    values = [_value(value, prop.kind, condition, zone_name) for value in condition.values]
    if condition.operator == "IN":
        members = frozenset(values)
        return lambda each: get(each) in members
    (value,) = values
    if condition.operator == "LIKE":
        if prop.kind != "text":
            _refuse(condition, value)
        pattern = _like(value)
        return lambda each: (text := get(each)) is not None and pattern.fullmatch(text) is not None
    compare = _OPERATORS[condition.operator]
    return lambda each: (mine := get(each)) is not None and compare(mine, value)


def _value(value: Any, kind: Kind, condition: Comparison, zone_name: str) -> Any:
    if kind == "number" and isinstance(value, Decimal):
        return value
    if kind == "text" and isinstance(value, str):
        return value
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "moment":
        if isinstance(value, Moment):
            return value.instant
        if isinstance(value, str):
            return _instant(value, zone_name, condition)
    return _refuse(condition, value)


def _instant(text: str, zone_name: str, condition: Comparison) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        _refuse(condition, text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone(zone_name))).timestamp())


def _refuse(condition: Comparison, value: Any) -> Any:
    fail(
        "PublisherQueryLanguageContextError", "UNEXECUTABLE", "", f"{condition.property} {condition.operator} {value!r}"
    )


@lru_cache(maxsize=256)
def _like(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("%"))), re.DOTALL)
