"""Reports fetched as JSON pages from a source that offers them, and loaded like a file: whole or not at all."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from connectors.base import DeliveryQuery, OffersReportPages
from connectors.errors import ConnectorError
from hub.delivery.answers import ReportSummary
from hub.delivery.loading import Report, load_report, shape_of
from hub.errors import ConnectionBroken, Refused
from hub.ops.people import who
from hub.session import Session
from hub.sync.vendor import brought, reading, take_tokens


def fetch_report(
    session: Session,
    source: str,
    since: date | None = None,
    until: date | None = None,
    *,
    accepted_by: str | None = None,
) -> ReportSummary:
    """Fetch the days of a span, inclusive and of the network's own zone, and load them; by default the look-back to yesterday.

    Outliers are loaded only when somebody accepted them for named days: what the look-back brings next nobody has seen.
    Raises ReportRefused, ReportHeld (until somebody accepts it), Refused, VendorUnavailable, ConnectionBroken, NotFound,
    ConnectorStumbled.
    """
    if accepted_by is not None and (since is None or until is None):
        raise Refused(
            "An acceptance is of the days that somebody looked at. Nothing was asked or loaded. Give them with --since and "
            "--until."
        )
    shape = shape_of(session, source)
    channel = session.channel(source)
    connector = channel.connector
    if not isinstance(connector, OffersReportPages):
        raise ConnectionBroken(source, f"Connection {source} offers no report pages. Nothing was asked.")
    as_of = session.business.now()
    last = until or as_of.astimezone(ZoneInfo(shape.zone)).date() - timedelta(days=1)
    first = since or last - timedelta(days=shape.look_back_days)
    take_tokens(session, channel, "report_pages")
    pages = brought(channel, "report_pages", lambda: connector.report_pages(DeliveryQuery(first, last)))
    report = Report(
        f"{first}..{last}", pages, as_of, since=first, until=last, paged=True, accept_outliers=accepted_by is not None
    )
    try:
        with (
            session.database.acting(who(accepted_by)) if accepted_by is not None else nullcontext(),
            reading(session, channel, "report_pages"),
        ):
            return load_report(session, source, report)
    except ConnectorError as error:
        raise ConnectionBroken(
            source,
            f"The report of {source} from {first} to {last} is not usable ({error.code}: {error.message}). Nothing of it was "
            "loaded. It is asked for again with the next run; if this stays, operations asks the vendor.",
        ) from error
