"""Broken engines that let delivered numbers change, shrink or lie about their time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from connectors.errors import OutcomeUnknown
from hub.delivery import pull
from hub.store import facts
from simulation.mutants.mutant import Mutant, Patches, wrap


def _delivery_overwritten() -> Patches:
    """A restatement replaces the fact instead of standing beside it."""

    def make(merge: Any) -> Any:
        def flat(cur: Any, connection: str, as_of: Any, job_id: str) -> Any:
            merged = merge(cur, connection, as_of, job_id)
            cur.execute("DELETE FROM delivery_superseded WHERE as_of < %s AND source = %s", (as_of, connection))
            return merged

        return flat

    return [wrap(facts, "merge", make)]


def _partial_report_replaces() -> Patches:
    """What a report does not mention is taken for zero."""

    def make(merge: Any) -> Any:
        def zeroing(cur: Any, connection: str, as_of: Any, job_id: str) -> Any:
            cur.execute(
                "DELETE FROM delivery_day d WHERE d.source = %s AND NOT EXISTS (SELECT 1 FROM staged s JOIN reference r "
                "ON r.vendor_id = s.line_vendor_id AND r.kind = 'line' WHERE r.entity_id = d.line_id AND s.day = d.day)",
                (connection,),
            )
            return merge(cur, connection, as_of, job_id)

        return zeroing

    return [wrap(facts, "merge", make)]


def _cut_report_is_kept() -> Patches:
    def make(checked: Any) -> Any:
        def lenient(rows: Any, job: Any) -> Any:
            seen = 0
            try:
                for row in checked(rows, job):
                    seen += 1
                    yield (*row[:3], row[3] * 2, *row[4:]) if seen % 5 == 0 else row
            except OutcomeUnknown:
                return

        return lenient

    return [wrap(pull, "_checked", make)]


def _report_antedated() -> Patches:
    """Numbers are dated otherwise than by when their report was asked for: which of two is newer cannot be told any more."""

    def make(merge: Any) -> Any:
        def backwards(cur: Any, connection: str, as_of: Any, job_id: str) -> Any:
            return merge(cur, connection, as_of - timedelta(days=3), job_id)

        return backwards

    return [wrap(facts, "merge", make)]


DELIVERY: tuple[Mutant, ...] = (
    Mutant("delivery overwritten", "facts are immutable", _delivery_overwritten),
    Mutant("partial report replaces", "absent is not zero", _partial_report_replaces),
    Mutant("cut report is kept", "a report is loaded whole or not at all", _cut_report_is_kept),
    Mutant("report antedated", "a number bears the time of its report", _report_antedated),
)
