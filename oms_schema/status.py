"""The four status axes. Never one "status": commercial (order), delivery (line), billing (line-period), sync (lane)."""

from __future__ import annotations

from enum import StrEnum


class CommercialStatus(StrEnum):
    """Where the contract stands."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    OUT_FOR_SIGNATURE = "out_for_signature"
    BOOKED = "booked"
    ON_HOLD = "on_hold"
    COMPLETED = "completed"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class DeliveryStatus(StrEnum):
    """Where a line stands at the system that delivers it (OpenDirect names plus READY)."""

    DRAFT = "draft"
    PENDING_RESERVATION = "pending_reservation"
    RESERVED = "reserved"
    DECLINED = "declined"
    EXPIRED = "expired"
    PENDING_BOOKING = "pending_booking"
    BOOKED = "booked"
    READY = "ready"
    IN_FLIGHT = "in_flight"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    CANCELLED = "cancelled"


class BillingStatus(StrEnum):
    """Where a line-period stands on its way to cash."""

    OPEN = "open"
    AWAITING_FINAL = "awaiting_final"
    CALCULATED = "calculated"
    IN_REVIEW = "in_review"
    DISPUTED = "disputed"
    APPROVED = "approved"
    LOCKED = "locked"
    EXPORTED = "exported"
    INVOICED = "invoiced"
    PAID = "paid"
    ADJUSTED = "adjusted"


class SyncStatus(StrEnum):
    """Where one entity stands at one connection."""

    NEVER = "never"
    PENDING = "pending"
    RUNNING = "running"
    IN_SYNC = "in_sync"
    DRIFTED = "drifted"
    RETRYING = "retrying"
    IN_DOUBT = "in_doubt"
    NEEDS_HUMAN = "needs_human"
    SUPERSEDED = "superseded"
