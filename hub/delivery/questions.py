"""What is asked about delivery: what waits in quarantine, what every source said about a line, what billing may rely on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from hub.delivery.answers import FactVersion, FileSetAside, QuarantinedLine
from hub.delivery.finality import finality
from hub.errors import NotFound
from hub.session import Session
from hub.store import partitions, report_facts, set_aside
from hub.store.facts import UNITS
from hub.store.partitions import Source
from hub.store.report_facts import Version
from oms_schema.delivery import CountedBy, DeliveryFact, Units

MOST_SHOWN = 1000
"""Lines of the quarantine in one answer, the largest first."""

_NAMES = tuple(UNITS.split(", "))


def quarantine(session: Session, source: str | None = None) -> Sequence[QuarantinedLine]:
    """Delivery of lines that nobody knows, by line, the largest first; of one source or of all."""
    with session.database.transaction() as cur:
        found = report_facts.quarantine(cur, source, MOST_SHOWN)
    return [
        QuarantinedLine(
            one.source,
            one.line_vendor_id,
            one.order_vendor_id,
            one.since,
            one.until,
            one.days,
            one.impressions,
            one.as_of,
        )
        for one in found
    ]


def files_set_aside(session: Session, source: str | None = None) -> Sequence[FileSetAside]:
    """Files that were refused and still lie in their folder, the longest waiting first; of one source or of all."""
    with session.database.transaction() as cur:
        found = set_aside.standing(cur, source)
    return [FileSetAside(one.source, one.report, one.as_of, one.code, one.sentence, one.since) for one in found]


def fact_versions(session: Session, line: str, *, restated_only: bool = False) -> Sequence[FactVersion]:
    """Every version of a line's facts by source, day and as-of; `line` is canonical or any vendor's id.

    `restated_only` leaves out days that were reported once. Raises NotFound when nothing or more than one line answers to it.
    """
    with session.database.transaction() as cur:
        line_id = _the_line(report_facts.lines_named(cur, line), line)
        found = report_facts.versions(cur, line_id)
        declared = {name: partitions.source(cur, name) for name in {one.source for one in found}}
    restated = {(one.source, one.day) for one in found if not one.newest}
    shown = [one for one in found if not restated_only or (one.source, one.day) in restated]
    return [_shown(one, declared[one.source]) for one in shown]


def _shown(one: Version, declared: Source | None) -> FactVersion:
    units = _reported(declared, one.units)
    return FactVersion(one.source, *_who(declared), one.day, one.as_of, *units, one.newest)


def delivery_facts(session: Session, line_id: str, since: date, until: date) -> Sequence[DeliveryFact]:
    """The newest facts of a canonical line, all sources side by side, days inclusive, each with its finality."""
    with session.database.transaction() as cur:
        found = [one for one in report_facts.versions(cur, line_id) if one.newest and since <= one.day <= until]
        declared = {name: partitions.source(cur, name) for name in {one.source for one in found}}
    final: set[tuple[str, date]] = set()
    for source in declared:
        final |= {(source, day.day) for day in finality(session, source, since, until) if day.final}
    facts = []
    for one in found:
        counted_by, zone = _who(declared[one.source])
        units = dict(zip(_NAMES, _reported(declared[one.source], one.units), strict=True))
        facts.append(
            DeliveryFact(
                line_id=line_id,
                day=one.day,
                source=one.source,
                as_of=one.as_of,
                units=Units.model_validate(units),
                day_zone=zone,
                counted_by=CountedBy(counted_by),
                final=(one.source, one.day) in final,
            )
        )
    return facts


def _the_line(found: Sequence[str], text: str) -> str:
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"No line answers to {text!r}. Nothing is shown. Look it up with `orderhub trace` of its order.")
    raise NotFound(
        f"{len(found)} lines answer to {text!r}: {', '.join(found[:5])}. Nothing is shown. Name one by its own id."
    )


def _who(declared: Source | None) -> tuple[str, str]:
    """Who counted, and in which zone; a source that never declared it is an ad server pulled through its connector."""
    return ("seller", "UTC") if declared is None else (declared.counted_by, declared.zone)


def _reported(
    declared: Source | None, units: tuple[int, int, int, int]
) -> tuple[int | None, int | None, int | None, int | None]:
    reported = _NAMES if declared is None else declared.metrics
    first, second, third, fourth = (
        count if name in reported else None for name, count in zip(_NAMES, units, strict=True)
    )
    return first, second, third, fourth
