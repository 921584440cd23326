"""`where` and `order` parameters: parsed by a grammar, applied to the elements as they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import LarkError

Element = Mapping[str, Any]
Test = Callable[[Element], bool]
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {"==": eq, "!=": ne, ">": gt, ">=": ge, "<": lt, "<=": le}
_LONGEST = 4000


class QueryRefused(ValueError):  # noqa: N818
    """The clause is not understood: QueryParseException."""


@cache
def _parser() -> Lark:
    return Lark(files("sandbox.xero").joinpath("where.lark").read_text("utf-8"), parser="earley")


class _Compiler(Transformer):  # type: ignore[misc] # lark's types are not followed
    def __init__(self, known: frozenset[str]) -> None:
        super().__init__()
        self._known = known

    def path(self, names: Sequence[Token]) -> tuple[str, ...]:
        if str(names[0]) not in self._known:
            raise QueryRefused(f"No property or field '{names[0]}' exists in this type")
        return tuple(str(name) for name in names)

    def comparison(self, parts: Sequence[Any]) -> Test:
        path, operator, wanted = parts
        compare = _OPERATORS[str(operator)]

        def test(element: Element) -> bool:
            value = _at(element, path)
            if value is None or wanted is None:
                return (value is wanted) if operator == "==" else (value is not wanted) if operator == "!=" else False
            if isinstance(value, datetime) and isinstance(wanted, datetime):
                return compare(value, wanted)
            if isinstance(value, date) and isinstance(wanted, datetime):
                return compare(value, wanted.date())
            try:
                return compare(value, wanted)
            except TypeError:
                raise QueryRefused(f"Operator '{operator}' incompatible with operand types") from None

        return test

    def call(self, parts: Sequence[Any]) -> Test:
        path, method, wanted = parts[0], str(parts[1]), str(parts[2])[1:-1]

        def test(element: Element) -> bool:
            value = _at(element, path)
            if not isinstance(value, str):
                return False
            return {"Contains": wanted in value, "StartsWith": value.startswith(wanted)}.get(
                method, value.endswith(wanted)
            )

        return test

    def both(self, tests: Sequence[Test]) -> Test:
        return lambda element: all(test(element) for test in tests)

    def either(self, tests: Sequence[Test]) -> Test:
        return lambda element: any(test(element) for test in tests)

    def text(self, parts: Sequence[Token]) -> str:
        return str(parts[0])[1:-1]

    guid = text

    def number(self, parts: Sequence[Token]) -> Decimal:
        return Decimal(str(parts[0]))

    def moment(self, parts: Sequence[Token]) -> datetime:
        try:
            return datetime(*[int(part) for part in parts], tzinfo=UTC)  # type: ignore[arg-type,misc]
        except (TypeError, ValueError):
            raise QueryRefused("No applicable constructor exists in type 'DateTime'") from None

    def yes(self, _: object) -> bool:
        return True

    def no(self, _: object) -> bool:
        return False

    def nothing(self, _: object) -> None:
        return None


def _at(element: Element, path: Sequence[str]) -> Any:
    value: Any = element
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def where(clause: str, known: frozenset[str]) -> Test:
    """The test a clause stands for. Raises QueryRefused."""
    if len(clause) > _LONGEST:
        raise QueryRefused("the where clause is too long")
    try:
        compiled: Test = _Compiler(known).transform(_parser().parse(clause))
    except LarkError as error:
        cause = getattr(error, "orig_exc", None)
        if isinstance(cause, QueryRefused):
            raise cause from None
        raise QueryRefused(f"Syntax error in '{clause[:80]}'") from None
    return compiled


def ordered(elements: Sequence[Element], clause: str, known: frozenset[str]) -> list[Element]:
    """The elements in the order of `Field [ASC|DESC], …`; equal ones stay as they are. Raises QueryRefused."""
    result = list(elements)
    for part in reversed(clause.split(",")):
        words = part.split()
        if (
            not words
            or len(words) > 2
            or words[0] not in known
            or (len(words) == 2 and words[1] not in ("ASC", "DESC"))
        ):
            raise QueryRefused(f"Cannot order by '{part.strip()[:60]}'")
        filled = [element for element in result if element.get(words[0]) is not None]
        empty = [element for element in result if element.get(words[0]) is None]
        filled.sort(key=lambda element: element[words[0]], reverse=words[-1] == "DESC")
        result = [*empty, *filled]
    return result
