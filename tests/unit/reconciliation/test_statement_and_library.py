"""The statement says of every line-month what the billing library says, at every edge that a generator or a grid finds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hub.billing.reconciling import columns, reconcile
from hub.billing.reconciling import run as reconciling
from hub.billing.reconciling.library import library_months
from hub.store import reconciliation, reconciliation_statement
from hub.store.facts import UNITS
from oms_schema.billing_terms import BillingSource, BillingTerms, CapMode, Finality, VarianceBase
from oms_schema.delivery import BillingPeriod
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Line, Price, PriceBasis
from oms_schema.order import Order
from oms_schema.party import PartyInRole, PartyRole
from oms_schema.status import CommercialStatus

JANUARY, APRIL = BillingPeriod.month(2025, 1), BillingPeriod.month(2025, 4)
METHODS = {
    CostMethod.CPM: GoalUnit.IMPRESSIONS,
    CostMethod.CPC: GoalUnit.CLICKS,
    CostMethod.VCPM: GoalUnit.VIEWABLE_IMPRESSIONS,
    CostMethod.CPCV: GoalUnit.COMPLETED_VIEWS,
    CostMethod.CPD: GoalUnit.DAYS,
    CostMethod.FLAT: GoalUnit.IMPRESSIONS,
}
SOURCES = {"ads": "seller", "moat": "measurement", "dsp": "buyer", "ads2": "seller"}
COLUMN = dict(
    zip(METHODS, ("impressions", "clicks", "viewable_impressions", "completed_views", "impressions"), strict=False)
)


class Book:
    """Lines, facts and reports written straight into the store."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.agency = canonical_id(EntityKind.PARTY, "sfdc", "agency")
        self.lines: list[str] = []
        self.zones: dict[str, str] = {}

    def clear(self) -> None:
        with self.office.hub.session.database.transaction() as cur:
            cur.execute(
                "TRUNCATE entity, entity_version, delivery_day, delivery_superseded, delivery_report, "
                "delivery_source, delivery_partition, "
                "delivery_touched, delivery_life, billing_contract, reference, billing_input, "
                "reconciliation_line, reconciliation_exception, reconciliation_run"
            )
        self.lines = []
        self.zones = {}

    def line(
        self, terms: BillingTerms, price: Price, goal: int, *, flight: Flight, agency: bool = False, **more: Any
    ) -> str:
        """One line in an order of its own."""
        number = len(self.lines)
        order_id = canonical_id(EntityKind.ORDER, "sfdc", str(number))
        payer = self.agency if agency else self.office.party
        parties = (
            (PartyRole.ADVERTISER, self.office.party),
            (PartyRole.AGENCY, self.agency),
            (PartyRole.BILL_TO, payer),
        )
        order = Order(
            id=order_id,
            name=f"Order {number}",
            status=CommercialStatus.BOOKED,
            currency=price.currency,
            parties=tuple(PartyInRole(role=role, party_id=party) for role, party in parties),
            terms=terms,
        )
        status = {"order_id": order_id, "status": CommercialStatus.BOOKED}
        self.office.keep(EntityKind.ORDER, order_id, order, order.name, **status)
        line_id = canonical_id(EntityKind.LINE, "sfdc", f"{order_id}/line")
        line = Line(
            id=line_id,
            order_id=order_id,
            name="Line",
            flight=flight,
            price=price,
            goal=Goal(unit=METHODS[price.method], quantity=goal),
            **more,
        )
        self.office.keep(EntityKind.LINE, line_id, line, "Line", order_id=order_id)
        self.lines.append(line_id)
        return line_id

    def fact(self, line_id: str, source: str, day: date, method: CostMethod, count: int) -> None:
        column = COLUMN.get(method, "impressions")
        with self.office.hub.session.database.transaction() as cur:
            cur.execute(
                f"INSERT INTO delivery_day (source, line_id, day, as_of, {UNITS}) VALUES (%s, %s, %s, '2025-02-01+00', "
                + ", ".join("%s" for _ in UNITS.split(", "))
                + ") ON CONFLICT DO NOTHING",
                (source, line_id, day, *(count if name == column else 0 for name in UNITS.split(", "))),
            )
            # As the loads' own triggers do; here facts stand outside of any report, too.
            cur.execute(
                "INSERT INTO delivery_touched (source, period_start) VALUES (%s, %s)", (source, day.replace(day=1))
            )

    def report(self, source: str, since: date, until: date, as_of: datetime, *, final: bool = False) -> None:
        with self.office.hub.session.database.transaction() as cur:
            cur.execute(
                "INSERT INTO delivery_source (source, counted_by, counting, zone, metrics) VALUES (%s, %s, 'daily', %s, %s) "
                "ON CONFLICT (source) DO NOTHING",
                (source, SOURCES[source], self.zones.get(source, "UTC"), " ".join(UNITS.split(", "))),
            )
            cur.execute(
                "INSERT INTO delivery_report (source, report, as_of, since, until, rows, days_changed, loaded_at) "
                "VALUES (%s, %s, %s, %s, %s, 0, 0, %s) ON CONFLICT DO NOTHING",
                (source, f"{since}/{until}", as_of, since, until, as_of),
            )
            if final:
                cur.execute(
                    "INSERT INTO delivery_partition (source, day, as_of, rows, digest, final) "
                    "SELECT %s, d, %s, 1, '', true FROM generate_series(%s::timestamp, %s::timestamp, '1 day') d "
                    "ON CONFLICT DO NOTHING",
                    (source, as_of, since, until),
                )

    def compare(self, since: str = "2025-01", until: str = "2025-04") -> Any:
        """A run, in columns or by the statement, must have kept of each line, and as exceptions, what the library alone says.

        Returns the answer of the run in columns.
        """
        session = self.office.hub.session
        found = reconcile(session, since, until, "Ada", sessions=2)
        assert found.way == "columns"
        mine = self._kept(found.run.run)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reconciling, "find_spec", lambda name: None)
            other = reconcile(session, since, until, "Ada", sessions=2)
        assert other.way == "statement"
        odd = [one for kept, again in zip(mine, self._kept(other.run.run), strict=True) for one in {*kept} ^ {*again}]
        assert not odd, "; ".join(map(str, odd[:4]))
        assert (other.run.by_library, other.run.digest) == (found.run.by_library, found.run.digest)
        with session.database.transaction() as cur:
            reconciliation.prepare(cur)
            run = found.run.run + 1_000
            first, last = (BillingPeriod.month(2025, int(month[-2:])) for month in (since, until))
            every = dict.fromkeys(self.lines, "asked")
            reconciliation.keep(cur, run, list(library_months(session, cur, every, first, last)))
        theirs = self._kept(run)
        odd = [*(set(mine[1]) ^ set(theirs[1])), *(set(mine[0]) ^ set(theirs[0]))]
        assert not odd, "; ".join(map(str, odd[:4]))
        return found

    def _kept(self, run: int) -> Any:
        valued = {
            row[0] for row in self.office.rows("SELECT line_id FROM billing_contract WHERE fixed_gross IS NOT NULL")
        }
        lines = self.office.rows(
            "SELECT line_id, line_months, billable_months, exceptions, billable_units, capped_units, gross, commission, digest, "
            "seller_units, other_units FROM reconciliation_line WHERE run = %s ORDER BY line_id",
            [run],
        )
        exceptions = self.office.rows(
            "SELECT line_id, period_start, code, billable_units, capped_units, gross, commission, tolerance, seller_units, "
            "other_units, chosen_units FROM reconciliation_exception WHERE run = %s ORDER BY line_id, period_start",
            [run],
        )
        # A line that bills its contract's value is not counted: the run says nothing of the counts.
        return (
            [row[:9] if row[0] in valued else row for row in lines],
            [row[:7] if row[0] in valued else row for row in exceptions],
        )


@pytest.fixture
def book(office: Any) -> Book:
    made = Book(office)
    made.clear()
    return made


COUNT = st.sampled_from([None, None, 0, 1, 899, 900, 901, 999, 1_000, 1_001, 1_111, 1_112]) | st.integers(0, 3_000)
DAY = st.integers(0, 110)
TERMS = st.builds(
    BillingTerms,
    source=st.sampled_from([BillingSource.FIRST_PARTY, BillingSource.THIRD_PARTY, BillingSource.THIRD_PARTY]),
    cap=st.sampled_from(CapMode),
    schedule=st.sampled_from(["as_delivered"] * 6 + ["end_of_campaign"]),
    tolerance_ppm=st.sampled_from([0, 50_000, 100_000, 1_000_000]),
    variance_base=st.sampled_from(VarianceBase),
    measurement_window_days=st.sampled_from([0, 0, 0, 5]),
    finality=st.sampled_from(Finality),
    finality_days=st.sampled_from([0, 3]),
    fallback_days=st.sampled_from([None, None, None, 5]),
)
PRICE = st.builds(
    Price,
    method=st.sampled_from([CostMethod.CPM, CostMethod.CPM, *METHODS]),
    rate=st.sampled_from([0, 1, 12_000_000]) | st.integers(0, 90_000_000),
    currency=st.sampled_from(["USD", "JPY", "KWD", "CLF"]),
    basis=st.sampled_from(PriceBasis),
    commission_ppm=st.sampled_from([0, 150_000, 333_333]),
)
LINE = st.fixed_dictionaries(
    {
        "terms": TERMS,
        "price": PRICE,
        "goal": st.integers(0, 6_000),
        "agency": st.booleans(),
        # Many flights begin and end with a month, a few hours off it, as books of another zone have them.
        "start": DAY | st.sampled_from([0, 0, 30, 31, 31, 59, 59, 60]),
        "days": st.integers(1, 110) | st.sampled_from([28, 31, 59, 90]),
        # Never from 1:00 to 3:00, which some days leave out.
        "hours": st.sampled_from([0, 0, 4, 12, 23]),
        "zone": st.sampled_from(["UTC", "UTC", "America/New_York", "Pacific/Kiritimati"]),
        "early": st.sampled_from([0, 0, 0, 1, 2, 3]),
        "seller": st.lists(COUNT, min_size=4, max_size=4),
        "other": st.lists(COUNT, min_size=4, max_size=4),
        "other_source": st.sampled_from(["moat", "moat", "dsp"]),
        "late": st.booleans(),
    }
)
REPORT = st.tuples(
    st.sampled_from(["ads", "moat", "dsp"]),
    st.sampled_from([(1, 1), (1, 2), (1, 3), (1, 4), (2, 3), (3, 4)]),
    st.sampled_from([date(2025, 2, 1), date(2025, 3, 2), date(2025, 4, 3), date(2025, 5, 1), date(2025, 5, 9)]),
    st.booleans(),
)


# A book is too large to be made smaller in reasonable time; the message names the rows that differ.
@settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    lines=st.lists(LINE, min_size=4, max_size=10),
    reports=st.lists(REPORT, min_size=3, max_size=8),
    zones=st.tuples(*[st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo", "Etc/GMT+12"])] * 3),
    now=st.sampled_from(
        [datetime(2025, 5, 10, tzinfo=UTC), datetime(2025, 5, 10, tzinfo=UTC), datetime(2025, 4, 4, tzinfo=UTC)]
    ),
)
def test_the_run_equals_the_library_on_generated_books(
    book: Book, lines: list[dict[str, Any]], reports: list[Any], zones: tuple[str, ...], now: datetime
) -> None:
    """Lines whose first day in the network is in the month before their flight, or whose last one in the month after, too."""
    book.clear()
    book.zones = dict(zip(("ads", "moat", "dsp"), zones, strict=True))
    book.office.clock.time = now
    for one in lines:
        start = datetime(2025, 1, 1) + timedelta(days=one["start"], hours=one["hours"])  # noqa: DTZ001 - a flight's local time
        end = min(start + timedelta(days=one["days"]), datetime(2025, 5, 1))  # noqa: DTZ001
        flight = Flight(start=start, end=end, zone=one["zone"])
        line = book.line(one["terms"], one["price"], one["goal"], flight=flight, agency=one["agency"])
        for source, counts in (("ads", one["seller"]), (one["other_source"], one["other"])):
            for month, count in enumerate(counts, 1):
                if count is not None:
                    book.fact(line, source, date(2025, month, 10), one["price"].method, count)
        if one["late"]:
            for days in (0, 1, 2):
                book.fact(line, "ads", end.date() + timedelta(days=days), one["price"].method, 77 + days)
        for days in range(1, one["early"] + 1):
            for source in ("ads", one["other_source"]):
                book.fact(line, source, start.date() - timedelta(days=days), one["price"].method, 50 + days)
    for source in ("ads", "moat", "dsp"):  # facts come with reports, so each source has loaded one
        book.report(source, date(2024, 12, 1), date(2024, 12, 31), datetime(2025, 1, 9, tzinfo=UTC))
    for source, (first, last), as_of, final in reports:
        until = BillingPeriod.month(2025, last).end - timedelta(days=1)
        at = datetime(as_of.year, as_of.month, as_of.day, 6, tzinfo=UTC)
        book.report(source, date(2025, first, 1), until, at, final=final)
    book.compare()
    book.compare("2025-02", "2025-03")


YEAR_START, MAY = datetime(2025, 1, 1), datetime(2025, 5, 1)  # noqa: DTZ001 - local times of a flight
WHOLE = Flight(start=YEAR_START, end=MAY, zone="UTC")


def reported(book: Book, *, sources: tuple[str, ...] = ("ads", "moat")) -> None:
    """Both sides told of all four months, late enough to be final."""
    book.office.clock.time = datetime(2025, 5, 20, tzinfo=UTC)
    for source in sources:
        book.report(source, date(2025, 1, 1), date(2025, 4, 30), datetime(2025, 5, 10, tzinfo=UTC), final=True)


def test_the_run_equals_the_library_on_a_grid_of_edges(book: Book) -> None:
    """Caps by cycle and over the line, both sides of a tolerance, zero prices, 0, 2 and 3 decimals, ties, gross and net rates."""
    counts = [(900, 1_000, 1_001, 1_100), (1_000, 0, 2_500, 1), (999, 1_001, 1_000, 1_000)]
    others = [(810, 1_100, 1_112, 990), (900, 0, 2_250, 0), (899, 1_001, 900, 1_100)]
    prices = [
        ("USD", 5_000, PriceBasis.GROSS, 150_000),
        ("JPY", 2_500_000, PriceBasis.NET, 150_000),
        ("KWD", 500, PriceBasis.GROSS, 333_333),
        ("USD", 0, PriceBasis.NET, 333_333),
    ]
    sources = (BillingSource.FIRST_PARTY, BillingSource.THIRD_PARTY)
    for number, (cap, base, source) in enumerate(product(CapMode, VarianceBase, sources)):
        currency, rate, basis, ppm = prices[number % 4]
        method = (CostMethod.CPM, CostMethod.CPC, CostMethod.VCPM, CostMethod.CPD)[number // 4 % 4]
        price = Price(method=method, rate=rate, currency=currency, basis=basis, commission_ppm=ppm)
        terms = BillingTerms(source=source, cap=cap, variance_base=base, finality_days=0)
        line = book.line(terms, price, 3_900, flight=WHOLE, agency=number % 2 == 0)
        for month, (ours, theirs) in enumerate(zip(counts[number % 3], others[number // 3 % 3], strict=True), 1):
            book.fact(line, "ads", date(2025, month, 3), method, ours)
            book.fact(line, "moat", date(2025, month, 3), method, theirs)
    reported(book)
    found = book.compare()
    assert (found.run.lines, found.run.by_library) == (24, 0)
    assert {"", "VARIANCE"} <= set(found.codes)
    assert book.compare("2025-01", "2025-12").run.digest == found.run.digest
    book.compare("2025-03", "2025-03")


@pytest.mark.parametrize(
    ("count", "rate", "apart"),
    [(4 * 10**12, 10, False), (2**53 + 1, 1, True), (2**62, 1, True), (2**62, 4_000_000, True), (10**9, 2**40, True)],
)
def test_figures_beyond_64_bits_go_through_the_library(book: Book, count: int, rate: int, apart: bool) -> None:
    price = Price(method=CostMethod.CPC, rate=rate, currency="USD", commission_ppm=150_000)
    line = book.line(BillingTerms(cap=CapMode.NO_CAP, finality_days=0), price, 10, flight=WHOLE, agency=True)
    book.fact(line, "ads", date(2025, 2, 3), CostMethod.CPC, count)
    reported(book)
    found = book.compare()
    assert found.run.by_library == (4 if apart else 0)


def test_half_a_cent_is_rounded_upward_and_commission_once(book: Book) -> None:
    """125 clicks at 0.0002 make 0.025; 15 % of the rounded 0.03 is 0.0045: nothing."""
    price = Price(method=CostMethod.CPC, rate=200, currency="USD", commission_ppm=150_000)
    line = book.line(BillingTerms(cap=CapMode.NO_CAP, finality_days=0), price, 10, flight=WHOLE, agency=True)
    book.fact(line, "ads", date(2025, 2, 3), CostMethod.CPC, 125)
    reported(book)
    book.compare("2025-02", "2025-02")
    ((gross, commission),) = book.office.rows(
        "SELECT gross, commission FROM reconciliation_line WHERE run = (SELECT min(run) FROM reconciliation_run)"
    )
    assert (gross, commission) == (30_000, 0)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("WHEN tolerance = 3 THEN 4", "WHEN tolerance = 4 THEN 4"),
        ("least(chosen_life, l.total) - least(chosen_life - chosen, l.total)", "least(chosen, l.total)"),
        ("/ l.bought2_up", "/ (l.bought2_up + 1)"),
        ("seller_life - seller_before", "seller_life"),
    ],
)
def test_a_wrong_statement_is_found_out(book: Book, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str) -> None:
    statement = reconciliation_statement._RECONCILE
    assert right in statement
    monkeypatch.setattr(reconciliation_statement, "_RECONCILE", statement.replace(right, wrong))
    _a_line_that_shows_it(book)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("_VARIANCE", 0),
        ("_lesser", lambda one, other: one),
        ("_NOTHING", 2**31),
        ("digest_keys", lambda month: (1, 1, 1)),
        ("_SILENT", 0),
    ],
)
def test_wrong_columns_are_found_out(book: Book, monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any) -> None:
    monkeypatch.setattr(columns, name, wrong)
    _a_line_that_shows_it(book)


def _a_line_that_shows_it(book: Book) -> None:
    free = Price(method=CostMethod.CPM, rate=1, currency="USD")
    line = book.line(BillingTerms(cap=CapMode.NO_CAP, finality_days=0), free, 3_000, flight=WHOLE)
    book.fact(line, "ads", date(2025, 2, 3), CostMethod.CPM, 2**31 + 10**9)
    price = Price(method=CostMethod.CPC, rate=12_345, currency="USD")
    line = book.line(BillingTerms(finality_days=0), price, 3_000, flight=WHOLE)
    for month, (ours, theirs) in enumerate([(900, 900), (1_000, 1_001), (1_500, 200), (900, 900)], 1):
        book.fact(line, "ads", date(2025, month, 3), CostMethod.CPC, ours)
        book.fact(line, "moat", date(2025, month, 3), CostMethod.CPC, theirs)
    reported(book)
    with pytest.raises(AssertionError):
        book.compare()


@pytest.mark.parametrize("covered", [True, False])
def test_the_run_bills_the_networks_days_around_a_flight_as_the_library_does(book: Book, covered: bool) -> None:
    """Facts of 31 January and 1 April in the sources' calendars, of flights that begin and end with February and March."""
    book.zones = {"ads": "America/New_York", "moat": "Asia/Tokyo"}
    book.office.clock.time = datetime(2025, 5, 20, tzinfo=UTC)
    price = Price(method=CostMethod.CPM, rate=12_000_000, currency="USD")
    starts = [datetime(2025, 2, 1), datetime(2025, 2, 1, 2, 23), datetime(2025, 2, 1, 12), datetime(2025, 2, 2)]  # noqa: DTZ001
    for start, source in product(starts, (BillingSource.FIRST_PARTY, BillingSource.THIRD_PARTY)):
        flight = Flight(start=start, end=datetime(2025, 4, 1), zone="UTC")  # noqa: DTZ001
        terms = BillingTerms(source=source, finality=Finality.DECLARED, tolerance_ppm=1_000_000)
        line = book.line(terms, price, 9_000_000, flight=flight)
        for name, day in product(book.zones, (date(2025, 1, 31), date(2025, 2, 9), date(2025, 3, 9), date(2025, 4, 1))):
            book.fact(line, name, day, CostMethod.CPM, 100_000 + day.day)
    for name in book.zones:
        since, until = (date(2025, 1, 1), date(2025, 4, 9)) if covered else (date(2025, 2, 1), date(2025, 3, 31))
        book.report(name, since, until, datetime(2025, 5, 10, tzinfo=UTC), final=True)
    found = book.compare()
    assert found.run.by_library > 0
    if covered:
        # 31 January in New York is the first day of the flights from 0:00 and 2:23 UTC; 1 April in Tokyo the last of all.
        units = [
            row[0]
            for row in book.office.rows(
                "SELECT billable_units FROM reconciliation_line WHERE run = (SELECT min(run) FROM reconciliation_run)"
            )
        ]
        assert sorted(units) == [200_018] * 2 + [300_019] * 4 + [300_049] * 2


def test_a_month_before_those_asked_for_goes_into_the_cap_as_it_was_billed(book: Book) -> None:
    """January fell back on the seller's count; only February is asked for."""
    price = Price(method=CostMethod.CPC, rate=12_345, currency="USD")
    terms = BillingTerms(
        source=BillingSource.THIRD_PARTY, cap=CapMode.CUMULATIVE, fallback_days=5, tolerance_ppm=1_000_000
    )
    line = book.line(terms, price, 1_000, flight=WHOLE)
    book.fact(line, "ads", date(2025, 1, 3), CostMethod.CPC, 900)
    for source in ("ads", "moat"):
        book.fact(line, source, date(2025, 2, 3), CostMethod.CPC, 700)
    book.office.clock.time = datetime(2025, 5, 20, tzinfo=UTC)
    for source, since in (("ads", date(2025, 1, 1)), ("moat", date(2025, 2, 1))):
        book.report(source, since, date(2025, 4, 30), datetime(2025, 5, 10, tzinfo=UTC), final=True)
    found = book.compare("2025-02", "2025-02")
    assert found.run.by_library == 1


@pytest.mark.parametrize("source", [BillingSource.FIRST_PARTY, BillingSource.THIRD_PARTY])
def test_a_source_that_does_not_report_the_unit_counted_nothing_of_it(book: Book, source: BillingSource) -> None:
    with book.office.hub.session.database.transaction() as cur:
        cur.execute(
            "INSERT INTO delivery_source (source, counted_by, counting, zone, metrics) "
            "VALUES ('moat', 'measurement', 'daily', 'UTC', 'impressions')"
        )
    price = Price(method=CostMethod.CPC, rate=12_345, currency="USD")
    line = book.line(BillingTerms(source=source, finality_days=0), price, 3_000, flight=WHOLE)
    for month in range(1, 5):
        book.fact(line, "ads", date(2025, month, 3), CostMethod.CPC, 500)
        book.fact(line, "moat", date(2025, month, 3), CostMethod.CPM, 9_000)
    reported(book)
    found = book.compare()
    assert found.run.by_library == 0
    assert found.codes == ({"NO-REPORT": 4} if source is BillingSource.THIRD_PARTY else {})


def test_counts_below_zero_before_the_months_asked_for_send_the_line_to_the_library(book: Book) -> None:
    price = Price(method=CostMethod.CPC, rate=12_345, currency="USD")
    line = book.line(BillingTerms(cap=CapMode.CUMULATIVE, finality_days=0), price, 3_000, flight=WHOLE)
    for month, count in enumerate((500, -700, 900, 400), 1):
        book.fact(line, "ads", date(2025, month, 3), CostMethod.CPC, count)
    reported(book)
    found = book.compare()
    assert (found.run.by_library, found.codes) == (4, {"CONTRACT-CONTRADICTS": 3})
    later = book.compare("2025-04", "2025-04")
    assert (later.run.by_library, later.codes) == (1, {"CONTRACT-CONTRADICTS": 1})


@pytest.mark.parametrize("since", ["2025-01", "2025-03"])
@pytest.mark.parametrize("cap", [CapMode.NO_CAP, CapMode.CUMULATIVE])
def test_a_month_that_is_not_final_is_no_part_of_the_lines_life(book: Book, since: str, cap: CapMode) -> None:
    """The measurement company has not declared January. With it the first line would agree, and the second would not."""
    price = Price(method=CostMethod.CPC, rate=12_345, currency="USD")
    terms = BillingTerms(finality=Finality.DECLARED, cap=cap, source=BillingSource.THIRD_PARTY)
    counts = (
        ((1_000, 1_500), (1_000, 1_000), (1_000, 500), (1_000, 1_000)),
        ((1_000, 1), (1_000, 1_000), (1_000, 850), (1_000, 1_000)),
        # Nowhere beyond the tolerance: nothing depends on January.
        ((1_000, 1_500), (1_000, 1_000), (1_000, 999), (1_000, 1_000)),
    )
    lines = [book.line(terms, price, 90_000, flight=WHOLE) for _ in counts]
    for line, months in zip(lines, counts, strict=True):
        for month, (ours, theirs) in enumerate(months, 1):
            book.fact(line, "ads", date(2025, month, 3), CostMethod.CPC, ours)
            book.fact(line, "moat", date(2025, month, 3), CostMethod.CPC, theirs)
    book.office.clock.time = datetime(2025, 5, 20, tzinfo=UTC)
    at = datetime(2025, 5, 10, tzinfo=UTC)
    book.report("ads", date(2025, 1, 1), date(2025, 4, 30), at, final=True)
    book.report("moat", date(2025, 1, 1), date(2025, 1, 31), at)
    book.report("moat", date(2025, 2, 1), date(2025, 4, 30), at, final=True)
    found = book.compare(since)
    of_march = book.office.rows(
        "SELECT line_id, code, tolerance FROM reconciliation_exception WHERE run = %s AND period_start = '2025-03-01'",
        [found.run.run],
    )
    assert {line: told for line, *told in of_march} == {
        lines[0]: ["VARIANCE", "outside"],
        lines[1]: ["", "within over life"],
    }
    assert found.run.by_library == 2 * (4 if since == "2025-01" else 2)
