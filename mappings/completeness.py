"""Whether a mapping is whole: what either side requires is there, nothing is made twice, nothing is forgotten silently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mappings.entities import CanonicalField, canonical_field, leaves
from mappings.plan import InMove, OutMove
from mappings.schema_view import SchemaView
from mappings.spec import MappingSpec
from mappings.yaml_nodes import Node
from oms_schema.base import Canonical

Finding = tuple[tuple[str, ...], str, str]
"""(place in the file, what is wrong, what would make it right)."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Places of a file that have the wrong shape and whose errors are told already: `("owner",)`, `("fields", "name")`."""

    places: frozenset[tuple[str, ...]] = frozenset()

    def __contains__(self, place: tuple[str, ...]) -> bool:
        """Whether the place itself, or the section it is in, was left out."""
        return place in self.places or place[:1] in self.places

    def of(self, section: str) -> frozenset[str]:
        """The entries of a section that were left out one by one."""
        return frozenset(place[1] for place in self.places if place[0] == section and len(place) > 1)


def unread(entity: type[Canonical], spec: MappingSpec, left_out: LeftOut) -> Iterator[Finding]:
    """Fields that the canonical model requires and nothing is read into."""
    if ("fields",) in left_out:
        return
    covered = {*spec.fields, *left_out.of("fields")}
    for path in _required_leaves(entity):
        if not any(c == path or c.startswith(f"{path}.") for c in covered):
            wrong = f"the canonical {spec.entity} needs {path}, and nothing is read into it."
            yield ("fields",), wrong, f"Add `{path}:` to `fields`."


def read_twice(targets: Sequence[CanonicalField]) -> Iterator[Finding]:
    """Two entries that make the same canonical value, or an object and a part of it: one of them would be lost."""
    seen: dict[tuple[object, ...], str] = {}
    for target in targets:
        steps = _steps(target)
        clash = next((path for other, path in seen.items() if other[: len(steps)] == steps[: len(other)]), None)
        if clash is not None:
            yield ("fields", target.path), f"{target.path} is made twice, also as {clash}.", "Remove one of the two."
        keys = dict(target.steps[-2].keys) if len(target.steps) > 1 else {}
        if target.steps[-1].name in keys:
            wrong = f"{target.steps[-1].name} is the key that picks this element, so it is known already."
            yield ("fields", target.path), wrong, "Remove the entry."
        seen.setdefault(steps, target.path)


def _steps(target: CanonicalField) -> tuple[object, ...]:
    """A path as far as two can be one: the keys of a list's element make it another, in whatever order they stand."""
    return tuple(
        part for step in target.steps for part in ((step.name, frozenset(step.keys)) if step.keys else (step.name,))
    )


def restored_twice(reads: Iterable[tuple[InMove, OutMove | None]]) -> Iterator[Finding]:
    """Two canonical fields that restore one vendor field could disagree; all but one are derived."""
    first: dict[str, str] = {}
    for move, restore in reads:
        if restore is None:
            continue
        other = first.setdefault(restore.target, move.target.path)
        if other != move.target.path:
            wrong = f"{restore.target} is also read into {other}; both would restore it."
            yield ("fields", move.target.path), wrong, f"Add `derived: from {other}` to one of the two."


def written_twice(targets: Iterable[str]) -> Iterator[Finding]:
    """A vendor field that two entries write, or an object and a part of it."""
    seen: set[str] = set()
    for target in targets:
        clash = next((s for s in seen if s == target or s.startswith(f"{target}.") or target.startswith(f"{s}.")), None)
        if clash is not None:
            yield ("writes", target), f"{target} is written twice, also as {clash}.", "Remove one of the two."
        seen.add(target)


def unwritten(targets: Iterable[str], spec: MappingSpec, schema: SchemaView, left_out: LeftOut) -> Iterator[Finding]:
    """Fields that the vendor requires of a new record and nothing is written to."""
    if "create" not in spec.operations or ("writes",) in left_out or ("operations",) in left_out:
        return
    covered = {*targets, *left_out.of("writes")}
    for path, view in schema.fields.items():
        written = any(t == path or t.startswith(f"{path}.") or path.startswith(f"{t}.") for t in covered)
        optional_parent = any(not schema.fields[p].required for p in _ancestors(path) if p in schema.fields)
        if view.required and view.createable and not written and not optional_parent:
            wrong = f"the vendor requires {schema.record}.{path}, and nothing is written to it."
            yield ("writes",), wrong, f"Add `{path}:` to `writes`."


def forgotten(entity: type[Canonical], spec: MappingSpec, node: Node, left_out: LeftOut) -> Iterator[Finding]:
    """A canonical field that no write uses is lost silently, so the file has to say so under `omits`."""
    all_leaves = leaves(entity)
    for path in spec.omits:
        if not any(leaf == path or leaf.startswith(f"{path}.") for leaf in all_leaves):
            yield ("omits", path), f"the canonical {spec.entity} has no {path}.", "Remove it."
        elif any(path in write.from_ for write in spec.writes.values()):
            yield ("omits", path), f"{path} is written all the same.", "Remove it here, or the entry that writes it."
    if ("writes",) in left_out or ("omits",) in left_out:
        return
    used = {path.split("[", 1)[0] for path in _written_from(spec, node, left_out)}
    omitted = {*spec.omits, *left_out.of("omits")}
    for path in all_leaves:
        if any(path == o or path.startswith(f"{o}.") for o in omitted):
            continue
        if not any(u == path or path.startswith(f"{u}.") for u in used):
            wrong = f"the canonical {path} is neither written nor named under `omits`."
            yield ("writes",), wrong, f"Write it, or add `{path}: <reason>` to `omits`."


def _written_from(spec: MappingSpec, node: Node, left_out: LeftOut) -> list[str]:
    """The canonical paths that the writes name, those of wrong entries included: their error is told already."""
    named = [path for write in spec.writes.values() for path in write.from_]
    for entry in left_out.of("writes"):
        told = node.at("writes", entry).plain()
        given = told.get("from") if isinstance(told, dict) else None
        named += [path for path in (given if isinstance(given, list) else [given]) if isinstance(path, str)]
    return named


def _ancestors(path: str) -> list[str]:
    steps = path.split(".")
    return [".".join(steps[:n]) for n in range(1, len(steps))]


def _required_leaves(entity: type[Canonical]) -> list[str]:
    return [path for path in leaves(entity) if all(step.required for step in canonical_field(entity, path).steps)]
