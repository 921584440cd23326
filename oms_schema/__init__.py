"""The canonical language of Orderhub: orders, lines, money, ids, status machines. Pure: no I/O, clock or database.

A module is imported when one of its names is first asked for: all of them together take a quarter of a second, and most
processes need a few.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oms_schema.base import Canonical
    from oms_schema.billing_terms import BillingSchedule, BillingSource, BillingTerms, CapMode, Finality, VarianceBase
    from oms_schema.change import Change, ChangeStatus
    from oms_schema.checks import GOAL_UNITS, check_line, check_line_against_order, check_order
    from oms_schema.commission import gross_of, net_of
    from oms_schema.creative import CreativePlaceholder, UniversalAdId
    from oms_schema.currencies import check_currency
    from oms_schema.deal import Deal, DealId, DealType, check_deal_change
    from oms_schema.delivery import (
        METRIC_OF_GOAL,
        BillingPeriod,
        CountedBy,
        DeliveryFact,
        LinePeriod,
        Metric,
        QuantityOverride,
        Units,
        newest_facts,
    )
    from oms_schema.diff import ABSENT, LIST_KEYS, DiffConflict, FieldChange
    from oms_schema.document import Amounts, BillingDocument, Document, DocumentKind, DocumentLine, Envelope, Signer
    from oms_schema.ids import ConnectionName, EntityId, EntityKind, canonical_id, idempotency_key
    from oms_schema.instant import Instant
    from oms_schema.line import (
        Commitment,
        CostMethod,
        Flight,
        Goal,
        GoalMeasure,
        GoalUnit,
        Line,
        Price,
        PriceBasis,
        ProductReference,
    )
    from oms_schema.local_time import LocalDateTime, NoSuchLocalTime, NoSuchZone
    from oms_schema.machines import (
        BILLING,
        COMMERCIAL,
        DELIVERY,
        LINE_ENDS,
        SYNC,
        Answer,
        BillingFacts,
        Cancellation,
        CommercialFacts,
        DeliveryFacts,
        Finding,
        Guard,
        IllegalMove,
        Machine,
        Origin,
        Refusal,
        SyncFacts,
        Transition,
        decision_overdue,
    )
    from oms_schema.money import CurrencyCode, Micros, Money, PartsPerMillion, exponent, minor_unit
    from oms_schema.observation import LineObservation, OrderObservation
    from oms_schema.order import Order, PurchaseOrder
    from oms_schema.party import ID, Address, Name, Party, PartyInRole, PartyRole
    from oms_schema.payment import Payment, check_balance
    from oms_schema.problems import Problem, Problems, Reason, shown
    from oms_schema.projection import LineProjection, OrderBilling, OrderProjection, percent_of_goal
    from oms_schema.reference import Reference, check_references, references_of
    from oms_schema.revision import LINE_GRADES, ORDER_GRADES, SMALL_SHIFT, Grade, grade_line, grade_order
    from oms_schema.status import BillingStatus, CommercialStatus, DeliveryStatus, SyncStatus
    from oms_schema.targeting import Criterion, Dimension, Operator, Targeting
    from oms_schema.text import LengthUnit, check_basic_plane, check_length, check_name, check_not_blank, check_visible

__all__ = [
    "ABSENT",
    "BILLING",
    "COMMERCIAL",
    "DELIVERY",
    "GOAL_UNITS",
    "ID",
    "LINE_ENDS",
    "LINE_GRADES",
    "LIST_KEYS",
    "METRIC_OF_GOAL",
    "ORDER_GRADES",
    "SMALL_SHIFT",
    "SYNC",
    "Address",
    "Amounts",
    "Answer",
    "BillingDocument",
    "BillingFacts",
    "BillingPeriod",
    "BillingSchedule",
    "BillingSource",
    "BillingStatus",
    "BillingTerms",
    "Cancellation",
    "Canonical",
    "CapMode",
    "Change",
    "ChangeStatus",
    "CommercialFacts",
    "CommercialStatus",
    "Commitment",
    "ConnectionName",
    "CostMethod",
    "CountedBy",
    "CreativePlaceholder",
    "Criterion",
    "CurrencyCode",
    "Deal",
    "DealId",
    "DealType",
    "DeliveryFact",
    "DeliveryFacts",
    "DeliveryStatus",
    "DiffConflict",
    "Dimension",
    "Document",
    "DocumentKind",
    "DocumentLine",
    "EntityId",
    "EntityKind",
    "Envelope",
    "FieldChange",
    "Finality",
    "Finding",
    "Flight",
    "Goal",
    "GoalMeasure",
    "GoalUnit",
    "Grade",
    "Guard",
    "IllegalMove",
    "Instant",
    "LengthUnit",
    "Line",
    "LineObservation",
    "LinePeriod",
    "LineProjection",
    "LocalDateTime",
    "Machine",
    "Metric",
    "Micros",
    "Money",
    "Name",
    "NoSuchLocalTime",
    "NoSuchZone",
    "Operator",
    "Order",
    "OrderBilling",
    "OrderObservation",
    "OrderProjection",
    "Origin",
    "PartsPerMillion",
    "Party",
    "PartyInRole",
    "PartyRole",
    "Payment",
    "Price",
    "PriceBasis",
    "Problem",
    "Problems",
    "ProductReference",
    "PurchaseOrder",
    "QuantityOverride",
    "Reason",
    "Reference",
    "Refusal",
    "Signer",
    "SyncFacts",
    "SyncStatus",
    "Targeting",
    "Transition",
    "Units",
    "UniversalAdId",
    "VarianceBase",
    "canonical_id",
    "check_balance",
    "check_basic_plane",
    "check_currency",
    "check_deal_change",
    "check_length",
    "check_line",
    "check_line_against_order",
    "check_name",
    "check_not_blank",
    "check_order",
    "check_references",
    "check_visible",
    "decision_overdue",
    "exponent",
    "grade_line",
    "grade_order",
    "gross_of",
    "idempotency_key",
    "minor_unit",
    "net_of",
    "newest_facts",
    "percent_of_goal",
    "references_of",
    "shown",
]

_MODULES = {
    "base": "Canonical",
    "billing_terms": "BillingSchedule BillingSource BillingTerms CapMode Finality VarianceBase",
    "change": "Change ChangeStatus",
    "checks": "GOAL_UNITS check_line check_line_against_order check_order",
    "commission": "gross_of net_of",
    "creative": "CreativePlaceholder UniversalAdId",
    "currencies": "check_currency",
    "deal": "Deal DealId DealType check_deal_change",
    "delivery": "METRIC_OF_GOAL BillingPeriod CountedBy DeliveryFact LinePeriod Metric QuantityOverride Units newest_facts",
    "diff": "ABSENT LIST_KEYS DiffConflict FieldChange",
    "document": "Amounts BillingDocument Document DocumentKind DocumentLine Envelope Signer",
    "ids": "ConnectionName EntityId EntityKind canonical_id idempotency_key",
    "instant": "Instant",
    "line": "Commitment CostMethod Flight Goal GoalMeasure GoalUnit Line Price PriceBasis ProductReference",
    "local_time": "LocalDateTime NoSuchLocalTime NoSuchZone",
    "machines": "BILLING COMMERCIAL DELIVERY LINE_ENDS SYNC Answer BillingFacts Cancellation CommercialFacts DeliveryFacts "
    "Finding Guard IllegalMove Machine Origin Refusal SyncFacts Transition decision_overdue",
    "money": "CurrencyCode Micros Money PartsPerMillion exponent minor_unit",
    "observation": "LineObservation OrderObservation",
    "order": "Order PurchaseOrder",
    "party": "ID Address Name Party PartyInRole PartyRole",
    "payment": "Payment check_balance",
    "problems": "Problem Problems Reason shown",
    "projection": "LineProjection OrderBilling OrderProjection percent_of_goal",
    "reference": "Reference check_references references_of",
    "revision": "LINE_GRADES ORDER_GRADES SMALL_SHIFT Grade grade_line grade_order",
    "status": "BillingStatus CommercialStatus DeliveryStatus SyncStatus",
    "targeting": "Criterion Dimension Operator Targeting",
    "text": "LengthUnit check_basic_plane check_length check_name check_not_blank check_visible",
}
"""The module in which each public name stands."""
_PLACES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """The public name, kept from then on (PEP 562)."""
    module = _PLACES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
    return value


def __dir__() -> list[str]:
    """Public names too, asked for or not."""
    return sorted({*globals(), *__all__})
