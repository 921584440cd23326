"""One connection that cannot be used stops its own work only, and no verb passes over it in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli import flows
from hub import ConnectionInfo
from hub.errors import ConnectionBroken, ConnectionPaused, ConnectorStumbled, VendorUnavailable
from hub.results import ConnectionStatus, IntakeResult, PlanResult, PushSummary, StatusResult

WRONG = "Connection old is wrongly configured. Its work stops. Whoever edited it corrects it."
REFUSED = ConnectionBroken("gam-main", "The ad server refused the log-in. Its work stops. Somebody renews the token.")
STUMBLED = ConnectorStumbled(
    "gam-main", "The connector failed with KeyError. Nothing was written. Integration mends it."
)
SILENT = VendorUnavailable(
    "gam-main", "The ad server does not answer. Its work stays due. Nobody need do anything.", 5.0
)


@pytest.fixture
def with_a_broken_one(scripted: Any) -> Any:
    """Two connections that work and one whose settings are wrong."""
    broken = ConnectionInfo("old", "", False, False, False, False, False, WRONG)
    scripted.connections = {**scripted.connections, "old": broken}
    return scripted


@pytest.mark.parametrize("verb", [("pull",), ("pull", "--delivery"), ("pull", "--all"), ("plan",), ("apply",)])
def test_a_wrongly_configured_connection_is_told_and_is_code_3(
    verb: tuple[str, ...], orderhub: Any, with_a_broken_one: Any
) -> None:
    shown = orderhub(*verb)
    assert shown.exit_code == 3
    assert WRONG in shown.stdout
    told = orderhub(*verb, "--json")
    assert told.exit_code == 3
    assert json.loads(told.stdout)["unusable"] == {"old": WRONG}


def test_a_plan_without_writes_does_not_say_all_is_well_while_a_connection_is_left_out(
    orderhub: Any, with_a_broken_one: Any
) -> None:
    with_a_broken_one.says("plan", PlanResult([], "h0", 0, 0, 0, 0))
    assert "every lane" not in orderhub("plan").stdout
    assert "at rest." not in orderhub("apply").stdout


@pytest.mark.parametrize("verb", ["plan", "apply", "pull"])
def test_who_names_a_connection_is_not_told_of_the_others(verb: str, orderhub: Any, with_a_broken_one: Any) -> None:
    shown = orderhub(verb, "sfdc")
    assert shown.exit_code == 0, shown.output
    assert WRONG not in shown.output


def test_a_refused_log_in_leaves_the_work_of_the_others_done(orderhub: Any, scripted: Any) -> None:
    scripted.says("push gam-main", REFUSED)
    scripted.says("push sfdc", PushSummary("sfdc", 1, 9, {"updated": 9}), PushSummary("sfdc"))
    told = orderhub("apply", "--json")
    assert told.exit_code == 3
    data = json.loads(told.stdout)
    assert data["unusable"] == {"gam-main": str(REFUSED)}
    assert data["at_rest"] is False
    assert data["connections"]["sfdc"]["records"] == 9
    assert scripted.asked.count(("push gam-main",)) == 1, "it is not asked again and again"


def test_a_vendor_that_does_not_answer_is_named_beside_the_plan_of_the_others(orderhub: Any, scripted: Any) -> None:
    scripted.says("plan", PlanResult([], "h0", 0, 0, 0, 0, {"gam-main": str(SILENT)}))
    shown = orderhub("plan")
    assert shown.exit_code == 3
    assert "The ad server does not answer." in shown.stdout
    assert "every lane" not in shown.stdout
    told = orderhub("plan", "--json")
    assert told.exit_code == 3
    assert json.loads(told.stdout)["unusable"] == {"gam-main": str(SILENT)}


def test_a_vendor_that_does_not_answer_while_apply_waits_is_told_and_is_code_3(orderhub: Any, scripted: Any) -> None:
    scripted.says("push gam-main", SILENT)
    scripted.says("push sfdc", PushSummary("sfdc", 1, 9, {"updated": 9}), PushSummary("sfdc"))
    told = orderhub("apply", "--wait", "0", "--json")
    assert told.exit_code == 3
    data = json.loads(told.stdout)
    assert data["unusable"] == {"gam-main": str(SILENT)}
    assert data["at_rest"] is False
    assert data["connections"]["sfdc"]["records"] == 9


@pytest.mark.parametrize("trouble", [REFUSED, STUMBLED])
def test_trouble_of_a_named_connection_is_its_sentence(trouble: Exception, orderhub: Any, scripted: Any) -> None:
    scripted.says("push gam-main", trouble)
    told = orderhub("apply", "gam-main", "--json")
    assert told.exit_code == 3
    assert json.loads(told.stdout) == {"error": "unusable", "sentence": str(trouble), "exit_code": 3}


def test_a_connector_that_stumbles_does_not_keep_the_others_from_being_written(orderhub: Any, scripted: Any) -> None:
    scripted.says("push gam-main", STUMBLED)
    scripted.says("push sfdc", PushSummary("sfdc", 1, 9, {"updated": 9}), PushSummary("sfdc"))
    told = orderhub("apply", "--wait", "0", "--json")
    assert told.exit_code == 3
    data = json.loads(told.stdout)
    assert data["unusable"] == {"gam-main": str(STUMBLED)}
    assert data["connections"]["sfdc"]["records"] == 9


@pytest.mark.parametrize("trouble", [REFUSED, STUMBLED, SILENT])
def test_a_source_that_cannot_be_read_does_not_keep_delivery_from_being_pulled(
    trouble: Exception, orderhub: Any, scripted: Any
) -> None:
    scripted.says("intake", type(trouble)("sfdc", str(trouble), *trouble.args[1:], **_after(trouble)))
    told = orderhub("pull", "--all", "--json")
    assert told.exit_code == 3
    data = json.loads(told.stdout)
    assert data["unusable"] == {"sfdc": str(trouble)}
    assert [each["state"] for each in data["delivery"]] == ["loaded"]


@pytest.mark.parametrize("verb", ["start_delivery", "poll_delivery", "load_delivery"])
def test_an_ad_server_that_cannot_report_leaves_what_was_read_told(verb: str, orderhub: Any, scripted: Any) -> None:
    scripted.says(verb, SILENT)
    told = orderhub("pull", "--all", "--json")
    assert told.exit_code == 3
    data = json.loads(told.stdout)
    assert data["unusable"] == {"gam-main": str(SILENT)}
    assert [each["accepted"] for each in data["intake"]] == [3]


def test_a_paused_ad_server_is_left_out_of_a_pull_of_all(orderhub: Any, scripted: Any) -> None:
    scripted.says(
        "start_delivery", ConnectionPaused("gam-main", "Dana paused gam-main. Its work waits. She resumes it.")
    )
    told = orderhub("pull", "--all", "--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout)["delivery"] == []


def test_the_demo_does_not_call_a_connection_that_cannot_be_used_at_rest(scripted: Any) -> None:
    scripted.says("push gam-main", REFUSED)
    assert flows.apply(scripted, sleep=lambda seconds: None).at_rest is False


def test_a_source_that_cannot_be_used_is_raised_to_whoever_names_it(scripted: Any) -> None:
    scripted.says("intake", REFUSED, IntakeResult("sfdc"))
    with pytest.raises(ConnectionBroken):
        list(flows.pull_changes(scripted, ["sfdc"]))


@pytest.mark.parametrize("state", ["misconfigured", "AuthFailed", "check failed"])
def test_status_with_a_stopped_connection_is_code_1(state: str, orderhub: Any, scripted: Any) -> None:
    rows = [ConnectionStatus("gam-main", "gam", state, "Wrong.", {}, 0, 0, None, None)]
    scripted.says("status", StatusResult(rows, [], {}, {}, 0, None))
    assert orderhub("status").exit_code == 1


@pytest.mark.parametrize("state", ["ok", "paused", "never used"])
def test_status_with_a_connection_that_nobody_need_mend_is_fine(state: str, orderhub: Any, scripted: Any) -> None:
    rows = [ConnectionStatus("gam-main", "gam", state, "", {}, 0, 0, None, None)]
    scripted.says("status", StatusResult(rows, [], {}, {}, 0, None))
    assert orderhub("status").exit_code == 0


def test_status_counts_each_line_once(orderhub: Any, scripted: Any) -> None:
    lines = {"finished": 7, "not seen yet": 2, "accepted": 9}
    scripted.says("status", StatusResult([], [], {"booked": 1}, lines, 0, None))
    (row,) = [line for line in orderhub("status").stdout.splitlines() if line.startswith("lines")]
    assert row.split("│")[-1].strip() == "9"
    assert "9 accepted" not in row


def _after(trouble: Exception) -> dict[str, float]:
    return {"after": 5.0} if isinstance(trouble, VendorUnavailable) else {}
