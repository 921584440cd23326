"""`orderhub map try FILE`: compiles a mapping file without touching any connection, and tries it on a record or an export.

An overlay (a file with `base:`) is laid over the mapping it names. A record of the way in is the vendor's, one of the way
out is canonical; both are JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as MappingType
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import yaml
from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.text import Text

from cli.desk import Desk, JsonOption, json_line, new_desk
from cli.exit_codes import ExitCode
from cli.mapping_export import Kind, Outcome, Route, Routing, Seen
from cli.mapping_export import tried as tried_export
from cli.whole_words import WholeWords
from connectors.base import RecordSchema
from connectors.discovery import load as load_connector
from connectors.errors import Misconfigured
from hub.encoding import decode, encode
from hub.mapping_files import installed_folders
from mappings.compiler import load_mapping
from mappings.context import Names
from mappings.errors import MappingError, MappingErrors
from mappings.mapping import Mapping
from mappings.processes import WorkerLost, processors
from mappings.spec import Direction
from mappings.trial import CONNECTION, TrialContext
from oms_schema.problems import Problem, Problems


class TrialError(Exception):
    """The file, or what was given with it, cannot be tried; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a record became, or everything that is wrong with it, and what the vendor cannot hold."""

    became: MappingType[str, Any] | None
    problems: tuple[Problem, ...] = ()
    losses: tuple[tuple[str, str, str], ...] = ()


def try_mapping(
    file: Annotated[Path, typer.Argument(help="A mapping file, or an overlay on a shipped one")],
    record: Annotated[Path | None, typer.Option("--record", metavar="JSON", help="A record to map, as a file")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A mapping setting it asks for")
    ] = None,
    facet: Annotated[str, typer.Option(help="Which vendor object of the entity, for instance `advertiser`")] = "",
    records: Annotated[
        Path | None, typer.Option("--records", metavar="JSONL", help="An export to map whole, one record a line")
    ] = None,
    then: Annotated[
        Path | None,
        typer.Option("--then", metavar="FILE", help="With --records: a mapping out that goes on from there"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="JSONL", help="With --records: where to write what was made")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="With --records: processes [default: one a processor]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compile a mapping file: every error with its line and fix, or the fields it carries; nothing is sent anywhere."""
    if records is None and (then or output or jobs):
        raise typer.BadParameter("--then, --output and --jobs belong to --records")
    desk = new_desk(as_json)
    try:
        mapping = compiled(file)
        settings = _pairs(setting or [])
        tried = None if record is None else tried_on(mapping, _json(record), TrialContext(Names({}), settings, facet))
        routing = partial(route_of, file, then, tuple(settings.items()), facet)
        export = None if records is None else _tried_export(records, routing, jobs or processors(), output)
    except MappingErrors as errors:
        data = {"file": str(file), "usable": False, "errors": [_error(error) for error in errors.errors]}
        desk.answer(data, _errors_table(errors.errors))
        raise typer.Exit(ExitCode.ATTENTION) from None
    except (TrialError, Misconfigured) as error:
        sentence = error.message if isinstance(error, Misconfigured) else str(error)
        raise desk.fail(ExitCode.UNUSABLE, sentence) from error
    _answer(desk, file, mapping, tried, export)
    if (tried is not None and tried.problems) or (export is not None and export.refused):
        raise typer.Exit(ExitCode.ATTENTION)


def compiled(file: Path) -> Mapping:
    """The mapping of a file, or of the shipped one it is an overlay on. Raises TrialError, Misconfigured, MappingErrors."""
    head = _head(file)
    overlay = "base" in head
    name = str(head["base"] if overlay else head.get("mapping", ""))
    connector, _, rest = name.partition(".")
    entity, _, version = rest.partition("@")
    if not connector or not entity or not version.isdigit():
        key = "base" if overlay else "mapping"
        raise TrialError(
            f"{file} does not say which mapping it is. It was not compiled. Begin it with `{key}: gam.line@1` "
            "(connector, entity, version)."
        )
    wanted = [folder / f"{entity}.v{version}.yaml" for folder in installed_folders(connector)] if overlay else [file]
    base = next((path for path in reversed(wanted) if path.exists()), None)
    if base is None:
        raise TrialError(
            f"{file} is an overlay on {name}, which is not installed. It was not compiled. Correct its `base:`."
        )
    schemas = load_connector(connector).record_schemas()
    return load_mapping(base, _schema(schemas, file, base), [file] if overlay else [])


@cache
def route_of(file: Path, then: Path | None, settings: tuple[tuple[str, str], ...], facet: str) -> Route:
    """The way of an export's records, compiled once in each process. Raises as `compiled`, and TrialError."""
    first, second = compiled(file), None if then is None else compiled(then)
    if second is not None:
        if first.direction is Direction.OUT or second.direction is Direction.IN:
            raise TrialError(f"{then} cannot go on from {file}. Nothing was mapped. Name a mapping in, --then one out.")
        if first.entity != second.entity:
            raise TrialError(
                f"{file} makes {first.entity}, {then} takes {second.entity}. Nothing was mapped. Name two of one entity."
            )
    return Route(first, second, dict(settings), facet)


def _tried_export(export: Path, routing: Routing, processes: int, output: Path | None) -> Outcome:
    """Raises as `route_of`, and TrialError."""
    routing()  # before other processes begin, which have what was compiled
    try:
        with nullcontext() if output is None else output.open("wb") as out:
            return tried_export(export, routing, processes, out)
    except OSError as error:
        raise TrialError(
            f"{error.filename or output or export} cannot be read or written ({error.strerror or error}). The export was not "
            "mapped to its end. Correct the name or make room."
        ) from error
    except WorkerLost as error:
        raise TrialError(
            "A process that mapped was ended from outside. The export was not mapped to its end. Give it more memory, or "
            "fewer --jobs."
        ) from error


def tried_on(mapping: Mapping, record: Any, context: TrialContext) -> Tried:
    """Map one record in the mapping's direction; of a two-way mapping, in. Raises TrialError."""
    if not isinstance(record, dict):
        raise TrialError("The record is no JSON object. It was not mapped. Give one record of the mapping's kind.")
    try:
        if mapping.direction in {"in", "both"}:
            return Tried(mapping.to_canonical(record, CONNECTION).model_dump(mode="json", exclude_none=True))
        entity = mapping.plan.entity.model_validate_json(encode(record))
        losses = tuple((loss.path, loss.value, loss.why) for loss in mapping.losses(entity, context))
        return Tried(mapping.to_vendor(entity, context), losses=losses)
    except Problems as problems:
        return Tried(None, problems.problems)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)
        )
        raise TrialError(
            f"The record is no canonical {mapping.entity} ({wrong}). It was not mapped. Correct it."
        ) from error


def _head(file: Path) -> MappingType[str, Any]:
    try:
        head = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        detail = " ".join(str(error).split())
        raise TrialError(f"{file} cannot be read ({detail}). It was not compiled. Correct or name the file.") from error
    if not isinstance(head, dict):
        raise TrialError(f"{file} holds no mapping. It was not compiled. See docs/reference for the format.")
    return head


def _schema(schemas: MappingType[str, RecordSchema], file: Path, base: Path) -> RecordSchema:
    record = str(_head(base).get("record", ""))
    if record not in schemas:
        known = ", ".join(sorted(schemas))
        raise TrialError(f"{file} maps record {record!r}, which the vendor does not have. Choose one of {known}.")
    return schemas[record]


def _json(path: Path) -> Any:
    try:
        return decode(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TrialError(f"The record {path} cannot be read ({error}). It was not mapped. Give a JSON file.") from error


def _pairs(texts: list[str]) -> dict[str, str]:
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise TrialError(f"--setting {wrong[0]} has no value. Nothing was mapped. Write --setting name=value.")
    return dict(text.split("=", 1) for text in texts)


# ---------------------------------------------------------------- what a person sees
def _answer(desk: Desk, file: Path, mapping: Mapping, tried: Tried | None, export: Outcome | None) -> None:
    data: dict[str, Any] = {
        "file": str(file),
        "usable": True,
        "mapping": f"{mapping.name}@{mapping.version}",
        "direction": str(mapping.direction),
        "content_hash": mapping.content_hash,
        "native_fields": list(mapping.native_fields),
        "lossy": dict(mapping.lossy_fields),
    }
    parts: list[RenderableType] = [_fields_table(mapping)]
    if tried is not None:
        problems = [{"path": each.path, "code": each.code, "sentence": each.sentence} for each in tried.problems]
        data |= {"became": tried.became, "problems": problems, "losses": [list(loss) for loss in tried.losses]}
        parts.append(_tried_text(tried))
    if export is not None:
        data["records"] = {
            "read": export.read,
            "mapped": export.mapped,
            "refused": export.refused,
            "problems": [
                {"code": code, "path": path, "count": seen.count, "first_line": seen.line, "sentence": seen.shown}
                for (code, path), seen in _by_count(export.problems)
            ],
            "losses": [
                {"path": path, "why": why, "count": seen.count, "first_line": seen.line, "value": seen.shown}
                for (path, why), seen in _by_count(export.losses)
            ],
        }
        parts += _export_tables(export)
    desk.answer(data, Group(*parts))


def _fields_table(mapping: Mapping) -> RenderableType:
    title = f"{mapping.name}@{mapping.version} · {mapping.record} ⇄ {mapping.entity} · {mapping.direction}"
    table = WholeWords("Canonical", "Vendor", "Owner", "Remark", title=title)
    for move in mapping.plan.reads:
        source = ", ".join(move.paths) or f"always {move.const!r}"
        table.add_row(
            Text(move.target.path), Text(source), str(move.owner), Text(move.lossy or move.derived or move.why)
        )
    for write in mapping.plan.writes:
        origin = ", ".join(each.path for each in write.sources) or _origin(write.setting, write.context, write.const)
        table.add_row(Text(origin), Text(write.target), str(write.owner), Text(write.why))
    for path, why in mapping.spec.omits.items():
        table.add_row(Text(path), "left out", "", Text(why))
    return table


def _origin(setting: str | None, context: str | None, const: object) -> str:
    if setting is not None:
        return f"setting {setting}"
    return f"context {context}" if context is not None else f"always {const!r}"


def _tried_text(tried: Tried) -> RenderableType:
    parts: list[RenderableType] = []
    if tried.became is not None:
        text = orjson.dumps(orjson.loads(json_line(tried.became)), option=orjson.OPT_INDENT_2).decode()
        parts.append(Text(text))
    parts += [Text(f"{problem.path}: {problem.sentence}", "red") for problem in tried.problems]
    parts += [Text(f"{path} {value!r}: {why}", "yellow") for path, value, why in tried.losses]
    return Group(*parts)


def _by_count(kinds: MappingType[Kind, Seen]) -> list[tuple[Kind, Seen]]:
    """What is seen most comes first."""
    return sorted(kinds.items(), key=lambda item: -item[1].count)


def _export_tables(export: Outcome) -> Iterator[RenderableType]:
    yield Text(f"{export.read:,} records: {export.mapped:,} mapped, {export.refused:,} refused.")
    if export.problems:
        table = WholeWords("Times", "First line", "Field", "What is wrong", right=("Times", "First line"))
        for (code, path), seen in _by_count(export.problems):
            table.add_row(f"{seen.count:,}", f"{seen.line:,}", Text(path or code), Text(seen.shown, "red"))
        yield table
    if export.losses:
        table = WholeWords("Times", "First line", "Field", "What the vendor cannot hold", right=("Times", "First line"))
        for (path, why), seen in _by_count(export.losses):
            table.add_row(f"{seen.count:,}", f"{seen.line:,}", Text(path), Text(f"{seen.shown!r}: {why}", "yellow"))
        yield table
        yield Text("Names of places, keys and segments count as known here; a plan asks the vendor.")


def _error(error: MappingError) -> dict[str, Any]:
    return {"file": error.file, "line": error.line, "field": error.field, "wrong": error.wrong, "fix": error.fix}


def _errors_table(errors: tuple[MappingError, ...]) -> RenderableType:
    table = WholeWords("Line", "Field", "What is wrong", "Fix")
    for error in errors:
        place = f"{Path(error.file).name}:{error.line}"
        table.add_row(place, Text(error.field), Text(error.wrong, "red"), Text(error.fix))
    return table
