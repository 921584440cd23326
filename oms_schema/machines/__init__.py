"""The four status machines as tables with guards, for order, line, line-period and lane."""

from oms_schema.machines.billing import BILLING, BillingFacts
from oms_schema.machines.commercial import COMMERCIAL, LINE_ENDS, Cancellation, CommercialFacts, decision_overdue
from oms_schema.machines.delivery import DELIVERY, DeliveryFacts
from oms_schema.machines.machine import Guard, IllegalMove, Machine, Origin, Refusal, Transition
from oms_schema.machines.sync import SYNC, Answer, Finding, SyncFacts

__all__ = [
    "BILLING",
    "COMMERCIAL",
    "DELIVERY",
    "LINE_ENDS",
    "SYNC",
    "Answer",
    "BillingFacts",
    "Cancellation",
    "CommercialFacts",
    "DeliveryFacts",
    "Finding",
    "Guard",
    "IllegalMove",
    "Machine",
    "Origin",
    "Refusal",
    "SyncFacts",
    "Transition",
    "decision_overdue",
]
