"""Writes two flat Python functions from a plan: the fast path of a mapping.

They raise on the first thing that is wrong; what is wrong is then told by the reference. Every generated line that can
raise names its field in a comment, so that a traceback leads to the mapping file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from operator import itemgetter
from typing import Any

from pydantic_core import SchemaValidator

from mappings.context import Context
from mappings.entities import CanonicalField, Step, enum_members
from mappings.kinds import Kind
from mappings.memory import remembered
from mappings.plan import (
    Apply,
    AsInteger,
    AsText,
    Bare,
    InMove,
    Op,
    OutMove,
    Plan,
    Table,
    ToCanonicalId,
    ToVendorId,
    cut,
)
from mappings.registry import Refused
from mappings.spec import TooLong, Unknown
from oms_schema.base import Canonical
from oms_schema.ids import EntityKind, canonical_id, ids_of

Reader = Callable[[Mapping[str, Any], str], dict[str, Any]]
Writer = Callable[[Canonical, Context], dict[str, Any]]


class Stopped(Refused):
    """The fast path met something that only the reference can explain."""

    def __init__(self) -> None:
        super().__init__("stopped", "the fast path stopped")


_STOPPED = Stopped()
_id_of = remembered(8192)(canonical_id)
"""Canonical ids of the entities that records point to: the lines of an order all name the same one. Nothing points to a
line, so the own ids of lines are not kept."""
_own_id = ids_of(EntityKind.LINE)


@dataclass
class _Source:
    """Lines of a function and the objects they name."""

    names: dict[str, Any] = field(default_factory=lambda: {"own": _own_id, "cid": _id_of, "cut": cut, "STOP": _STOPPED})
    lines: list[str] = field(default_factory=list)
    count: int = 0
    prepared: dict[tuple[int, str], str] = field(default_factory=dict)
    """Variables that hold what a `shared` function of a transform (by its id) made of another variable."""

    def name(self, prefix: str, value: Any) -> str:
        """A name under which the function sees an object; one name for one object."""
        for known, held in self.names.items():
            if held is value and known.startswith(prefix):
                return known
        name = f"{prefix}{len(self.names)}"
        self.names[name] = value
        return name

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def add(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def prepare(self, shared: Callable[..., Any], value: str) -> str:
        """The variable that holds `shared(value, context)`, computed once."""
        key = (id(shared), value)
        if key not in self.prepared:
            self.prepared[key] = self.fresh("q")
            self.add(0, f"{self.prepared[key]} = {self.name('s_', shared)}({value}, context)")
        return self.prepared[key]

    def build(self, name: str, arguments: str, where: str) -> tuple[Callable[..., Any], str]:
        text = f"def {name}({arguments}):\n" + "\n".join(f"    {line}" for line in self.lines) + "\n"
        scope = dict(self.names)
        exec(compile(text, f"<mapping {where}>", "exec"), scope)  # noqa: S102 - our own text, from a checked plan
        return scope[name], text


def reader(
    plan: Plan, lacking: Reader | None = None, named: frozenset[str] | None = None
) -> tuple[Reader, str, tuple[Part, ...]]:
    """`(native, connection) -> nested dictionaries` for the way in, its source text, and the parts that it keeps.

    A part of the entity that is made of texts alone (the flight, the targeting) stands in it as a validated model, built
    once for the same texts: the lines of an order share most of them.

    A record of most vendors has all its fields, null where there is nothing; one that has not is given to `lacking`. With
    `named`, records have these of the plan's fields and no other: nothing is asked about what can only be absent.
    Without both it reads any record.
    """
    out = _Source()
    plan = plan if named is None else replace(plan, reads=tuple(m for m in plan.reads if _can_be_there(m, named)))
    groups = _grouped(plan.reads, 0)
    kept = [group for group in groups if _of_texts_alone(plan, group, 1)]
    apart = _apart(groups, kept) if named is None else frozenset()
    raws = _picked(out, plan, apart, lacking, named)
    members: list[_Leaf] = []
    texts: list[str] = []
    parts: list[Part] = []
    for group in groups:
        step = group[0].target.steps[0]
        if group in kept:
            held = _kept(out, raws, plan, group, 1, parts, texts, lacking)
            members.append(((step,), held, step.required))
            continue
        for move in group:
            members.append(_read_value(out, raws, plan, move))
    out.add(0, f"return {_tree(out, members, 0)}")
    read, text = out.build("read", "native, connection", f"{plan.name} in")
    return read, "\n".join([*texts, text]), tuple(parts)


_PARENT = "."
"""Marks the name under which an object on the way to a value is held, apart from the name of a value."""


def _apart(groups: Sequence[list[InMove]], kept: Sequence[list[InMove]]) -> frozenset[str]:
    """The vendor fields that one kept part alone reads, several together: it takes them out of the record by itself."""
    paths = [(group, frozenset(p for m in group for p in m.paths)) for group in groups]
    return frozenset().union(
        *(
            own
            for group, own in paths
            if group in kept and len(own) > 1 and not any(own & others for other, others in paths if other is not group)
        )
    )


def top(path: str) -> str:
    """The field of the record in which a value stands."""
    return path.partition(".")[0]


def _can_be_there(move: InMove, named: frozenset[str]) -> bool:
    """Whether a move can come to anything in a record that has these fields alone, a refusal included."""
    return (
        not move.paths
        or any(top(path) in named for path in move.paths)
        or move.default is not None
        or move.required
        or _takes_none(move.ops)
    )


def _picked(
    out: _Source, plan: Plan, apart: frozenset[str], lacking: Reader | None, named: frozenset[str] | None
) -> dict[str, str]:
    """Variables for everything at the top of the record that is read, taken out of it at once where it is certain that it
    is there, else field by field."""
    every = dict.fromkeys(p for m in plan.reads for p in m.paths)
    names = dict.fromkeys(
        top_name + _PARENT if below else top_name
        for top_name, _, below in (p.partition(".") for p in every if p not in apart)
    )
    if lacking is not None and every:
        fields, call = len({top(path) for path in every}), f"{out.name('lacking_', lacking)}(native, connection)"
        out.add(0, f"if len(native) < {fields}: return {call}")
    raws = {name: out.fresh("r") for name in names}
    tops = {name: name.removesuffix(_PARENT) for name in names}
    if named is not None:
        for name in [name for name, field_name in tops.items() if field_name not in named]:
            out.add(0, f"{raws[name]} = None")
            raws[f"{name}=''"] = raws[name]
            del tops[name]
    if not tops:
        return raws
    variables = ", ".join(raws[name] for name in tops)
    if lacking is None and named is None:
        out.add(0, "get = native.get")
        out.add(0, f"{variables} = {', '.join(f'get({each!r})' for each in tops.values())}")
        return raws
    _take_out(out, variables, tuple(tops.values()), lacking)
    return raws


def _take_out(out: _Source, variables: str, names: tuple[str, ...], lacking: Reader | None) -> None:
    """Take fields out of the record at once; one of them may be absent only where there is `lacking`."""
    picked = f"{variables} = {out.name('pick_', itemgetter(*names))}(native)"
    if lacking is None:
        out.add(0, picked)
    else:
        out.add(0, f"try: {picked}")
        out.add(0, f"except KeyError: return {out.name('lacking_', lacking)}(native, connection)")


def _grouped(moves: Sequence[InMove], depth: int) -> list[list[InMove]]:
    """The moves that end in the same object, or in the same element of a list, below `depth`."""
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[InMove]] = {}
    for move in moves:
        step = move.target.steps[depth]
        groups.setdefault((step.name, step.keys), []).append(move)
    return list(groups.values())


def _read_value(out: _Source, raws: dict[str, str], plan: Plan, move: InMove) -> _Leaf:
    if move.required and move.default is None and len(move.paths) == 1 and not _takes_none(move.ops):
        (path,) = move.paths
        if plan.kinds[path] in _TEXTS and "." not in path and f"{path}=''" not in raws:
            out.add(0, f"if not {raws[path]}: raise STOP  # {move.target.path}")
            raws[f"{path}=''"] = raws[path]
            return move.target.steps, _value(out, move, [raws[path]], False), True
    sources = [_fetch(out, raws, path) for path in move.paths]
    name = _value(out, move, sources if sources else [_word(out, move, move.const)], bool(sources))
    certain = move.required or move.default is not None or not (move.paths or _may_vanish(move.ops))
    return move.target.steps, name, certain


_TEXTS = frozenset({Kind.TEXT, Kind.WIRE_DATE, Kind.WIRE_DATETIME})
PARTS_KEPT = 1024
"""How many different flights, or targetings, a compiled mapping remembers."""


def _of_texts_alone(plan: Plan, group: list[InMove], depth: int) -> bool:
    """Whether these moves make one object out of texts, independent of the connection, at the step before `depth`.

    Only texts: True, 1 and Decimal(1) are equal as keys of a cache, but not as values of a vendor.
    """
    step = group[0].target.steps[depth - 1]
    paths = [p for m in group for p in m.paths]
    return (
        step.element is not None
        and step.name != "id"
        and (depth > 1 or not step.keys)
        and all(len(m.target.steps) > depth for m in group)
        and all(plan.kinds[p] in _TEXTS and "." not in p for p in paths)
        and bool(paths)
        and not any(isinstance(op, ToCanonicalId) for m in group for op in m.ops)
    )


class Part:
    """Makes an object of the entity from raw values, None where it is absent, and keeps what it made.

    Values come as a tuple, except where there is only one.
    """

    def __init__(self, make: Callable[..., Any], one: bool) -> None:
        self.kept: dict[Any, Any] = {}
        self._make = make
        self._one = one

    def __call__(self, raw: Any) -> Any:
        """The object for values that are not among the kept ones."""
        if len(self.kept) >= PARTS_KEPT:
            self.kept.clear()
        made = self.kept[raw] = self._make(raw) if self._one else self._make(*raw)
        return made


def _kept(
    out: _Source,
    raws: dict[str, str],
    plan: Plan,
    group: list[InMove],
    depth: int,
    parts: list[Part],
    texts: list[str],
    lacking: Reader | None = None,
) -> str:
    """The variable that holds the validated object of a group of moves, made once for the same raw values."""
    paths = tuple(dict.fromkeys(p for m in group for p in m.paths))
    part = _part(plan, group, depth, paths, parts, texts)
    kept, made = out.name("kept_", part.kept), out.name("part_", part)
    raw, held = ", ".join(raws[p] for p in paths if p in raws), out.fresh("m")
    where = f"  # {'.'.join(s.name for s in group[0].target.steps[:depth])}"
    step = group[0].target.steps[depth - 1]
    if len(paths) == 1 and step.keys and not any(_takes_none(m.ops) for m in group):
        # An element that nothing was given for does not exist; most of a targeting's do not.
        out.add(0, f"{held} = None{where}")
        out.add(0, f"if {raw} is not None:")
        out.add(1, f"{held} = {kept}.get({raw})")
        out.add(1, f"if {held} is None: {held} = {made}({raw})")
        return held
    if not raw:  # they stand apart
        raw = out.fresh("a")
        if lacking is None:
            out.add(0, f"{raw} = tuple(map(get, {out.name('names_', paths)}))")
        else:
            _take_out(out, raw, paths, lacking)
    elif len(paths) > 1:
        raw, values = out.fresh("a"), raw
        out.add(0, f"{raw} = {values}")
    out.add(0, f"{held} = {kept}.get({raw}, {kept}){where}")
    out.add(0, f"if {held} is {kept}: {held} = {made}({raw})")
    return held


def _part(
    plan: Plan, group: list[InMove], depth: int, paths: Sequence[str], parts: list[Part], texts: list[str]
) -> Part:
    """What makes the validated object of some moves from the raw values at `paths`; elements of its lists are parts too."""
    out = _Source()
    raws = {path: f"a{n}" for n, path in enumerate(paths)}
    arguments = ", ".join(raws.values())
    members: list[_Leaf] = []
    for below in _grouped(group, depth):
        step = below[0].target.steps[depth]
        if step.keys and _of_texts_alone(plan, below, depth + 1):
            held = _kept(out, raws, plan, below, depth + 1, parts, texts)
            members.append((below[0].target.steps[: depth + 1], held, False))
        else:
            members += [_read_value(out, raws, plan, move) for move in below]
    step = group[0].target.steps[depth - 1]
    assert step.element is not None
    condition, expression = _child(out, members, depth, step, bool(step.keys))
    if condition:
        out.add(0, f"if not ({condition}): return None")
    if step.keys:
        pairs = "".join(f"{k!r}: {w!r}, " for k, w in step.keys)
        expression = f"{{{pairs}{expression[1:]}" if expression[0] == "{" else f"{{{pairs}**{expression}}}"
    out.add(0, f"return {out.name('model_', _accepting(step.element, group))}({expression})")
    name = f"part_{'_'.join(s.name for s in group[0].target.steps[:depth])}"
    function, text = out.build(name, arguments, f"{plan.name} in, {group[0].target.path}")
    texts.append(text)
    part = Part(function, len(paths) == 1)
    parts.append(part)
    return part


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
    return _accepting(plan.entity, plan.reads)


def _accepting(model: type[Canonical], moves: Sequence[InMove]) -> Callable[[Any], Any]:
    """An object or a list that a transform makes can hold any name, all others are the compiler's."""
    if any(move.target.kind in (Kind.OBJECT, Kind.LIST) for move in moves):
        return accepting(model)
    return accepting_known(model)


def writer(plan: Plan, moves: tuple[OutMove, ...]) -> tuple[Writer, str]:
    """`(entity, context) -> payload` for the way out, and its source text."""
    out = _Source()
    taken: dict[_Key, tuple[str, bool]] = {(): ("entity", False)}
    fields: dict[_Key, str] = {}
    root: dict[str, Any] = {}
    for move in moves:
        absent = move.const is None
        if move.sources:
            held = [_take(out, taken, fields, s) for s in move.sources]
            sources = [name for name, _ in held]
            absent = any(nullable for _, nullable in held)
        elif move.setting is not None:
            sources = [out.fresh("s")]
            out.add(0, f"{sources[0]} = context.setting({move.setting!r})")
        elif move.context is not None:
            sources = [out.fresh("s")]
            facet = "context.facets" if move.context == "facets" else "context.facet or None"
            out.add(0, f"{sources[0]} = {facet}")
        else:
            sources = [repr(move.const)]
        name = _value(out, move, sources, absent)
        certain = move.required or move.default is not None or move.clear or (not absent and not _may_vanish(move.ops))
        node = root
        *parents, last = move.target.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = (name, certain)
    out.add(0, f"return {_payload(out, root)}")
    return out.build("write", "entity, context", f"{plan.name} out")


# ---------------------------------------------------------------- one value
def _fetch(out: _Source, raws: dict[str, str], path: str) -> str:
    """The variable that holds a vendor value, empty texts as None; shared parents are fetched once."""
    done = f"{path}=''"
    if done in raws:
        return raws[path]
    parent, _, last = path.rpartition(".")
    if parent:
        name, above = out.fresh("r"), _object(out, raws, parent)
        out.add(0, f"{name} = None if {above} is None else {above}.get({last!r})")
        raws[path] = name
    name = raws[path]
    out.add(0, f"if not {name} and {name} == '': {name} = None")
    raws[done] = name
    return name


def _object(out: _Source, raws: dict[str, str], path: str) -> str:
    """The variable that holds an object on the way to a value."""
    key = path + _PARENT
    if key not in raws:
        parent, _, last = path.rpartition(".")
        name, above = out.fresh("p"), _object(out, raws, parent)
        out.add(0, f"{name} = None if {above} is None else {above}.get({last!r})")
        raws[key] = name
    return raws[key]


def _take(
    out: _Source, taken: dict[_Key, tuple[str, bool]], fields: dict[_Key, str], source: CanonicalField
) -> tuple[str, bool]:
    """The variable that holds a canonical value, and whether it can be None; objects on the way are taken once, and asked
    for None only where one on the way can be absent.

    Values are taken out of the objects' `__dict__`, where a validated model has every field: a fifth of the time that
    attributes of a pydantic model take.
    """
    last = len(source.steps)
    for length in range(1, last + 1):
        key = tuple((s.name, s.keys) for s in source.steps[:length])
        if key in taken:
            continue
        step = source.steps[length - 1]
        above, absent = taken[key[:-1]]
        if key[:-1] not in fields:
            held = fields[key[:-1]] = out.fresh("f")
            out.add(
                0, f"{held} = None if {above} is None else {above}.__dict__" if absent else f"{held} = {above}.__dict__"
            )
        name = out.fresh("v")
        value = f"{fields[key[:-1]]}[{step.name!r}]"
        nullable = absent or step.optional or bool(step.keys)
        if step.keys:
            test = " and ".join(f"e.__dict__[{k!r}] == {w!r}" for k, w in step.keys)
            out.add(0, f"{name} = None")
            out.add(0, f"for e in {f'() if {above} is None else ' if absent else ''}{value}:")
            out.add(1, f"if {test}:")
            out.add(2, f"{name} = e")
            out.add(2, "break")
        else:
            if length == last and source.kind in (Kind.TEXT, Kind.NAMES, Kind.LIST):
                value, nullable = f"{value} or None", True
            out.add(0, f"{name} = None if {above} is None else {value}" if absent else f"{name} = {value}")
        taken[key] = name, nullable
    return taken[tuple((s.name, s.keys) for s in source.steps)]


def _takes_none(ops: tuple[Op, ...]) -> bool:
    """Whether a transform is also asked about a value that is absent."""
    return any(isinstance(op, Apply) and op.absent for op in ops)


def _may_vanish(ops: tuple[Op, ...]) -> bool:
    """Whether a value that is there can come out as None: only a transform may decide so."""
    return any(isinstance(op, Apply) for op in ops)


_Key = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def _value(out: _Source, move: InMove | OutMove, sources: list[str], absent: bool) -> str:
    """Lines that compute one value from its sources, of which some can be `absent`; the variable that holds it."""
    target = move.target if isinstance(move, OutMove) else move.target.path
    where = f"  # {target}"
    if not move.ops and len(sources) == 1 and (not absent or (move.default is None and not move.required)):
        return sources[0]
    name = out.fresh("x")
    ops = list(move.ops)
    current = sources[0]
    takes_none = _takes_none(move.ops)
    if absent and move.required and move.default is None and not takes_none:
        missing = " or ".join(f"{s} is None" for s in sources)
        out.add(0, f"if {missing}: raise STOP{where}")
        absent = False
        if not ops:
            return current
    if ops and isinstance(first := ops[0], Apply):
        ops.pop(0)
        call = _call(out, first, sources)
        if first.absent or not absent:
            out.add(0, f"{name} = {call}{where}")
        else:
            missing = " or ".join(f"{s} is None" for s in sources)
            out.add(0, f"{name} = None if {missing} else {call}{where}")
        current, absent = name, True
    while ops:
        if isinstance(ops[0], Apply) and ops[0].absent:
            out.add(0, f"{name} = {_call(out, ops.pop(0), [current])}{where}")
            current, absent = name, True
            continue
        run = [ops.pop(0)]
        while ops and not isinstance(run[-1], Apply) and not (isinstance(ops[0], Apply) and ops[0].absent):
            run.append(ops.pop(0))  # after a transform the question for None is asked again
        if absent:
            if current != name:
                out.add(0, f"{name} = {current}")
            out.add(0, f"if {name} is not None:{where}")
        for op in run:
            _step(out, op, move, name, name if absent else current, 1 if absent else 0)
            current = name
        absent = absent or any(isinstance(op, Apply) for op in run)
    if current != name:
        out.add(0, f"{name} = {current}")
    if absent and move.default is not None:
        out.add(0, f"if {name} is None: {name} = {_word(out, move, move.default)}")
    elif absent and move.required:
        out.add(0, f"if {name} is None: raise STOP{where}")
    return name


def _call(out: _Source, op: Op, values: list[str]) -> str:
    assert isinstance(op, Apply)
    if op.shared is not None:
        values = [*values[:-1], out.prepare(op.shared, values[-1])]
    arguments = [*values, "context"] if op.takes_context else values
    call = f"{out.name('t_', op.call)}({', '.join(arguments)})"
    if op.quick is None:
        return call
    names = {word: out.name("n_", held) for word, held in op.quick.names.items()}
    return f"({op.quick.expression.format(*values, call=call, **names)})"


def _word(out: _Source, move: InMove | OutMove, word: object) -> str:
    """A literal of the file; the word of an enum as its member, which validation knows at once."""
    known = enum_members(move.target).get(word) if isinstance(move, InMove) and isinstance(word, str) else None
    return repr(word) if known is None else out.name("w_", known)


def _words(move: InMove | OutMove, op: Table) -> dict[str, str]:
    """A table between words, with members of enums where they come in or go out: found and validated as what they are."""
    if isinstance(move, InMove):
        given = enum_members(move.target) if op is move.ops[-1] else {}
        return {key: given.get(word, word) for key, word in op.words.items()}
    taken: dict[str, str] = {}
    for source in move.sources:
        taken |= enum_members(source)
    return {taken.get(key, key): word for key, word in op.words.items()}


def _step(out: _Source, op: Op, move: InMove | OutMove, name: str, value: str, depth: int) -> None:
    """Lines for one operation that is not asked about None: `name = op(value)`."""
    if isinstance(op, Apply):
        out.add(depth, f"{name} = {_call(out, op, [value])}")
    elif isinstance(op, Table):
        words = out.name("e_", _words(move, op))
        if op.unknown is Unknown.KEEP:
            out.add(depth, f"{name} = {words}.get({value}) or str({value})")
        elif op.default is not None:
            out.add(depth, f"{name} = {words}.get({value}, {op.default!r})")
        else:
            out.add(depth, f"{name} = {words}[{value}]")
    elif isinstance(op, ToCanonicalId):
        if isinstance(move, InMove) and move.target.path == "id" and op.kind is EntityKind.LINE:
            out.add(depth, f"{name} = own(connection, {value})")
        else:
            out.add(depth, f"{name} = cid({out.name('k_', op.kind)}, connection, {value})")
    elif isinstance(op, ToVendorId):
        out.add(depth, f"{name} = context.vendor_id({out.name('k_', op.kind)}, {value}, {op.facet!r})")
        out.add(depth, f"if {name} is None: raise STOP")
    elif isinstance(op, AsText | Bare):
        out.add(depth, f"{name} = str({value})")
    elif isinstance(op, AsInteger):
        out.add(depth, f"{name} = int({value})")
    else:
        if name != value:
            out.add(depth, f"{name} = {value}")
        cutting = op.policy is TooLong.TRUNCATE_HASH
        out.add(depth, f"if len({name}) > {op.most}: {f'{name} = cut({name}, {op.most})' if cutting else 'raise STOP'}")


# ---------------------------------------------------------------- trees
_Leaf = tuple[tuple[Step, ...], str, bool]


def _tree(out: _Source, leaves: list[_Leaf], depth: int) -> str:
    """Lines that build the dictionary of one object; the expression or variable that holds it."""
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[_Leaf]] = {}
    for leaf in leaves:
        step = leaf[0][depth]
        groups.setdefault((step.name, step.keys), []).append(leaf)
    literal: list[str] = []
    later: list[tuple[str, str]] = []
    elements: dict[str, list[tuple[str, str]]] = {}
    for (name, keys), members in groups.items():
        step = members[0][0][depth]
        if len(members[0][0]) == depth + 1:
            value, certain = members[0][1], members[0][2]
            if keys:  # a complete element
                elements.setdefault(name, []).append(("" if certain else f"{value} is not None", value))
            elif certain:
                literal.append(f"{name!r}: {value}")
            else:
                later.append((f"{value} is not None", f"[{name!r}] = {value}"))
            continue
        condition, child = _child(out, members, depth + 1, step, bool(keys))
        if keys:
            pairs = "".join(f"{k!r}: {w!r}, " for k, w in keys)
            elements.setdefault(name, []).append(
                (condition, f"{{{pairs}**{child}}}" if child[0] != "{" else f"{{{pairs}{child[1:]}")
            )
        elif condition:
            later.append((condition, f"[{name!r}] = {child}"))
        else:
            literal.append(f"{name!r}: {child}")
    for name, items in elements.items():
        held = out.fresh("l")
        out.add(0, f"{held} = []")
        for condition, child in items:
            out.add(0, f"if {condition or 'True'}: {held}.append({child})")
        later.append((held, f"[{name!r}] = {held}"))
    if not later:
        return "{" + ", ".join(literal) + "}"
    node = out.fresh("d")
    out.add(0, f"{node} = {{{', '.join(literal)}}}")
    for condition, assignment in later:
        out.add(0, f"if {condition}: {node}{assignment}")
    return node


def _child(out: _Source, members: list[_Leaf], depth: int, step: Step, is_element: bool) -> tuple[str, str]:
    """(condition under which the object exists, expression); no condition where it always does."""
    assert step.element is not None
    keyed = {k for k, _ in step.keys}
    direct = {m[0][depth].name: m for m in members if len(m[0]) == depth + 1}
    needed = [n for n, f in step.element.model_fields.items() if f.is_required() and n not in keyed]
    conditions: list[str] = []
    if not step.required or is_element:
        for name in needed:
            member = direct.get(name)
            if member is None:
                if not any(m[0][depth].name == name for m in members):
                    conditions.append("False")
            elif not member[2]:
                conditions.append(f"{member[1]} is not None")
    simple = set(direct) == {m[0][depth].name for m in members}
    if simple and all(m[2] or (m[0][depth].name in needed and not step.required) for m in members):
        expression = "{" + ", ".join(f"{n!r}: {m[1]}" for n, m in direct.items()) + "}"
        return " and ".join(conditions), expression
    child = _tree(out, members, depth)
    if not step.required or is_element:
        nested = [n for n in needed if n not in direct]
        conditions += [f"{n!r} in {child}" for n in nested if any(m[0][depth].name == n for m in members)]
        if not needed:
            conditions.append(child)
    return " and ".join(conditions), child


def _payload(out: _Source, node: dict[str, Any]) -> str:
    literal: list[str] = []
    later: list[tuple[str, str]] = []
    for key, entry in node.items():
        if isinstance(entry, dict):
            child = _payload(out, entry)
            if child.startswith("{"):
                literal.append(f"{key!r}: {child}")
            else:
                later.append((child, f"[{key!r}] = {child}"))
        elif entry[1]:
            literal.append(f"{key!r}: {entry[0]}")
        else:
            later.append((f"{entry[0]} is not None", f"[{key!r}] = {entry[0]}"))
    if not later:
        return "{" + ", ".join(literal) + "}"
    held = out.fresh("o")
    out.add(0, f"{held} = {{{', '.join(literal)}}}")
    for condition, assignment in later:
        out.add(0, f"if {condition}: {held}{assignment}")
    return held
