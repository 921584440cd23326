"""Transforms that belong to no vendor: text, lists, numbers and money, the shape of a flight."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Context, Decimal, Inexact

from mappings.kinds import ANY, Kind
from mappings.registry import Pair, Quick, Refused, transform
from oms_schema.problems import Reason
from oms_schema.text import BLANKS, UNDRAWN_MARKS, invisible, is_blank, is_margin

_SHOW_NOTHING = f" {''.join(BLANKS)}"
"""Of what Unicode calls printable."""
MICROS = 1_000_000
_MICROS = Decimal(MICROS)
_LARGEST = 2**63
_ONE_DIGIT = 2**30  # of Python's own integers, which it compares at once
_LARGEST_AMOUNT = Decimal(_LARGEST - 1).scaleb(-6)
_ORDINARY_POWERS = 12
"""Powers of ten below those of the largest amount."""
_MOST_POWERS = 20
"""Powers of ten beyond every amount; 1E+999999 as an integer would fill the memory."""
_PARTS = re.compile(r"(?:[^,()]|\([^()]*\))+")
_EXACT = Context(prec=60, traps=[Inexact])


@transform(
    "visible_text", takes=Kind.TEXT, gives=Kind.TEXT, lossy="invisible characters at the ends are not brought back"
)
def visible_text(four_byte: str = "refuse", line_breaks: str = "refuse") -> Pair:
    """Text without spaces or invisible characters at its ends; inside, they are refused.

    A zero-width space inside a name makes two accounts that look like one; so does a joiner between letters that are not
    joined. Characters that show as a blank only are no text. `four_byte: keep` lets characters beyond U+FFFF pass (rare
    ideographs, emoji), `line_breaks: keep` lets line feeds and tabs pass.
    """
    for argument in (four_byte, line_breaks):
        if argument not in ("refuse", "keep"):
            raise ValueError(f"visible_text: an argument is {argument!r}, it has to be refuse or keep")
    keeps_four_byte = four_byte == "keep"
    allowed = frozenset("\n\r\t") if line_breaks == "keep" else frozenset()

    def forward(value: str) -> str | None:
        # What Unicode calls printable has no invisible character in it but marks, and no space but the ordinary one.
        storable = keeps_four_byte or value.isascii() or max(value) <= "\uffff"
        if storable and value.isprintable() and UNDRAWN_MARKS.isdisjoint(value):
            return value.strip() if value.strip(_SHOW_NOTHING) else None
        start, end = 0, len(value)
        while start < end and is_margin(value[start]):
            start += 1
        while end > start and is_margin(value[end - 1]):
            end -= 1
        text = value[start:end]
        if is_blank(text):
            return None
        for _, character in invisible(text):
            if character not in allowed:
                raise Refused(
                    "invisible_character",
                    f"it holds the invisible character U+{ord(character):04X}",
                    fix="retype the value without it",
                )
        beyond = next((c for c in text if c > "\uffff"), None)
        if beyond is not None and not keeps_four_byte:
            raise Refused(
                "four_byte_character",
                f"it holds U+{ord(beyond):X}, a character of four bytes that not every system stores",
                fix="replace the character",
            )
        return text

    plain = "{0}.strip() or None if {0}.isprintable() and {0}.isascii() else {call}"
    return Pair(forward, lambda value: value, quick=Quick(plain))


@transform("comma_list", takes=Kind.TEXT, gives=Kind.NAMES, lossy="spaces around the commas are not brought back")
def comma_list() -> Pair:
    """Comma-separated values, trimmed, in order; a comma inside parentheses does not split.

    `Income ($1,000-$24,999)` is one value. A parenthesis that is never closed is refused: nobody can tell how many
    values were meant.
    """
    return Pair(_split, ",".join)


def _split(value: str) -> tuple[str, ...] | None:
    if "(" not in value and ")" not in value:
        parts = tuple(map(str.strip, value.split(",")))
        return (parts if all(parts) else tuple(filter(None, parts))) or None
    found = _PARTS.findall(value)
    if ",".join(found) == value:  # no empty part, no nesting, nothing left open
        return tuple([part for raw in found if (part := raw.strip())]) or None
    pieces: list[str] = []
    depth = begin = 0
    for position, character in enumerate(value):
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth < 0:
                break
        elif character == "," and not depth:
            pieces.append(value[begin:position])
            begin = position + 1
    if depth:
        raise Refused("unbalanced_parentheses", "its parentheses do not match", fix="close each parenthesis")
    pieces.append(value[begin:])
    return tuple([part for raw in pieces if (part := raw.strip())]) or None


@transform("joined", takes=Kind.NAMES, gives=Kind.TEXT)
def joined(separator: str = ", ") -> Pair:
    """Several values as one text; nothing when there are none."""
    return Pair(lambda values: separator.join(values) or None)


@transform("micros", takes=Kind.DECIMAL, gives=Kind.INTEGER)
def micros(negative: str = "refuse") -> Pair:
    """Major units of a currency to integer micros, exactly: more than six decimals is refused, never rounded."""
    if negative not in ("refuse", "keep"):
        raise ValueError(f"micros: the argument negative is {negative!r}, it has to be refuse or keep")
    lowest = 0 if negative == "refuse" else -_LARGEST
    multiply, settle = _EXACT.multiply, _EXACT.to_integral_exact

    def forward(value: Decimal | int) -> int:
        if type(value) is Decimal:
            try:
                if value.adjusted() < _MOST_POWERS:
                    whole = int(settle(multiply(value, _MICROS)))
                    if lowest <= whole < _LARGEST:
                        return whole
            except (Inexact, ValueError, OverflowError):  # no whole micros, or not a number: told below
                pass
        elif type(value) is int:
            whole = value * MICROS
            if lowest <= whole < _LARGEST:
                return whole
        raise _not_micros(value, lowest)

    # An amount that is no whole number of micros fails here, and is told by the call.
    of_decimal = "int({settle}({multiply}({0}, {micros})))"
    ordinary = f"type({{0}}) is {{decimal}} and {{0}}.adjusted() < {_ORDINARY_POWERS} and not {{0}}.is_signed()"
    of_integer = f"{{0}} * {MICROS} if type({{0}}) is int and 0 <= {{0}} < {_LARGEST // MICROS}"
    names = {"settle": settle, "multiply": multiply, "micros": _MICROS, "decimal": Decimal}
    quick = Quick(f"{of_decimal} if {ordinary} else {of_integer} else {{call}}", names)
    return Pair(forward, lambda value: Decimal(value).scaleb(-6), quick=quick)


def _times_micros(number: Decimal | int) -> Decimal | None:
    """The amount in micros, None when even 60 digits cannot hold it."""
    try:
        return _EXACT.multiply(number, _MICROS)
    except Inexact:
        return None


def _not_micros(value: Decimal | int, lowest: int) -> Refused:
    """Why an amount has no micros of at least `lowest`."""
    number = _number(value)
    exact = _times_micros(number)
    if exact is not None and -_LARGEST <= exact < 0 == lowest:
        return Refused("negative_amount", "it is negative", fix="enter an amount of zero or more")
    if not -_LARGEST_AMOUNT <= number <= _LARGEST_AMOUNT:
        return Refused("amount_too_large", "it is larger than any amount of money here can be")
    return Refused("fractional_micros", "money has at most six decimals", fix="round the amount to six decimals")


@transform("whole_number", takes=Kind.DECIMAL, gives=Kind.INTEGER)
def whole_number(negative: str = "refuse") -> Pair:
    """A number without fraction; JSON may write the vendor's 100000 as 100000.0."""
    if negative not in ("refuse", "keep"):
        raise ValueError(f"whole_number: the argument negative is {negative!r}, it has to be refuse or keep")

    def forward(value: Decimal | int) -> int:
        if type(value) is int and 0 <= value < _LARGEST:
            return value
        exact = _number(value)
        if not -_LARGEST <= exact < _LARGEST:
            raise Refused("number_too_large", "it is larger than any count here can be")
        whole = int(exact)
        if whole != exact:
            raise Refused("fractional_number", "it has to be a whole number", fix="remove the fraction")
        if whole < 0 and negative == "refuse":
            raise Refused("negative_number", "it is negative", fix="enter zero or more")
        return whole

    as_it_is = f"{{0}} if type({{0}}) is int and 0 <= {{0}} < {_ONE_DIGIT} else {{call}}"
    return Pair(forward, lambda value: value, quick=Quick(as_it_is))


def _number(value: Decimal | int) -> Decimal | int:
    """An exact number; a binary float is refused, because it has lost digits before anyone looked."""
    kind = type(value)
    if kind is Decimal:
        if value.is_finite():  # type: ignore[union-attr]
            return value
        raise Refused("not_a_number", "it is not a finite number")
    if kind is int:
        return value
    raise Refused("not_a_number", f"it is a {kind.__name__}, not an exact number")


@transform("inclusive_end", takes=Kind.LOCAL, gives=Kind.LOCAL)
def inclusive_end() -> Pair:
    """An end at hh:mm:59 means the whole last minute, so it becomes the next second: flights are half-open.

    Traffickers, and most CRM exports, write the last second that still serves (03:59:59 for midnight in New York).
    """

    def forward(value: datetime) -> datetime:
        return value + _SECOND if value.second == 59 else value

    quick = Quick("{0} + {second} if {0}.second == 59 else {0}", {"second": _SECOND})
    return Pair(forward, lambda value: value, quick=quick)


_SECOND = timedelta(seconds=1)


@transform("presence", takes=[ANY], gives=frozenset({Kind.TEXT, Kind.ENUM}), absent=True)
def presence(present: str, absent: str) -> Pair:
    """One word when there is a value, another when there is none."""
    quick = Quick("{absent} if {0} is None else {present}", {"absent": absent, "present": present})
    return Pair(lambda value: absent if value is None else present, None, frozenset({present, absent}), quick)


@transform("is_absent", takes=[ANY], gives=Kind.BOOLEAN, absent=True)
def is_absent() -> Pair:
    """True when there is no value."""
    return Pair(lambda value: value is None, quick=Quick("{0} is None"))


@transform("address_text", takes=[Kind.TEXT] * 5, gives=Kind.TEXT, absent=True)
def address_text() -> Pair:
    """Five parts of a postal address on one line, in the order given; parts that are absent leave no trace."""

    def forward(*parts: str | None) -> str | None:
        return ", ".join(" ".join(part.split()) for part in parts if part and part.strip()) or None

    return Pair(forward)


@transform("word", takes=frozenset({Kind.ENUM, Kind.TEXT}), gives=Kind.TEXT)
def word(words: Mapping[str, str]) -> Pair:
    """A word by table, the value itself where the table has none: labels for people, never for states."""
    return Pair(lambda value: words.get(value, str(value)))


@transform("one_of", takes=frozenset({Kind.TEXT, Kind.ENUM}), gives=Kind.BOOLEAN)
def one_of(words: Sequence[str], others: Sequence[str]) -> Pair:
    """True for the words named, false for the others named; a word that is in neither list is refused."""
    answers = {**dict.fromkeys(others, False), **dict.fromkeys(words, True)}

    def forward(value: str) -> bool:
        answer = answers.get(value)
        if answer is None:
            raise Refused(
                "unknown_value_held",
                f"the mapping knows only {', '.join(sorted(answers))}",
                reason=Reason.PICKLIST,
                fix="add the value to the mapping",
            )
        return answer

    return Pair(forward)
