"""The database comes from a backup that is older than what was posted: the ledger is asked, and nobody is billed twice."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from hub.ops.correspondence import mismatches

if TYPE_CHECKING:
    from conftest import Office


@pytest.fixture
def line(office: Office) -> str:
    """A line whose February is delivered and not billed."""
    line = office.line(office.order())
    office.delivered(line, 983_456)
    return line


def recovered(office: Office) -> None:
    """What an operator does after a restore."""
    assert not office.hub.recover("erp", by="Lee").ended
    office.hub.session.sleep(70)
    assert office.hub.recover("erp", by="Lee").ended


@pytest.mark.parametrize("approved", [False, True])
def test_a_month_that_was_closed_after_the_backup_is_closed_again_without_a_second_invoice(
    office: Office, line: str, approved: bool
) -> None:
    if approved:
        office.close(approved_by=None)
    kept = office.backup()
    assert office.close().complete
    office.restore(kept)
    recovered(office)
    done = office.close()
    assert done.complete, done.sentence
    assert (done.invoices, len(office.erp.documents), len(office.erp.creates)) == (1, 1, 1)
    assert done.sums["USD"].invoiced == Decimal("11801.47") == office.erp.total()
    assert office.status(line) == "invoiced"
    assert mismatches(office.hub.session) == []
    assert office.hub.parked() == []
    assert office.hub.verify_audit().sound


def test_another_amount_than_was_posted_is_told_and_not_posted_beside_it(office: Office, line: str) -> None:
    kept = office.backup()
    assert office.close().complete
    office.restore(kept)
    recovered(office)
    office.delivered(line, 900_000)
    done = office.close()
    assert not done.complete
    assert (len(office.erp.documents), len(office.erp.creates)) == (1, 1)
    assert "with 11801.47 USD, and 10800.00 USD was billed" in done.sentence


def test_what_was_posted_and_is_not_prepared_again_is_shown_to_finance_until_it_is(office: Office, line: str) -> None:
    kept = office.backup()
    assert office.close().complete
    office.restore(kept)
    recovered(office)
    (item,) = office.hub.parked()
    assert (item.owner, item.code) == ("Finance", "MARKED-FOR-NOBODY")
    assert "prepares and approves its period again" in item.sentence
    assert office.close().complete
    assert office.hub.census("erp").agrees
    assert office.hub.parked() == []
    assert office.status(line) == "invoiced"
