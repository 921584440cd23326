"""Text of a SuiteQL statement to its parts. Refuses with the vendor's INVALID_PARAMETER."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lark import Lark, Token, Tree
from lark.exceptions import LarkError

from sandbox.netsuite.errors import NetSuiteError

MAX_LENGTH = 64_000


@dataclass(frozen=True)
class Column:
    """`t.id`; `table` is the alias, empty when none was written. Names in lower case."""

    table: str
    name: str


@dataclass(frozen=True)
class Literal:
    """Text or a number, as written."""

    value: str
    number: bool


@dataclass(frozen=True)
class CallOf:
    """`TO_CHAR(t.trandate, 'YYYY-MM-DD')`."""

    name: str
    arguments: tuple[Value, ...]


Value = Column | Literal | CallOf


@dataclass(frozen=True)
class Item:
    """One selected value and the name it is shown under."""

    value: Value
    alias: str


@dataclass(frozen=True)
class Source:
    """A table and its alias."""

    table: str
    alias: str


@dataclass(frozen=True)
class Join:
    """A joined table; `left` keeps rows without a partner."""

    source: Source
    one: Column
    other: Column
    left: bool


@dataclass(frozen=True)
class Comparison:
    """`left operator right`."""

    left: Value
    operator: str
    right: Value


@dataclass(frozen=True)
class Included:
    """`value IN (…)`, or NOT IN."""

    value: Value
    values: tuple[Value, ...]
    negated: bool


@dataclass(frozen=True)
class Null:
    """`value IS NULL`, or IS NOT NULL."""

    value: Value
    negated: bool


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    condition: Condition


@dataclass(frozen=True)
class Junction:
    """Several conditions joined by AND (`every`) or OR."""

    conditions: tuple[Condition, ...]
    every: bool


Condition = Comparison | Included | Null | Not | Junction


@dataclass(frozen=True)
class Select:
    """A whole statement."""

    items: tuple[Item, ...]
    source: Source
    joins: tuple[Join, ...]
    where: Condition | None
    order: tuple[tuple[Column, bool], ...]
    """Columns to sort by, and whether descending."""


def invalid(what: str) -> NetSuiteError:
    """A statement the vendor does not run."""
    return NetSuiteError(
        400,
        "INVALID_PARAMETER",
        f"Invalid search query. Detailed unprocessed description follows. {what}",
    )


@cache
def _parser() -> Lark:
    grammar = files("sandbox.netsuite.suiteql").joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr")


def parse(text: str) -> Select:
    """The parts of one statement. Raises NetSuiteError."""
    if len(text) > MAX_LENGTH:
        raise invalid("The query is too long.")
    try:
        return _select(next(_trees(_parser().parse(text))))
    except LarkError as error:
        where = f"{getattr(error, 'line', '?')}:{getattr(error, 'column', '?')}"
        raise invalid(f"Search error occurred: Invalid or unsupported search, at {where}.") from None
    except RecursionError:
        raise invalid("Search error occurred: the query is nested too deeply.") from None


def _trees(tree: Tree[Token]) -> Iterator[Tree[Token]]:
    return (child for child in tree.children if isinstance(child, Tree))


def _tokens(tree: Tree[Token], kind: str) -> list[str]:
    return [str(child) for child in tree.children if isinstance(child, Token) and child.type == kind]


def _select(tree: Tree[Token]) -> Select:
    items: list[Item] = []
    joins: list[Join] = []
    order: list[tuple[Column, bool]] = []
    source: Source | None = None
    where: Condition | None = None
    for part in _trees(tree):
        if part.data == "item":
            value = _value(next(_trees(part)))
            named = _tokens(part, "NAME")
            items.append(Item(value, named[0].lower() if named else _shown(value, len(items))))
        elif part.data == "source":
            source = _source(part)
        elif part.data == "join":
            to, one, other = _trees(part)
            if _tokens(part, "OPERATOR") != ["="]:
                raise invalid("Search error occurred: tables are joined by equality.")
            left = bool(_tokens(part, "LEFT"))
            joins.append(Join(_source(to), _column(one), _column(other), left))
        elif part.data == "where":
            where = _condition(next(_trees(part)))
        elif part.data == "order":
            for ordering in _trees(part):
                descending = [word.lower() for word in _tokens(ordering, "DIRECTION")] == ["desc"]
                order.append((_column(next(_trees(ordering))), descending))
    if source is None:
        raise invalid("No table is named.")
    return Select(tuple(items), source, tuple(joins), where, tuple(order))


def _shown(value: Value, place: int) -> str:
    return value.name if isinstance(value, Column) else f"expr{place + 1}"


def _source(tree: Tree[Token]) -> Source:
    names = [name.lower() for name in _tokens(tree, "NAME")]
    return Source(names[0], names[-1])


def _column(tree: Tree[Token]) -> Column:
    names = [str(token).lower() for token in tree.children]
    return Column(names[0] if len(names) > 1 else "", names[-1])


def _value(tree: Tree[Token]) -> Value:
    if tree.data == "column":
        return _column(tree)
    first = str(tree.children[0])
    if tree.data == "string":
        return Literal(first[1:-1].replace("''", "'"), number=False)
    if tree.data == "number":
        return Literal(first, number=True)
    return CallOf(first.upper(), tuple(_value(child) for child in _trees(tree)))


def _condition(tree: Tree[Token]) -> Condition:
    parts = list(_trees(tree))
    if tree.data in ("any_of", "all_of"):
        if len(parts) == 1:
            return _condition(parts[0])
        return Junction(tuple(_condition(part) for part in parts), every=tree.data == "all_of")
    if tree.data == "negation":
        return Not(_condition(parts[0]))
    if tree.data == "comparison":
        operator = _tokens(tree, "OPERATOR")[0].replace("<>", "!=")
        return Comparison(_value(parts[0]), operator, _value(parts[1]))
    if tree.data in ("absent", "present"):
        return Null(_value(parts[0]), negated=tree.data == "present")
    return Included(_value(parts[0]), tuple(_value(part) for part in parts[1:]), negated=tree.data == "excluded")
