"""A whole export through a mapping, or through a vendor's mapping in and another's out, on all processors.

Tells before the first day how many of a CRM's records the hub could take, what is wrong with the others, and what the
ad server could not hold. The export is JSON Lines: one record a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from cli.desk import json_line
from connectors.exact_json import Unreadable, read
from mappings.errors import MappingDefect
from mappings.mapping import Mapping as RecordMapping
from mappings.processes import each
from mappings.registry import Loss
from mappings.spec import Direction
from mappings.trial import CONNECTION, EveryName, TrialContext
from oms_schema.base import Canonical
from oms_schema.problems import Problems, shown

CHUNK_LINES, CHUNK_BYTES = 500, 2**22
"""A chunk ends with either: records enough to be worth another process, bytes few enough for several to be held."""

Kind = tuple[str, str]
"""Code and field path of a problem, or field path and reason of a loss: as many as the mapping's fields bring about."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines of an export, `first` being the number of the first one, from 1."""

    first: int
    lines: tuple[bytes, ...]


@dataclass(slots=True)
class Seen:
    """How often something was seen, where first, and in which words or with which value."""

    count: int
    line: int
    shown: str


@dataclass(slots=True)
class Outcome:
    """What became of records: counts, problems and losses by kind, and what was made of them as JSON Lines."""

    read: int = 0
    mapped: int = 0
    problems: dict[Kind, Seen] = field(default_factory=dict)
    losses: dict[Kind, Seen] = field(default_factory=dict)
    made: bytes = b""

    @property
    def refused(self) -> int:
        """Records that could not be mapped."""
        return self.read - self.mapped

    def add(self, other: Outcome) -> None:
        """Count what came later; what it made is not kept."""
        self.read += other.read
        self.mapped += other.mapped
        for kinds, more in ((self.problems, other.problems), (self.losses, other.losses)):
            for kind, seen in more.items():
                known = kinds.get(kind)
                if known is not None:
                    known.count += seen.count
                else:
                    kinds[kind] = seen


@dataclass(frozen=True, slots=True)
class Route:
    """The mappings that a record goes through: one, or a vendor's in and another's out, with what they ask for."""

    first: RecordMapping
    then: RecordMapping | None
    settings: Mapping[str, str]
    facet: str

    def taken(self, line: bytes) -> Any:
        """What a line holds, as the first mapping takes it. Raises Unreadable, ValidationError."""
        if self.first.direction is Direction.OUT:
            return self.first.plan.entity.model_validate_json(line)
        return read(line)

    def mapped(self, record: Any, context: TrialContext) -> tuple[bytes, Sequence[Loss]]:
        """A record all the way, as JSON, and what the vendor cannot hold of it. Raises Problems and MappingDefect."""
        if self.first.direction is Direction.OUT:
            return _out(self.first, record, context)
        entity = self.first.to_canonical(record, CONNECTION)
        return (entity.canonical_bytes(), ()) if self.then is None else _out(self.then, entity, context)


def _out(mapping: RecordMapping, entity: Canonical, context: TrialContext) -> tuple[bytes, Sequence[Loss]]:
    return json_line(mapping.to_vendor(entity, context)), mapping.losses(entity, context)


Routing = Callable[[], Route]
"""Makes the route in whichever process works; functions that were compiled do not travel."""


def tried(export: Path, routing: Routing, processes: int, output: IO[bytes] | None) -> Outcome:
    """The whole export, in order. Raises OSError and WorkerLost."""
    whole = Outcome()
    with export.open("rb") as file:
        for outcome in each(partial(_tried_chunk, routing, output is not None), chunks(file), processes):
            if output is not None:
                output.write(outcome.made)
            whole.add(outcome)
    return whole


def chunks(file: IO[bytes]) -> Iterator[Chunk]:
    """The file's lines, empty ones left out of a chunk's records but counted."""
    lines: list[bytes] = []
    first, size, number = 1, 0, 0
    for number, line in enumerate(file, 1):
        lines.append(line)
        size += len(line)
        if len(lines) >= CHUNK_LINES or size >= CHUNK_BYTES:
            yield Chunk(first, tuple(lines))
            lines, first, size = [], number + 1, 0
    if lines:
        yield Chunk(first, tuple(lines))


def _tried_chunk(routing: Routing, keep: bool, chunk: Chunk) -> Outcome:
    route, outcome, made = routing(), Outcome(), []
    # Names count as known: only the vendor can say otherwise. What was worked out for them is dropped with the chunk.
    context = TrialContext(EveryName(), route.settings, route.facet)
    for at, line in enumerate(chunk.lines, chunk.first):
        if not line.strip():
            continue
        outcome.read += 1
        try:
            text, losses = route.mapped(_record(route, line), context)
        except Problems as refused:
            for problem in refused.problems:
                _count(outcome.problems, (problem.code, problem.path), at, problem.sentence)
        except ValidationError as refused:
            for error in refused.errors(include_url=False, include_context=False):
                words = f"{error['msg']}. The record was not mapped. Correct it."
                path = ".".join(step for step in error["loc"] if isinstance(step, str))  # of a list, any element
                _count(outcome.problems, ("NOT-CANONICAL", path), at, words)
        except Unreadable as error:
            words = f"Of the line, {error}. It was not mapped. Export it again, one record a line."
            _count(outcome.problems, ("UNREADABLE", ""), at, words)
        except MappingDefect as error:
            _count(outcome.problems, ("MAPPING-DEFECT", ""), at, str(error))
        else:
            outcome.mapped += 1
            for loss in losses:
                _count(outcome.losses, (loss.path, loss.why), at, shown(loss.value))
            if keep:
                made.append(text + b"\n")
    outcome.made = b"".join(made)
    return outcome


def _record(route: Route, line: bytes) -> Any:
    record = route.taken(line)
    if not isinstance(record, dict | Canonical):
        raise Unreadable("the JSON is no object")
    return record


def _count(kinds: dict[Kind, Seen], kind: Kind, at: int, words: str) -> None:
    known = kinds.get(kind)
    if known is None:
        kinds[kind] = Seen(1, at, words)
    else:
        known.count += 1
