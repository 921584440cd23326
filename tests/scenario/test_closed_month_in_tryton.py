"""Finance closes the month in a real Tryton before it is billed: the invoice is taken back and posted in the next open period.

Needs `.tools/tryton` (`make tryton`); without it the test says so, and ORDERHUB_REQUIRE_TRYTON=1 makes that a failure.
"""

from __future__ import annotations

import importlib.util
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.demo.generated_book import generated_book
from cli.demo.order_book import parse_order_book
from cli.erp import company
from cli.erp.bookkeeper import Bookkeeper

if TYPE_CHECKING:
    from cli.erp.tryton import TrytonServer
    from hub import Hub

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(900)]

_NAME = "closing_in_tryton"
_PATH = Path(__file__).with_name("test_close_in_tryton.py")
if _NAME not in sys.modules:
    _spec = importlib.util.spec_from_file_location(_NAME, _PATH)
    assert _spec is not None
    assert _spec.loader is not None
    _module = importlib.util.module_from_spec(_spec)
    sys.modules[_NAME] = _module
    _spec.loader.exec_module(_module)
closing: Any = sys.modules[_NAME]
erp, proxy, hub = closing.erp, closing.proxy, closing.hub


def test_an_invoice_of_a_closed_month_is_posted_once_in_the_next_open_one(
    hub: Hub, erp: TrytonServer, tmp_path: Path
) -> None:
    book = parse_order_book(generated_book(), source="generated")
    order = next(one for one in book.orders if sum(line.usable and bool(line.cpm) for line in one.lines) > 2)
    lines = dict(closing.book_order(hub, 0, order))
    first = max(line.start.date() for line in order.lines)
    month = first.isoformat()[:7]
    closing.load(hub, tmp_path, month, dict.fromkeys(lines.values(), (first, 10000)))
    with Bookkeeper(erp.settings(company.BOOKKEEPER)) as people:
        people.close_period(first)
        done = closing.close(hub, month)
        assert not done.complete
        (waiting,) = hub.billing.documents(month)
        (line, *_) = lines.values()
        assert f"bill enter withdrawal {waiting.document_id}" in hub.billing.why(line, month).answer
        (left,) = people.invoices(waiting.document_id)
        assert (left["state"], left["number"]) == ("draft", None)

        hub.billing.close_accounts(month, by="Fin")
        entered = hub.billing.withdraw(closed=month, reason="closed", by="Ada")
        hub.billing.confirm(entered.number, by="Grace")
        people.delete_draft(left["id"])
        done = closing.close(hub, month)
        assert done.complete, done.sentence
        (posted,) = hub.billing.documents(month)
        (there,) = people.documents()
        assert (there["reference"], there["state"]) == (posted.document_id, "posted")
        assert there["total_amount"] == posted.net > Decimal(0)
        assert posted.issued_on is not None
        assert posted.issued_on > date.fromisoformat(f"{month}-28")
        assert closing.close(hub, month).new_documents == 0
