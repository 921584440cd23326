"""The rules import the schema and the standard library's values only, read no clock, and round in one place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import hub.billing.rules as rules

MODULES = sorted(Path(rules.__file__).parent.glob("*.py"))
# Values and types; nothing here can reach a file, a socket, a clock or a random number.
PURE = {
    "__future__",
    "collections",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "itertools",
    "types",
    "typing",
}
CLOCKS = {"now", "today", "utcnow", "fromtimestamp"}
ROUNDING = {"round", "half_up", "quantize", "share_rounded", "rounded", "gross_of", "net_of", "ROUND_HALF_UP"}


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def foreign(source: str) -> set[str]:
    allowed = ("oms_schema", "hub.billing.rules", "pydantic")
    return {
        name
        for name in imported(ast.parse(source))
        if name.split(".")[0] not in PURE and not any(name == a or name.startswith(f"{a}.") for a in allowed)
    }


def called(source: str) -> set[str]:
    functions = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {
        f.attr if isinstance(f, ast.Attribute) else f.id for f in functions if isinstance(f, ast.Attribute | ast.Name)
    }


def floats(source: str) -> list[object]:
    """Float literals, and true divisions, which make floats of integers."""
    nodes = list(ast.walk(ast.parse(source)))
    constants = (node.value for node in nodes if isinstance(node, ast.Constant))
    return [
        *(value for value in constants if isinstance(value, float)),
        *("/" for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)),
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_of_the_rules_reaches_nothing_outside(path: Path) -> None:
    source = path.read_text()
    assert foreign(source) == set()
    assert called(source) & {*CLOCKS, "open", "print", "input"} == set()
    assert floats(source) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_rounding_happens_in_one_module(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found = names & ROUNDING
    assert found == set() if path.stem != "rounding" else "share_rounded" in found


def test_the_checks_above_catch_what_they_look_for() -> None:
    assert foreign("import os\nfrom hub.store import facts\nfrom hub.billing import export") == {
        "os",
        "hub.store",
        "hub.billing",
    }
    assert "today" in called("from datetime import date\ndate.today()")
    assert floats("rate = 0.15; cents = micros / 10_000") == [0.15, "/"]
