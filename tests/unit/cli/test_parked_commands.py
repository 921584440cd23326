"""What a person's verbs on parked work and on the audit chain ask of the hub, show, and leave as exit code."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from cli import flows
from hub.errors import AnchorFailed, ConnectionPaused, NotFound, Refused
from hub.results import AuditFault, AuditResult, IntakeResult, ParkedGroup, ResyncResult, StatusResult

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAUSED = ConnectionPaused("sfdc", "Dana paused sfdc. Its work waits. Operations resumes it.")

VERBS = [
    (("replay", "--group", "length-0a1b2c3d", "--note", "shortened"), "4 put back."),
    (("ignore", "--group", "length-0a1b2c3d", "--note", "a test order"), "2 closed without sending."),
    (("adopt", "lin_a", "77", "--connection", "gam-main"), "lin_a is LineItem 77"),
    (("adopt", "lin_a", "--absent", "--connection", "gam-main"), "does not exist at gam-main"),
    (("resync", "006A"), "7 records of ord_a are sent anew."),
    (("pause", "sfdc", "--note", "holidays"), "sfdc is paused."),
    (("resume", "sfdc"), "sfdc goes on."),
    (("audit", "verify"), "9 events up to 9, compared with no anchor: sound"),
    (("audit", "verify", "--transitions"), "sound"),
    (("audit", "anchor", "heads.jsonl"), "Event 9"),
]


@pytest.mark.parametrize(("verb", "words"), VERBS, ids=[" ".join(verb[:2]) for verb, _ in VERBS])
def test_each_verb_says_what_it_did_in_words_and_as_json(
    verb: tuple[str, ...], words: str, orderhub: Any, scripted: Any
) -> None:
    shown = orderhub(*verb)
    assert shown.exit_code == 0, shown.output
    assert words in " ".join(shown.stdout.split())
    told = orderhub(*verb, "--json")
    assert told.exit_code == 0
    (line,) = told.stdout.splitlines()
    assert isinstance(json.loads(line), dict)


def test_who_and_why_reach_the_hub(orderhub: Any, scripted: Any) -> None:
    orderhub("replay", "--subject", "ord_a", "--key", "k1", "--by", "Dana", "--note", "fixed")
    more = (("by", "Dana"), ("key", "k1"), ("note", "fixed"), ("subject", "ord_a"))
    assert scripted.asked == [("replay", None, None, None, *more)]
    scripted.asked.clear()
    orderhub("adopt", "lin_a", "77", "--connection", "gam-main", "--part", "2", "--by", "Dana", "--note", "seen there")
    said = (("by", "Dana"), ("connection", "gam-main"), ("note", "seen there"), ("part", "2"))
    assert scripted.asked == [("adopt", "lin_a", "77", *said)]


def test_who_accepts_a_held_report_reaches_the_hub_with_the_days(orderhub: Any, scripted: Any) -> None:
    span = ("--since", "2026-03-01", "--until", "2026-03-02")
    days = (date(2026, 3, 1), date(2026, 3, 2))
    orderhub("delivery", "fetch", "--source", "measured", *span, "--by", "Ada")
    orderhub("delivery", "fetch", "--source", "measured", *span, "--accept-outliers", "--by", "Ada")
    accepted = ("accept_outliers_by", "Ada")
    assert scripted.asked == [("fetch_report", "measured", *days), ("fetch_report", "measured", *days, accepted)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("ignore", "--group", "x-1"),
        ("adopt", "lin_a", "--connection", "gam-main"),
        ("adopt", "lin_a", "77", "--absent", "--connection", "gam-main"),
        ("adopt", "lin_a", "77"),
        ("resync",),
        ("pause",),
        ("audit", "anchor"),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_a_verb_without_what_it_needs_is_code_2_and_asks_nothing(
    arguments: tuple[str, ...], orderhub: Any, scripted: Any
) -> None:
    assert orderhub(*arguments).exit_code == 2
    assert scripted.asked == []


def test_a_refusal_is_code_1_with_its_sentence(orderhub: Any, scripted: Any) -> None:
    scripted.says("adopt", Refused("LineItem 77 already belongs to lin_b. Nothing was adopted. Sales merges the two."))
    shown = orderhub("adopt", "lin_a", "77", "--connection", "gam-main")
    assert shown.exit_code == 1
    assert "already belongs to lin_b" in " ".join(shown.stderr.split())


def test_a_resync_that_leaves_something_to_answer_is_code_1(orderhub: Any, scripted: Any) -> None:
    scripted.says("resync", ResyncResult("ord_a", 3, ["Nobody knows. It waits. Operations answers."]))
    shown = orderhub("resync", "006A")
    assert shown.exit_code == 1
    assert "Operations answers." in shown.stdout


def test_a_resync_names_connections_that_were_taken_out_and_ends_fine(orderhub: Any, scripted: Any) -> None:
    scripted.says("resync", ResyncResult("ord_a", 3, [], {"gam-old": 5}))
    shown = orderhub("resync", "006A")
    assert shown.exit_code == 0
    assert "5 at gam-old stay as they are: the configuration no longer names it." in shown.stdout
    assert json.loads(orderhub("resync", "006A", "--json").stdout)["elsewhere"] == {"gam-old": 5}


def test_faults_of_the_chain_are_code_1_and_each_is_a_sentence(orderhub: Any, scripted: Any) -> None:
    fault = AuditFault("edit", 4, "Event 4 is not what was written. Somebody edited it. Compare it with a backup.")
    scripted.says("verify_audit", AuditResult(9, 9, "ab" * 32, [fault], 3, anchors=2))
    shown = orderhub("audit", "verify")
    assert shown.exit_code == 1
    for words in ("Event 4 is not what was written.", "and 2 more faults", "compared with 2 anchors: 3 faults"):
        assert words in shown.stdout
    told = json.loads(orderhub("audit", "verify", "--json").stdout)
    assert (told["sound"], told["faults"][0]["sequence"]) == (False, 4)


def test_a_transition_without_its_event_is_code_1(orderhub: Any, scripted: Any) -> None:
    scripted.says("audit_mismatches", ["lane 3 is in the store and not in the chain."])
    assert orderhub("audit", "verify").exit_code == 0
    shown = orderhub("audit", "verify", "--transitions")
    assert shown.exit_code == 1
    assert "lane 3" in shown.stdout


def test_verify_passes_its_anchor_on_and_a_missing_one_is_code_4(orderhub: Any, scripted: Any) -> None:
    scripted.says(
        "verify_audit", NotFound("The anchor file x cannot be read. Nothing was compared. Name the right one.")
    )
    assert orderhub("audit", "verify", "--anchor", "x").exit_code == 4
    assert scripted.asked == [("verify_audit", Path("x"))]


def test_an_anchor_that_cannot_be_written_is_code_1(orderhub: Any, scripted: Any) -> None:
    scripted.says("anchor_audit", AnchorFailed("It could not be written. The work is done. Make the file writable."))
    assert orderhub("audit", "anchor", "x").exit_code == 1


def test_parked_shows_the_key_that_replay_takes(orderhub: Any, scripted: Any) -> None:
    group = ParkedGroup("length", "X", "gam-main", 3, "Long. Waits. Cut it.", "Sales", "lin_a", NOON, "length-0a1b2c3d")
    scripted.says("status", StatusResult([], [group], {}, {}, 0, NOON))
    assert "length-0a1b2c3d" in orderhub("parked").stdout


def test_a_paused_connection_is_left_out_and_the_others_go_on(orderhub: Any, scripted: Any) -> None:
    scripted.says("push sfdc", PAUSED)
    applied = flows.apply(scripted, sleep=lambda seconds: None)
    assert applied.at_rest
    assert (applied.connections["sfdc"].paused, applied.connections["gam-main"].paused) == (True, False)
    assert ("push gam-main",) in scripted.asked
    assert "paused" in orderhub("apply").stdout
    scripted.says("intake", PAUSED)
    assert list(flows.pull_changes(scripted)) == []


def test_a_paused_connection_that_is_named_says_so_with_code_3(orderhub: Any, scripted: Any) -> None:
    scripted.says("push sfdc", PAUSED)
    scripted.says("intake", PAUSED, IntakeResult("sfdc"))
    for verb in ("apply", "pull"):
        shown = orderhub(verb, "sfdc")
        assert shown.exit_code == 3
        assert "Dana paused sfdc" in " ".join(shown.stderr.split())


def test_delivery_of_a_paused_connection_is_left_out_unless_it_is_named(orderhub: Any, scripted: Any) -> None:
    scripted.says("start_delivery", PAUSED)
    assert list(flows.pull_delivery(scripted)) == []
    shown = orderhub("pull", "--delivery")
    assert (shown.exit_code, shown.stderr) == (0, "")
    named = orderhub("pull", "gam-main", "--delivery")
    assert named.exit_code == 3
    assert "Dana paused sfdc" in " ".join(named.stderr.split())
