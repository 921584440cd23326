"""The true state of one simulated Ad Manager network, behind one lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from sandbox.gam.contract import load_contract
from sandbox.gam.delivery import Delivery
from sandbox.gam.geography import load_atlas
from sandbox.gam.moments import seconds, write_moment
from sandbox.gam.records import Table
from sandbox.gam.settings import Settings
from sandbox.gam.soap import Native
from sandbox.serving import Clock, Faults

ROOT_AD_UNIT_ID = "21700000001"


class Network:
    """Tables, true delivery, clock and faults of one network.

    Hold `lock` while reading or changing state; it may be taken again by the thread that holds it. Keys of stored
    objects that begin with `_` are the sandbox's own and never leave through the vendor's API:
    `_created`, `_modified` (instants), on lines also `_start`, `_end` (instants, `_end` None = open), `_review`
    (DRAFT, PENDING_APPROVAL, APPROVED, DISAPPROVED, CANCELED), `_paused`, `_released`, `_reserved`.
    """

    def __init__(self, settings: Settings, clock: Clock, faults: Faults) -> None:
        self.settings = settings
        self.clock = clock
        self.faults = faults
        self.contract = load_contract(settings.version)
        self.atlas = load_atlas()
        self.lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """A fresh network: one root ad unit, the API's service account and a trafficker, nothing booked."""
        with self.lock:
            self.tables: dict[str, Table] = {
                "User": Table(244_000_001),
                "Company": Table(4_700_000_001, {"name": lambda row: row["name"]}),
                "Order": Table(2_900_000_001, {"name": lambda row: row["name"]}),
                "LineItem": Table(
                    6_100_000_001,
                    {"externalid": lambda row: row.get("externalId"), "orderid": lambda row: row["orderId"]},
                ),
                "Creative": Table(138_400_000_001, {"advertiserid": lambda row: row["advertiserId"]}),
                "LineItemCreativeAssociation": Table(
                    1,
                    {
                        "lineitemid": lambda row: row["lineItemId"],
                        "creativeid": lambda row: row["creativeId"],
                    },
                ),
                "CustomTargetingKey": Table(13_500_001, {"name": lambda row: row["name"]}),
                "CustomTargetingValue": Table(
                    448_000_000_001,
                    {
                        "customtargetingkeyid": lambda row: row["customTargetingKeyId"],
                        "name": lambda row: row["name"],
                    },
                ),
                "CustomField": Table(7_000_001),
                "ReportJob": Table(15_000_000_001),
            }
            self.delivery = Delivery(self.settings.time_zone)
            # Order names of deleted orders: whether the vendor frees them is not documented, so they stay taken.
            self.deleted_order_names: set[str] = set()
            # Lines that were deleted still count against the limit of their order (documented).
            self.deleted_lines: dict[int, int] = {}
            self.service_accounts: dict[str, str] = {}
            self.auto_attach = False
            self.secondary_currencies = self.settings.secondary_currencies
            # Impressions that reserved lines need, by ISO day of the network (module reservations).
            self.reserved: dict[str, int] = {}
            self._hidden: dict[tuple[str, int], float] = {}
            now = self.now()
            for name, email, role, service in (
                ("Orderhub API", "api@sandbox.example", "Administrator", True),
                ("Tess Trafficker", "trafficker@sandbox.example", "Trafficker", False),
            ):
                self.add_user(name, email, role, is_service_account=service, now=now)

    @property
    def currencies(self) -> tuple[str, ...]:
        """The primary currency, then the secondary ones."""
        return (self.settings.currency, *self.secondary_currencies)

    def now(self) -> int:
        """The present instant of the sandbox's clock, seconds since 1970 UTC."""
        return seconds(self.clock.now())

    def moment(self, instant: int | None) -> Native | None:
        """An instant as the vendor's DateTime in the network's zone."""
        return None if instant is None else write_moment(instant, self.settings.time_zone)

    def add_user(self, name: str, email: str, role: str, *, is_service_account: bool, now: int) -> Native:
        """Add a user of a built-in role."""
        users = self.tables["User"]
        user: Native = {
            "id": users.new_id(),
            "name": name,
            "email": email,
            "roleName": role,
            "isActive": True,
            "isServiceAccount": is_service_account,
            "_created": now,
            "_modified": now,
        }
        users.put(user)
        return user

    def hide(self, type_name: str, object_id: int, for_seconds: float) -> None:
        """Keep a new object out of queries for a while (fault index_lag, machine time)."""
        self._hidden[type_name, object_id] = time.monotonic() + for_seconds

    def is_hidden(self, type_name: str, object_id: int) -> bool:
        """Whether an object is still kept out of queries."""
        until = self._hidden.get((type_name, object_id))
        if until is None:
            return False
        if time.monotonic() >= until:
            del self._hidden[type_name, object_id]
            return False
        return True

    def dump(self) -> Any:
        """The whole state as one JSON value."""
        with self.lock:
            return {
                "tables": {name: table.dump() for name, table in self.tables.items()},
                "delivery": self.delivery.dump(),
                "deleted_order_names": sorted(self.deleted_order_names),
                "deleted_lines": [list(item) for item in self.deleted_lines.items()],
                "service_accounts": self.service_accounts,
                "auto_attach": self.auto_attach,
                "secondary_currencies": self.secondary_currencies,
                "reserved": self.reserved,
            }

    def restore(self, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` returned."""
        with self.lock:
            for name, table in self.tables.items():
                table.restore(dumped["tables"][name])
            self.delivery.restore(dumped["delivery"])
            self.deleted_order_names = set(dumped["deleted_order_names"])
            self.deleted_lines = dict(dumped["deleted_lines"])
            self.service_accounts = dict(dumped["service_accounts"])
            self.auto_attach = bool(dumped["auto_attach"])
            self.secondary_currencies = tuple(dumped.get("secondary_currencies", self.settings.secondary_currencies))
            self.reserved = dict(dumped["reserved"])
