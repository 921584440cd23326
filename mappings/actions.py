"""Which of a vendor's verbs brings a record into a canonical status: `mappings/<connector>/actions.v<N>.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError


class Actions(BaseModel):
    """By canonical status the vendor's verb, for orders and for lines. A status without a verb needs none."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    order: dict[str, str] = {}
    line: dict[str, str] = {}


def load_actions(path: Path, verbs: Mapping[str, frozenset[str]]) -> Actions:
    """Read the table and hold it against the verbs the connector declares for its `order` and `line` record.

    Raises ValueError that names every wrong entry.
    """
    try:
        actions = Actions.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise ValueError(f"{path.name} is no table of actions ({error}). Correct it.") from error
    wrong = [
        f"{kind}.{status}: {verb}"
        for kind, table in (("order", actions.order), ("line", actions.line))
        for status, verb in table.items()
        if verb not in verbs.get(kind, frozenset())
    ]
    if wrong:
        raise ValueError(f"{path.name} names verbs the connector does not know: {', '.join(wrong)}. Correct them.")
    return actions
