"""What an update sends: the present object with our fields written over it, less what only fitted the fields that we change.

The vendor's update takes the full object, so its own defaults travel back with it. Two of them follow from another field of a
line item [S]: `priority` has a range for each type, and `valueCostPerUnit` must have the currency of `costPerUnit`. Left out,
they become the default again. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.gam.plain import overlaid

_NOTHING = frozenset({None, 0, "0"})


def rewritten(present: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The object to send. A ranking value above zero was set by somebody and stays, for a person to decide."""
    result = overlaid(present, ours)
    if "priority" not in ours and _differ(present, result, "lineItemType"):
        result.pop("priority", None)
    if "valueCostPerUnit" not in ours and _differ(_cost(present), _cost(result), "currencyCode"):
        value = result.get("valueCostPerUnit")
        if isinstance(value, Mapping) and value.get("microAmount") in _NOTHING:
            del result["valueCostPerUnit"]
    return result


def _differ(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> bool:
    return before.get(name) != after.get(name)


def _cost(line: Mapping[str, Any]) -> Mapping[str, Any]:
    cost = line.get("costPerUnit")
    return cost if isinstance(cost, Mapping) else {}
