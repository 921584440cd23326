"""What a cancelled line owes as a fee: the worked example, notice kept or not, and no figure where something is not known."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import hub
from cli.main import app
from hub.errors import Refused
from oms_schema.party import PartyRole
from oms_schema.status import CommercialStatus

if TYPE_CHECKING:
    from conftest import Office

AGENCY = (PartyRole.ADVERTISER, PartyRole.AGENCY, PartyRole.BILL_TO)
HALF = 500_000


def cancelled(office: Office, *, close: bool = True, **more: object) -> str:
    """50,000.00 committed over February and March, 20,000.00 earned in February, cancelled on 5 March."""
    order = office.order(**more)
    line = office.line(order, rate="10", goal=5_000_000, end=datetime.fromisoformat("2026-04-01"))
    office.delivered(line, 2_000_000)
    if close:
        office.close()
    office.order(status=CommercialStatus.CANCELLED, **more)
    office.report({}, month="2026-03")
    return line


def test_the_fee_is_a_share_of_what_was_committed_and_not_earned(office: Office) -> None:
    line = cancelled(office)
    found = office.hub.billing.cancellation_fee(line, HALF)
    assert (found.committed, found.earned, found.billed) == tuple(map(Decimal, (50_000, 20_000, 20_000)))
    assert (found.fee, found.total, found.notice_kept, found.open_months) == (
        Decimal(15_000),
        Decimal(35_000),
        False,
        [],
    )


def test_no_fee_is_due_where_notice_was_kept(office: Office) -> None:
    line = cancelled(office)
    day = {"ends_on": date(2026, 3, 5), "reason": "mail", "by": "Ada"}
    office.hub.billing.confirm(office.hub.billing.enter(line, "2026-03", "cancellation", **day).number, by="Grace")
    for told, fee in ((date(2026, 2, 19), 0), (date(2026, 2, 20), 15_000)):
        found = office.hub.billing.cancellation_fee(line, HALF, notice_days=14, told_on=told)
        assert (found.fee, found.notice_kept) == (Decimal(fee), not fee)
    with pytest.raises(Refused, match="Give --told-on"):
        office.hub.billing.cancellation_fee(line, HALF, notice_days=14)


def test_an_agency_owes_the_fee_net_of_its_commission(office: Office) -> None:
    order = office.order(roles=AGENCY)
    line = office.line(
        order, rate="10", goal=5_000_000, end=datetime.fromisoformat("2026-04-01"), price={"commission_ppm": 150_000}
    )
    office.delivered(line, 2_000_000)
    office.close()
    office.order(roles=AGENCY, status=CommercialStatus.CANCELLED)
    found = office.hub.billing.cancellation_fee(line, HALF)
    assert (found.committed, found.earned, found.fee) == tuple(map(Decimal, (42_500, 17_000, 12_750)))


def test_a_line_that_is_not_cancelled_or_of_no_known_value_has_no_fee(office: Office) -> None:
    line = office.line(office.order())
    with pytest.raises(Refused, match="is not cancelled"):
        office.hub.billing.cancellation_fee(line, HALF)
    with pytest.raises(Refused, match="between 0 and 100"):
        office.hub.billing.cancellation_fee(line, 1_000_001)


def test_the_command_says_which_months_are_not_calculated(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    line = cancelled(office, close=False)
    monkeypatch.setattr(hub, "open_hub", lambda _: office.second_worker())
    told = CliRunner().invoke(app, ["bill", "cancellation-fee", line, "--fee", "50", "--json"])
    assert told.exit_code == 1
    assert json.loads(told.output)["open_months"] == ["2026-02"]
    office.close()
    shown = CliRunner().invoke(app, ["bill", "cancellation-fee", line, "--fee", "50"], env={"COLUMNS": "250"})
    assert shown.exit_code == 0, shown.output
    assert (
        "50,000.00 USD committed, 20,000.00 earned, 20,000.00 of it billed. Fee 15,000.00, in all 35,000.00"
        in shown.output
    )
    assert "sales books the fee as a flat line" in shown.output
