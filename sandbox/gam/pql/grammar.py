"""Parses PQL by the grammar that the vendor publishes with `Statement.query`.

    [SELECT columns FROM table] [WHERE condition {AND|OR condition}] [ORDER BY property [ASC|DESC]]
    [LIMIT {[offset,] count} | {count OFFSET offset}]
    condition := property {<|<=|>|>=|=|!=} value | property IN (values) | property LIKE text | property IS NULL

plus parentheses around conditions. Keywords and property names ignore case. There is no NOT and no second ORDER BY
property, because the published grammar has none. A quote inside a text is written `\\'`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from sandbox.gam.moments import MomentError, day_start, read_date, read_moment
from sandbox.gam.soap import ApiFaultError, Native, fail

_GRAMMAR = r"""
start: [select] [where] [order] [limit]
select: _SELECT NAME ("," NAME)* _FROM NAME
where: _WHERE disjunction
?disjunction: conjunction (_OR conjunction)*
?conjunction: condition (_AND condition)*
?condition: comparison | membership | likeness | absence | "(" disjunction ")"
comparison: NAME OPERATOR value
membership: NAME _IN ("(" value ("," value)* ")" | bound)
likeness: NAME _LIKE value
absence: NAME _IS _NULL
?value: text | number | boolean | bound
text: TEXT
number: NUMBER
boolean: TRUE | FALSE
bound: ":" NAME
order: _ORDER _BY NAME [ASC | DESC]
limit: _LIMIT INTEGER [COMMA INTEGER | OFFSET INTEGER]

OPERATOR: "<=" | ">=" | "!=" | "<" | ">" | "="
COMMA: ","
TEXT: /'(\\.|[^'\\])*'/s
NUMBER: /-?\d+(\.\d+)?/
INTEGER.2: /\d+(?![\d.])/
NAME: /[A-Za-z_][A-Za-z0-9_.]*/
_SELECT.3: /SELECT\b/i
_FROM.3: /FROM\b/i
_WHERE.3: /WHERE\b/i
_AND.3: /AND\b/i
_OR.3: /OR\b/i
_IN.3: /IN\b/i
_LIKE.3: /LIKE\b/i
_IS.3: /IS\b/i
_NULL.3: /NULL\b/i
_ORDER.3: /ORDER\b/i
_BY.3: /BY\b/i
_LIMIT.3: /LIMIT\b/i
OFFSET.3: /OFFSET\b/i
ASC.3: /ASC\b/i
DESC.3: /DESC\b/i
TRUE.3: /TRUE\b/i
FALSE.3: /FALSE\b/i
%ignore /\s+/
"""


@dataclass(frozen=True)
class Moment:
    """An instant in a query, seconds since 1970 UTC."""

    instant: int


@dataclass(frozen=True)
class Comparison:
    """One condition; `operator` is `=`, `!=`, `<`, `<=`, `>`, `>=`, `IN`, `LIKE` or `IS NULL`."""

    property: str
    operator: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class And:
    """All of several conditions."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Or:
    """Any of several conditions."""

    parts: tuple[Condition, ...]


Condition = Comparison | And | Or


@dataclass(frozen=True)
class Query:
    """A parsed statement with its bind variables put in."""

    columns: tuple[str, ...] = ()
    table: str | None = None
    condition: Condition | None = None
    order: str | None = None
    descending: bool = False
    limit: int | None = None
    offset: int = 0


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=True)


def parse(statement: Native | None) -> Query:
    """Parse a Statement with its bind variables; None or an empty query selects everything.

    Raises:
        ApiFaultError: PublisherQueryLanguageSyntaxError.UNPARSABLE, StatementError.VARIABLE_NOT_BOUND_TO_VALUE, or
            PublisherQueryLanguageContextError.UNEXECUTABLE for a bound value that is none.
    """
    text = (statement or {}).get("query") or ""
    bound = {entry.get("key", ""): entry.get("value") for entry in (statement or {}).get("values", ())}
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        fail(
            "PublisherQueryLanguageSyntaxError", "UNPARSABLE", "", text[max(0, (error.pos_in_stream or 0) - 10) :][:60]
        )
    try:
        query: Query = _Builder(bound).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, ApiFaultError):
            raise error.orig_exc from None
        raise
    return query


class _Builder(Transformer[Token, Any]):  # type: ignore[misc]  # lark has no types
    """Makes the query from the parse tree, leaves first."""

    def __init__(self, bound: Mapping[str, Native | None]) -> None:
        super().__init__()
        self._bound = bound

    def start(self, parts: list[Any]) -> Query:
        (columns, table), condition, (order, descending), (limit, offset) = (
            parts[0] or ((), None),
            parts[1],
            parts[2] or (None, False),
            parts[3] or (None, 0),
        )
        return Query(columns, table, condition, order, descending, limit, offset)

    def select(self, names: list[Token]) -> tuple[tuple[str, ...], str]:
        return tuple(map(str, names[:-1])), str(names[-1])

    def where(self, parts: list[Condition]) -> Condition:
        return parts[0]

    def disjunction(self, parts: list[Condition]) -> Condition:
        return Or(tuple(parts))

    def conjunction(self, parts: list[Condition]) -> Condition:
        return And(tuple(parts))

    def comparison(self, parts: list[Any]) -> Comparison:
        return Comparison(str(parts[0]), str(parts[1]), (parts[2],))

    def membership(self, parts: list[Any]) -> Comparison:
        values: list[Any] = []
        for value in parts[1:]:
            values.extend(value if isinstance(value, tuple) else (value,))
        return Comparison(str(parts[0]), "IN", tuple(values))

    def likeness(self, parts: list[Any]) -> Comparison:
        return Comparison(str(parts[0]), "LIKE", (parts[1],))

    def absence(self, parts: list[Any]) -> Comparison:
        return Comparison(str(parts[0]), "IS NULL")

    def text(self, parts: list[Token]) -> str:
        inside = str(parts[0])[1:-1]
        return re.sub(r"\\(.)", r"\1", inside, flags=re.DOTALL)

    def number(self, parts: list[Token]) -> Decimal:
        return Decimal(parts[0])

    def boolean(self, parts: list[Token]) -> bool:
        return str(parts[0]).upper() == "TRUE"

    def bound(self, parts: list[Token]) -> Any:
        value = self._bound.get(str(parts[0]))
        if value is None:
            fail("StatementError", "VARIABLE_NOT_BOUND_TO_VALUE", "", parts[0])
        return _bound_value(value)

    def order(self, parts: list[Token | None]) -> tuple[str, bool]:
        return str(parts[0]), parts[1] is not None and parts[1].upper() == "DESC"

    def limit(self, parts: list[Token | None]) -> tuple[int, int]:
        first, mark, second = (*parts, None, None)[:3]
        if second is None:
            return int(first or 0), 0
        if mark == ",":
            return int(second), int(first or 0)
        return int(first or 0), int(second)


def _bound_value(value: Native) -> Any:
    kind = value.get("@type")
    try:
        if kind == "NumberValue":
            return Decimal(value["value"].strip())
        if kind == "TextValue":
            return value.get("value", "")
        if kind == "BooleanValue":
            return bool(value["value"])
        if kind == "DateTimeValue":
            return Moment(read_moment(value["value"]))
        if kind == "DateValue":
            return Moment(day_start(read_date(value["value"]), "UTC"))
        if kind == "SetValue":
            return tuple(_bound_value(each) for each in value.get("values", ()))
    except (KeyError, ArithmeticError, MomentError) as error:
        fail("PublisherQueryLanguageContextError", "UNEXECUTABLE", "", f"{kind}: {error}")
    return fail("PublisherQueryLanguageContextError", "UNEXECUTABLE", "", f"a {kind} cannot be bound")
