"""Which mapping serves which entity of a connection: its own path, installed packages, then `mappings/<connector>/`.

Beside the mappings stand overlays that an account may ask for by name: `mappings/<connector>/overlays/<name>/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

import yaml

from connectors.base import Capabilities, RecordSchema
from hub.errors import ConfigurationError
from mappings.actions import Actions, load_actions
from mappings.compiler import load_mapping
from mappings.mapping import Mapping

GROUP = "orderhub.mappings"
_NAME = re.compile(r"^(?P<entity>[a-z_]+)\.v(?P<version>\d+)\.ya?ml$")


def _newest(folder: Path) -> dict[str, Path]:
    """By entity, the file of the highest version in a folder."""
    best: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _NAME.match(path.name)
        if match is not None:
            candidate = (int(match["version"]), path)
            best[match["entity"]] = max(best.get(match["entity"], candidate), candidate)
    return {entity: path for entity, (_, path) in best.items() if entity != "actions"}


def _is_overlay(path: Path) -> bool:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    return isinstance(loaded, dict) and "base" in loaded


def mapping_paths(
    connector: str, own: Path | None, overlays: Sequence[str] = ()
) -> dict[str, tuple[Path, tuple[Path, ...]]]:
    """By entity: the mapping file and the overlays on it, those asked for by name first. Raises ConfigurationError."""
    chosen: dict[str, tuple[Path, tuple[Path, ...]]] = {}
    shipped = Path(str(files("mappings").joinpath(connector)))
    folders = [shipped]
    folders += [Path(str(files(point.module))) / connector for point in entry_points(group=GROUP)]
    for folder in folders:
        chosen.update({entity: (path, ()) for entity, path in _newest(folder).items()})
    asked = _asked_for(connector, folders, overlays)
    chosen.update({entity: (chosen[entity][0], paths) for entity, paths in asked.items() if entity in chosen})
    if own is None:
        return chosen
    if not own.exists():
        raise ConfigurationError(
            f"The mapping path {own} does not exist. The connection is not used. Correct `mapping:` in the configuration."
        )
    for entity, path in (_newest(own) if own.is_dir() else {"": own}).items():
        if _is_overlay(path):
            name = (
                entity or str(yaml.safe_load(path.read_text(encoding="utf-8"))["base"]).partition("@")[0].split(".")[-1]
            )
            if name not in chosen:
                raise ConfigurationError(
                    f"The overlay {path} changes mapping {name!r}, which {connector} does not have. The connection is not used. "
                    "Correct its `base:`."
                )
            chosen[name] = (chosen[name][0], (*chosen[name][1], path))
        else:
            name = entity or path.name.split(".")[0]
            chosen[name] = (path, asked.get(name, ()))
    return chosen


def _asked_for(connector: str, folders: Sequence[Path], overlays: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    found: dict[str, tuple[Path, ...]] = {}
    offered = sorted({each.name for folder in folders for each in (folder / "overlays").glob("*") if each.is_dir()})
    for name in dict.fromkeys(overlays):
        if name not in offered:
            raise ConfigurationError(
                f"{connector} has no overlay {name!r}. The connection is not used. Correct `overlays:` in the configuration; "
                f"there is {', '.join(offered) or 'none'}."
            )
        for folder in folders:
            for entity, path in _newest(folder / "overlays" / name).items():
                found[entity] = (*found.get(entity, ()), path)
    return found


def load_mappings(
    connector: str, schemas: MappingType[str, RecordSchema], own: Path | None, named: Sequence[str] = ()
) -> dict[tuple[str, str], Mapping]:
    """By (entity, `in` or `out`): the compiled mapping. Raises ConfigurationError or mappings.errors.MappingErrors."""
    loaded: dict[tuple[str, str], Mapping] = {}
    for entity, (path, overlays) in sorted(mapping_paths(connector, own, named).items()):
        record = str(yaml.safe_load(path.read_text(encoding="utf-8")).get("record", ""))
        if record not in schemas:
            raise ConfigurationError(
                f"The mapping {path} is for record {record!r}, which {connector} does not have. The connection is not used. "
                f"Choose one of {', '.join(sorted(schemas))}."
            )
        mapping = load_mapping(path, schemas[record], overlays)
        for direction in ("in", "out"):
            if mapping.direction in {direction, "both"}:
                loaded[entity, direction] = mapping
    return loaded


def load_action_table(
    connector: str, mappings: MappingType[tuple[str, str], Mapping], capabilities: Capabilities, own: Path | None
) -> Actions:
    """The verbs of a connection by canonical status; none when nobody wrote a table. Raises ConfigurationError."""
    shipped = Path(str(files("mappings").joinpath(connector)))
    found = [
        path
        for folder in (shipped, own if own is not None and own.is_dir() else None)
        if folder is not None and folder.is_dir()
        for path in sorted(folder.glob("actions.v*.yaml"))
    ]
    if not found:
        return Actions()
    verbs = {
        kind: capabilities.records[mapping.record].actions
        for kind in ("order", "line")
        if (mapping := mappings.get((kind, "out"))) is not None and mapping.record in capabilities.records
    }
    try:
        return load_actions(found[-1], verbs)
    except ValueError as error:
        raise ConfigurationError(f"{error} The connection is not used.") from error
