"""The page of the reference names every code, flag and term that the rules have, and no other code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import hub.billing.rules.refusals as refusals
from hub.billing.rules import CURRENT, Flag
from oms_schema.billing_terms import BillingSchedule, BillingSource, BillingTerms, CapMode

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "billing-rules.md").read_text()


def codes() -> set[str]:
    calls = [node for node in ast.walk(ast.parse(Path(refusals.__file__).read_text())) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "_refusal"]
    return {call.args[0].value for call in named if isinstance(call.args[0], ast.Constant)}  # type: ignore[misc]


def test_the_page_lists_each_reason_and_no_other() -> None:
    assert codes() == set(re.findall(r"`([A-Z]+-[A-Z-]+|VARIANCE|CANCELLED)`", PAGE))


def test_the_page_names_each_flag_term_and_the_rule_set() -> None:
    words = {*Flag, *BillingSchedule, *BillingSource, *CapMode, *BillingTerms.model_fields} - {"effective_from"}
    assert {word for word in words if f"`{word}`" not in PAGE} == set()
    assert f"`{CURRENT.version}`" in PAGE
