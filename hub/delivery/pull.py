"""Pull delivery: ask for a report, look whether it is ready, load it whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.base import DeliveryQuery, DeliveryRow, JobState, ReportsDelivery
from connectors.errors import ConnectorError
from hub.delivery.refusals import ENOUGH, RARER, Outlier, ReportHeld
from hub.delivery.shape import UNITS, ReportShape
from hub.errors import ConnectionBroken, NotFound
from hub.ops.people import who
from hub.results import DeliverySummary
from hub.session import Channel, Session
from hub.store import entities, facts, journal
from hub.store.database import Cursor
from hub.store.facts import Job
from hub.store.journal import Entry
from hub.sync import projection
from hub.sync.vendor import ask, brought, reading, take_tokens
from oms_schema.line import GoalMeasure, Line

SAME_REPORT = timedelta(hours=1)
"""A report asked for within this business time is taken up by a retry instead of being asked for twice."""

GOAL_TIMES = 2
"""One day of so many times a line's whole goal is no delivery but a mistake: a guess, ad servers overrun by a few percent."""


def _reporter(session: Session, name: str) -> tuple[Channel, ReportsDelivery]:
    channel = session.channel(name)
    if not isinstance(channel.connector, ReportsDelivery):
        raise ConnectionBroken(name, f"Connection {name} reports no delivery. Nothing was asked.")
    return channel, channel.connector


def start_delivery(
    session: Session, name: str, since: date | None = None, until: date | None = None
) -> DeliverySummary:
    """Ask for a report; one that was just asked for and is still under way is returned instead of doubled.

    Days are those of the vendor's own zone and inclusive. Without `since`, from the look-back before the last loaded
    report, or from the first flight; without `until`, to today in business time.
    Raises ConnectionBroken, VendorUnavailable, NotFound.
    """
    channel, connector = _reporter(session, name)
    zone = ZoneInfo(ask(session, channel, "delivery_zone", connector.delivery_zone))
    as_of = session.business.now()
    today = as_of.astimezone(zone).date()
    with session.database.transaction() as cur:
        running = facts.job(cur, name)
        last = facts.last_loaded(cur, name)
        first = entities.first_flight(cur)
    if running is not None and as_of - running.as_of < SAME_REPORT and since is None and until is None:
        return DeliverySummary(name, running.job, running.state)
    if first is None:
        return DeliverySummary(name, "", "nothing booked")
    if since is None:
        # Ad servers adjust figures after the day (general knowledge, not published).
        look_back = channel.settings.delivery_look_back_days
        start = first.astimezone(zone).date()
        since = start if last is None else max(start, last.astimezone(zone).date() - timedelta(days=look_back))
    until = min(until or today, today)
    if since > until:
        return DeliverySummary(name, "", "nothing flown")
    query = DeliveryQuery(since, until)
    job = ask(session, channel, "start_delivery", lambda: connector.start_delivery(query))
    with session.database.transaction() as cur:
        facts.add_job(cur, name, job, since, until, as_of, "running", session.machine.now())
    return DeliverySummary(name, job, "running")


def _known_job(session: Session, name: str, job_id: str) -> Job:
    with session.database.transaction() as cur:
        job = facts.job(cur, name, job_id)
    if job is None:
        raise NotFound(f"Connection {name} has no report {job_id!r}. Nothing was loaded. Start one first.")
    return job


def poll_delivery(session: Session, name: str, job_id: str) -> DeliverySummary:
    """Look where a report stands: running, ready, failed or loaded. Raises NotFound, VendorUnavailable, ConnectionBroken."""
    channel, connector = _reporter(session, name)
    job = _known_job(session, name, job_id)
    if job.state in {"failed", "loaded"}:
        return DeliverySummary(name, job_id, job.state)
    state = {JobState.RUNNING: "running", JobState.READY: "ready", JobState.FAILED: "failed"}[
        ask(session, channel, "delivery_state", lambda: connector.delivery_state(job_id))
    ]
    if state != job.state:
        with session.database.transaction() as cur:
            facts.set_job(cur, name, job_id, state)
    return DeliverySummary(name, job_id, state)


def _checked(rows: Iterator[DeliveryRow], job: Job) -> Iterator[tuple[str, str, date, int, int, int, int]]:
    """Rows as staged; a row that cannot be refuses the whole report, so that nothing is half loaded."""
    for row in rows:
        if not job.since <= row.day <= job.until:
            raise ConnectorError("REPORT-DAY", f"the report of {job.since} to {job.until} has a row for {row.day}")
        units = (row.impressions, row.clicks, row.completed_views, row.viewable_impressions)
        if min(units) < 0:
            raise ConnectorError("REPORT-NEGATIVE", f"line {row.line_vendor_id} has a negative number on {row.day}")
        yield (row.line_vendor_id, row.order_vendor_id, row.day, *units)


def load_delivery(session: Session, name: str, job_id: str, accepted_by: str | None = None) -> DeliverySummary:
    """Load a ready report into facts: whole or not at all; unchanged days write nothing, restated ones become new versions.

    A day far beyond the line's other days and beyond belief holds the report, ready until somebody accepts it by name.
    Raises NotFound, VendorUnavailable, ConnectionBroken (a malformed or held report), ConnectorStumbled: nothing was loaded.
    """
    channel, connector = _reporter(session, name)
    job = _known_job(session, name, job_id)
    if job.state == "loaded":
        return DeliverySummary(name, job_id, "loaded")
    take_tokens(session, channel, "read_delivery")
    now = session.machine.now()
    try:
        with (
            session.database.acting(who(accepted_by)) if accepted_by is not None else nullcontext(),
            reading(session, channel, "read_delivery"),
            session.database.transaction() as cur,
        ):
            rows = facts.stage(
                cur, _checked(brought(channel, "read_delivery", lambda: connector.read_delivery(job_id)), job)
            )
            if not facts.begin_load(cur, name, job_id):
                return DeliverySummary(name, job_id, "loaded")
            if accepted_by is None:
                _hold_outliers(cur, channel, name, job_id)
            new, restated, quarantined, orders = facts.merge(cur, name, job.as_of, job_id)
            facts.set_job(cur, name, job_id, "loaded", rows, now)
            _tell(cur, name, job, orders, now)
    except ConnectorError as error:
        with session.database.transaction() as cur:
            facts.set_job(cur, name, job_id, "failed")
        raise ConnectionBroken(
            name,
            f"The delivery report {job_id} of {name} is not usable ({error.code}: {error.message}). Nothing of it was loaded. "
            "The next report is asked for as usual; if this stays, operations asks the vendor.",
        ) from error
    touched = projection.refresh(session)
    return DeliverySummary(name, job_id, "loaded", rows, new, restated, quarantined, touched)


def _hold_outliers(cur: Cursor, channel: Channel, name: str, job_id: str) -> None:
    shape, usual = channel.settings.report, ReportShape.model_fields
    times = usual["outlier_times"].default if shape is None else shape.outlier_times
    floor = usual["outlier_floor"].default if shape is None else shape.outlier_floor
    floors = {unit: floor // RARER.get(unit, 1) for unit in UNITS}
    suspects = [
        (*one, unit)
        for unit, most in zip(UNITS, facts.largest_staged(cur), strict=True)
        if most >= floors[unit]  # else no day can be one, and the facts are not searched
        for one in facts.unusual(cur, name, unit, times, floors[unit], ENOUGH)
    ]
    if not suspects:
        return
    booked = facts.booked(cur, name, [(line, day) for line, day, *_ in suspects])
    found = [one for one, (shown, line) in zip(suspects, booked, strict=True) if _is_absurd(one, shown, line)]
    if found:
        found.sort(key=lambda one: -one[2])
        way = f"has it loaded as it is with `orderhub delivery accept --source {name} {job_id} --by NAME`, for which it waits"
        raise ConnectionBroken(name, str(ReportHeld(name, found, times, way)))


def _is_absurd(suspect: Outlier, impressions: int, canonical: bytes | None) -> bool:
    """Whether an unusual day cannot be true by what else is known. Real campaigns begin and end with days that are a tenth of
    the others, so that a multiple alone would hold a whole connection's delivery for every launch.

    A day of what the line's goal counts is absurd beyond `GOAL_TIMES` the whole goal; clicks and views also beyond the
    impressions they came from. Where neither can be asked, impressions of a line that books a count of something else decide
    nothing that is billed, and those of an unknown line wait in quarantine anyway.
    """
    _, _, number, _, unit = suspect
    goal = None if canonical is None else Line.from_bytes(canonical).goal
    if goal is not None and goal.unit.value == unit and goal.measure is GoalMeasure.COUNT:
        return number > GOAL_TIMES * goal.quantity
    return unit != "impressions" and number > impressions


def _tell(cur: Cursor, name: str, job: Job, orders: list[str], now: datetime) -> None:
    detail = f"{job.since} to {job.until}, report {job.job}"
    journal.write(
        cur,
        [Entry(name, "delivery loaded", detail, order_id, "order", order_id) for order_id in orders],
        now,
        job.as_of,
    )
    journal.mark_stale(cur, orders)
