"""The validation that takes what a generated reader made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from pydantic_core import SchemaValidator

from mappings.kinds import Kind
from mappings.plan import InMove, Plan
from oms_schema.base import Canonical


def accepting(model: type[Canonical]) -> Callable[[Any], Any]:
    """The model's validation itself; `model_validate` is the same behind half a microsecond of arguments."""
    validate: Callable[[Any], Any] = model.__pydantic_validator__.validate_python
    return validate


@cache
def accepting_known(model: type[Canonical]) -> Callable[[Any], Any]:
    """`accepting` without the question for names that the model does not have, a sixth of its time: for dictionaries of
    which the compiler wrote every name, after `check` had found it in the model."""
    # Not the prebuilt validators of the models inside, which ask.
    validate: Callable[[Any], Any] = SchemaValidator(
        _open(model.__pydantic_core_schema__), _use_prebuilt=False
    ).validate_python
    return validate


def _open(schema: Any) -> Any:
    """A core schema in which unknown names of a model are no error, and integers are compared as machine words."""
    if isinstance(schema, list):
        return [_open(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    opened = {name: _open(inner) for name, inner in schema.items()}
    kind = opened.get("type")
    if kind == "model":
        opened["config"] = {**opened["config"], "extra_fields_behavior": "ignore"}
    elif kind == "int" and "lt" in opened:
        below = opened.pop("lt") - 1  # the same, within a machine word
        opened["le"] = min(below, opened.get("le", below))
    return opened


def accepting_of(plan: Plan) -> Callable[[Any], Any]:
    """The validation of what a mapping's reader makes."""
    return accepting_of_moves(plan.entity, plan.reads)


def accepting_of_moves(model: type[Canonical], moves: Sequence[InMove]) -> Callable[[Any], Any]:
    """An object or a list that a transform makes can hold any name, all others are the compiler's."""
    if any(move.target.kind in (Kind.OBJECT, Kind.LIST) for move in moves):
        return accepting(model)
    return accepting_known(model)
