"""What the comparing verbs ask of the hub, show, and leave as exit code."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.errors import PlanMoved, Refused
from hub.results import (
    AcceptResult,
    ApprovalResult,
    CensusSummary,
    DriftDefect,
    DriftItem,
    DriftResult,
    RecoverySummary,
)


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


def test_drift_shows_both_values_and_what_was_done(orderhub: Any, scripted: Any) -> None:
    item = DriftItem("line", "lin_a", "1", "LineItem", "77", "Spring", "primaryGoal.units", 1000, 5, "parked")
    answering(scripted, "drift", DriftResult("gam-main", 40, [item]))
    shown = orderhub("drift", "gam-main")
    assert shown.exit_code == 1
    for word in ("40 records", "1 fields differ", "LineItem 77", "primaryGoal.units", "1000", "parked"):
        assert word in " ".join(shown.stdout.split())
    assert json.loads(orderhub("drift", "gam-main", "--json").stdout)["items"][0]["present"] == 5


def test_drift_names_what_the_connector_failed_over_and_asks_for_attention(orderhub: Any, scripted: Any) -> None:
    defect = DriftDefect("line", "lin_b", "1", "LineItem", "78", "Autumn", "Not compared. It failed.")
    answering(scripted, "drift", DriftResult("gam-main", 39, (), (defect,)))
    shown = orderhub("drift", "gam-main")
    assert shown.exit_code == 1
    for word in ("39 records", "1 records were not compared", "LineItem 78", "Autumn", "It failed."):
        assert word in " ".join(shown.stdout.split())
    assert json.loads(orderhub("drift", "gam-main", "--json").stdout)["defects"][0]["vendor_id"] == "78"


def test_without_a_conflict_drift_is_fine(orderhub: Any, scripted: Any) -> None:
    answering(scripted, "drift", DriftResult("gam-main", 40))
    assert orderhub("drift", "gam-main").exit_code == 0


def test_accept_names_the_order_and_who_accepts(orderhub: Any, scripted: Any) -> None:
    asked = answering(scripted, "accept", AcceptResult("ord_a", 1, 2))
    shown = orderhub("accept", "006A", "--by", "Dana", "--note", "make-good")
    assert (shown.exit_code, asked) == (0, [("006A", ("by", "Dana"), ("note", "make-good"))])
    assert "2 fields of 1 records of ord_a" in shown.stdout
    answering(scripted, "accept", Refused("It moved. Nothing was accepted. Look again."))
    assert orderhub("accept", "006A").exit_code == 1


def test_a_plan_is_approved_by_its_hash_and_a_name(orderhub: Any, scripted: Any) -> None:
    asked = answering(scripted, "approve_plan", ApprovalResult("ab12", "gam-main", 1200, "Lee"))
    shown = orderhub("approve-plan", "ab12", "--by", "Lee")
    assert (shown.exit_code, asked) == (0, [("ab12", ("by", "Lee"), ("note", None))])
    assert "1,200 records of gam-main go" in shown.stdout
    assert orderhub("approve-plan", "ab12").exit_code == 2, "nobody approves without a name"
    answering(scripted, "approve_plan", PlanMoved("It moved. Nothing was approved. Look again."))
    assert orderhub("approve-plan", "ab12", "--by", "Lee").exit_code == 5


@pytest.mark.parametrize(
    ("summary", "code", "words"),
    [
        (
            RecoverySummary("gam-main", ended=False, until=datetime(2026, 1, 5, 9, 6, tzinfo=UTC)),
            1,
            "until 09:06:00 UTC",
        ),
        (RecoverySummary("gam-main", ended=False, under_way=3), 1, "3 writes are not settled"),
        (RecoverySummary("gam-main", ended=True, census=CensusSummary("gam-main", 9, adopted=4)), 0, "creates again"),
    ],
)
def test_recover_says_whether_creates_go_again(
    summary: RecoverySummary, code: int, words: str, orderhub: Any, scripted: Any
) -> None:
    asked = answering(scripted, "recover", summary)
    shown = orderhub("recover", "gam-main", "--by", "Lee")
    assert (shown.exit_code, asked) == (code, [("gam-main", ("by", "Lee"))])
    assert words in " ".join(shown.stdout.split())
