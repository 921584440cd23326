"""Broken engines for documents and native keys: each gives up one thing that keeps an invoice from being posted twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

from connectors.base import CreateProtocol, RecordCapability
from hub.encoding import decode, encode
from hub.store import documents, lanes
from hub.sync import native_keys, prepare, repeat
from hub.sync import settle as settling
from simulation.mutants.mutant import Mutant, Patches, wrap


def _key_trusted_for_ever() -> Patches:
    def alive(capability: RecordCapability | None, first_sent: datetime | None, now: datetime) -> bool:
        return capability is not None and capability.create is CreateProtocol.NATIVE_KEY and first_sent is not None

    return [patch.object(native_keys, "alive", alive)]


def _key_of_each_send() -> Patches:
    """A key that changes with every claim names no write."""

    def make(document: Any) -> Any:
        def keyed(lane: Any, stored: Any) -> Any:
            item = document(lane, stored)
            return replace(item, key=f"{item.key}-{lane.fence}")

        return keyed

    def repeated(again: Any) -> Any:
        def renewed(item: Any, first: Any, capability: RecordCapability) -> Any:
            return item if capability.create is CreateProtocol.NATIVE_KEY else again(item, first, capability)

        return renewed

    return [wrap(prepare, "_document", make), wrap(repeat, "_repeated", repeated)]


def _document_rewritten() -> Patches:
    """Other content under an id that is taken replaces what accounting asked for first."""

    def make(put: Any) -> Any:
        def rewriting(cur: Any, connection: str, document: Any, now: Any) -> Any:
            put(cur, connection, document, now)
            cur.execute(
                "UPDATE document SET payload = %s WHERE connection = %s AND document_id = %s",
                (document.payload, connection, document.document_id),
            )
            return document

        return rewriting

    return [wrap(documents, "put", make), patch.object(lanes, "_same_document", lambda *_: None)]


def _document_recalculated() -> Patches:
    """A resend carries numbers worked out anew instead of the stored ones."""

    def make(document: Any) -> Any:
        def anew(lane: Any, stored: Any) -> Any:
            item = document(lane, stored)
            if lane.tries == 0 or not item.payload:
                return item
            payload = {**decode(stored.payload), "total_micros": item.payload["total_micros"] // 10_000 * 10_000}
            return replace(item, payload=payload, payload_bytes=encode(payload))

        return anew

    return [wrap(prepare, "_document", make)]


def _blind_resend() -> Patches:
    """What has neither key nor look-up is sent again instead of waiting for a person."""
    return [patch.object(settling, "may_resend", lambda channel, attempt, first, now: attempt.record == "CreditMemo")]


DOCUMENTS: tuple[Mutant, ...] = (
    Mutant("key trusted for ever", "a key counts only while the vendor knows it", _key_trusted_for_ever),
    Mutant("key of each send", "a key names one write, however often it is sent", _key_of_each_send),
    Mutant("document rewritten", "a document never changes", _document_rewritten),
    Mutant("document recalculated", "a document is sent as it was stored", _document_recalculated),
    Mutant("blind resend", "what cannot be looked up waits for a person", _blind_resend),
)
