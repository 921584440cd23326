"""Which of a vendor's verbs brings a record into a canonical status: `mappings/<connector>/actions.v<N>.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from oms_schema.status import CommercialStatus


class Actions(BaseModel):
    """By canonical status the vendor's verb, for orders and for lines. A status without a verb needs none."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    order: dict[str, str] = {}
    line: dict[str, str] = {}


_ASKED = {"order": frozenset(CommercialStatus), "line": frozenset({CommercialStatus.CANCELLED})}
"""The statuses that are brought about by a verb: all of the commercial axis, and of a line that it is cancelled."""


def load_actions(path: Path, verbs: Mapping[str, frozenset[str]]) -> Actions:
    """Read the table and hold it against the verbs the connector declares for its `order` and `line` record.

    Raises ValueError that names every wrong entry.
    """
    try:
        actions = Actions.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, ValidationError, yaml.YAMLError) as error:
        detail = (
            "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False))
            if isinstance(error, ValidationError)
            else " ".join(str(error).split())
        )
        raise ValueError(f"{path.name} is no table of actions ({detail}). Correct it.") from error
    never = [
        f"{kind}.{status}"
        for kind, table in (("order", actions.order), ("line", actions.line))
        for status in table
        if status not in _ASKED[kind]
    ]
    if never:
        raise ValueError(f"{path.name} has verbs for statuses that never come: {', '.join(never)}. Correct them.")
    wrong = [
        f"{kind}.{status}: {verb}"
        for kind, table in (("order", actions.order), ("line", actions.line))
        for status, verb in table.items()
        if verb not in verbs.get(kind, frozenset())
    ]
    if wrong:
        raise ValueError(f"{path.name} names verbs the connector does not know: {', '.join(wrong)}. Correct them.")
    return actions
