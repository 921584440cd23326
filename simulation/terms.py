"""The terms of one schedule: what the simulated vendors declare and how they are. Drawn from the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from connectors.base import CreateProtocol


@dataclass(frozen=True, slots=True)
class Terms:
    """`compares`: the hub looks at a record before it overwrites it. `key_age`, seconds, is how long invoices' idempotency
    keys are known; `invoice_marker`: whether they can be looked up.

    `index_lag` and `max_in_flight`, seconds, are kept by the vendors unless `breaks_timing`: then a commit may come,
    and an index lag, up to that many times later than declared."""

    line_protocol: CreateProtocol = CreateProtocol.PROBE
    lines_per_order: int = 450
    batch: int = 50
    crm_batch: int = 200
    page_size: int = 100
    index_lag: float = 5.0
    max_in_flight: float = 60.0
    crm_in_flight: float = 120.0
    overlap: float = 30.0
    adopt_unmarked: bool = True
    requests_per_second: float = 0.0
    automation: bool = False
    key_age: float = 86400.0
    invoice_marker: bool = True
    compares: bool = False
    breaks_timing: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def draw(rng: Random) -> Terms:
    """Terms of a random schedule; half of them are the plain ones in each respect."""
    probe = CreateProtocol.PROBE
    return Terms(
        line_protocol=rng.choice([probe, probe, probe, probe, probe, CreateProtocol.UNIQUE_FIELD, CreateProtocol.NONE]),
        lines_per_order=rng.choice([450, 450, 2]),
        batch=rng.choice([50, 50, 3, 2]),
        crm_batch=rng.choice([200, 200, 2]),
        page_size=rng.choice([100, 3, 2]),
        index_lag=rng.choice([5.0, 5.0, 0.0, 30.0]),
        max_in_flight=rng.choice([60.0, 60.0, 120.0]),
        adopt_unmarked=rng.random() < 0.5,
        requests_per_second=rng.choice([0.0, 0.0, 0.0, 4.0]),
        automation=rng.random() < 0.3,
        key_age=rng.choice([86400.0, 300.0, 300.0]),
        invoice_marker=rng.random() < 0.7,
        compares=rng.random() < 0.2,
    )


def terms_from(body: Mapping[str, Any]) -> Terms:
    """The terms that `as_dict` told."""
    return Terms(**{**body, "line_protocol": CreateProtocol(body["line_protocol"])})
