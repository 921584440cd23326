"""What `oms_schema` shows is what it has, and importing it touches nothing outside."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import oms_schema

MODULES = {module.name.rpartition(".")[2] for module in pkgutil.walk_packages(oms_schema.__path__, "oms_schema.")}
SOURCES = sorted(Path(oms_schema.__path__[0]).rglob("*.py"))


def test_all_names_what_can_be_imported() -> None:
    """What type checkers see, what is imported when asked for, and `__all__` are one list."""
    tree = ast.parse(Path(oms_schema.__file__ or "").read_text(encoding="utf-8"))
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert set(oms_schema.__all__) == set(seen)
    assert len(set(oms_schema.__all__)) == len(oms_schema.__all__)
    for name, module in seen.items():
        assert getattr(oms_schema, name) is getattr(importlib.import_module(str(module)), name)


def test_a_name_that_is_not_public_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Invoice'"):
        oms_schema.Invoice  # noqa: B018


def test_a_process_pays_only_for_the_names_it_asks_for() -> None:
    script = (
        "import sys\n"
        "from oms_schema import canonical_id\n"
        "assert not {'pydantic', 'oms_schema.document', 'oms_schema.machines'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_public_name_hides_a_module() -> None:
    assert not set(oms_schema.__all__) & MODULES


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_package_is_pure(source: Path) -> None:
    """No clock, no randomness, no files, no network; only export.py writes, and nothing imports it."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    allowed = {"pathlib", "sys"} if source.name == "export.py" else set()
    outside = {
        "os",
        "io",
        "sys",
        "time",
        "random",
        "secrets",
        "uuid",
        "socket",
        "pathlib",
        "subprocess",
        "logging",
        "requests",
    }
    assert not imported & outside - allowed
    assert not called & {"open", "print", "input"}
    assert not asked & {"now", "utcnow", "today"} - ({"now"} if "machines" in source.parts else set())
    full = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "oms_schema.export" not in full


def test_importing_the_package_reads_no_time_zones_and_no_sources() -> None:
    script = (
        "import sys, zoneinfo; zoneinfo.available_timezones = zoneinfo.ZoneInfo = None\n"
        "import oms_schema\n"
        "assert 'oms_schema.export' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
