"""The true state of the simulated account: customers, items, currencies, periods, transactions and what links them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sandbox.serving import Clock, ControlError

Row = dict[str, Any]
TABLES = ("currency", "customer", "item", "accountingperiod", "transaction", "nexttransactionlink")
_CURRENCIES = (("1", "USD", 2), ("2", "EUR", 2), ("3", "GBP", 2), ("4", "JPY", 0))


@dataclass(frozen=True)
class Preferences:
    """How the account is set up.

    `rounding` is the account's own for quantity × rate: half_up or half_even. `recalculate`: a script of the account
    recomputes each amount from quantity and rate, whatever was sent. `tax_percent` is added to every line.
    `approval_routing`: invoices start as Pending Approval. `chronological`: a script refuses an invoice dated before the
    last one. `payment_touches_invoice`: whether a payment moves its invoice's time of change. `time_zone` is the one that
    SuiteQL shows times in.
    """

    rounding: str = "half_up"
    recalculate: bool = False
    tax_percent: str = "0"
    approval_routing: bool = True
    chronological: bool = False
    payment_touches_invoice: bool = True
    time_zone: str = "America/Los_Angeles"


class NetSuiteAccount:
    """All rows by table and internal id. Take `lock` around every use; amounts are Decimal text, times UTC.

    Attributes:
        on_reset: called after `reset`.
    """

    def __init__(self, clock: Clock, *, account: str = "1234567") -> None:
        self.clock = clock
        self.account = account
        self.lock = threading.RLock()
        self.on_reset: Callable[[], None] = lambda: None
        self.preferences = Preferences()
        self.tables: dict[str, dict[str, Row]] = {}
        self.numbers: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        """Back to a fresh account: four currencies, one item, three open years, no customer."""
        with self.lock:
            self.preferences = Preferences()
            self.tables = {name: {} for name in TABLES}
            self.numbers = {}
            for id_, symbol, digits in _CURRENCIES:
                self.tables["currency"][id_] = {"id": id_, "symbol": symbol, "name": symbol, "digits": digits}
            self.numbers["currency"] = len(_CURRENCIES)
            self.add("item", {"itemid": "Advertising", "isinactive": "F"})
            this_year = self.clock.now().year
            for year in range(this_year - 1, this_year + 2):
                for month in range(1, 13):
                    self._add_period(year, month)
        self.on_reset()

    def _add_period(self, year: int, month: int) -> None:
        following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        end = datetime.fromtimestamp(following.timestamp() - 1, UTC)
        self.add(
            "accountingperiod",
            {
                "periodname": f"{year}-{month:02}",
                "startdate": f"{year}-{month:02}-01",
                "enddate": end.date().isoformat(),
                "closed": "F",
                "isquarter": "F",
                "isyear": "F",
            },
        )

    def add(self, table: str, values: Mapping[str, Any]) -> Row:
        """A new row with the next internal id of its table."""
        number = self.numbers.get(table, 0) + 1
        self.numbers[table] = number
        row = {"id": str(number), **values}
        self.tables[table][row["id"]] = row
        return row

    def stamp(self) -> str:
        """Now, in whole seconds UTC, as rows keep it."""
        return self.clock.now().astimezone(UTC).replace(microsecond=0).isoformat()

    def next_number(self, prefix: str) -> str:
        """The next document number of a sequence."""
        number = self.numbers.get(prefix, 0) + 1
        self.numbers[prefix] = number
        return f"{prefix}{number:06}"

    def transactions(self, *kinds: str) -> Iterable[Row]:
        """Transactions of the named record types, oldest first."""
        return (row for row in self.tables["transaction"].values() if row["recordType"] in kinds)

    def by_external_id(self, table: str, external_id: str) -> Row | None:
        """The row with an external id; NetSuite compares them without regard to case."""
        wanted = external_id.casefold()
        for row in self.tables[table].values():
            if str(row.get("externalId") or "").casefold() == wanted:
                return row
        return None

    def prefer(self, changes: Mapping[str, Any]) -> None:
        """Change preferences. Raises ControlError for an unknown one."""
        known = asdict(self.preferences)
        if unknown := sorted(set(changes) - set(known)):
            raise ControlError(f"unknown preferences {unknown}; known are {sorted(known)}")
        self.preferences = replace(self.preferences, **changes)

    # -- what the control interface needs
    def objects(self, type_name: str | None, query: Mapping[str, str]) -> list[Any]:
        """True rows of a table. Raises ControlError for an unknown one."""
        if type_name not in TABLES:
            raise ControlError(f"there is no table {type_name!r}; known are {list(TABLES)}")
        with self.lock:
            rows = [json.loads(json.dumps(row)) for row in self.tables[type_name].values()]
        kind = query.get("record")
        return [row for row in rows if kind is None or row.get("recordType") == kind]

    def dump(self) -> Any:
        """The whole state as one JSON value."""
        with self.lock:
            return {
                "preferences": asdict(self.preferences),
                "tables": json.loads(json.dumps(self.tables)),
                "numbers": dict(self.numbers),
            }

    def restore(self, dumped: Any) -> None:
        """Take over what `dump` returned."""
        with self.lock:
            self.preferences = Preferences(**dumped["preferences"])
            self.tables = dumped["tables"]
            self.numbers = dumped["numbers"]
