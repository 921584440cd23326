"""What the comparing verbs ask of the hub, show, and leave as exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.results import CensusSummary


def answering(scripted: Any, verb: str, answer: Any) -> list[tuple[Any, ...]]:
    """Let the hub behind the command line answer one verb; returns what it was asked."""
    asked: list[tuple[Any, ...]] = []

    def said(*arguments: Any, **more: Any) -> Any:
        asked.append((*arguments, *sorted(more.items())))
        if isinstance(answer, Exception):
            raise answer
        return answer

    setattr(scripted, verb, said)
    return asked


@pytest.mark.parametrize(
    ("counted", "code", "words"),
    [
        (CensusSummary("gam-main", 1200, adopted=2), 0, ("1,200 records", "2 of ours", "Both sides agree")),
        (CensusSummary("gam-main", 9, gone=1), 1, ("1 we refer to are gone", "Somebody has to look")),
        (CensusSummary("gam-main", 9, unknown=[("LineItem", "7", "lin_x")]), 1, ("nothing that we know", "lin_x")),
        (CensusSummary("sfdc", 9, vanished=1, never_read=3), 0, ("1 vanished", "3 had never been read")),
    ],
)
def test_a_census_tells_what_it_found(
    counted: CensusSummary, code: int, words: tuple[str, ...], orderhub: Any, scripted: Any
) -> None:
    asked = answering(scripted, "census", counted)
    shown = orderhub("census", counted.connection)
    assert shown.exit_code == code, shown.output
    for each in words:
        assert each in " ".join(shown.stdout.split())
    told = orderhub("census", counted.connection, "--json")
    assert json.loads(told.stdout)["agrees"] is (code == 0)
    assert asked == [(counted.connection,)] * 2
