"""Both sides checked at load: every finding about a mapping file, and the plan when there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from mappings.completeness import (
    Finding,
    LeftOut,
    forgotten,
    read_twice,
    restored_twice,
    unread,
    unwritten,
    written_twice,
)
from mappings.entities import ENTITIES, CanonicalField, PathError, canonical_field, leaves
from mappings.errors import MappingError
from mappings.kinds import VENDOR_KINDS, Kind, flows, words
from mappings.plan import (
    Apply,
    AsInteger,
    AsText,
    Bare,
    InMove,
    Limit,
    Op,
    OutMove,
    Plan,
    Table,
    ToCanonicalId,
    ToVendorId,
)
from mappings.registry import Pair, Resolving, Transform, known_transforms
from mappings.schema_view import DeclaredField, FieldView, SchemaView
from mappings.spec import Direction, FieldSpec, MappingSpec, Unknown, UnknownDefault, Value, WriteSpec
from mappings.yaml_nodes import Node
from oms_schema.base import Canonical

_TEXTUAL = frozenset({Kind.TEXT, Kind.ENUM})
_REFERABLE = frozenset({Kind.TEXT, Kind.INTEGER})


def checked(
    spec: MappingSpec, node: Node, schema: SchemaView, left_out: LeftOut
) -> tuple[Plan | None, list[MappingError]]:
    """The plan of a mapping file, or everything that is wrong with it against both schemas.

    `left_out` are places of the file that are not in `spec` because of errors that are told already.
    """
    checker = _Checker(spec, node, schema, left_out)
    plan = checker.run()
    return (None if checker.errors else plan), checker.errors


_Call = tuple[tuple[str | int, ...], Transform, Pair | Resolving]
"""Where a transform is called, the transform, and its functions for these arguments."""


@dataclass(frozen=True, slots=True)
class _Chain:
    """A pipeline as far as it could be bound: the kinds and words that come out of it."""

    ops: tuple[Op, ...]
    inverse: tuple[Op, ...] | None
    gives: frozenset[Kind]
    words: frozenset[str] | None
    resolving: tuple[Resolving, ...] = ()
    broken: str = ""
    """Why it has no inverse."""


@dataclass
class _Checker:
    spec: MappingSpec
    node: Node
    schema: SchemaView
    left_out: LeftOut
    errors: list[MappingError] = field(default_factory=list)
    kinds: dict[str, Kind] = field(default_factory=dict)
    transforms: Mapping[str, Transform] = field(default_factory=known_transforms)

    # ------------------------------------------------------------------ the whole file
    def run(self) -> Plan | None:
        spec = self.spec
        entity = ENTITIES.get(spec.entity)
        if entity is None:
            known = ", ".join(ENTITIES)
            self.wrong(("entity",), f"there is no canonical entity {spec.entity!r}.", f"Use one of {known}.")
        if spec.record != self.schema.record:
            self.wrong(
                ("record",),
                f"it maps {spec.record}, but the connector's schema is that of {self.schema.record}.",
                f"Write `record: {self.schema.record}` or load it with the schema of {spec.record}.",
            )
        self._sections()
        if entity is None or spec.record != self.schema.record:
            self._one_side(entity)
            return None
        self._declared()
        reads = [m for path, s in spec.fields.items() if (m := self._read(entity, path, s)) is not None]
        writes = [w for path, s in spec.writes.items() if (w := self._write(entity, path, s)) is not None]
        restores = [r for _, r in reads if r is not None]
        moves = [m for m, _ in reads]
        self._whole(entity, reads)
        return Plan(spec.name, spec.record, entity, tuple(moves), tuple(writes), tuple(restores), dict(self.kinds))

    def _whole(self, entity: type[Canonical], reads: Sequence[tuple[InMove, OutMove | None]]) -> None:
        spec, left_out = self.spec, self.left_out
        found: list[Finding] = []
        if spec.direction is not Direction.OUT:
            found += unread(entity, spec, left_out)
            found += read_twice([move.target for move, _ in reads])
            found += restored_twice(reads)
        if spec.direction is not Direction.IN:
            targets = list(spec.writes)
            if spec.direction is Direction.BOTH:
                targets += [restore.target for _, restore in reads if restore is not None]
            found += written_twice(targets)
            found += unwritten(targets, spec, self.schema, left_out)
        if spec.direction is Direction.OUT:
            found += forgotten(entity, spec, self.node, left_out)
        for finding in found:
            self.wrong(*finding)

    def _one_side(self, entity: type[Canonical] | None) -> None:
        """What can be told where the entity or the record is another: the paths of the side that is known, and transforms."""
        same_record = self.spec.record == self.schema.record
        if same_record:
            self._declared()
        entries: list[tuple[str, str, Value, list[str], list[str]]] = [
            *(
                ("fields", path, s, [path], s.paths or ([s.path] if s.path else []))
                for path, s in self.spec.fields.items()
            ),
            *(("writes", path, s, s.from_, [path]) for path, s in self.spec.writes.items()),
        ]
        for section, path, spec, canonical, vendor in entries:
            at = (section, path)
            if entity is not None:
                for one in canonical:
                    self._canonical(entity, one, at if section == "fields" else (*at, "from"))
            for one in vendor if same_record else ():
                self._vendor(one, at if section == "writes" else (*at, "paths" if len(vendor) > 1 else "path"))
            self._bound(spec, at)

    def _told(self, section: str) -> bool:
        """Whether a section is empty only because what stands in it has the wrong shape."""
        return (section,) in self.left_out or bool(self.left_out.of(section))

    def _sections(self) -> None:
        spec = self.spec
        if spec.direction is Direction.IN and spec.writes:
            self.wrong(
                ("writes",), "a mapping of direction in writes nothing.", "Remove `writes` or use direction both."
            )
        if spec.direction is Direction.OUT and spec.fields:
            self.wrong(("fields",), "a mapping of direction out reads nothing.", "Move its entries to `writes`.")
        if spec.direction is not Direction.OUT and not spec.fields and not self._told("fields"):
            self.wrong(("direction",), f"direction is {spec.direction} but there are no `fields`.", "Add `fields`.")
        if spec.direction is Direction.OUT and not spec.writes and not self._told("writes"):
            self.wrong(("direction",), "direction is out but there are no `writes`.", "Add `writes`.")
        if not spec.operations:
            self.wrong(("operations",), "it is empty.", "Name create, update or both.")

    def _declared(self) -> None:
        suffix = self.schema.open_suffix
        for path, declared in self.spec.native_fields.items():
            at = ("native_fields", path)
            listed = self.schema.fields.get(path)
            if listed is not None and VENDOR_KINDS[str(listed.type)] != VENDOR_KINDS[declared.type]:
                self.wrong(at, f"{self.schema.record}.{path} is {listed.type} at the vendor, declared {declared.type} here.",
                           "Remove the declaration.")  # fmt: skip
            if listed is None and suffix is None:
                self.wrong(at, f"the vendor's {self.schema.record} has a closed list of fields and {path} is not on it.",
                           "Remove it.")  # fmt: skip
            elif listed is None and suffix is not None and not path.split(".")[-1].endswith(suffix):
                self.wrong(at, f"{path} is no field of {self.schema.record}, and fields of an account's own end in {suffix}.",
                           f"Correct the name{self._nearest(path, self.schema.fields)}.")  # fmt: skip

    # ------------------------------------------------------------------ fields: vendor to canonical
    def _read(self, entity: type[Canonical], path: str, spec: FieldSpec) -> tuple[InMove, OutMove | None] | None:
        at = ("fields", path)
        before = len(self.errors)
        target = self._canonical(entity, path, at)
        calls = self._bound(spec, at)
        paths = tuple(spec.paths or ([spec.path] if spec.path else []))
        if spec.setting is not None:
            self.wrong((*at, "setting"), "settings are known on the way out only.", "Use `const`.")
            return None
        if not self._one_source(at, {"path": spec.path, "paths": spec.paths, "const": spec.const}):
            return None
        views = [self._vendor(p, (*at, "paths" if spec.paths else "path")) for p in paths]
        for view in views:
            if view is not None and not view.readable:
                self.wrong(at, f"{self.schema.record}.{view.path} cannot be read.", "Map a readable field.")
        if target is None or calls is None or any(v is None for v in views):
            return None
        inputs = [(frozenset({VENDOR_KINDS[str(v.type)]}), v.values if v.values_closed else None) for v in views if v]
        if spec.const is not None:
            inputs = [self._constant(spec.const)]
        chain = self._chain(spec, at, inputs, calls, inward=True)
        if chain is None:
            return None
        self._arrives(
            at, chain, frozenset({target.kind}), target.words, f"the canonical {path}", target.kind is Kind.ENUM
        )
        self._default(at, spec, target.kind, target.words, path)
        if len(self.errors) == before:
            self._literals_accepted(at, spec, target, chain)
        if spec.max is not None and target.kind is not Kind.TEXT:
            self.wrong((*at, "max"), f"{path} is {target.kind}, only texts have a length.", "Remove `max`.")
        self._returning(at, spec, chain, views)
        if len(self.errors) > before:
            return None
        owner = spec.owner or self.spec.owner
        place = self.node.at(*at)
        required = spec.required or (all(s.required and not s.keys for s in target.steps) and spec.default is None)
        ops = chain.ops if spec.max is None else (*chain.ops, Limit(spec.max, spec.on_too_long))
        move = InMove(
            target, paths, spec.const, ops, spec.default, required, owner, place.line, place.file, spec.lossy,
            spec.derived, spec.why or "",
        )  # fmt: skip
        if not paths or not move.returns or chain.inverse is None or target.kind in (Kind.OBJECT, Kind.LIST):
            return move, None
        bare: tuple[Op, ...] = (Bare(),) if target.kind is Kind.ENUM and spec.enum is None else ()
        restore = OutMove(
            paths[0], (target,), None, None, None, (*bare, *chain.inverse), None, False, False, owner, place.line,
            place.file, spec.why or "",
        )  # fmt: skip
        return move, restore

    def _returning(
        self, at: tuple[str, ...], spec: FieldSpec, chain: _Chain, views: Sequence[FieldView | None]
    ) -> None:
        """The round trip: a field comes back, or the file says why it does not."""
        if spec.lossy and spec.derived:
            self.wrong(
                at, "it is both lossy and derived.", "Keep one: derived is carried by another field, lossy is lost."
            )
        if spec.lossy or spec.derived or spec.const is not None:
            return
        why = chain.broken or ("it is made of several vendor fields" if len(views) > 1 else "")
        if why:
            self.wrong(at, f"it cannot be written back: {why}.",
                       "Add `lossy: <reason>`, or `derived: <from which field>` when another field carries it.")  # fmt: skip
        if self.spec.direction is Direction.BOTH:
            for view in views:
                if view is not None:
                    self._writable((*at, "path"), view, create_only=False)

    # ------------------------------------------------------------------ writes: canonical to vendor
    def _write(self, entity: type[Canonical], path: str, spec: WriteSpec) -> OutMove | None:
        at = ("writes", path)
        before = len(self.errors)
        view = self._vendor(path, at)
        sources = [self._canonical(entity, s, (*at, "from")) for s in spec.from_]
        calls = self._bound(spec, at)
        given = {"from": spec.from_ or None, "const": spec.const, "setting": spec.setting, "context": spec.context}
        if not self._one_source(at, given):
            return None
        if spec.required and spec.absent == "clear":
            self.wrong((*at, "absent"), "a required field is never cleared.", "Remove `required` or `absent`.")
        if view is None or calls is None or any(s is None for s in sources):
            return None
        self._writable(at, view, create_only=spec.create_only)
        kind = VENDOR_KINDS[str(view.type)]
        if spec.const is not None:
            inputs = [self._constant(spec.const)]
        elif spec.from_:
            inputs = [(frozenset({s.kind}), s.words) for s in sources if s is not None]
        else:
            inputs = [(frozenset({Kind.INTEGER if spec.context == "facets" else Kind.TEXT}), None)]
        chain = self._chain(spec, at, inputs, calls, inward=False)
        if chain is None:
            return None
        numbered = kind is Kind.INTEGER and (spec.setting is not None or spec.ref is not None) and not spec.as_
        gives = frozenset({Kind.INTEGER}) if numbered else chain.gives
        closed = view.values if view.values_closed else None
        arrived = _Chain(chain.ops, None, gives, chain.words)
        self._arrives(at, arrived, frozenset({kind}), closed, f"{self.schema.record}.{path}", view.values_closed)
        self._default(at, spec, kind, closed, path)
        length, most = view.length, spec.max
        if most is not None and kind is not Kind.TEXT:
            self.wrong((*at, "max"), f"{path} is {kind}, only texts have a length.", "Remove `max`.")
        if most is not None and length is not None and most > length:
            self.wrong(
                (*at, "max"), f"{self.schema.record}.{path} holds at most {length} characters.", f"Write max: {length}."
            )
        elif most is None and length is not None and kind is Kind.TEXT and spec.const is None and closed is None:
            most = length
        for name, literal in (("const", spec.const if not chain.ops else None), ("default", spec.default)):
            if isinstance(literal, str) and length is not None and len(literal) > length:
                self.wrong(
                    (*at, name),
                    f"{self.schema.record}.{path} holds at most {length} characters, {literal!r} has {len(literal)}.",
                    "Write a shorter one.",
                )
        if len(self.errors) > before:
            return None
        ops: tuple[Op, ...] = chain.ops
        if numbered:
            ops = (*ops, AsInteger())
        if most is not None:
            ops = (*ops, Limit(most, spec.on_too_long))
        place = self.node.at(*at)
        required = spec.required or (view.required and "create" in self.spec.operations)
        return OutMove(
            path, tuple(s for s in sources if s), spec.const, spec.setting, spec.context, ops, spec.default, required,
            spec.absent == "clear", spec.owner or self.spec.owner, place.line, place.file, spec.why or "", chain.resolving,
        )  # fmt: skip

    def _writable(self, at: tuple[str, ...], view: FieldView, *, create_only: bool) -> None:
        record = f"{self.schema.record}.{view.path}"
        creates = "create" in self.spec.operations
        updates = "update" in self.spec.operations
        if not view.createable and not view.updateable:
            self.wrong(at, f"{record} is read-only at the vendor.", "Remove the entry.")
        elif creates and not view.createable:
            self.wrong(at, f"{record} cannot be set when a record is created.", "Remove it, or `operations: [update]`.")
        elif updates and not view.updateable and not create_only:
            self.wrong(at, f"{record} cannot be changed after creation.", "Add `create_only: true`.")

    # ------------------------------------------------------------------ one pipeline
    def _bound(self, spec: Value, at: tuple[str, ...]) -> list[_Call] | None:
        """The transforms of an entry with their arguments; None when one is not there or takes others."""
        calls: list[_Call] = []
        for number, call in enumerate(spec.as_):
            where: tuple[str | int, ...] = (*at, "as") if len(spec.as_) == 1 else (*at, "as", number)
            found = self.transforms.get(call.name)
            if found is None:
                near = self._nearest(call.name, self.transforms)
                self.wrong(where, f"there is no transform {call.name!r}.", f"Use a registered transform{near}.")
                continue
            try:
                calls.append((where, found, found.bind(call.arguments)))
            except ValueError as fault:
                self.wrong(where, f"{fault}.", "Correct the arguments.")
        return calls if len(calls) == len(spec.as_) else None

    def _chain(
        self,
        spec: Value,
        at: tuple[str, ...],
        inputs: list[tuple[frozenset[Kind], frozenset[str] | None]],
        calls: Sequence[_Call],
        *,
        inward: bool,
    ) -> _Chain | None:
        ops: list[Op] = []
        backward: list[Op] = []
        resolving: list[Resolving] = []
        broken = ""
        kinds: list[frozenset[Kind]] = [k for k, _ in inputs]
        known: frozenset[str] | None = inputs[0][1] if len(inputs) == 1 else None
        for where, found, functions in calls:
            if not self._fits(where, found, kinds):
                return None
            if isinstance(functions, Resolving):
                if inward:
                    self.wrong(
                        where, f"{found.name} asks the connection and works on the way out only.", "Use another one."
                    )
                    return None
                resolving.append(functions)
                ops.append(Apply(found.name, functions.forward, found.absent, True, functions.shared, functions.quick))
                broken = broken or f"{found.name} has no inverse"
                known = None
            else:
                ops.append(Apply(found.name, functions.forward, found.absent, quick=functions.quick))
                if functions.inverse is None:
                    broken = broken or f"{found.name} has no inverse"
                else:
                    backward.insert(0, Apply(found.name, functions.inverse))
                known = functions.outputs
            kinds = [found.gives]
        if len(kinds) != 1:
            self.wrong(
                at, f"{len(kinds)} values come in and nothing joins them.", "Name a transform that takes them all."
            )
            return None
        gives = kinds[0]
        if spec.enum is not None:
            table = self._table(spec, at, gives, known, inward=inward)
            if table is None:
                return None
            ops.append(table)
            inverted = {v: k for k, v in table.words.items()}
            if len(inverted) < len(table.words):
                twice = sorted({v for v in table.words.values() if list(table.words.values()).count(v) > 1})
                broken = broken or f"several words become {', '.join(twice)}"
            elif isinstance(spec.on_unknown, UnknownDefault):
                broken = broken or "unknown words become a default"
            backward.insert(0, Table(inverted, table.unknown if table.unknown is Unknown.KEEP else Unknown.REJECT))
            known = None if table.unknown is Unknown.KEEP else frozenset(
                {*table.words.values(), *([table.default] if table.default is not None else [])}
            )  # fmt: skip
            gives = _TEXTUAL if table.unknown is not Unknown.KEEP else frozenset({Kind.TEXT})
        elif spec.on_unknown is not None:
            self.wrong((*at, "on_unknown"), "there is no `enum` table for it.", "Remove it or add `enum`.")
        if not inward and gives == frozenset({Kind.ENUM}) and spec.enum is None:
            ops.append(Bare())
            gives = frozenset({Kind.TEXT})
        if spec.ref is not None:
            if not flows(gives, _REFERABLE):
                self.wrong(
                    (*at, "ref"),
                    f"a reference is made of text or a number, here comes {words(gives)}.",
                    "Remove `ref`.",
                )
                return None
            number_id = gives == frozenset({Kind.INTEGER})
            if inward:
                ops += [AsText()] if number_id else []
                ops.append(ToCanonicalId(spec.ref.kind))
                backward[:0] = [ToVendorId(spec.ref.kind, spec.ref.facet), *([AsInteger()] if number_id else [])]
            else:
                ops.append(ToVendorId(spec.ref.kind, spec.ref.facet))
            known, gives = None, frozenset({Kind.TEXT})
        return _Chain(tuple(ops), None if broken else tuple(backward), gives, known, tuple(resolving), broken)

    def _fits(self, at: tuple[str | int, ...], found: Transform, kinds: list[frozenset[Kind]]) -> bool:
        if len(found.takes) != len(kinds):
            self.wrong(at, f"{found.name} takes {len(found.takes)} values, {len(kinds)} come in.", "Correct the paths.")
            return False
        for given, taken in zip(kinds, found.takes, strict=True):
            if not flows(given, taken):
                self.wrong(at, f"{found.name} takes {words(taken)}, {words(given)} comes in.",
                           "Use a transform for this kind of value, or map another field.")  # fmt: skip
                return False
        return True

    def _table(
        self, spec: Value, at: tuple[str, ...], gives: frozenset[Kind], known: frozenset[str] | None, *, inward: bool
    ) -> Table | None:
        words_in = spec.enum or {}
        if not flows(gives, _TEXTUAL):
            self.wrong((*at, "enum"), f"an enum table takes words, here comes {words(gives)}.", "Remove `enum`.")
            return None
        default = spec.on_unknown.default if isinstance(spec.on_unknown, UnknownDefault) else None
        unknown = spec.on_unknown if isinstance(spec.on_unknown, Unknown) else None
        if known is not None and spec.on_unknown is None:
            missing = sorted(known - set(words_in))
            if missing:
                self.wrong((*at, "enum"), f"the table says nothing about {', '.join(missing)}.",
                           "Add them, or say `on_unknown: reject`, `hold`, `keep` or `{default: …}`.")  # fmt: skip
                return None
            unknown = Unknown.HOLD
        elif spec.on_unknown is None:
            unknown = self.spec.drift.new_enum if inward else None
            if unknown is None:
                self.wrong((*at, "enum"), "the values are not a closed list, so the table cannot be total.",
                           "Say `on_unknown: reject`, `hold`, `keep` or `{default: …}`.")  # fmt: skip
                return None
        if known is not None:
            for word in words_in:
                if word not in known:
                    self.wrong(
                        (*at, "enum", word), f"{word!r} never comes in here.", f"Known: {', '.join(sorted(known))}."
                    )
        return Table(dict(words_in), unknown, default)

    def _arrives(
        self, at: tuple[str, ...], chain: _Chain, takes: frozenset[Kind], closed: frozenset[str] | None, name: str,
        must_be_known: bool,
    ) -> None:  # fmt: skip
        gives = chain.gives
        if Kind.ENUM in takes and chain.words is None and must_be_known:
            self.wrong(at, f"{name} holds {', '.join(sorted(closed or ()))} only, and any text could come.",
                       "Add an `enum` table.")  # fmt: skip
            return
        if not any(flows(frozenset({k}), takes) for k in gives):
            self.wrong(at, f"{name} is {words(takes)}, {words(gives)} comes.", "Add a transform that converts it.")
            return
        if closed is not None and chain.words is not None:
            strange = sorted(chain.words - closed)
            for word in strange:
                where = next((("enum", k) for k, v in self._enum_of(at).items() if v == word), ())
                self.wrong((*at, *where), f"{name} cannot hold {word!r}.", f"Use one of {', '.join(sorted(closed))}.")
        elif closed is not None and must_be_known and chain.words is None:
            self.wrong(
                at, f"{name} holds {', '.join(sorted(closed))} only, and any text could come.", "Add an `enum` table."
            )

    def _enum_of(self, at: tuple[str, ...]) -> dict[str, str]:
        entry = self.node.at(*at).plain()
        table = entry.get("enum") if isinstance(entry, dict) else None
        return {k: v for k, v in table.items() if isinstance(v, str)} if isinstance(table, dict) else {}

    def _default(self, at: tuple[str, ...], spec: Value, kind: Kind, closed: frozenset[str] | None, name: str) -> None:
        if spec.default is None:
            return
        gives, _ = self._constant(spec.default)
        if not any(flows(frozenset({k}), frozenset({kind})) for k in gives):
            self.wrong(
                (*at, "default"), f"{name} is {kind}, {spec.default!r} is not.", f"Write a default that is {kind}."
            )
        elif closed is not None and spec.default not in closed:
            self.wrong(
                (*at, "default"), f"{name} cannot hold {spec.default!r}.", f"Use one of {', '.join(sorted(closed))}."
            )
        if spec.required:
            self.wrong((*at, "default"), "a required field has no default.", "Remove one of the two.")

    def _literals_accepted(self, at: tuple[str, ...], spec: Value, target: CanonicalField, chain: _Chain) -> None:
        """A literal that the canonical model refuses would refuse every record."""
        last = target.steps[-1]
        for name, literal in (("const", spec.const if not chain.ops else None), ("default", spec.default)):
            if literal is None:
                continue
            try:
                last.model.model_validate({last.name: literal})
            except ValidationError as fault:
                for error in fault.errors(include_url=False, include_context=False):
                    if error["loc"] == (last.name,):  # other fields of the model are read elsewhere
                        rule = error["msg"].removeprefix("Value error, ")
                        self.wrong(
                            (*at, name), f"{target.path} cannot hold {literal!r}: {rule}.", f"Correct the {name}."
                        )

    @staticmethod
    def _constant(value: str | int | bool) -> tuple[frozenset[Kind], frozenset[str] | None]:
        if isinstance(value, bool):
            return frozenset({Kind.BOOLEAN}), None
        if isinstance(value, int):
            return frozenset({Kind.INTEGER}), None
        return frozenset({Kind.TEXT, Kind.ENUM}), frozenset({value})

    # ------------------------------------------------------------------ one path
    def _canonical(self, entity: type[Canonical], path: str, at: tuple[str, ...]) -> CanonicalField | None:
        try:
            return canonical_field(entity, path)
        except PathError as fault:
            self.wrong(at, f"{fault}.", f"Correct the canonical path{self._nearest(path, leaves(entity))}.")
            return None

    def _vendor(self, path: str, at: tuple[str, ...]) -> FieldView | None:
        view = self._find(path)
        if view is None and ("native_fields", path) in self.left_out:
            return None
        if view is None:
            fix = f"Correct the name{self._nearest(path, [*self.schema.fields, *self.spec.native_fields])}"
            suffix = self.schema.open_suffix
            if suffix is not None and path.split(".")[-1].endswith(suffix):
                fix += f", or declare it under `native_fields` with its type, as every field that ends in {suffix}"
            self.wrong(at, f"{self.schema.record} has no field {path}.", f"{fix}.")
            return None
        self.kinds[path] = VENDOR_KINDS[str(view.type)]
        return view

    def _find(self, path: str) -> FieldView | None:
        listed = self.schema.fields.get(path)
        if listed is not None:
            return listed
        declared = self.spec.native_fields.get(path)
        if declared is not None:
            return DeclaredField(
                path, declared.type, declared.length, declared.required, True, declared.createable, declared.updateable,
                frozenset(declared.values), declared.closed,
            )  # fmt: skip
        below = [f for p, f in self.schema.fields.items() if p.startswith(f"{path}.")]
        if below:
            return DeclaredField(
                path, "object", None, any(f.required for f in below), all(f.readable for f in below),
                any(f.createable for f in below), any(f.updateable for f in below),
            )  # fmt: skip
        return None

    @staticmethod
    def _nearest(name: str, names: Iterable[str]) -> str:
        import difflib  # a mapping without a fault does not need it

        close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
        return f", for instance {close[0]}" if close else ""

    def _one_source(self, at: tuple[str, ...], given: Mapping[str, Any]) -> bool:
        named = [name for name, value in given.items() if value is not None]
        if len(named) != 1:
            listed = ", ".join(given)
            said = " and ".join(named) if named else "none"
            self.wrong(at, f"a value has one source, here is {said}.", f"Give exactly one of {listed}.")
        return len(named) == 1

    def wrong(self, at: tuple[str | int, ...], wrong: str, fix: str) -> None:
        node = self.node.at(*at)
        name = ".".join(str(step) for step in at)
        self.errors.append(MappingError(node.file, node.line, name, wrong, fix))
