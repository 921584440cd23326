"""A compiled mapping: what the hub holds after a file was loaded, and all it may ask of it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mappings.codegen import Reader, Writer
from mappings.context import Context, Lookup
from mappings.errors import MappingDefect
from mappings.explain import model_problems
from mappings.layouts import Layouts
from mappings.memory import forget_all
from mappings.plan import Apply, Limit, OutMove, Plan
from mappings.reference import Faults, piped, read, taken, write
from mappings.registry import Loss
from mappings.spec import Direction, Drift, MappingSpec, Owner, TooLong
from oms_schema.base import Canonical
from oms_schema.problems import Problems

__all__ = ["Loss", "Mapping", "Tally"]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many single values a record asks the vendor to express, how many it can, and which it cannot."""

    asked: int
    expressed: int
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping file with its overlays, checked and compiled; immutable and safe to share between threads."""

    spec: MappingSpec
    plan: Plan
    content_hash: str
    """blake2b-128 of the merged file, 32 hex digits: another file content is another mapping."""
    _accept: Callable[[Any], Canonical]
    _layouts: Layouts | None
    _read: Reader | None
    _write: Writer | None
    _restore: Writer | None
    sources: tuple[str, str, str]
    """The generated source of the ways in, out and back, empty where there is none; for people who look."""

    @property
    def name(self) -> str:
        """`salesforce.order`."""
        return self.spec.name

    @property
    def version(self) -> int:
        """The published version; a published version never changes."""
        return self.spec.version

    @property
    def connector(self) -> str:
        """The connector whose vendor this maps."""
        return self.spec.connector

    @property
    def record(self) -> str:
        """The vendor's record type."""
        return self.spec.record

    @property
    def entity(self) -> str:
        """The canonical entity's word, for instance `line` or `order_projection`."""
        return self.spec.entity

    @property
    def direction(self) -> Direction:
        """`in`, `out` or `both`."""
        return self.spec.direction

    @property
    def drift(self) -> Drift:
        """What to do when the vendor's side changes shape."""
        return self.spec.drift

    @property
    def owner(self) -> MappingType[str, Owner]:
        """Who owns each field: by canonical path on the way in, by vendor path on the way out."""
        return {m.target.path: m.owner for m in self.plan.reads} | {m.target: m.owner for m in self.plan.writes}

    @property
    def native_fields(self) -> tuple[str, ...]:
        """Vendor field paths that this mapping reads or writes, each once, in file order."""
        paths = [p for m in self.plan.reads for p in m.paths] + [m.target for m in self.plan.writes]
        return tuple(dict.fromkeys(paths))

    @property
    def create_only(self) -> frozenset[str]:
        """Vendor paths that can be set at creation only."""
        return frozenset(path for path, w in self.spec.writes.items() if w.create_only)

    @property
    def lossy_fields(self) -> MappingType[str, str]:
        """Canonical paths that do not survive the way there and back, with the reason the file gives."""
        reads = {m.target.path: m.lossy for m in self.plan.reads if m.lossy is not None}
        return {**reads, **{p: s.lossy for p, s in self.spec.writes.items() if s.lossy is not None}, **self.spec.omits}

    def native_path(self, canonical: str) -> str | None:
        """The first vendor path that a canonical field is read from; None when it is read from none."""
        return next((m.paths[0] for m in self.plan.reads if m.target.path == canonical and m.paths), None)

    # ------------------------------------------------------------------ the way in
    def to_canonical(self, native: MappingType[str, Any], connection: str) -> Canonical:
        """The canonical entity of a vendor record, fully validated.

        Raises Problems with everything that is wrong with the record, and MappingDefect when the fast path failed but
        the reference finds nothing wrong.
        """
        if self._read is None:
            raise TypeError(f"{self.name} writes only")
        try:
            return self._accept(self._read(native, connection))
        except Exception as fault:
            raise self._explained(native, connection, fault) from None

    def forget(self) -> None:
        """Drop what was kept of earlier records to read later ones faster; results are the same with it and without."""
        for part in self._layouts.parts if self._layouts is not None else ():
            part.kept.clear()
        forget_all()

    def _explained(self, native: MappingType[str, Any], connection: str, fault: Exception) -> Exception:
        values, problems = read(self.plan, native, connection)
        already = {p.path for p in problems}
        try:
            self.plan.entity.model_validate(values)
        except ValidationError as refused:
            # What a refused field left out is missing in the model too; it is told once, by the field.
            silent = {
                m.target.steps[0].name for m in self.plan.reads if m.paths and f"{self.record}.{m.paths[0]}" in already
            }
            for problem, error in zip(model_problems(self.plan, refused), refused.errors(), strict=True):
                echo = error["type"] == "missing" and bool(error["loc"]) and error["loc"][0] in silent
                if not echo and problem.path not in already:
                    already.add(problem.path)
                    problems.append(problem)
        if problems:
            return Problems(problems)
        return MappingDefect(f"{self.name}: the generated reader failed ({fault!r}), the reference did not. Report it.")

    # ------------------------------------------------------------------ the way out
    def to_vendor(self, entity: Canonical, context: Context) -> dict[str, Any]:
        """The vendor payload of a canonical entity: only fields the file writes; absent ones are left out, or None where
        the file says `absent: clear`. Raises Problems with everything that is wrong, or MappingDefect.
        """
        if self._write is None:
            raise TypeError(f"{self.name} reads only")
        try:
            return self._write(entity, context)
        except Exception as fault:
            restores = self.plan.restores if self.direction is Direction.BOTH else ()
            raise self._refused((*restores, *self.plan.writes), entity, context, fault) from None

    def restored(self, entity: Canonical, context: Context) -> dict[str, Any]:
        """The vendor fields that can be written back from what was read; the proof that nothing is lost on the way in."""
        if self._restore is None:
            raise TypeError(f"{self.name} writes only")
        try:
            return self._restore(entity, context)
        except Exception as fault:
            raise self._refused(self.plan.restores, entity, context, fault) from None

    def _refused(self, moves: tuple[OutMove, ...], entity: Canonical, context: Context, fault: Exception) -> Exception:
        _, problems = write(self.plan, moves, entity, context)
        if problems:
            return Problems(problems)
        return MappingDefect(f"{self.name}: the generated writer failed ({fault!r}), the reference did not. Report it.")

    def lookups(self, entity: Canonical) -> frozenset[Lookup]:
        """Every name that `to_vendor` may ask the vendor's tables for."""
        wanted: set[Lookup] = set()
        for move in self.plan.writes:
            for resolving in move.resolving:
                if resolving.lookups is not None:
                    wanted |= resolving.lookups(*(taken(entity, s) for s in move.sources))
        return frozenset(wanted)

    def losses(self, entity: Canonical, context: Context) -> tuple[Loss, ...]:
        """Single values that the vendor cannot express, one Loss for each. Raises Refused when a setting is missing."""
        return self.tally(entity, context).losses

    def tally(self, entity: Canonical, context: Context) -> Tally:
        """Values asked, expressed and lost: asked is always the sum of the other two."""
        asked = 0
        lost: list[Loss] = []
        for move in self.plan.writes:
            values = tuple(taken(entity, s) for s in move.sources)
            for resolving in move.resolving:
                if resolving.asked is not None:
                    asked += resolving.asked(*values)
                if resolving.losses is not None:
                    lost += resolving.losses(*values, context)
        return Tally(asked, asked - len(lost), tuple(lost))

    def cuts(self, entity: Canonical, context: Context) -> tuple[Loss, ...]:
        """Texts that the vendor's field is too short for and the file lets be cut."""
        found: list[Loss] = []
        for move in self.plan.writes:
            limit = move.ops[-1] if move.ops and isinstance(move.ops[-1], Limit) else None
            if limit is None or limit.policy is not TooLong.TRUNCATE_HASH or not move.sources:
                continue
            values = tuple(taken(entity, s) for s in move.sources)
            source = values[0] if len(values) == 1 else values
            try:
                whole = piped(move.ops[:-1], source, len(values), "", context)
            except Faults:
                continue  # `to_vendor` tells what is wrong with it
            if isinstance(whole, str) and len(whole) > limit.most:
                found.append(
                    Loss(move.sources[0].path, whole, f"{self.record}.{move.target} holds {limit.most} characters")
                )
        return tuple(found)

    def transforms(self) -> frozenset[str]:
        """Names of the transforms this mapping uses."""
        ops = [op for m in self.plan.reads for op in m.ops] + [op for m in self.plan.writes for op in m.ops]
        return frozenset(op.name for op in ops if isinstance(op, Apply))
