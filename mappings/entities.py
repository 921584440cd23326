"""The canonical side of a mapping: which entities there are, and what stands at a canonical field path.

A path is dotted (`flight.end`). A list whose elements have keys is addressed by them:
`parties[role=advertiser].party_id`, `targeting.criteria[dimension=country, operator=include].values`.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AwareDatetime
from pydantic.fields import FieldInfo

from mappings.kinds import Kind
from oms_schema.base import Canonical
from oms_schema.line import Line
from oms_schema.observation import LineObservation, OrderObservation
from oms_schema.order import Order
from oms_schema.party import Party
from oms_schema.projection import LineProjection, OrderProjection

ENTITIES: Mapping[str, type[Canonical]] = {
    "party": Party,
    "order": Order,
    "line": Line,
    "order_projection": OrderProjection,
    "line_projection": LineProjection,
    "order_observation": OrderObservation,
    "line_observation": LineObservation,
}
"""The word a mapping file uses for each canonical model."""

_STEP = re.compile(r"([a-z_][a-z0-9_]*)(?:\[([^\]]*)\])?")
_KEY = re.compile(r"\s*([a-z_]+)\s*=\s*([^,=\s]+)\s*")


class PathError(ValueError):
    """A canonical path that leads nowhere; the message says where it stops."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a canonical path: a field of `model`, and the keys that pick one element where it is a list."""

    name: str
    model: type[Canonical]
    keys: tuple[tuple[str, str], ...]
    optional: bool
    required: bool
    element: type[Canonical] | None
    """The model that stands here (or of the list's elements), None at a leaf."""


@dataclass(frozen=True, slots=True)
class CanonicalField:
    """What stands at a canonical path: its kind, whether it may be absent, and the words it may hold."""

    path: str
    steps: tuple[Step, ...]
    kind: Kind
    words: frozenset[str] | None
    optional: bool
    required: bool


def canonical_field(entity: type[Canonical], path: str) -> CanonicalField:
    """Resolve a path against a canonical model; PathError says at which step it fails and what is there instead."""
    model: type[Canonical] | None = entity
    steps: list[Step] = []
    kind, words, optional, required = Kind.OBJECT, None, False, False
    for text in _split(path):
        match = _STEP.fullmatch(text)
        if match is None:
            raise PathError(f"{text!r} is not a step of a field path")
        name, selector = match.group(1), match.group(2)
        if model is None:
            raise PathError(f"{steps[-1].name} is a {kind}, nothing stands below it")
        info = model.model_fields.get(name)
        if info is None:
            raise PathError(f"{model.__name__} has no field {name}; it has {', '.join(model.model_fields)}")
        kind, words, element, optional = _look(info.annotation, info)
        required = info.is_required()
        keys = _keys(selector, kind, element, name)
        if selector is not None:
            kind = Kind.OBJECT
        steps.append(Step(name, model, keys, optional, required, element))
        model = element if kind is Kind.OBJECT else None
    return CanonicalField(path, tuple(steps), kind, words, optional, required)


def enum_members(field: CanonicalField) -> Mapping[str, StrEnum]:
    """The members of the enum that stands there, by their words; empty where there is none."""
    last = field.steps[-1]
    annotation = last.model.model_fields[last.name].annotation
    kinds = (annotation, *get_args(annotation))
    return {m.value: m for kind in kinds if isinstance(kind, type) and issubclass(kind, StrEnum) for m in kind}


def leaves(entity: type[Canonical], prefix: str = "") -> tuple[str, ...]:
    """The leaf paths of a model in declaration order; a list counts as one leaf."""
    found: list[str] = []
    for name, info in entity.model_fields.items():
        kind, _, element, _ = _look(info.annotation, info)
        path = f"{prefix}{name}"
        if kind is Kind.OBJECT and element is not None:
            found.extend(leaves(element, f"{path}."))
        else:
            found.append(path)
    return tuple(found)


def _split(path: str) -> list[str]:
    return re.split(r"\.(?![^\[]*\])", path)


def _keys(selector: str | None, kind: Kind, element: type[Canonical] | None, name: str) -> tuple[tuple[str, str], ...]:
    if selector is None:
        return ()
    if kind is not Kind.LIST or element is None:
        raise PathError(f"{name} is no list of objects, [{selector}] cannot pick an element of it")
    keys: list[tuple[str, str]] = []
    for part in selector.split(","):
        match = _KEY.fullmatch(part)
        if match is None:
            raise PathError(f"[{selector}] has to read [field=word] or [field=word, field=word]")
        field_name, value = match.groups()
        info = element.model_fields.get(field_name)
        if info is None:
            raise PathError(f"{element.__name__} has no field {field_name} to pick an element of {name} by")
        _, words, _, _ = _look(info.annotation, info)
        if words is None or value not in words:
            allowed = ", ".join(sorted(words)) if words else "a field with a closed list of words"
            raise PathError(f"{field_name}={value} picks nothing in {name}; {field_name} can be: {allowed}")
        keys.append((field_name, value))
    return tuple(keys)


def _look(
    annotation: Any, info: FieldInfo | None = None
) -> tuple[Kind, frozenset[str] | None, type[Canonical] | None, bool]:
    """(kind, closed words, model, whether None is allowed) of an annotation."""
    optional = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            first, *extra = get_args(annotation)
            if first is datetime and any("aware" in str(getattr(e, "tz_constraint", "")) for e in extra):
                return Kind.INSTANT, None, None, optional
            annotation = first
        elif origin in (Union, types.UnionType):
            arms = [a for a in get_args(annotation) if a is not type(None)]
            optional = optional or len(arms) < len(get_args(annotation))
            if len(arms) != 1:
                raise TypeError(f"a canonical field of several types cannot be mapped: {annotation}")
            annotation = arms[0]
        else:
            break
    if origin is tuple:
        inner = get_args(annotation)[0]
        kind, words, element, _ = _look(inner)
        if kind is Kind.TEXT:
            return Kind.NAMES, None, None, optional
        return Kind.LIST, words, element, optional
    if annotation is AwareDatetime:
        return Kind.INSTANT, None, None, optional
    if isinstance(annotation, type):
        if issubclass(annotation, StrEnum):
            return Kind.ENUM, frozenset(m.value for m in annotation), None, optional
        if issubclass(annotation, Canonical):
            return Kind.OBJECT, None, annotation, optional
        for python, kind in _SCALARS:
            if annotation is python:
                return kind, None, None, optional
    raise TypeError(f"a canonical field of type {annotation} cannot be mapped{f' ({info.title})' if info else ''}")


_SCALARS = (
    (bool, Kind.BOOLEAN),
    (int, Kind.INTEGER),
    (str, Kind.TEXT),
    (Decimal, Kind.DECIMAL),
    (datetime, Kind.LOCAL),
    (date, Kind.DATE),
)
