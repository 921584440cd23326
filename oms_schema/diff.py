"""What changed between two values, field by field, and how to make the second out of the first.

Works on canonical models and on JSON-like values (a vendor's payload). Absent is not null: a field that is not there is
`ABSENT`, one that is there and empty is None. In a canonical model an optional field without a value is absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar

from oms_schema.base import Canonical

M = TypeVar("M", bound=Canonical)


class _Absent(Enum):
    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = _Absent.ABSENT
"""Stands for a field that is not there."""

LIST_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "parties": ("role",),
    "criteria": ("dimension", "operator"),
    "flights": ("start", "start_fold"),
    "creatives": ("width", "height"),
    "ids": ("connection", "seat"),
    "lines": ("number",),
}
"""By which fields the elements of a list are told apart; a list of any other name is one value."""

ListKey = tuple[tuple[str, Any], ...]
Step = str | ListKey
"""A field's name, or the key fields of one element of a list with their values."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs. `steps` lead to it; no steps mean the whole value."""

    steps: tuple[Step, ...]
    before: Any
    after: Any

    @property
    def path(self) -> str:
        """As mapping files write it: `targeting.criteria[dimension=country, operator=include].values`."""
        text = ""
        for step in self.steps:
            if isinstance(step, str):
                text += f".{step}" if text else step
            else:
                text += "[" + ", ".join(f"{name}={value}" for name, value in step) + "]"
        return text


class DiffConflict(ValueError):  # noqa: N818 - a conflict is what it is
    """A change that does not fit the value it is applied to: the value has moved since the difference was taken."""


def diff(before: Canonical | None, after: Canonical | None) -> tuple[FieldChange, ...]:
    """The changes that lead from one canonical value to the other; None is a value with no fields."""
    return diff_values(_fields(before), _fields(after))


def diff_values(before: Any, after: Any, keys: Mapping[str, Sequence[str]] = LIST_KEYS) -> tuple[FieldChange, ...]:
    """The changes between two JSON-like values (or ABSENT), in the order of the fields' names."""
    changes: list[FieldChange] = []
    _compare((), before, after, keys, changes)
    return tuple(changes)


def apply(model: M, changes: Iterable[FieldChange]) -> M:
    """The model with the changes made. Raises DiffConflict when it has moved, ValidationError when the result is wrong."""
    return type(model).model_validate(apply_values(_fields(model), changes))


def apply_values(value: Any, changes: Iterable[FieldChange]) -> Any:
    """A new value with the changes made; `value` itself is left alone. Raises DiffConflict when it has moved."""
    for change in changes:
        value = _apply(value, change.steps, change)
    return value


def _fields(model: Canonical | None) -> dict[str, Any]:
    return {} if model is None else model.model_dump(mode="json", exclude_none=True)


def _compare(
    steps: tuple[Step, ...], before: Any, after: Any, keys: Mapping[str, Sequence[str]], changes: list[FieldChange]
) -> None:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted(before.keys() | after.keys()):
            _compare((*steps, name), before.get(name, ABSENT), after.get(name, ABSENT), keys, changes)
        return
    if isinstance(before, list) and isinstance(after, list) and steps and isinstance(steps[-1], str):
        elements = _elements(before, after, keys.get(steps[-1], ()))
        if elements is not None:
            for key, old, new in elements:
                _compare((*steps, key), old, new, keys, changes)
            return
    if not _same(before, after):
        changes.append(FieldChange(steps, before, after))


def _elements(before: list[Any], after: list[Any], names: Sequence[str]) -> list[tuple[ListKey, Any, Any]] | None:
    """The elements side by side by their keys; None when keys do not tell them apart or their order changes."""
    old, new = _keyed(before, names), _keyed(after, names)
    if old is None or new is None:
        return None
    # The order of a list is part of its value, and a change of one element cannot express a move.
    if list(new) != [key for key in old if key in new] + [key for key in new if key not in old]:
        return None
    return [(key, old.get(key, ABSENT), new.get(key, ABSENT)) for key in dict.fromkeys((*old, *new))]


def _keyed(elements: list[Any], names: Sequence[str]) -> dict[ListKey, Any] | None:
    found: dict[ListKey, Any] = {}
    for element in elements:
        if not names or not isinstance(element, Mapping) or any(name not in element for name in names):
            return None
        key = tuple((name, element[name]) for name in names)
        if any(not isinstance(value, str) and type(value) is not int for _, value in key) or key in found:
            return None
        found[key] = element
    return found


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    # In JSON true, 1 and 1.0 are three values; Python calls them equal.
    return type(a) is type(b) and bool(a == b)


def _apply(value: Any, steps: tuple[Step, ...], change: FieldChange) -> Any:
    if not steps:
        if not _same(value, change.before):
            raise DiffConflict(f"{change.path or 'the value'} is no longer what it was when the difference was taken")
        return change.after
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        if not isinstance(value, Mapping):
            raise DiffConflict(f"{change.path} leads through something that has no field {step}")
        made = dict(value)
        new = _apply(made.get(step, ABSENT), rest, change)
        if new is ABSENT:
            made.pop(step, None)
        else:
            made[step] = new
        return made
    if not isinstance(value, list):
        raise DiffConflict(f"{change.path} leads through something that is no list")
    elements = _keyed(value, [name for name, _ in step])
    if elements is None:
        raise DiffConflict(f"{change.path} picks an element of a list whose elements cannot be told apart")
    new = _apply(elements.get(step, ABSENT), rest, change)
    elements[step] = new
    return [element for element in elements.values() if element is not ABSENT]
