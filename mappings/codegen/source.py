"""The text of a generated function while it grows, and the objects that the text names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.memory import remembered
from mappings.plan import cut
from mappings.registry import Refused
from oms_schema.ids import EntityKind, canonical_id, ids_of


class Stopped(Refused):
    """The fast path met something that only the reference can explain."""

    def __init__(self) -> None:
        super().__init__("stopped", "the fast path stopped")


_STOPPED = Stopped()
Reader = Callable[[Mapping[str, Any], str], dict[str, Any]]
"""`(native, connection) -> nested dictionaries`, what a generated function of the way in is."""
_id_of = remembered(8192)(canonical_id)
"""Canonical ids of the entities that records point to: the lines of an order all name the same one. Nothing points to a
line, so the own ids of lines are not kept."""
_own_id = ids_of(EntityKind.LINE)


@dataclass
class Source:
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
