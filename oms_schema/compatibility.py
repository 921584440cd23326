"""Whether a new version of a JSON Schema still accepts everything the old one accepted: a contract may grow, not shrink.

Understands the keywords that our own schemas use; a keyword it does not know and that changed is reported, never ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

Schema = Mapping[str, Any]

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_EXACT = ("pattern", "format", "uniqueItems", "prefixItems", "multipleOf")
# Words for readers; they accept and refuse nothing.
_SAID = frozenset(
    ("title", "description", "default", "examples", "$schema", "$id", "$defs", "$comment", "discriminator")
)
_ASKED = ("type", "enum", "const", "properties", "required", "additionalProperties", "items", "anyOf", "oneOf", "allOf")
_KNOWN = frozenset((*_LOWER, *_UPPER, *_EXACT, *_SAID, *_ASKED, "$ref"))


def incompatibilities(old: Schema, new: Schema) -> tuple[str, ...]:
    """One sentence for each thing that the old schema accepted and the new one refuses; empty when there is none."""
    return tuple(_Comparison(old, new).compare("", old, new))


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old_root = old
        self._new_root = new
        self._open: set[tuple[str, str]] = set()

    def compare(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if pair in self._open:
            return
        if any(pair):
            self._open.add(pair)
        old, new = _resolve(old, self._old_root), _resolve(new, self._new_root)
        old_ways, new_ways = _ways(old), _ways(new)
        if len(old_ways) == 1 and len(new_ways) == 1:
            yield from self._compare_plain(path, old_ways[0], new_ways[0])
        else:
            yield from self._compare_ways(path, old_ways, new_ways)
        self._open.discard(pair)

    def _compare_ways(self, path: str, old_ways: list[Schema], new_ways: list[Schema]) -> Iterator[str]:
        for old in old_ways:
            tries = [tuple(self.compare(path, old, new)) for new in new_ways]
            if all(tries):
                nearest = min(tries, key=len)
                yield f"{_at(path)} no longer accepts {_shown(old)} ({'; '.join(nearest)})"

    def _compare_plain(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        yield from _types(path, old, new)
        yield from _values(path, old, new)
        yield from _limits(path, old, new)
        for name in sorted((old.keys() | new.keys()) - _KNOWN):
            if old.get(name) != new.get(name):
                yield f"{_at(path)} changes {name}, which this check does not understand"
        yield from self._fields(path, old, new)
        if isinstance(new.get("items"), Mapping):
            yield from self.compare(f"{path}[]", old.get("items", {}), new["items"])

    def _fields(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{_at(path, name)} is now required"
        closed = new.get("additionalProperties") is False
        if (
            closed
            and old.get("additionalProperties") is not False
            and ("properties" in old or old.get("type") == "object")
        ):
            yield f"{_at(path)} no longer accepts further fields"
        for name in sorted(before):
            below = f"{path}.{name}" if path else name
            if name in after:
                yield from self.compare(below, before[name], after[name])
            elif closed:
                yield f"{below} is gone"


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **{name: value for name, value in schema.items() if name != "$ref"}}
    return schema


def _ways(schema: Schema) -> list[Schema]:
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return list(schema[word])
    if len(schema.get("allOf", ())) == 1:
        return [schema["allOf"][0]]
    return [schema]


def _types(path: str, old: Schema, new: Schema) -> Iterator[str]:
    after = _type_set(new)
    if after is None:
        return
    before = _type_set(old)
    if before is None:
        yield f"{_at(path)} accepted any type and now only {_list(after)}"
        return
    lost = {t for t in before if t not in after and not (t == "integer" and "number" in after)}
    if lost:
        yield f"{_at(path)} was {_list(before)} and is now {_list(after)}"


def _type_set(schema: Schema) -> set[str] | None:
    if "type" not in schema:
        return None
    types = schema["type"]
    return {types} if isinstance(types, str) else set(types)


def _values(path: str, old: Schema, new: Schema) -> Iterator[str]:
    after = _closed_values(new)
    if after is None:
        return
    before = _closed_values(old)
    if before is None:
        yield f"{_at(path)} accepted any value and now only {_list(after)}"
    elif before - after:
        yield f"{_at(path)} no longer accepts {_list(before - after)}"


def _closed_values(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {_word(schema["const"])}
    return {_word(value) for value in schema["enum"]} if "enum" in schema else None


def _limits(path: str, old: Schema, new: Schema) -> Iterator[str]:
    for name in _LOWER + _UPPER:
        if name not in new:
            continue
        tighter = name not in old or (new[name] > old[name] if name in _LOWER else new[name] < old[name])
        if tighter:
            yield f"{_at(path)} has {name} {new[name]}, before {old.get(name, 'none')}"
    for name in _EXACT:
        if name in new and old.get(name) != new[name]:
            yield f"{_at(path)} has {name} {new[name]}, before {old.get(name, 'none')}"


def _at(path: str, name: str = "") -> str:
    return ".".join(part for part in (path, name) if part) or "the whole"


def _word(value: Any) -> str:
    return orjson.dumps(value).decode()


def _list(words: set[str]) -> str:
    return ", ".join(sorted(words))


def _shown(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2] or str(schema.get("type") or _word(dict(schema)))
