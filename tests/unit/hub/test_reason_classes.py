"""Every reason has an owner, a sentence, a fix and a rule; and a group is what one correction puts right."""

from __future__ import annotations

import re

import pytest

from hub.ops.reasons import CLASSES, Retry, group_key, normalised_path, normalised_value, reasons_with
from oms_schema.problems import Problem, Reason


def problem(
    reason: Reason = Reason.PICKLIST, path: str = "lines[3].tier", value: str = "Gold", code: str = "X"
) -> Problem:
    return Problem(code, reason, path, value, "It is wrong.", "It waits.", "Sales corrects it.", "Sales")


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_says_who_acts_what_it_means_and_how_it_is_put_right(reason: Reason) -> None:
    known = CLASSES[reason]
    assert known.reason is reason
    assert known.owner[0].isupper()
    assert known.sentence.endswith(".")
    assert known.sentence.count(". ") >= 1, "what happened, and its effect"
    assert known.fix.endswith(".")
    for is_change in (True, False):
        assert known.retry_sentence(is_change=is_change).endswith(".")


def test_the_command_that_answers_what_is_ambiguous_can_be_run_as_it_is_told() -> None:
    (command,) = re.findall(r"`orderhub adopt ([^`]+)`", CLASSES[Reason.AMBIGUOUS].fix)
    assert command == "ENTITY VENDOR_ID --connection NAME", "the command line refuses it without a connection"


@pytest.mark.parametrize(
    "reason", [Reason.AMBIGUOUS, Reason.CONFLICT, Reason.APPROVAL, Reason.GUARD, Reason.PERIOD_CLOSED]
)
def test_what_a_person_must_decide_is_never_tried_by_itself(reason: Reason) -> None:
    assert not CLASSES[reason].sends
    assert not CLASSES[reason].changes


def test_a_write_that_may_exist_twice_is_never_tried_by_itself() -> None:
    assert not CLASSES[Reason.DUPLICATE].sends


def test_the_rules_of_the_reasons() -> None:
    assert reasons_with(Retry.CHECK, is_change=False) == ["auth", "permission"]
    assert reasons_with(Retry.REFERENCE, is_change=True) == ["reference_missing"]
    assert {"picklist", "permission", "quota", "mapping"} <= set(reasons_with(Retry.SAMPLE, is_change=False))


def test_one_picklist_value_is_one_group_wherever_it_stands() -> None:
    key = group_key("gam", problem())
    assert key.startswith("picklist-")
    for same in (problem(path="lines[417].tier"), problem(value="  gold "), problem(path=" lines[3].tier")):
        assert group_key("gam", same) == key


@pytest.mark.parametrize(
    "other",
    [problem(value="Silver"), problem(path="lines[3].cost_type"), problem(code="Y"), problem(Reason.MAPPING)],
    ids=["value", "path", "code", "reason"],
)
def test_another_cause_is_another_group(other: Problem) -> None:
    assert group_key("gam", other) != group_key("gam", problem())


def test_another_connection_is_another_group() -> None:
    assert group_key("gam", problem()) != group_key("gam-emea", problem())


@pytest.mark.parametrize("reason", [Reason.LENGTH, Reason.VALIDATION, Reason.AMBIGUOUS, Reason.DUPLICATE])
def test_values_that_differ_by_nature_do_not_make_groups(reason: Reason) -> None:
    assert group_key("gam", problem(reason, value="a")) == group_key("gam", problem(reason, value="b"))


def test_parts_of_a_key_cannot_run_into_each_other() -> None:
    assert group_key("gam", problem(code="A", path="B")) != group_key("gam", problem(code="AB", path=""))


def test_what_normalising_leaves_out() -> None:
    assert normalised_path("a[0].b[12].c") == "a[].b[].c"
    assert normalised_value("  Straße \n GOLD ") == "strasse gold"
