"""Plays the sales team while workers die: new deals arrive, prices and goals change, accounts get other names, deals are lost.

Everything goes straight to the CRM, past the proxy. Edits set absolute values, so an edit whose reply is lost is made
again; what counts at the end is what the CRM then holds.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeVar

import requests

from cli.demo.crm_client import CrmClient, CrmError
from cli.demo.crm_seed import seed_crm
from cli.demo.order_book import OrderBook

NEW_ORDERS = 2
EDIT_PAUSE = (0.1, 0.6)
TRIES = 10
PRICES = (Decimal("1.5"), Decimal("7.25"), Decimal("12.34"))
GOALS = (50_000, 700_000, 3_000_000)
"""Few values, so that a change is often taken back while the one before is still in doubt."""

T = TypeVar("T")


class Disturber:
    """A thread with its own log-in. `orders` of the book are in the CRM; it goes on until the block ends."""

    def __init__(
        self, crm: CrmClient, book: OrderBook, *, begun: int, orders_every: float, dice: random.Random
    ) -> None:
        self._crm = crm
        self._book = book
        self._every = orders_every
        self._dice = dice
        self.orders = 0
        self.edits: Counter[str] = Counter()
        self._lines: list[str] = []
        self._opportunities: list[str] = []
        self._accounts: dict[str, str] = {}
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._disturb, name="disturber", daemon=True)
        self.bring(begun)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """No more edits. Raises what stopped the thread before its time."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def bring(self, count: int) -> None:
        """Load the next orders of the book into the CRM and close them won."""
        orders = self._book.orders[self.orders : self.orders + count]
        if not orders:
            return
        part = replace(self._book, orders=orders, refused=())
        seeded = self._persist(lambda: seed_crm(self._crm, part))
        self.orders += len(orders)
        self._lines += seeded.lines.values()
        self._opportunities += seeded.opportunities.values()
        # Names differ, so that an account is renamed and not taken over by a namesake of another order.
        self._accounts.update((id_, name) for name, id_ in seeded.accounts.items() if id_ not in self._accounts)

    # ---- inside
    def _disturb(self) -> None:
        next_orders = time.monotonic() + self._every
        kinds: Mapping[Callable[[], None], int] = {
            self._reprice: 30,
            self._resize: 30,
            self._purchase_order: 15,
            self._rename_order: 12,
            self._rename_account: 6,
            self._lose: 1,
        }
        try:
            while not self._ended.wait(self._dice.uniform(*EDIT_PAUSE)):
                if time.monotonic() >= next_orders:
                    self.bring(NEW_ORDERS)
                    next_orders = time.monotonic() + self._every
                self._dice.choices(list(kinds), list(kinds.values()))[0]()
        except BaseException as error:
            self._error = error

    def _reprice(self) -> None:
        self._edit_lines("price", lambda: {"CPM__c": self._dice.choice(PRICES)})

    def _resize(self) -> None:
        self._edit_lines("goal", lambda: {"Goal_Impressions__c": self._dice.choice(GOALS)})

    def _edit_lines(self, what: str, values: Callable[[], Mapping[str, Any]]) -> None:
        lines = self._dice.sample(self._lines, min(len(self._lines), self._dice.randint(1, 4)))
        self._edit(what, "OpportunityLineItem", [{"Id": line, **values()} for line in lines])

    def _purchase_order(self) -> None:
        order = self._dice.choice(self._opportunities)
        self._edit(
            "purchase order", "Opportunity", [{"Id": order, "PO_Number__c": f"PO-{self._dice.randrange(10**6)}"}]
        )

    def _rename_order(self) -> None:
        order = self._dice.choice(self._opportunities)
        self._edit("order name", "Opportunity", [{"Id": order, "Name": f"Deal {self._dice.randrange(10**9)}"}])

    def _rename_account(self) -> None:
        account = self._dice.choice(list(self._accounts))
        name = f"{self._accounts[account][:60]} {self._dice.randrange(10**9)}"
        self._edit("account name", "Account", [{"Id": account, "Name": name}])

    def _lose(self) -> None:
        order = self._dice.choice(self._opportunities)
        self._edit("deal lost", "Opportunity", [{"Id": order, "StageName": "Closed Lost"}])

    def _edit(self, what: str, record: str, rows: list[Mapping[str, Any]]) -> None:
        self._persist(lambda: self._crm.update(record, rows))
        self.edits[what] += 1

    def _persist(self, act: Callable[[], T]) -> T:
        """Do it again when the vendor's faults strike: a person presses the button once more."""
        for _ in range(TRIES):
            try:
                return act()
            except (requests.ConnectionError, CrmError):
                time.sleep(0.2)
        return act()
