"""How a line will be billed: whose numbers, capped how, on which schedule, within which tolerance."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from oms_schema.base import Canonical


class BillingSource(StrEnum):
    """Whose count is billed."""

    CONTRACTED = "contracted"
    FIRST_PARTY = "first_party"
    THIRD_PARTY = "third_party"


class CapMode(StrEnum):
    """How over-delivery is capped; Google's historical words for the same four modes."""

    NO_CAP = "no_cap"
    CUMULATIVE = "capped_cumulative"
    PER_CYCLE = "capped_per_billing_cycle"
    CUMULATIVE_PER_CYCLE = "capped_cumulative_per_billing_cycle"


class BillingSchedule(StrEnum):
    """When a line is billed."""

    AS_DELIVERED = "as_delivered"
    PREPAID = "prepaid"
    END_OF_CAMPAIGN = "end_of_campaign"
    STRAIGHTLINE = "straightline"
    PRORATED = "prorated"


class VarianceBase(StrEnum):
    """The figure a discrepancy is a share of: IAB UK takes the publisher's, AdCP the larger of the two."""

    PUBLISHER = "publisher"
    BUYER = "buyer"
    LARGER = "larger"


class Finality(StrEnum):
    """When a source's numbers may be billed."""

    DECLARED = "declared"
    AFTER_WINDOW = "after_window"


class BillingTerms(Canonical):
    """Terms of an order, or of one line that differs."""

    source: BillingSource = BillingSource.FIRST_PARTY
    cap: CapMode = CapMode.CUMULATIVE
    schedule: BillingSchedule = BillingSchedule.AS_DELIVERED
    tolerance_ppm: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = 100_000
    """Parts per million of `variance_base`: 10 % is 100_000."""
    variance_base: VarianceBase = VarianceBase.PUBLISHER
    measurement_window_days: Annotated[int, Field(ge=0, strict=True)] = 0
    """Days after the period's end in which late delivery still counts into it."""
    finality: Finality = Finality.AFTER_WINDOW
    finality_days: Annotated[int, Field(ge=0, strict=True)] = 3
    fallback_days: Annotated[int, Field(ge=0, strict=True)] | None = Field(
        default=None, description="Days after the period from which the seller's count may stand in; None: never"
    )
    effective_from: date | None = None
