"""What `oms_schema` shows is what it has, and importing it touches nothing outside."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import oms_schema

MODULES = {module.name.rpartition(".")[2] for module in pkgutil.walk_packages(oms_schema.__path__, "oms_schema.")}
SOURCES = sorted(Path(oms_schema.__path__[0]).rglob("*.py"))


def test_all_names_what_can_be_imported() -> None:
    importable = {
        name
        for name, value in vars(oms_schema).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(oms_schema.__all__) == importable
    assert len(set(oms_schema.__all__)) == len(oms_schema.__all__)


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
