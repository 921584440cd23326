"""The verbs of delivery reports: load files, look what waits in quarantine, see every version of a line, ask what is final."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.desk import ConfigOption, JsonOption, opened
from cli.exit_codes import ExitCode
from cli.whole_words import WholeWords
from hub.delivery.answers import DayFinality, FactVersion, FileSetAside, QuarantinedLine, ReportSummary
from hub.delivery.completeness import SourceCompleteness

app = typer.Typer(help="Delivery reports: load, quarantine, restatements, finality.", no_args_is_help=True)

AcceptOption = Annotated[
    bool, typer.Option("--accept-outliers", help="Somebody looked at the days that were held; goes with --by")
]
ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who asks [default: the system's user]")]
SourceOption = Annotated[str, typer.Option("--source", metavar="CONNECTION", help="The connection that counted")]
_DAY = ["%Y-%m-%d"]


@app.command()
def load(
    source: SourceOption,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The report [default: every new file of the source's folder]"),
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S"],
            help="For when it speaks, UTC unless said [default: now]",
        ),
    ] = None,
    since: Annotated[datetime | None, typer.Option(formats=_DAY, help="First day that it covers")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_DAY, help="Last day that it covers")] = None,
    rows: Annotated[int | None, typer.Option(min=0, help="How many rows it must have")] = None,
    final: Annotated[
        bool, typer.Option("--final", help="The source says that these days will not change any more")
    ] = False,
    accept_outliers: AcceptOption = False,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load a delivery report whole or not at all. Days that did not change write nothing.

    Without FILE a bad file is set aside and the others are loaded; ends with 1 while any stands aside.
    """
    if file is None and (as_of or since or until or rows is not None or final or accept_outliers):
        raise typer.BadParameter("These options are about one file: name it.")
    with opened(config, as_json) as (desk, hub):
        if file is None:
            loaded = hub.load_dropped_reports(source)
            waiting = hub.files_set_aside(source)
        else:
            instant = None if as_of is None else as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)
            done = hub.load_report(
                source,
                file,
                as_of=instant,
                since=None if since is None else since.date(),
                until=None if until is None else until.date(),
                rows=rows,
                final=final,
                accept_outliers_by=(by or "") if accept_outliers else None,
            )
            loaded, waiting = [done], []
        data = {"reports": [one.as_dict() for one in loaded], "set_aside": [one.as_dict() for one in waiting]}
        desk.answer(data, _loaded(loaded), *([_aside(waiting)] if waiting else []))
    if waiting:
        raise typer.Exit(ExitCode.ATTENTION)


@app.command()
def fetch(
    source: SourceOption,
    since: Annotated[datetime | None, typer.Option(formats=_DAY, help="First day [default: the look-back]")] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="Last day [default: yesterday in the source's zone]")
    ] = None,
    accept_outliers: AcceptOption = False,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a report from a reporting API and load it, whole or not at all.

    One that was held is asked for again with --accept-outliers and the days that somebody looked at.
    """
    with opened(config, as_json) as (desk, hub):
        done = hub.fetch_report(
            source,
            None if since is None else since.date(),
            None if until is None else until.date(),
            accept_outliers_by=(by or "") if accept_outliers else None,
        )
        desk.answer({"reports": [done.as_dict()]}, _loaded([done]))


@app.command()
def accept(
    source: SourceOption,
    job: Annotated[str, typer.Argument(metavar="REPORT", help="The held report, as the sentence named it")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who looked at it")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load a pulled report that was held for days far beyond the usual."""
    with opened(config, as_json) as (desk, hub):
        done = hub.load_delivery(source, job, accept_outliers_by=by)
        desk.answer(done.as_dict(), f"{done.rows} rows of {job} were loaded: {done.facts_new} days are new.")


@app.command()
def aside(
    source: Annotated[str | None, typer.Option("--source", metavar="CONNECTION", help="Only of this source")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Files of the sources' folders of which nothing was loaded, and why. Ends with 1 when there is any."""
    with opened(config, as_json) as (desk, hub):
        found = hub.files_set_aside(source)
        desk.answer(
            {"set_aside": [one.as_dict() for one in found]}, _aside(found) if found else "No file stands aside."
        )
    if found:
        raise typer.Exit(ExitCode.ATTENTION)


@app.command()
def claim(source: SourceOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make facts of quarantined delivery whose lines have become known. Every load does it, too."""
    with opened(config, as_json) as (desk, hub):
        claimed = hub.claim_quarantine(source)
        desk.answer({"source": source, "claimed": claimed}, f"{claimed:,} days of lines became facts.")


@app.command()
def quarantine(
    source: Annotated[str | None, typer.Option("--source", metavar="CONNECTION", help="Only of this source")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delivery of lines that nobody knows, the largest first. Ends with 1 when there is any."""
    with opened(config, as_json) as (desk, hub):
        found = hub.quarantine(source)
        answer = _quarantined(found) if found else "Nothing waits in quarantine."
        desk.answer({"lines": [one.as_dict() for one in found]}, answer)
    if found:
        raise typer.Exit(ExitCode.ATTENTION)


@app.command()
def restatements(
    line: Annotated[
        str, typer.Argument(metavar="LINE", help="Any id of the line: canonical, CRM, external, ad server")
    ],
    every: Annotated[bool, typer.Option("--all", help="Also days that were reported once")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What every source said about a line, version by version."""
    with opened(config, as_json) as (desk, hub):
        found = hub.fact_versions(line, restated_only=not every)
        answer = _versions(found) if found else "No day of this line was restated."
        desk.answer({"versions": [one.as_dict() for one in found]}, answer)


@app.command(name="final")
def final_days(
    source: SourceOption,
    since: Annotated[datetime, typer.Argument(formats=_DAY, help="First day")],
    until: Annotated[datetime, typer.Argument(formats=_DAY, help="Last day, inclusive")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which days of a source are final, and why. Ends with 1 when a day is not."""
    with opened(config, as_json) as (desk, hub):
        days = hub.finality(source, since.date(), until.date())
        desk.answer({"days": [{**day.as_dict(), "final": day.final} for day in days]}, _finality(days))
    if not all(day.final for day in days):
        raise typer.Exit(ExitCode.ATTENTION)


@app.command()
def complete(
    source: Annotated[str | None, typer.Option("--source", metavar="CONNECTION", help="Only this source")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Has every expected day of every source arrived whole? Says what is missing and who does what; ends with 1 then."""
    with opened(config, as_json) as (desk, hub):
        found = hub.completeness(source)
        answer = _completeness(found) if found else "No connection counts delivery."
        desk.answer({"sources": [one.as_dict() for one in found]}, answer, *(one.sentence for one in found))
    if not all(one.complete for one in found):
        raise typer.Exit(ExitCode.ATTENTION)


def _table(*columns: str) -> WholeWords:
    return WholeWords(*columns, blanks=2)


def _loaded(reports: Sequence[ReportSummary]) -> WholeWords | str:
    if not reports:
        return "No new report."
    table = _table("Report", "state", "rows", "days", "changed", "new facts", "restated", "unknown lines", "claimed")
    for one in reports:
        counts = (one.rows, one.days, one.days_changed, one.facts_new, one.facts_restated, one.quarantined, one.claimed)
        table.add_row(one.report, one.state, *(f"{count:,}" for count in counts))
    return table


def _aside(files: Sequence[FileSetAside]) -> WholeWords:
    table = _table("Source", "file set aside", "since", "why")
    for one in files:
        table.add_row(one.source, one.report, f"{one.since:%Y-%m-%d %H:%M}Z", one.sentence)
    return table


def _quarantined(lines: Sequence[QuarantinedLine]) -> WholeWords:
    table = _table("Source", "line there", "order there", "days", "from", "to", "impressions")
    for one in lines:
        span = (one.since.isoformat(), one.until.isoformat())
        table.add_row(one.source, one.line_vendor_id, one.order_vendor_id, str(one.days), *span, f"{one.impressions:,}")
    return table


def _versions(versions: Sequence[FactVersion]) -> WholeWords:
    table = _table("Source", "counted by", "day", "as of", "impressions", "clicks", "completed", "viewable", "")
    for one in versions:
        units = (one.impressions, one.clicks, one.completed_views, one.viewable_impressions)
        shown = ("–" if unit is None else f"{unit:,}" for unit in units)
        day: date = one.day
        newest = "newest" if one.newest else "old"
        table.add_row(one.source, one.counted_by, day.isoformat(), f"{one.as_of:%Y-%m-%d %H:%M}Z", *shown, newest)
    return table


def _completeness(found: Sequence[SourceCompleteness]) -> WholeWords:
    table = _table("Source", "from", "to", "days expected", "missing", "lines expected", "silent")
    for one in found:
        span = (one.since.isoformat(), one.until.isoformat())
        counts = (one.days_expected, len(one.missing), one.lines_expected, one.lines_silent)
        table.add_row(one.source, *span, *(f"{count:,}" for count in counts))
    return table


def _finality(days: Sequence[DayFinality]) -> WholeWords:
    table = _table("Day", "final", "how", "confirmed as of")
    for one in days:
        confirmed = "–" if one.confirmed_as_of is None else f"{one.confirmed_as_of:%Y-%m-%d %H:%M}Z"
        table.add_row(one.day.isoformat(), "yes" if one.final else "no", one.how, confirmed)
    return table
