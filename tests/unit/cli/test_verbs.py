"""What each verb of `orderhub` shows, asks of the hub, and leaves as exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from cli import flows
from hub import ConnectionInfo
from hub.errors import ConfigurationError, ConnectionBroken, NotFound, StoreUnavailable, VendorUnavailable
from hub.results import (
    CheckResult,
    ConnectionStatus,
    DeliverySummary,
    IntakeResult,
    ParkedGroup,
    ParkedItem,
    PlanItem,
    PlanResult,
    PushSummary,
    SettleSummary,
    StatusResult,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PARKED = ParkedGroup(
    "length", "NAME-TOO-LONG", "gam-main", 3, "A name is too long. It waits. Sales shortens it.", "Sales", "lin_a", NOON
)


def only_json(result: Result) -> dict[str, Any]:
    (line,) = result.stdout.splitlines()
    data = json.loads(line)
    assert isinstance(data, dict)
    return data


def status_of(*, parked: tuple[ParkedGroup, ...] = (), in_doubt: int = 0) -> StatusResult:
    rows = [ConnectionStatus("gam-main", "gam", "ok", "", {"in_sync": 9}, in_doubt, len(parked), None, None)]
    return StatusResult(rows, parked, {"booked": 1}, {"accepted": 9}, 0, NOON)


# ---------------------------------------------------------------- every verb, both ways of showing
VERBS = [
    ("check",),
    ("pull",),
    ("pull", "--delivery"),
    ("pull", "--all"),
    ("plan",),
    ("plan", "--all"),
    ("apply",),
    ("status",),
    ("parked",),
    ("trace", "006"),
    ("replay",),
    ("migrate",),
]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_a_table_or_one_json_object_and_ends_fine(
    verb: tuple[str, ...], orderhub: Any, scripted: Any
) -> None:
    shown = orderhub(*verb)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.strip()
    assert not shown.stderr
    as_json = orderhub(*verb, "--json")
    assert as_json.exit_code == 0
    only_json(as_json)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("There is no configuration file. Nothing can run. Write one."), 3),
        (StoreUnavailable("The store does not answer. Nothing was done. Start it."), 3),
    ],
)
def test_a_hub_that_cannot_open_is_a_sentence_and_a_code(
    verb: tuple[str, ...], error: Exception, code: int, orderhub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(config: Path | None = None) -> None:
        raise error

    monkeypatch.setattr("hub.open_hub", refuse)
    shown = orderhub(*verb)
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert str(error) in " ".join(shown.stderr.split())
    told = only_json(orderhub(*verb, "--json"))
    assert told == {"error": "unusable", "sentence": str(error), "exit_code": code}


def test_config_reaches_the_hub(orderhub: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path | None] = []
    monkeypatch.setattr("hub.open_hub", lambda config=None: opened.append(config) or scripted)
    orderhub("status", "--config", "other.yaml")
    orderhub("status", "-c", "third.yaml")
    orderhub("status")
    assert opened == [Path("other.yaml"), Path("third.yaml"), None]


@pytest.mark.parametrize("arguments", [("bogus",), ("trace",), ("status", "--bogus"), ("apply", "--wait", "-1")])
def test_a_wrong_command_line_is_code_2(arguments: tuple[str, ...], orderhub: Any, scripted: Any) -> None:
    assert orderhub(*arguments).exit_code == 2


def test_help_tells_the_exit_codes(orderhub: Any) -> None:
    assert "0 fine" in orderhub("--help").stdout


# ---------------------------------------------------------------- check
def test_a_check_that_failed_is_code_1_and_shows_its_findings(orderhub: Any, scripted: Any) -> None:
    finding = ("error", "Hub_Id__c", "The field is hidden. Nothing is mirrored. The administrator grants it.")
    scripted.says("check", CheckResult("sfdc", False, "00D", [finding]))
    shown = orderhub("check", "sfdc")
    assert shown.exit_code == 1
    assert "The field is hidden" in shown.stdout
    assert only_json(orderhub("check", "sfdc", "--json"))["connections"][0]["findings"] == [list(finding)]


def test_a_broken_connection_is_shown_beside_the_others_and_is_code_3(orderhub: Any, scripted: Any) -> None:
    broken = ConnectionInfo("old", "gam", False, False, False, False, False, "The settings are wrong.")
    scripted.connections = {**scripted.connections, "old": broken}
    scripted.says(
        "check",
        CheckResult("sfdc", True, "00D"),
        CheckResult("gam-main", True, "123"),
        ConnectionBroken("old", "Wrong."),
    )
    told = orderhub("check", "--json")
    assert told.exit_code == 3
    data = only_json(told)
    assert [each["connection"] for each in data["connections"]] == ["sfdc", "gam-main"]
    assert data["unusable"] == {"old": "Wrong."}


def test_a_vendor_that_does_not_answer_is_unusable_now(orderhub: Any, scripted: Any) -> None:
    scripted.says("check", VendorUnavailable("sfdc", "Salesforce does not answer.", 5.0))
    told = orderhub("check", "sfdc", "--json")
    assert told.exit_code == 3
    assert only_json(told)["unusable"] == {"sfdc": "Salesforce does not answer."}
    scripted.says("intake", VendorUnavailable("sfdc", "Salesforce does not answer.", 5.0))
    assert orderhub("pull").exit_code == 3


def test_an_unknown_connection_is_code_4_and_names_the_known_ones(orderhub: Any, scripted: Any) -> None:
    shown = orderhub("check", "nowhere")
    assert shown.exit_code == 4
    assert "sfdc, gam-main" in shown.stderr


# ---------------------------------------------------------------- pull
def test_pull_reads_sources_only_and_delivery_only_where_it_is_reported(orderhub: Any, scripted: Any) -> None:
    orderhub("pull")
    assert scripted.asked == [("intake", "sfdc")]
    scripted.asked.clear()
    orderhub("pull", "--delivery")
    assert [each[0] for each in scripted.asked] == ["start_delivery", "poll_delivery", "load_delivery"]


@pytest.mark.parametrize("result", [IntakeResult("sfdc", read=3, rejected=1), IntakeResult("sfdc", read=3, held=1)])
def test_a_refused_or_held_change_is_code_1(result: IntakeResult, orderhub: Any, scripted: Any) -> None:
    scripted.says("intake", result)
    assert orderhub("pull").exit_code == 1


def test_a_failed_report_is_code_1_and_nothing_booked_is_fine(orderhub: Any, scripted: Any) -> None:
    scripted.says("poll_delivery", DeliverySummary("gam-main", "job1", "failed"))
    assert orderhub("pull", "--delivery").exit_code == 1
    scripted.says("start_delivery", DeliverySummary("gam-main", "", "nothing booked"))
    assert orderhub("pull", "--delivery").exit_code == 0


def test_a_connection_that_cannot_be_read_is_code_4(orderhub: Any, scripted: Any) -> None:
    shown = orderhub("pull", "gam-main")
    assert shown.exit_code == 4
    assert "cannot be read" in shown.stderr


# ---------------------------------------------------------------- plan and apply
def test_a_blocked_plan_is_code_1_and_shows_problems_and_losses(orderhub: Any, scripted: Any) -> None:
    item = PlanItem(
        "gam-main", "line", "lin_a", "", "Spring", "blocked", problems=["No price. Not sent. Sales adds it."]
    )
    lossy = PlanItem("gam-main", "line", "lin_b", "", "Summer", "create", losses=[("targeting", "1.5 km", "no radius")])
    scripted.says("plan", PlanResult([item, lossy], "h2", 1, 2, 1, 1))
    shown = orderhub("plan")
    assert shown.exit_code == 1
    for words in ("No price", "no radius", "2 asked = 1 expressed + 1 listed", "1 create; 1 blocked.", "h2"):
        assert words in shown.stdout
    assert shown.stdout.count("1 blocked") == 1


def test_apply_bound_to_a_plan_that_moved_writes_nothing_and_is_code_5(orderhub: Any, scripted: Any) -> None:
    shown = orderhub("apply", "--plan-hash", "other")
    assert shown.exit_code == 5
    assert "no longer true" in shown.stderr
    assert [each[0] for each in scripted.asked] == ["plan"]
    assert orderhub("apply", "--plan-hash", "h1").exit_code == 0


def test_apply_bound_to_a_plan_pushes_only_what_it_shows_and_tells_of_the_rest(orderhub: Any, scripted: Any) -> None:
    scripted.says("push sfdc", PushSummary("sfdc", not_in_plan=3))
    shown = orderhub("apply", "--plan-hash", "h1")
    assert shown.exit_code == 0, "what came after the plan waits for the next one, and nobody has to act"
    assert "sfdc: 3 writes are not in the plan. They stay due" in " ".join(shown.stdout.split())
    pushes = [each for each in scripted.asked if each[0].startswith("push")]
    assert {each[1:] for each in pushes} == {("h1",)}


def test_apply_whose_plan_moved_under_way_is_code_1_and_says_so(orderhub: Any, scripted: Any) -> None:
    scripted.says("push gam-main", PushSummary("gam-main", not_in_plan=3, plan_moved=2))
    shown = orderhub("apply", "--plan-hash", "h1")
    assert shown.exit_code == 1
    assert "2 of them because they changed since" in " ".join(shown.stdout.split())
    told = only_json(orderhub("apply", "--plan-hash", "h1", "--json"))["connections"]["gam-main"]
    assert (told["not_in_plan"], told["plan_moved"]) == (3, 2)


def test_apply_of_a_plan_with_something_blocked_is_code_1(orderhub: Any, scripted: Any) -> None:
    scripted.says("plan", PlanResult([], "h1", 2, 0, 0, 0))
    assert orderhub("apply", "--plan-hash", "h1").exit_code == 1
    assert only_json(orderhub("apply", "--plan-hash", "h1", "--json"))["blocked"] == 2


def test_apply_lets_ad_servers_come_to_rest_before_the_mirror(orderhub: Any, scripted: Any) -> None:
    scripted.says("push gam-main", PushSummary("gam-main", 2, 60, {"created": 60}), PushSummary("gam-main"))
    scripted.says("push sfdc", PushSummary("sfdc", 1, 9, {"updated": 9}), PushSummary("sfdc"))
    told = only_json(orderhub("apply", "--json"))
    pushes = [each[0] for each in scripted.asked if each[0].startswith("push")]
    assert pushes[:4] == ["push gam-main", "push gam-main", "push sfdc", "push sfdc"]
    assert told["connections"]["gam-main"]["records"] == 60
    assert told["connections"]["sfdc"]["outcomes"] == {"updated": 9}
    assert told["at_rest"] is True


@pytest.mark.parametrize("summary", [PushSummary("gam-main", parked=1), PushSummary("gam-main", in_doubt=1)])
def test_apply_that_leaves_something_for_a_person_is_code_1(summary: PushSummary, orderhub: Any, scripted: Any) -> None:
    scripted.says("push gam-main", summary)
    assert orderhub("apply").exit_code == 1


def test_apply_that_may_not_wait_ends_not_at_rest(orderhub: Any, scripted: Any) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    scripted.says("settle gam-main", SettleSummary("gam-main", waiting=1, next_due=later))
    told = orderhub("apply", "--wait", "0", "--json")
    assert told.exit_code == 1
    assert only_json(told)["at_rest"] is False


def test_apply_waits_for_a_vendor_that_does_not_answer_and_for_what_is_not_due(scripted: Any) -> None:
    naps: list[float] = []
    later = datetime.now(UTC) + timedelta(seconds=240)
    scripted.says(
        "push gam-main",
        VendorUnavailable("gam-main", "Busy.", 3.0),
        PushSummary("gam-main", next_due=later),
        PushSummary("gam-main"),
    )
    applied = flows.apply(scripted, sleep=naps.append)
    assert applied.at_rest
    assert len(naps) == 2
    assert 0 < naps[0] <= 3.0
    assert naps[1] == flows.LONGEST_NAP


def test_a_postponed_push_is_no_movement(scripted: Any) -> None:
    naps: list[float] = []
    scripted.says("push gam-main", PushSummary("gam-main", outcomes={"postponed": 1}), PushSummary("gam-main"))
    assert flows.apply(scripted, sleep=naps.append).rounds == 2
    assert len(naps) == 1


# ---------------------------------------------------------------- status, parked, trace, replay
def test_status_tells_of_fields_that_somebody_rewrites_at_once_and_only_then(orderhub: Any, scripted: Any) -> None:
    quiet = status_of()
    scripted.says("status", quiet)
    assert "rewritten" not in orderhub("status").output
    (row,) = quiet.connections
    scripted.says("status", replace(quiet, connections=[replace(row, echoes=240, near_misses=3)]))
    shown = orderhub("status")
    assert shown.exit_code == 0
    assert "gam-main: 3 fields were rewritten there before the hub read back" in " ".join(shown.output.split())
    assert only_json(orderhub("status", "--json"))["connections"][0]["near_misses"] == 3


@pytest.mark.parametrize("status", [status_of(parked=(PARKED,)), status_of(in_doubt=1)])
def test_status_with_something_for_a_person_is_code_1(status: StatusResult, orderhub: Any, scripted: Any) -> None:
    scripted.says("status", status)
    assert orderhub("status").exit_code == 1


def test_parked_names_cause_and_owner(orderhub: Any, scripted: Any) -> None:
    scripted.says("status", status_of(parked=(PARKED,)))
    shown = orderhub("parked")
    assert shown.exit_code == 1
    assert "Sales shortens it." in shown.stdout
    assert only_json(orderhub("parked", "--json"))["parked"][0]["count"] == 3


def test_parked_all_names_the_records_at_the_source(orderhub: Any, scripted: Any) -> None:
    subject = "change:sfdc:OpportunityLineItem:00k1"
    fields = ("sfdc", "line", "lin_a", "ord_a", "validation", "X", "flight.end", "soon", "S.", "F.", "Sales", NOON)
    scripted.says("status", status_of(parked=(PARKED,)))
    scripted.says("parked", [ParkedItem(*fields, subject=subject)])
    assert "OpportunityLineItem:00k1" in orderhub("parked", "--all").stdout
    assert only_json(orderhub("parked", "--all", "--json"))["items"][0]["subject"] == subject


def test_trace_shows_names_with_brackets_as_they_are(orderhub: Any, scripted: Any) -> None:
    shown = orderhub("trace", "006")
    assert "Spring [x]" in shown.stdout
    assert "Opportunity 006" in shown.stdout


def test_trace_of_an_unknown_id_is_code_4(orderhub: Any, scripted: Any) -> None:
    scripted.says("trace", NotFound("No order answers to 'x'. Nothing is shown. Try its name."))
    shown = orderhub("trace", "x", "--json")
    assert shown.exit_code == 4
    assert only_json(shown)["error"] == "not_found"


def test_replay_passes_what_it_was_asked_for(orderhub: Any, scripted: Any) -> None:
    told = orderhub("replay", "--reason", "length", "--code", "X", "--connection", "gam-main", "--json")
    assert only_json(told) == {"replayed": 4}
    assert scripted.asked == [("replay", "length", "X", "gam-main")]
