"""Every error that a rule of the sandbox names is one of the vendor's."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sandbox.gam.contract import load_contract

FOLDER = Path(__file__).parents[3] / "sandbox" / "gam"
CONTRACT = load_contract("v202608")


def named_errors() -> dict[tuple[str, str | None], str]:
    """The (type, reason) literals of all `fail(...)` and `findings.add(...)` calls, and where they stand."""
    found: dict[tuple[str, str | None], str] = {}
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            kind, reason = (arg.value if isinstance(arg, ast.Constant) else ... for arg in node.args[:2])
            if name in ("fail", "add") and isinstance(kind, str) and reason is not ... and kind.endswith("Error"):
                found[kind, reason] = f"{file.name}:{node.lineno}"
    return found


ERRORS = named_errors()


def test_there_are_errors_to_check() -> None:
    assert len(ERRORS) > 80


@pytest.mark.parametrize(("kind", "reason"), sorted(ERRORS, key=str))
def test_an_error_has_a_type_and_reason_of_the_contract(kind: str, reason: str | None) -> None:
    where = ERRORS[kind, reason]
    assert CONTRACT.is_a(kind, "ApiError"), where
    field = CONTRACT.fields(kind).get("reason")
    if reason is None:
        assert field is None, where
    else:
        assert field is not None, where
        assert reason in CONTRACT.enums[field.type], where
