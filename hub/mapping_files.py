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
from typing import Any

import yaml

from connectors.base import Capabilities, RecordSchema
from hub.errors import ConfigurationError
from mappings.actions import Actions, load_actions
from mappings.compiler import load_mapping
from mappings.mapping import Mapping

GROUP = "orderhub.mappings"
_NAME = re.compile(r"^(?P<entity>[a-z_]+)\.v(?P<version>\d+)\.ya?ml$")


def installed_folders(connector: str) -> list[Path]:
    """Where the mappings of a connector may lie, the shipped ones first; what comes later goes before what comes earlier."""
    packages = (Path(str(files(point.module))) / connector for point in entry_points(group=GROUP))
    return [Path(str(files("mappings").joinpath(connector))), *packages]


def _newest(folder: Path) -> dict[str, Path]:
    """By entity, the mapping of the highest version in a folder."""
    return {entity: path for entity, path in _versions(folder).items() if entity != "actions"}


def _versions(folder: Path) -> dict[str, Path]:
    """By the word before the version, the file of the highest version in a folder."""
    best: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _NAME.match(path.name)
        if match is not None:
            candidate = (int(match["version"]), path)
            best[match["entity"]] = max(best.get(match["entity"], candidate), candidate)
    return {entity: path for entity, (_, path) in best.items()}


def _head(path: Path) -> MappingType[str, Any]:
    """What a file says of itself; the compiler reads the rest and says what is wrong in it. Raises ConfigurationError."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"The mapping {path} cannot be read ({' '.join(str(error).split())}). The connection is not used. "
            "Whoever edited it last corrects it; `orderhub map try` reads it without a connection."
        ) from error
    if not isinstance(loaded, dict):
        raise ConfigurationError(
            f"The mapping {path} holds no mapping. The connection is not used. Whoever edited it last fills it in."
        )
    return loaded


def mapping_paths(
    connector: str, own: Path | None, overlays: Sequence[str] = ()
) -> dict[str, tuple[Path, tuple[Path, ...]]]:
    """By entity: the mapping file and the overlays on it, those asked for by name first. Raises ConfigurationError."""
    chosen: dict[str, tuple[Path, tuple[Path, ...]]] = {}
    folders = installed_folders(connector)
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
        if "base" in (head := _head(path)):
            name = entity or str(head["base"]).partition("@")[0].split(".")[-1]
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
        record = str(_head(path).get("record", ""))
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
    """The verbs of a connection by canonical status; none when nobody wrote a table. Raises ConfigurationError.

    The table lies beside the mappings and is looked for where they are.
    """
    folders = installed_folders(connector) + ([own] if own is not None else [])
    found = [path for folder in folders if (path := _versions(folder).get("actions")) is not None]
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
