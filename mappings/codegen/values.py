"""Lines that compute one value: fetched from a record or taken out of an entity, then changed step by step."""

from __future__ import annotations

from mappings.codegen.source import Source
from mappings.entities import CanonicalField, enum_members
from mappings.kinds import Kind
from mappings.plan import Apply, AsInteger, AsText, Bare, InMove, Op, OutMove, Table, ToCanonicalId, ToVendorId
from mappings.spec import TooLong, Unknown
from oms_schema.ids import EntityKind

PARENT = "."
"""Marks the name under which an object on the way to a value is held, apart from the name of a value."""
Key = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""The steps to a canonical value, by which objects on the way are taken once."""


def fetch(out: Source, raws: dict[str, str], path: str) -> str:
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


def _object(out: Source, raws: dict[str, str], path: str) -> str:
    """The variable that holds an object on the way to a value."""
    key = path + PARENT
    if key not in raws:
        parent, _, last = path.rpartition(".")
        name, above = out.fresh("p"), _object(out, raws, parent)
        out.add(0, f"{name} = None if {above} is None else {above}.get({last!r})")
        raws[key] = name
    return raws[key]


def take(
    out: Source, taken: dict[Key, tuple[str, bool]], fields: dict[Key, str], source: CanonicalField
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


def takes_none(ops: tuple[Op, ...]) -> bool:
    """Whether a transform is also asked about a value that is absent."""
    return any(isinstance(op, Apply) and op.absent for op in ops)


def may_vanish(ops: tuple[Op, ...]) -> bool:
    """Whether a value that is there can come out as None: only a transform may decide so."""
    return any(isinstance(op, Apply) for op in ops)


def value_of(out: Source, move: InMove | OutMove, sources: list[str], absent: bool) -> str:
    """Lines that compute one value from its sources, of which some can be `absent`; the variable that holds it."""
    target = move.target if isinstance(move, OutMove) else move.target.path
    where = f"  # {target}"
    if not move.ops and len(sources) == 1 and (not absent or (move.default is None and not move.required)):
        return sources[0]
    name = out.fresh("x")
    ops = list(move.ops)
    current = sources[0]
    asks_none = takes_none(move.ops)
    if absent and move.required and move.default is None and not asks_none:
        missing = " or ".join(f"{s} is None" for s in sources)
        out.add(0, f"if {missing}: raise STOP{where}")
        absent = False
        if not ops:
            return current
    if ops and isinstance(first := ops[0], Apply):
        ops.pop(0)
        call = call_of(out, first, sources)
        if first.absent or not absent:
            out.add(0, f"{name} = {call}{where}")
        else:
            missing = " or ".join(f"{s} is None" for s in sources)
            out.add(0, f"{name} = None if {missing} else {call}{where}")
        current, absent = name, True
    while ops:
        if isinstance(ops[0], Apply) and ops[0].absent:
            out.add(0, f"{name} = {call_of(out, ops.pop(0), [current])}{where}")
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
        out.add(0, f"if {name} is None: {name} = {word_of(out, move, move.default)}")
    elif absent and move.required:
        out.add(0, f"if {name} is None: raise STOP{where}")
    return name


def call_of(out: Source, op: Op, values: list[str]) -> str:
    assert isinstance(op, Apply)
    if op.shared is not None:
        values = [*values[:-1], out.prepare(op.shared, values[-1])]
    arguments = [*values, "context"] if op.takes_context else values
    call = f"{out.name('t_', op.call)}({', '.join(arguments)})"
    if op.quick is None:
        return call
    names = {word: out.name("n_", held) for word, held in op.quick.names.items()}
    return f"({op.quick.expression.format(*values, call=call, **names)})"


def word_of(out: Source, move: InMove | OutMove, word: object) -> str:
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


def _step(out: Source, op: Op, move: InMove | OutMove, name: str, value: str, depth: int) -> None:
    """Lines for one operation that is not asked about None: `name = op(value)`."""
    if isinstance(op, Apply):
        out.add(depth, f"{name} = {call_of(out, op, [value])}")
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
