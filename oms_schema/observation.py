"""What a vendor's present state means in canonical words, as seen when it was last read."""

from __future__ import annotations

from oms_schema.base import Canonical
from oms_schema.status import DeliveryStatus


class LineObservation(Canonical):
    """A line as the delivering system shows it. `vendor_status` is the vendor's own word, kept for the trace."""

    status: DeliveryStatus
    missing_creatives: bool = False
    archived: bool = False
    vendor_status: str = ""


class OrderObservation(Canonical):
    """An order as the delivering system shows it. `vendor_status` is the vendor's own word, kept for the trace."""

    approved: bool
    archived: bool = False
    vendor_status: str = ""
