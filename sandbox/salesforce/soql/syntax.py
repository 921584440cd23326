"""Parses SOQL text into a tree of small dataclasses; errors have the vendor's MALFORMED_QUERY form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from sandbox.salesforce.errors import NotSimulatedError, SalesforceError

MAX_LENGTH = 100_000  # characters of one statement, vendor's limit
_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}


@dataclass(frozen=True)
class Path:
    """A field, perhaps of a parent: `Opportunity.Account.Name`."""

    parts: tuple[str, ...]
    at: int


@dataclass(frozen=True)
class Aggregate:
    """`COUNT()`, `SUM(Amount)` and their kin."""

    function: str
    path: Path | None
    alias: str | None
    at: int


@dataclass(frozen=True)
class Column:
    """A selected field, with an alias only where grouped."""

    path: Path
    alias: str | None


@dataclass(frozen=True)
class Literal:
    """A value: kind is string, number, date, datetime, boolean, null or date_literal."""

    kind: str
    value: Any
    at: int


@dataclass(frozen=True)
class Compare:
    """`operand operator value`; the operator is one of = != < <= > >= like."""

    operand: Path | Aggregate
    operator: str
    value: Literal


@dataclass(frozen=True)
class Included:
    """`path [NOT] IN (values)`."""

    path: Path
    values: tuple[Literal, ...]
    negated: bool


@dataclass(frozen=True)
class SemiJoin:
    """`path [NOT] IN (SELECT ...)`."""

    path: Path
    select: Select
    negated: bool


@dataclass(frozen=True)
class AllOf:
    """Conditions joined by AND."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    """Conditions joined by OR."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Negation:
    """NOT condition."""

    condition: Condition


Condition = Compare | Included | SemiJoin | AllOf | AnyOf | Negation


@dataclass(frozen=True)
class Ordering:
    """One key of ORDER BY."""

    operand: Path | Aggregate
    descending: bool
    nulls_last: bool


@dataclass(frozen=True)
class Select:
    """One SELECT, outer or inner."""

    items: tuple[Column | Aggregate | Select, ...]
    source: str
    source_at: int
    alias: str | None
    where: Condition | None
    group: tuple[Path, ...]
    having: Condition | None
    order: tuple[Ordering, ...]
    limit: int | None
    offset: int


_PARSER = Lark((FilePath(__file__).parent / "grammar.lark").read_text("utf-8"), parser="lalr", maybe_placeholders=False)
# Valid SOQL that this sandbox does not simulate: saying so is better than calling the statement malformed.
_NOT_SIMULATED = re.compile(
    r"\b(TYPEOF|USING\s+SCOPE|WITH\s+(?:SECURITY_ENFORCED|USER_MODE|SYSTEM_MODE|DATA\s+CATEGORY)|FOR\s+(?:VIEW|REFERENCE|UPDATE)"
    r"|ALL\s+ROWS|INCLUDES\s*\(|EXCLUDES\s*\(|FIELDS\s*\(|toLabel\s*\(|format\s*\(|convertCurrency\s*\(|DISTANCE\s*\("
    r"|GROUP\s+BY\s+(?:ROLLUP|CUBE)|(?:CALENDAR|FISCAL|DAY|HOUR|WEEK)_\w+\s*\()",
    re.IGNORECASE,
)


def pointer(text: str, at: int) -> str:
    """The vendor's way to point into a statement: the text around, a caret below, row and column."""
    row = text.count("\n", 0, at) + 1
    line_start = text.rfind("\n", 0, at) + 1
    line_end = text.find("\n", at)
    line = text[line_start : line_end if line_end >= 0 else len(text)]
    column = at - line_start
    start = 0 if column <= 60 else line.rfind(" ", 0, column - 40) + 1
    return f"\n{line[start : column + 40]}\n{' ' * (column - start)}^\nERROR at Row:{row}:Column:{column + 1}\n"


def malformed(text: str, at: int, what: str) -> SalesforceError:
    """A statement that does not parse."""
    return SalesforceError(400, "MALFORMED_QUERY", pointer(text, at) + what)


@lru_cache(maxsize=256)
def parse(text: str) -> Select:
    """Parse one statement.

    Raises:
        SalesforceError: MALFORMED_QUERY; or NotSimulatedError for valid SOQL beyond this sandbox.
    """
    if not text.strip():
        raise SalesforceError(400, "MALFORMED_QUERY", "A query string has to be specified")
    if len(text) > MAX_LENGTH:
        raise SalesforceError(
            400, "QUERY_TOO_COMPLICATED", f"SOQL statements cannot be longer than {MAX_LENGTH} characters"
        )
    try:
        tree = _PARSER.parse(text)
    except (UnexpectedToken, UnexpectedCharacters, UnexpectedEOF) as error:
        raise _explain(text, error) from None
    try:
        return _Builder(text).select(tree.children[0])
    except RecursionError:
        raise SalesforceError(400, "QUERY_TOO_COMPLICATED", "The query is nested too deeply") from None


def _explain(text: str, error: UnexpectedToken | UnexpectedCharacters | UnexpectedEOF) -> SalesforceError:
    outside_strings = re.sub(r"'(?:[^'\\]|\\.)*'", lambda match: "_" * len(match.group()), text)
    if found := _NOT_SIMULATED.search(outside_strings):
        return NotSimulatedError(f"SOQL {found.group(1).strip(' (')}")
    if isinstance(error, UnexpectedCharacters):
        at = error.pos_in_stream
        if text[at] == "'":
            return malformed(text, at, f"line {error.line}:{error.column} mismatched character '<EOF>' expecting '''")
        return malformed(text, at, f"line {error.line}:{error.column} no viable alternative at character '{text[at]}'")
    unexpected = error.token if isinstance(error, UnexpectedToken) else None
    if unexpected is None or unexpected.type == "$END":
        return malformed(text, len(text), "unexpected token: '<EOF>'")
    at = unexpected.start_pos or 0
    if unexpected == ":":
        return malformed(text, at, "Bind variables only allowed in Apex code")
    return malformed(text, at, f"unexpected token: '{unexpected}'")


class _Builder:
    """Turns the parser's tree into our dataclasses."""

    def __init__(self, text: str) -> None:
        self._text = text

    def select(self, tree: Tree[Token]) -> Select:
        items: list[Column | Aggregate | Select] = []
        parts: dict[str, Tree[Token]] = {}
        for child in _trees(tree):
            if child.data == "column":
                alias = child.children[1] if len(child.children) > 1 else None
                items.append(Column(self.path(child.children[0]), None if alias is None else str(alias)))
            elif child.data == "aggregate":
                items.append(self.aggregate(child))
            elif child.data == "subselect":
                items.append(self.select(next(_trees(child))))
            else:
                parts[child.data] = child
        source = parts["source"]
        name = source.children[0].children[0]
        group = list(_trees(parts["group"])) if "group" in parts else []
        paths = tuple(self.path(child) for child in group if child.data == "path")
        having = next((self.condition(child) for child in group if child.data != "path"), None)
        return Select(
            items=tuple(items),
            source=str(name),
            source_at=name.start_pos,
            alias=str(source.children[1]) if len(source.children) > 1 else None,
            where=self.condition(next(_trees(parts["where"]))) if "where" in parts else None,
            group=paths,
            having=having,
            order=tuple(self.ordering(child) for child in _trees(parts["order"])) if "order" in parts else (),
            limit=self.count(parts["limit"]) if "limit" in parts else None,
            offset=self.count(parts["offset"]) if "offset" in parts else 0,
        )

    def count(self, tree: Tree[Token]) -> int:
        token = tree.children[1]
        if not token.isdigit():
            raise malformed(self._text, token.start_pos or 0, f"unexpected token: '{token}'")
        return int(token)

    def path(self, tree: Tree[Token]) -> Path:
        tokens = tree.children
        return Path(tuple(str(token) for token in tokens), tokens[0].start_pos)

    def aggregate(self, tree: Tree[Token]) -> Aggregate:
        name = tree.children[0].children[0]
        path = next((self.path(child) for child in _trees(tree) if child.data == "path"), None)
        alias = next((str(child) for child in tree.children if isinstance(child, Token)), None)
        return Aggregate(str(name).upper(), path, alias, name.start_pos)

    def operand(self, tree: Tree[Token]) -> Path | Aggregate:
        return self.path(tree) if tree.data == "path" else self.aggregate(tree)

    def ordering(self, tree: Tree[Token]) -> Ordering:
        words = [str(child).lower() for child in tree.children[1:]]
        return Ordering(self.operand(tree.children[0]), "desc" in words, "last" in words)

    def condition(self, tree: Tree[Token]) -> Condition:
        kind = tree.data
        if kind in ("all_of", "any_of"):
            conditions = tuple(self.condition(child) for child in _trees(tree))
            return AllOf(conditions) if kind == "all_of" else AnyOf(conditions)
        if kind == "negation":
            return Negation(self.condition(next(_trees(tree))))
        if kind in ("comparison", "like"):
            operand, operator, value = tree.children
            name = "like" if kind == "like" else str(operator).replace("<>", "!=")
            return Compare(self.operand(operand), name, self.literal(value))
        path, other = list(_trees(tree))
        if kind in ("included", "excluded"):
            values = tuple(self.literal(child) for child in _trees(other))
            return Included(self.path(path), values, kind == "excluded")
        return SemiJoin(self.path(path), self.select(other), kind == "anti_join")

    def literal(self, tree: Tree[Token]) -> Literal:
        token = tree.children[0]
        at = token.start_pos
        if tree.data == "string":
            return Literal("string", self.unescape(str(token)[1:-1], at), at)
        if tree.data == "boolean":
            return Literal("boolean", token.lower() == "true", at)
        if tree.data == "null":
            return Literal("null", None, at)
        if tree.data == "date_literal":
            words = [str(child) for child in tree.children]
            return Literal("date_literal", ":".join(words).upper(), at)
        return Literal(str(tree.data), str(token), at)

    def unescape(self, raw: str, at: int) -> str:
        if "\\" not in raw:
            return raw
        # LIKE needs to know which % and _ were escaped, so those two keep their backslash until it is evaluated.
        out = []
        position = 0
        while position < len(raw):
            sign = raw[position]
            if sign != "\\":
                out.append(sign)
                position += 1
                continue
            following = raw[position + 1]
            if following in "uU" and re.fullmatch(r"[0-9A-Fa-f]{4}", raw[position + 2 : position + 6]):
                out.append(chr(int(raw[position + 2 : position + 6], 16)))
                position += 6
                continue
            if following in "%_":
                out.append("\\" + following)
            elif following.lower() in _UNESCAPED:
                out.append(_UNESCAPED[following.lower()])
            else:
                raise malformed(self._text, at, f"Illegal character sequence '\\{following}' in string literal '{raw}'")
            position += 2
        return "".join(out)


def _trees(tree: Tree[Token]) -> Iterator[Tree[Token]]:
    return (child for child in tree.children if isinstance(child, Tree))
