"""YAML as nodes that remember their file and line, and the overlay of one file on another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mappings.errors import MappingError

Plain = dict[str, "Node"] | list["Node"] | str | int | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML value with the place where it stands. Mappings hold nodes by key, lists hold nodes."""

    value: Plain
    file: str
    line: int

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, *path: str | int) -> Node:
        """The node at a path; where the path leaves the tree, the last node on the way."""
        node = self
        for step in path:
            below = node._below(step)
            if below is None:
                break
            node = below
        return node

    def _below(self, step: str | int) -> Node | None:
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            return self.value[step]
        return None


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.errors: list[MappingError] = []
        self._scalars = yaml.constructor.SafeConstructor()

    def read(self, node: yaml.Node, path: str) -> Node:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node, path), self.file, line)
        if isinstance(node, yaml.SequenceNode):
            items = [self.read(item, f"{path}[{n}]") for n, item in enumerate(node.value)]
            return Node(items, self.file, line)
        value = self._scalars.construct_object(node)
        if value is None or isinstance(value, (str, int, bool)):
            return Node(value, self.file, line)
        self._wrong(
            line, path, f"{node.value!r} is read as a {type(value).__name__}.", f'Write "{node.value}" in quotes.'
        )
        return Node(str(node.value), self.file, line)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._scalars.construct_object(key_node)
            if not isinstance(key, str):
                raw = getattr(key_node, "value", key)
                self._wrong(
                    line, path, f"the key {raw!r} is read as {key!r}, not as text.", f'Write "{raw}": in quotes.'
                )
                key = str(raw)
            if key in entries:
                self._wrong(
                    line,
                    f"{path}.{key}".lstrip("."),
                    f"it stands twice, first in line {entries[key].line}; only one of the two would count.",
                    "Remove one of them.",
                )
                continue
            child = self.read(value_node, f"{path}.{key}".lstrip("."))
            entries[key] = Node(child.value, child.file, line)
        return entries

    def _wrong(self, line: int, path: str, wrong: str, fix: str) -> None:
        self.errors.append(MappingError(self.file, line, path or "(file)", wrong, fix))


def read_nodes(text: str, file: str) -> tuple[Node | None, list[MappingError]]:
    """The nodes of a YAML text and what is wrong with it; None when it cannot be read as a mapping at all."""
    try:
        root = _composed(text)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        said = getattr(fault, "problem", None) or str(fault).split("\n", 1)[0]
        line = mark.line + 1 if mark else 1
        return None, [MappingError(file, line, "(file)", f"it is not YAML: {said}.", "Correct the YAML at this line.")]
    if not isinstance(root, yaml.MappingNode):
        return None, [
            MappingError(
                file, 1, "(file)", "it holds no mapping.", "Begin with `mapping: <connector>.<name>@<version>`."
            )
        ]
    reader = _Reader(file)
    return reader.read(root, ""), reader.errors


def _composed(text: str) -> yaml.Node | None:
    """The tree of a YAML text. libyaml reads it in a tenth of the time, PyYAML's own parser says better what is wrong: it has
    the last word on whatever libyaml refuses. Raises yaml.YAMLError.
    """
    if yaml.__with_libyaml__:
        try:
            return yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError:
            pass
    return yaml.compose(text, Loader=yaml.SafeLoader)


def read_file(path: Path) -> tuple[Node | None, list[MappingError]]:
    """The nodes of a YAML file in UTF-8; a file that is not is an error at the line of the first wrong byte."""
    file = str(path)
    try:
        data = path.read_bytes()
    except OSError as fault:
        return None, [
            MappingError(file, 1, "(file)", f"it cannot be read: {fault.strerror}.", "Check the path and its rights.")
        ]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        wrong = f"byte {fault.start} is not UTF-8."
        return None, [MappingError(file, line, "(file)", wrong, "Save the file as UTF-8.")]
    return read_nodes(text, file)


def overlaid(base: Node, over: Node) -> Node:
    """`base` with the differences of `over`: mappings merge key by key, `null` takes a key away, the rest replaces."""
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    merged = dict(base.value)
    for key, node in over.value.items():
        if node.value is None:
            merged.pop(key, None)
        elif key in merged:
            merged[key] = overlaid(merged[key], node)
        else:
            merged[key] = node
    return Node(merged, over.file if not base.value else base.file, base.line)
