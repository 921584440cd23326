"""The real engine posts documents to the simulated account: once each, whatever gets lost, and parks what differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub import Hub, open_hub
from hub.sync.documents import want_document

from .conftest import Account, invoice, memo


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time


@dataclass
class Office:
    """A hub with one connection to NetSuite."""

    hub: Hub
    clock: HandClock

    def want(self, payload: dict[str, Any]) -> None:
        session = self.hub.session
        with session.database.transaction() as cur:
            want_document(
                session,
                cur,
                connection="erp",
                document_id=payload["reference"],
                record="Invoice",
                name=payload["reference"],
                payload=payload,
            )

    def rest(self) -> None:
        """Push and settle until nothing is due, moving the clock over every wait."""
        for _ in range(30):
            self.hub.push("erp")
            settled = self.hub.settle("erp")
            pushed = self.hub.push("erp")
            if not (pushed.waiting or pushed.in_doubt or settled.waiting):
                return
            self.clock.time += timedelta(seconds=400)
        raise AssertionError(f"never came to rest: {pushed}, {settled}, {list(self.hub.parked())}")


@pytest.fixture
def office(
    account: Account,
    netsuite_key: tuple[str, str],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Office]:
    monkeypatch.setenv("TEST_STORE", database_url)
    monkeypatch.setenv("TEST_NETSUITE_KEY", netsuite_key[0])
    settings = {
        "account": "1234567",
        "client_id": "orderhub",
        "certificate_id": "certificate-1",
        "private_key": "env:TEST_NETSUITE_KEY",
        "item": "Advertising",
        "time_zone": "America/Los_Angeles",
        "endpoint": account.url,
        "timeout_seconds": 5,
    }
    path = tmp_path / "orderhub.yaml"
    connections = {"erp": {"connector": "netsuite", "settings": settings}}
    path.write_text(yaml.safe_dump({"store": {"url": "env:TEST_STORE"}, "connections": connections}), encoding="utf-8")
    clock = HandClock()
    with open_hub(path) as hub:
        hub.migrate()
        hub.session.machine = hub.session.database.machine = clock
        yield Office(hub, clock)


def books(account: Account) -> dict[str, tuple[str, str, int]]:
    """Every document in the books: total, approval and number of lines."""
    rows = account.state("invoice") + account.state("creditMemo")
    assert len({row["externalId"] for row in rows}) == len(rows)
    return {row["externalId"]: (row["total"], row.get("approvalStatus", "2"), len(row["item"])) for row in rows}


WRITES = ("PUT customer", "PUT invoice", "PATCH invoice", "PUT creditMemo")
CASES = [(fault, operation) for fault in ("lost_reply", "lost_request", "late_commit") for operation in WRITES]
CASES += [(fault, "PUT invoice") for fault in ("html_503", "quota", "expired_token")]


@pytest.mark.parametrize(("fault", "operation"), CASES)
def test_each_document_is_posted_once_whatever_gets_lost(
    account: Account, office: Office, fault: str, operation: str
) -> None:
    office.want(invoice("DOC-1", "150.00"))
    account.fault(fault, operation, seconds=0.02)
    office.rest()
    office.want(memo("CR-1", "DOC-1", "40.00"))
    office.rest()
    assert list(office.hub.parked()) == []
    assert books(account) == {"DOC-1": ("150.00", "2", 1), "CR-1": ("40.00", "2", 1)}
    before = account.calls()
    assert office.hub.push("erp").calls == 0, "a second close posts nothing"
    assert account.calls() == before


def test_a_cent_of_difference_is_parked_with_a_sentence_and_not_posted(account: Account, office: Office) -> None:
    account.prefer(recalculate=True, rounding="half_even")
    line = {"description": "H", "quantity": Decimal("0.25"), "unit_price": Decimal("0.50"), "amount": Decimal("0.13")}
    office.want(invoice("DOC-1", "0.13", lines=[line]))
    office.want(invoice("DOC-2", "7.00"))
    office.rest()
    (parked,) = office.hub.parked()
    assert "total is 0.12 there, 0.13 was billed" in str(parked)
    assert books(account) == {"DOC-1": ("0.12", "1", 1), "DOC-2": ("7.00", "2", 1)}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_bad_day_of_lost_requests_and_replies_leaves_the_books_right(
    account: Account, office: Office, seed: int
) -> None:
    wanted = {f"DOC-{number}": f"{number + 1}.10" for number in range(8)}
    for reference, total in wanted.items():
        office.want(invoice(reference, total, party={"code": f"ADV-{len(reference + total) % 3}", "name": f"N{total}"}))
    rates = {"lost_reply": 0.1, "lost_request": 0.05, "html_503": 0.05, "late_commit": 0.1, "quota": 0.1}
    account.control(
        "faults",
        **{
            name: {"rate": rate, "seed": 100 * seed + place, "seconds": 0.01}
            for place, (name, rate) in enumerate(rates.items())
        },
    )
    office.rest()
    account.http.delete(f"{account.url}/control/faults", timeout=60)
    office.rest()
    assert list(office.hub.parked()) == []
    assert books(account) == {reference: (total, "2", 1) for reference, total in wanted.items()}
