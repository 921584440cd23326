"""Golden pairs: real-looking vendor records, the canonical entity and the payload that leaves, each read by a person once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mappings.mapping import Mapping as CompiledMapping

CASES = sorted((Path(__file__).parent / "golden").glob("*.json"))


def test_there_are_golden_pairs() -> None:
    assert len(CASES) >= 4


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_a_golden_pair_holds(path: Path, shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    decimals = {"CPM__c", "Goal_Impressions__c", "TotalPrice"}
    native = {k: Decimal(v) if k in decimals and v is not None else v for k, v in case["native"].items()}
    entity = shipped[case["reads"]].to_canonical(native, "sfdc")
    assert entity.model_dump(mode="json", exclude_defaults=True) == case["canonical"]
    assert shipped[case["writes"]].to_vendor(entity, context(**case["context"])) == case["payload"]
    assert not set(case["payload"]) - set(shipped[case["writes"]].native_fields) - {"costPerUnit", "primaryGoal"}
