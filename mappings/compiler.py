"""From a mapping file to a compiled `Mapping`: read, overlay, check both sides, generate, cache by content."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from mappings.check import checked
from mappings.codegen import accepting_of, writer
from mappings.completeness import LeftOut
from mappings.errors import MappingError, MappingErrors
from mappings.layouts import Layouts
from mappings.mapping import Mapping
from mappings.schema_view import SchemaView
from mappings.spec import Direction, MappingSpec, fault_words
from mappings.yaml_nodes import Node, overlaid, read_file, read_nodes

__all__ = ["load_mapping", "load_text"]

_COMPILED: dict[tuple[str, str], Mapping] = {}
_LOCK = threading.Lock()


def load_mapping(path: Path, schema: SchemaView, overlays: Sequence[Path] = ()) -> Mapping:
    """The mapping of a file with overlays laid over it in order, held against the vendor's and the canonical schema.

    Raises MappingErrors with everything that is wrong, each with file, line, field and fix.
    """
    base, errors = read_file(path)
    layers: list[Node] = []
    for overlay in overlays:
        node, wrong = read_file(overlay)
        errors += wrong
        if node is not None:
            layers.append(node)
    if base is None:
        raise MappingErrors(errors)
    return _load(base, layers, errors, schema)


def load_text(text: str, source_name: str, schema: SchemaView, overlays: Sequence[tuple[str, str]] = ()) -> Mapping:
    """The same from text; `overlays` are (text, source name). Raises MappingErrors."""
    base, errors = read_nodes(text, source_name)
    layers: list[Node] = []
    for overlay, name in overlays:
        node, wrong = read_nodes(overlay, name)
        errors += wrong
        if node is not None:
            layers.append(node)
    if base is None:
        raise MappingErrors(errors)
    return _load(base, layers, errors, schema)


def _load(base: Node, layers: Sequence[Node], errors: list[MappingError], schema: SchemaView) -> Mapping:
    for layer in layers:
        base = _laid(base, layer, errors)
    spec, left_out = _shaped(base, errors, schema)
    if spec is None:
        raise MappingErrors(errors)
    key = (_hash(spec), _schema_hash(schema))
    with _LOCK:
        known = _COMPILED.get(key)
    if known is not None and not errors:
        return known
    plan, wrong = checked(spec, base, schema, left_out)
    if plan is None or wrong or errors:
        raise MappingErrors([*errors, *wrong])
    inward = Layouts(plan) if spec.direction is not Direction.OUT else None
    back = writer(plan, plan.restores) if spec.direction is not Direction.OUT else None
    out_moves = (*(plan.restores if spec.direction is Direction.BOTH else ()), *plan.writes)
    outward = writer(plan, out_moves) if spec.direction is not Direction.IN else None
    mapping = Mapping(
        spec,
        plan,
        key[0],
        accepting_of(plan),
        inward,
        inward.whole if inward else None,
        outward[0] if outward else None,
        back[0] if back else None,
        (inward.text if inward else "", outward[1] if outward else "", back[1] if back else ""),
    )
    with _LOCK:
        return _COMPILED.setdefault(key, mapping)


def _laid(base: Node, layer: Node, errors: list[MappingError]) -> Node:
    """An overlay on its base; it has to name the base and the version it was written against."""
    if not isinstance(layer.value, dict) or not isinstance(base.value, dict):
        errors.append(MappingError(layer.file, layer.line, "(file)", "it is no mapping.", "Begin with `base:`."))
        return base
    named = layer.value.get("base")
    actual = base.value["mapping"].plain() if "mapping" in base.value else None
    if named is None:
        errors.append(
            MappingError(layer.file, 1, "base", "an overlay has to name what it changes.", f"Add `base: {actual}`.")
        )
    elif named.value != actual:
        errors.append(
            MappingError(
                layer.file,
                named.line,
                "base",
                f"it was written for {named.value}, the base is {actual}.",
                f"Compare the two versions, correct the overlay and write `base: {actual}`.",
            )
        )
    for key in ("mapping", "entity", "record", "direction"):
        if key in layer.value:
            errors.append(
                MappingError(layer.file, layer.value[key].line, key, "an overlay cannot change it.", "Remove it here.")
            )
    changes = {k: v for k, v in layer.value.items() if k not in ("base", "mapping", "entity", "record", "direction")}
    for section in ("fields", "writes", "native_fields", "omits"):
        held, over = base.value.get(section), changes.get(section)
        if over is not None and isinstance(over.value, dict):
            present = held.value if held is not None and isinstance(held.value, dict) else {}
            for key, node in over.value.items():
                if node.value is None and key not in present:
                    wrong = "it takes away what the base does not have."
                    errors.append(MappingError(node.file, node.line, f"{section}.{key}", wrong, "Remove the line."))
    return overlaid(base, Node(changes, layer.file, layer.line))


_SECTIONS = ("fields", "writes", "native_fields", "omits")


def _shaped(node: Node, errors: list[MappingError], schema: SchemaView) -> tuple[MappingSpec | None, LeftOut]:
    """The file as a model, with the places that were left out of it because they have the wrong shape, so that the rest
    is held against both schemas all the same. None where too little is left of it."""
    content = node.plain()
    try:
        return MappingSpec.model_validate(content), LeftOut()
    except ValidationError as fault:
        left_out: set[tuple[str, ...]] = set()
        for error in fault.errors(include_url=False, include_context=False):
            loc = error["loc"]
            place = node.at(*loc)
            name = ".".join(str(step) for step in loc) or "(file)"
            words = fault_words(error["type"], error["msg"], error["input"])
            errors.append(MappingError(place.file, place.line, name, words, _fix(error["type"], loc)))
            left_out.add(tuple(str(step) for step in loc[: 2 if loc[0] in _SECTIONS else 1]))
    # What stands for these three is never used: a file with an error makes no mapping.
    stand_ins = {"mapping": "file.with_an_error@1", "owner": "hub", "record": schema.record}
    rest: dict[str, Any] = {name: word for name, word in stand_ins.items() if (name,) in left_out}
    for name, value in content.items():
        if (name,) in left_out:
            continue
        inside = name in _SECTIONS and isinstance(value, dict)
        rest[name] = {k: v for k, v in value.items() if (name, k) not in left_out} if inside else value
    try:
        return MappingSpec.model_validate(rest), LeftOut(frozenset(left_out))
    except ValidationError:
        return None, LeftOut(frozenset(left_out))


def _fix(kind: str, loc: tuple[str | int, ...]) -> str:
    last = loc[-1] if loc else "it"
    if kind == "missing":
        return f"Add `{last}:`."
    if kind == "extra_forbidden":
        return f"Remove `{last}` or correct its spelling."
    return "See the mapping format reference for what may stand here."


def _hash(spec: MappingSpec) -> str:
    content = orjson.dumps(spec.model_dump(mode="json", by_alias=True), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _schema_hash(schema: SchemaView) -> str:
    fields = [
        (
            f.path,
            str(f.type),
            f.length,
            f.required,
            f.readable,
            f.createable,
            f.updateable,
            sorted(f.values),
            f.values_closed,
        )
        for _, f in sorted(schema.fields.items())
    ]
    content = orjson.dumps([schema.record, schema.open_suffix, fields])
    return hashlib.blake2b(content, digest_size=16).hexdigest()
