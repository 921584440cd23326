"""Every kind of Tryton's exceptions has one meaning, and an unknown one on a write is in doubt."""

from __future__ import annotations

import pytest

from connectors.errors import AuthFailed, OutcomeUnknown, PermissionMissing, RecordRejected, RetryLater, SchemaDrift
from connectors.tryton.error_table import Effect, Question, refusal, rpc_error

TRACEBACK = """Traceback (most recent call last):
  File "trytond/model/modelsql.py", line 1214, in read
    field = cls._fields[field_name]
            ~~~~~~~~~~~^^^^^^^^^^^^
KeyError: 'colour'
"""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            'To continue, you must reopen the period "2020-02" of company "X" for the date "02/29/2020".',
            "period_closed",
        ),
        ('To continue, you must create a period for the date "02/28/2018" and company "X".', "period_closed"),
        ('To continue, you must create a fiscal year for the date "02/28/2018" and company "X".', "period_closed"),
        ('The period of move "2020/3" is closed.', "period_closed"),
        ('You are not allowed to access "account.invoice".', "permission"),
        ('To number the invoice "x", you must set an invoice date after "03/30/2020" because …', "vendor_state"),
        ('The "Total" value of the invoice "x", $1.00, must equal the source value, $2.00.', "validation"),
        ("Something else.", "vendor_state"),
    ],
)
def test_a_refusal_is_told_apart_by_the_words_of_the_message_files(words: str, reason: str) -> None:
    assert refusal(words).reason == reason
    error = rpc_error(["UserError", [words, "", None]], "model.account.invoice.post", Effect.WRITE)
    assert isinstance(error, RecordRejected)
    assert words in error.message


def test_a_question_is_never_an_ordinary_refusal_and_keeps_its_text() -> None:
    error = rpc_error(["UserWarning", ["abc.future", "Dates in the future.", ""]], "post", Effect.WRITE)
    assert isinstance(error, Question)
    assert (error.name, error.code) == ("abc.future", "UserWarning")
    assert "Dates in the future." in error.message
    assert "does not answer for a person" in error.message


def test_a_lost_race_is_certainly_not_applied() -> None:
    assert isinstance(rpc_error(["ConcurrencyException", "modified"], "write", Effect.WRITE), RetryLater)


def test_a_question_for_another_login_stops_the_connection() -> None:
    assert isinstance(rpc_error(["LoginException", ["code", "Code?", "char"]], "x", Effect.READ), AuthFailed)


@pytest.mark.parametrize("error", [["boom", "Traceback"], [], None, "boom", 5, ["UserError"], ["UserWarning", []]])
def test_an_error_of_no_known_form_is_in_doubt_on_a_write_and_a_retry_on_a_read(error: object) -> None:
    written = rpc_error(error, "model.account.invoice.create", Effect.WRITE)
    assert isinstance(written, OutcomeUnknown)
    assert isinstance(rpc_error(error, "model.account.invoice.search", Effect.READ), RetryLater)


def test_a_read_of_a_field_that_is_gone_is_drift_and_a_write_is_still_in_doubt() -> None:
    drift = rpc_error(["'colour'", TRACEBACK], "model.account.invoice.read", Effect.READ)
    assert isinstance(drift, SchemaDrift)
    assert drift.field == "colour"
    assert isinstance(rpc_error(["'colour'", TRACEBACK], "model.account.invoice.create", Effect.WRITE), OutcomeUnknown)


def test_a_read_that_is_refused_stops_the_record_type_or_waits_and_rejects_no_document() -> None:
    hidden = rpc_error(["UserError", ['You are not allowed to access "account.invoice".', "", None]], "x", Effect.READ)
    assert isinstance(hidden, PermissionMissing)
    assert isinstance(rpc_error(["UserError", ["Something else.", "", None]], "x", Effect.READ), RetryLater)


def test_credentials_never_reach_a_sentence() -> None:
    error = rpc_error(["UserError", ["Session b3JkZXJodWI6MTpzZWNyZXQ= refused", "", None]], "x", Effect.WRITE)
    assert "b3JkZXJodWI6" not in str(error)
