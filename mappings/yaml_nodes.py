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


_COLLECTIONS = frozenset(("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"))
_MERGE = "tag:yaml.org,2002:merge"
_WORD = 2**63
_MOST_VALUES = 100_000
"""Values in one file, each counted as often as an alias repeats it; the largest one that is shipped has 250."""


class _TooMuch(Exception):  # noqa: N818 - it ends the reading of one file
    """The file holds more values than any mapping has, written out or repeated by aliases."""


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.errors: list[MappingError] = []
        self._scalars = yaml.constructor.SafeConstructor()
        self._inside: list[yaml.Node] = []
        self._count = 0

    def read(self, node: yaml.Node, path: str) -> Node:
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > _MOST_VALUES:
            raise _TooMuch
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node, path), self.file, line)
        if any(node is each for each in self._inside):
            self._wrong(line, path, "it holds itself, by an alias.", "Write out what is meant in place of the alias.")
            return Node(None, self.file, line)
        if node.tag not in _COLLECTIONS:
            self._wrong(line, path, f"the tag {node.tag} means nothing here.", "Remove the tag.")
        self._inside.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return Node(self._mapping(node, path), self.file, line)
            items = [self.read(item, f"{path}[{n}]") for n, item in enumerate(node.value)]
            return Node(items, self.file, line)
        finally:
            self._inside.pop()

    def _scalar(self, node: yaml.ScalarNode, path: str) -> str | int | bool | None:
        line = node.start_mark.line + 1
        quoted = f'Write "{node.value}" in quotes.'
        try:
            value = self._scalars.construct_object(node)
        except (
            yaml.YAMLError,
            ValueError,
            LookupError,
        ):  # PyYAML's own constructors raise all of these for wrong literals
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            self._wrong(line, path, f"{node.value!r} is no {kind} that YAML can read.", quoted)
            return str(node.value)
        if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            self._wrong(line, path, f"{value!r} holds half of a character.", "Write the whole character.")
            return ""
        if isinstance(value, int) and not -_WORD <= value < _WORD:
            self._wrong(line, path, f"{node.value} is a larger number than any here can be.", "Write a smaller one.")
            return 0
        if value is None or isinstance(value, (str, int, bool)):
            return value
        self._wrong(line, path, f"{node.value!r} is read as a {type(value).__name__}.", quoted)
        return str(node.value)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node, path)
            if key is None:
                continue
            below = f"{path}.{key}".lstrip(".")
            if key in entries:
                self._wrong(
                    line,
                    below,
                    f"it stands twice, first in line {entries[key].line}; only one of the two would count.",
                    "Remove one of them.",
                )
                continue
            child = self.read(value_node, below)
            entries[key] = Node(child.value, child.file, line)
        return entries

    def _key(self, node: yaml.Node, path: str) -> str | None:
        """The text of a key; None where it cannot be one."""
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode):
            self._wrong(line, path, "a key is a list or a table.", "Write one word as the key.")
            return None
        if node.tag == _MERGE:
            self._wrong(line, path, "merge keys (<<) are not read.", "Write out the keys that it would bring.")
            return None
        found = len(self.errors)
        key = self._scalar(node, path)
        if isinstance(key, str):
            return key if key or len(self.errors) == found else None
        self._wrong(
            line, path, f"the key {node.value!r} is read as {key!r}, not as text.", f'Write "{node.value}": in quotes.'
        )
        return str(node.value)

    def _wrong(self, line: int, path: str, wrong: str, fix: str) -> None:
        self.errors.append(MappingError(self.file, line, path or "(file)", wrong, fix))


def read_nodes(text: str, file: str) -> tuple[Node | None, list[MappingError]]:
    """The nodes of a YAML text and what is wrong with it; None when it cannot be read as a mapping at all."""
    try:
        root = _composed(text)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        said = getattr(fault, "problem", None) or str(fault).split("\n", 1)[0]
        if isinstance(
            fault, yaml.reader.ReaderError
        ):  # a character that YAML forbids; it knows its place in the text only
            line = text.count("\n", 0, fault.position) + 1
        else:
            line = mark.line + 1 if mark else 1
        return None, [MappingError(file, line, "(file)", f"it is not YAML: {said}.", "Correct the YAML at this line.")]
    except RecursionError:
        return None, [_beyond(file, "nested deeper than a mapping ever is")]
    if not isinstance(root, yaml.MappingNode):
        return None, [
            MappingError(
                file, 1, "(file)", "it holds no mapping.", "Begin with `mapping: <connector>.<name>@<version>`."
            )
        ]
    reader = _Reader(file)
    try:
        return reader.read(root, ""), reader.errors
    except RecursionError:
        return None, [*reader.errors, _beyond(file, "nested deeper than a mapping ever is")]
    except _TooMuch:
        return None, [*reader.errors, _beyond(file, f"more than {_MOST_VALUES:,} values, aliases written out")]


def _beyond(file: str, what: str) -> MappingError:
    return MappingError(file, 1, "(file)", f"it is {what}.", "Compare it with a mapping that is shipped.")


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
