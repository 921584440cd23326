"""Load one delivery report into facts: read by day, build aside, put in place in one moment; or change nothing at all.

Days that say the same as before (digest) write nothing. A changed day replaces the detail rows of its (source, day) and
adds versions to the facts of the lines that differ (architecture, decision 16).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from hub.delivery import checking, content, csv_report, cumulative, page_report
from hub.delivery.answers import ReportSummary
from hub.delivery.checking import Told
from hub.delivery.day_rows import cells, csv, heads, order_of, packed, sums
from hub.delivery.finality import verdict
from hub.delivery.outliers import Peaks
from hub.delivery.refusals import ReportHeld, ReportRefused
from hub.delivery.room import ROOMS, Room
from hub.delivery.shape import CANONICAL_LINES, UNITS, Counting, Evidence, ReportShape
from hub.delivery.spool import Spool
from hub.delivery.unpacking import ahead, side_by_side, unpacked
from hub.errors import ConnectionBroken, NotFound
from hub.session import Session
from hub.store import facts, journal, partitions, report_facts
from hub.store.audit import note
from hub.store.database import Cursor, Database
from hub.store.journal import Entry
from hub.store.partitions import Partition, Source
from hub.store.report_facts import Begun
from oms_schema.delivery import CountedBy

RESTATED_LINES = 200_000
"""Sums by line and day that are compared with the facts at once: each time, the store may read all facts of the source."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report to load. `name` and `as_of` identify it; `pieces` are its bytes as they came (or whole JSON pages).

    `as_of` is the business time for which it speaks. `since` and `until` (inclusive) say which days it covers where its rows
    alone do not: a day without any row then counts as nothing delivered. `rows` is a number of rows told beside it.
    """

    name: str
    pieces: Iterator[bytes]
    as_of: datetime
    since: date | None = None
    until: date | None = None
    rows: int | None = None
    final: bool = False
    paged: bool = False
    accept_outliers: bool = False


@dataclass(frozen=True, slots=True)
class _Day:
    """One day as a worker leaves it. `part` is None where nothing was built."""

    day: date
    rows: int
    changed: bool
    digest: bytes
    part: int | None
    final: bool
    sums: pl.DataFrame


@dataclass(slots=True)
class _Counts:
    new: int = 0
    restated: int = 0
    quarantined: int = 0
    older: int = 0
    final_restated: int = 0
    built: list[Partition] = field(default_factory=list)
    finals: list[date] = field(default_factory=list)


def shape_of(session: Session, source: str) -> ReportShape:
    """What the connection declares of its reports. Raises NotFound, ConnectionBroken."""
    if source in session.configuration.broken:
        raise ConnectionBroken(source, session.configuration.broken[source])
    settings = session.configuration.connections.get(source)
    if settings is None:
        names = ", ".join(session.configuration.connections) or "none"
        raise NotFound(f"There is no connection {source!r}. Nothing was loaded. The configuration names: {names}.")
    if settings.report is None:
        raise ConnectionBroken(
            source,
            f"Connection {source} does not say how its delivery reports look. Nothing was loaded. Operations "
            "adds `report:` to it.",
        )
    return settings.report


def load_report(session: Session, source: str, report: Report, *, spool_folder: Path | None = None) -> ReportSummary:
    """Load a report whole or not at all; the same report again changes nothing.

    Raises ReportRefused (not usable, or not proven whole), ReportHeld (a person looks first), StoreContended, NotFound,
    ConnectionBroken.
    """
    shape = shape_of(session, source)
    if report.as_of > session.business.now():
        raise ReportRefused(source, "as_of", f"The report is as of {report.as_of}, which is yet to come.", checking.ASK)
    told = Told(declared_rows=report.rows, final=report.final)
    texts = checking.texts(shape)
    named = (*texts, "order") if shape.columns.order is not None else texts
    room = ROOMS[session.configuration.hub.report_memory]
    with Spool((*texts, *shape.metrics), named, room, spool_folder) as spool:
        frames = ahead(_frames(source, shape, report, told, room), 1)
        for _, numbered in side_by_side(spool.numbered, frames, room.workers):
            spool.take(numbered.result())
        spool.seal()
        checking.proven_whole(source, shape, told)
        if not spool.days and report.since is None:
            raise ReportRefused(
                source,
                "empty",
                "The report has no row and does not say for which days.",
                "Tell its days with --since and --until.",
            )
        return _Load(session, source, shape, report, told, spool, room).run()


def claim_quarantine(session: Session, source: str) -> int:
    """Make facts of what waits for lines that have become known; returns how many days. Every load does it, too.

    Raises NotFound, ConnectionBroken.
    """
    shape = shape_of(session, source)
    with session.database.transaction() as cur:
        facts.lock_source(cur, source)
        report_facts.begin(cur, source, _line_ids(source, shape))
        claimed = report_facts.claim(cur, source)
        orders = report_facts.orders_touched(cur) if shape.counted_by is CountedBy.SELLER else []
        journal.mark_stale(cur, orders)
    if orders:
        _shown(session)
    return claimed


def _shown(session: Session) -> int:
    """What the CRM sees of the orders that a load touched; how many lanes that wrote to."""
    from hub.sync import projection  # orders, lines and their sentences weigh a MB, which waits until the rows are gone

    return projection.refresh(session)


def _line_ids(source: str, shape: ReportShape) -> str:
    """The connection whose vendor ids a source uses, empty for canonical ids."""
    return "" if shape.line_ids == CANONICAL_LINES else shape.line_ids or source


def _frames(source: str, shape: ReportShape, report: Report, told: Told, room: Room) -> Iterator[pl.DataFrame]:
    if report.paged:
        raw = page_report.frames(source, shape, report.pieces, told)
    else:
        wanted = shape.complete_by is Evidence.GZIP
        pieces = ahead(unpacked(source, report.pieces, gzip_wanted=wanted, most=shape.most_bytes))
        if shape.format == "json":
            raw = page_report.frames(source, shape, page_report.lines(source, pieces), told)
        else:
            raw = csv_report.frames(source, shape, pieces, told, room)
    return checking.checked(source, shape, raw, told, report.since, report.until)


def _line_of_each(texts: pl.Series, known: bytes) -> pl.DataFrame:
    """By place of a vendor's line: our `line_id` (null: nobody knows it), and its `place` among the line ids."""
    pairs = (
        pl.read_csv(known, has_header=False, schema={"vendor_id": pl.String, "line_id": pl.String})
        if known
        else pl.DataFrame(schema={"vendor_id": pl.String, "line_id": pl.String})
    )
    lines = texts.rename("vendor_id").to_frame().join(pairs, on="vendor_id", how="left", maintain_order="left")
    return lines.select("line_id", pl.col("line_id").rank("dense").alias("place"))


class _Load:
    """One load under the lock of its source: workers build days aside, this thread folds their sums into the facts."""

    def __init__(
        self, session: Session, source: str, shape: ReportShape, report: Report, told: Told, spool: Spool, room: Room
    ) -> None:
        self._session, self._source, self._shape = session, source, shape
        self._report, self._told = report, told
        self._spool, self._room = spool, room
        self._columns = (*checking.texts(shape), *shape.metrics)
        days = spool.days
        named = [*checking.texts(shape), *(["order"] if shape.columns.order is not None else [])]
        self._texts = {name: spool.texts(name) for name in named} if days else {}
        self._heads = heads(self._texts["line"]) if days else pl.Series(dtype=pl.String)
        self._cells = cells({name: column for name, column in self._texts.items() if name in self._columns[1:]})
        self._ids = pl.DataFrame()
        self._touched = pl.Series(dtype=pl.Boolean)
        self._sorting = threading.Lock()
        self._content = {day: spool.told(day).sums for day in days}
        self._since = report.since or days[0]
        self._until = report.until or days[-1]
        self._known: Mapping[date, Partition] = {}
        self._counts = _Counts()
        self._number = 0
        self._parts: list[int] = []

    def run(self) -> ReportSummary:
        """Everything in one transaction, except the tables built aside; those go again when anything fails."""
        now = self._session.machine.now()
        summary = ReportSummary(self._source, self._report.name, "loaded", self._report.as_of, rows=self._told.rows)
        try:
            with self._session.database.transaction() as cur:
                facts.lock_source(cur, self._source)
                if partitions.has_report(cur, self._source, self._report.name, self._report.as_of):
                    return replace(summary, state="loaded before")
                known = self._declared(cur)
                orders, claimed, changed = self._write(cur, known)
                span = (self._since, self._until)
                partitions.add_report(
                    cur, self._source, self._report.name, self._report.as_of, span, self._told.rows, changed, now
                )
                self._tell(cur, orders, changed, claimed, now)
        except BaseException:
            if self._parts:
                with self._session.database.transaction() as cur:
                    partitions.discard(cur, self._number, self._parts)
            raise
        touched = _shown(self._session) if orders else 0
        counts = self._counts
        return replace(
            summary,
            since=self._since,
            until=self._until,
            days=len(self._spool.days),
            days_changed=changed,
            days_older=counts.older,
            facts_new=counts.new,
            facts_restated=counts.restated,
            quarantined=counts.quarantined,
            claimed=claimed,
            final_restated=counts.final_restated,
            lanes_touched=touched,
        )

    def _declared(self, cur: Cursor) -> Source:
        shape = self._shape
        known = partitions.declare(cur, self._source, shape.counted_by, shape.counting, shape.zone, shape.metrics)
        self._number = known.number
        for what, before, at_present in (
            ("counting", known.counting, shape.counting),
            ("zone", known.zone, shape.zone),
        ):
            if before != at_present:
                raise ReportRefused(
                    self._source,
                    what,
                    f"The {what} of {self._source} was {before} in the reports before and is now declared as {at_present}; the "
                    "two cannot be mixed.",
                    "Operations gives the other kind of report a connection of its own.",
                )
        partitions.discard_left_behind(cur, known.number)
        return known

    def _write(self, cur: Cursor, known: Source) -> tuple[list[str], int, int]:
        begun = report_facts.begin(cur, self._source, _line_ids(self._source, self._shape))
        parts_of, days = self._days(cur)
        self._known = partitions.partitions(cur, self._source, days)
        days = self._with_emptied(cur, days)
        peaks = Peaks(self._texts["line"]) if self._texts else None
        waiting: list[_Day] = []
        held, fresh = 0, False
        for day in self._built(days, parts_of):
            if not day.changed:
                if day.final:
                    self._counts.finals.append(day.day)
                continue
            if peaks is not None:
                peaks.add(day.sums)
            first = begun.untouched and day.day not in self._known
            if waiting and (first != fresh or held >= (self._room.fold_lines if fresh else RESTATED_LINES)):
                self._fold(cur, waiting, begun, fresh=fresh)
                waiting, held = [], 0
            fresh = first
            if not fresh:
                self._stage(cur, day.sums)  # at once, while other days are still sorted
            waiting.append(day)
            held += day.sums.height
        if waiting:
            self._fold(cur, waiting, begun, fresh=fresh)
        if peaks is not None:
            self._hold_outliers(cur, peaks)
        claimed = report_facts.claim(cur, self._source)
        orders = report_facts.orders_touched(cur) if known.counted_by == "seller" else []
        partitions.declare_final(cur, self._source, self._counts.finals)
        built = self._counts.built
        old = [part for one in built if (before := self._known.get(one.day)) and (part := before.part) is not None]
        if built:
            partitions.swap(cur, known, built, old)
        return orders, claimed, len(built)

    def _days(self, cur: Cursor) -> tuple[Callable[[date], Iterator[pl.DataFrame]], list[date]]:
        """Where the rows of a day come from, part by part: the spool, or differences of counts up to a day."""
        days = list(self._spool.days)
        if self._shape.counting is Counting.DAILY or not days:
            return self._spool.parts_of, days
        parts = (rows.with_columns(pl.lit(day).alias("day")) for day in days for rows in self._spool.parts_of(day))
        frame = pl.concat(parts, how="vertical_relaxed")
        frame = frame.with_columns(
            pl.col("line").alias("place"),
            self._texts["line"].gather(frame["line"]).alias("line"),
            pl.col(self._shape.metrics).cast(pl.Int64),  # differences may be negative
        )
        lines = frame["line"].unique().to_list()
        before = {
            line: (dict(zip(UNITS, units, strict=True)), day)
            for line, (units, day) in report_facts.counted_before(cur, self._source, lines, days[0]).items()
        }
        by_day = cumulative.days_of(self._source, frame, self._shape.metrics, before)
        own = {day: rows.drop("line").rename({"place": "line"}) for day, rows in by_day.items()}
        for day, rows in own.items():
            self._content[day] = content.sums(content.mixed(rows, self._columns, self._spool.lanes))
        return lambda day: iter([own[day]]), days

    def _with_emptied(self, cur: Cursor, days: list[date]) -> list[date]:
        """The days to look at: those with rows, and those that the report declares it covers and leaves empty."""
        if self._shape.counting is Counting.CUMULATIVE:
            return days
        span = [self._since + timedelta(days=number) for number in range((self._until - self._since).days + 1)]
        told = set(days)
        known = partitions.partitions(cur, self._source, [day for day in span if day not in told])
        emptied = [day for day, one in known.items() if one.rows]
        if emptied and (self._report.since is None or self._report.until is None):
            raise ReportRefused(
                self._source,
                "gap",
                f"The report goes from {self._since} to {self._until} and has no row for {min(emptied)}, which had some before.",
                "If nothing was delivered, it is loaded with --since and --until; else whoever delivers it sends it whole.",
            )
        self._known = {**self._known, **{day: known[day] for day in emptied}}
        return sorted([*days, *emptied])

    def _built(self, days: Sequence[date], parts_of: Callable[[date], Iterator[pl.DataFrame]]) -> Iterator[_Day]:
        """Every day as the workers leave it, in order; only a few are under way at once."""
        stores = [Database(self._session.database.url) for _ in range(min(self._room.sessions, len(days)))]
        free = deque(stores)
        with ThreadPoolExecutor(max(1, len(stores)), thread_name_prefix="report-day") as pool:
            under_way: deque[Future[_Day]] = deque()
            left = iter(days)

            def start(count: int) -> None:
                for _, day in zip(range(count), left, strict=False):
                    under_way.append(pool.submit(self._one_day, free, day, parts_of))

            try:
                start(2 * len(stores))
                while under_way:
                    done = under_way.popleft().result()
                    start(1)
                    yield done
            finally:
                for future in under_way:
                    future.cancel()
                pool.shutdown(wait=True)
                for store in stores:
                    store.close()

    def _one_day(self, free: deque[Database], day: date, parts_of: Callable[[date], Iterator[pl.DataFrame]]) -> _Day:
        store = free.popleft()  # as many as there are threads: one is always free
        try:
            return self._build(store, day, parts_of)
        finally:
            free.append(store)

    def _build(self, store: Database, day: date, parts_of: Callable[[date], Iterator[pl.DataFrame]]) -> _Day:
        told = self._spool.told(day)
        final = self._told.final or told.final
        known = self._known.get(day)
        value = content.digest(self._columns, told.rows, self._content.get(day, content.NOTHING))
        if known is not None and (value == known.digest or known.as_of > self._report.as_of):
            older = value != known.digest
            if older:
                self._counts.older += 1
            return _Day(day, told.rows, False, value, None, final and not older, self._nothing())
        if not told.rows:
            return _Day(day, 0, True, value, None, final, sums(day, self._nothing(), self._shape.metrics))
        added: list[pl.DataFrame] = []
        with store.transaction() as cur:
            part = partitions.build(cur, self._number, self._columns[1:], self._records(day, parts_of(day), added))
        self._parts.append(part)
        return _Day(day, told.rows, True, value, part, final, pl.concat(added))

    def _records(self, day: date, parts: Iterator[pl.DataFrame], added: list[pl.DataFrame]) -> Iterator[bytes]:
        """A day as COPY takes it, one part sorted at a time; the sums of each part are in `added` afterwards."""
        begun = False
        while True:
            with self._sorting:
                rows = next(parts, None)
                if rows is None:
                    return
                order = order_of(self._source, day, rows, checking.texts(self._shape), self._texts)
                added.append(sums(day, rows, self._shape.metrics))
            for piece in packed(rows.select(self._columns), order, self._heads, self._cells, self._room.slice_rows):
                yield piece if begun else piece[1:]
                begun = True

    def _nothing(self) -> pl.DataFrame:
        texts = (*checking.texts(self._shape), *(["order"] if self._shape.columns.order is not None else []))
        kinds = dict.fromkeys(texts, pl.UInt32) | dict.fromkeys(self._shape.metrics, pl.Int64)
        return pl.DataFrame(schema=kinds)

    def _stage(self, cur: Cursor, sums: pl.DataFrame) -> None:
        columns = {"line": "line_vendor_id", "order": "order_vendor_id"}
        report_facts.stage(cur, [columns.get(name, name) for name in sums.columns], csv(sums, self._texts))

    def _fold(self, cur: Cursor, days: Sequence[_Day], begun: Begun, *, fresh: bool) -> None:
        """Make facts of some days: `fresh` ones, of which nothing was ever loaded, or ones that are staged."""
        known = [one for day in days if (one := self._known.get(day.day)) is not None]
        added = 0
        if fresh:
            frame = pl.concat([day.sums for day in days])
            if begun.paired:
                added, frame = self._added_first(cur, frame)
            self._stage(cur, frame)
        new, restated, quarantined = report_facts.fold(
            cur,
            self._source,
            self._report.name,
            self._report.as_of,
            [day.day for day in days],
            [one.part for one in known if one.part is not None],
            fresh=fresh,
            single=begun.single,
        )
        new += added
        counts = self._counts
        counts.new += new
        counts.restated += restated
        counts.quarantined += quarantined
        final = [one.day for one in known if self._was_final(one)]
        counts.final_restated += report_facts.days_told_anew(cur, final) if final else 0
        for day in days:
            counts.built.append(
                Partition(
                    day.day,
                    day.part,
                    self._report.as_of,
                    day.rows,
                    day.digest,
                    # Other numbers than those that were declared final are not final before the source says so of them.
                    day.final,
                )
            )

    def _added_first(self, cur: Cursor, frame: pl.DataFrame) -> tuple[int, pl.DataFrame]:
        """Sums of known lines straight into the facts: how many, and the sums of the lines that nobody knows."""
        if not self._ids.height:
            self._ids = _line_of_each(self._texts["line"], report_facts.known_lines(cur))
            self._touched = pl.repeat(False, self._ids.height, dtype=pl.Boolean, eager=True)
        lines = frame.select(self._ids["line_id"].gather(frame["line"]), self._ids["place"].gather(frame["line"]))
        known = lines["line_id"].is_not_null()
        facts_ = (
            pl.concat([frame, lines], how="horizontal")
            .filter(known)
            .sort("place", "day")
            .select(
                pl.lit(self._source).alias("source"),
                "line_id",
                "day",
                pl.lit(self._report.as_of.isoformat()).alias("as_of"),
                *(unit if unit in self._shape.metrics else pl.lit(0).alias(unit) for unit in UNITS),
            )
        )
        news = frame.filter(known)["line"].unique()
        news = news.filter(~self._touched.gather(news))
        self._touched.scatter(news, values=True)
        report_facts.touch(cur, csv(self._ids["line_id"].gather(news).to_frame(), {}))
        return report_facts.add_first(cur, facts_.columns, csv(facts_, {})), frame.filter(~known)

    def _was_final(self, before: Partition) -> bool:
        shape = self._shape
        return verdict(before.day, shape.zone, shape.closing_days, before.as_of, declared=before.final) in {
            "declared",
            "closed",
        }

    def _hold_outliers(self, cur: Cursor, peaks: Peaks) -> None:
        if self._report.accept_outliers:
            return
        shape, days = self._shape, [one.day for one in self._counts.built]
        # The facts of this load are there already, in this very transaction: only other days are asked for.
        found = peaks.outliers(
            shape.outlier_times,
            shape.outlier_floor,
            lambda lines, unit: report_facts.largest_days(cur, self._source, lines, days, unit),
            lambda them, unit: report_facts.stood(cur, self._source, them, unit, self._report.as_of),
        )
        if found:
            raise ReportHeld(self._source, found, shape.outlier_times)

    def _tell(self, cur: Cursor, orders: list[str], changed: int, claimed: int, now: datetime) -> None:
        counts, report = self._counts, self._report
        note(
            cur,
            f"delivery:{self._source}/{report.name}",
            "report loaded",
            as_of=report.as_of,
            rows=self._told.rows,
            days=changed,
            new=counts.new,
            restated=counts.restated,
            quarantined=counts.quarantined,
            claimed=claimed,
            outliers_accepted=report.accept_outliers,
        )
        if not orders:
            return
        detail = f"{self._since} to {self._until}, report {report.name}"
        journal.write(
            cur,
            [Entry(self._source, "delivery loaded", detail, order, "order", order) for order in orders],
            now,
            report.as_of,
        )
        journal.mark_stale(cur, orders)
