"""A book to reconcile, in the tables as the hub holds them, and the same line-months as plain rows for the Decimal loop.

Deterministic: line n of a book is the same in every run. Every method that is counted, every cap, both sources, currencies of
0, 2 and 3 decimals, gross and net rates, agencies. Of 1,000 line-months 20 differ beyond the tolerance, 5 were not counted by
the other side, 2 by nobody, and 10 were delivered above their goal; flights of every other line begin and end inside a month.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from hashlib import blake2b
from itertools import pairwise
from uuid import UUID

import orjson
import psycopg

from oms_schema.billing_terms import BillingTerms, CapMode, VarianceBase
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import Flight, Goal, Line, Price
from oms_schema.order import Order
from oms_schema.party import PartyInRole, PartyRole
from oms_schema.status import CommercialStatus

MONTHS = 12
FIRST, UNTIL = date(2025, 1, 1), date(2025, 12, 1)
NOW = datetime(2026, 2, 10, tzinfo=UTC)
LINES_OF_AN_ORDER = 10
METHODS = (
    ("CPM", "impressions"), ("CPM", "impressions"), ("CPM", "impressions"), ("CPC", "clicks"),
    ("VCPM", "viewable_impressions"), ("CPCV", "completed_views"),
)  # fmt: skip
CURRENCIES = ("USD", "EUR", "USD", "JPY", "USD", "KWD")
CAPS = tuple(CapMode)
BASES = tuple(VarianceBase)

_COUNTS = """
CREATE TABLE plain_month AS
SELECT n, m, goal, CASE WHEN silent THEN 0 ELSE seller END AS seller, CASE WHEN silent OR gone THEN 0 ELSE other END AS other
FROM (
  SELECT l.n, m, g.goal, x.seller, {} < 2 AS silent, {} < 5 AS gone,
    CASE WHEN {} < 20 THEN x.seller * 7 / 10 ELSE x.seller - x.seller * ({} % 60 - 25) / 1000 END AS other
  FROM plain_line l CROSS JOIN generate_series(0, 11) m
  CROSS JOIN LATERAL (SELECT l.goals[m + 1] AS goal) g
  CROSS JOIN LATERAL (SELECT g.goal * (CASE WHEN {} < 10 THEN 1080 ELSE 880 + {} % 110 END) / 1000 AS seller) x
) counted ORDER BY n, m
""".format(*(f"abs(hashint8extended(l.n * 12 + m, {seed}) % 1000)" for seed in range(6)))
_FACTS = """
INSERT INTO delivery_day (source, line_id, day, as_of, impressions, clicks, completed_views, viewable_impressions)
SELECT '{source}', l.line_id, make_date(2025, m + 1, 15), '2026-01-20+00',
  CASE l.unit WHEN 'impressions' THEN c.{side} ELSE 0 END, CASE l.unit WHEN 'clicks' THEN c.{side} ELSE 0 END,
  CASE l.unit WHEN 'completed_views' THEN c.{side} ELSE 0 END, CASE l.unit WHEN 'viewable_impressions' THEN c.{side} ELSE 0 END
FROM plain_line l JOIN plain_month c USING (n) WHERE c.{side} > 0 ORDER BY l.line_id, m
"""


def fill(url: str, lines: int) -> None:
    """The book into a migrated, empty database: one fact for each line, month and source that counted anything."""
    with psycopg.connect(url) as connection, connection.cursor() as cur:
        cur.execute("SET synchronous_commit = off")
        _contracts(cur, lines)
        cur.execute(_COUNTS.encode())
        for source, side in (("ads", "seller"), ("moat", "other")):
            cur.execute(_FACTS.format(source=source, side=side).encode())
        metrics = "impressions clicks completed_views viewable_impressions"
        for source, counted_by in (("ads", "seller"), ("moat", "measurement")):
            cur.execute(
                "INSERT INTO delivery_source (source, counted_by, counting, zone, metrics) VALUES (%s, %s, 'daily', 'UTC', %s)",
                (source, counted_by, metrics),
            )
            cur.execute(
                "INSERT INTO delivery_report (source, report, as_of, since, until, rows, days_changed, loaded_at) "
                "VALUES (%s, 'year', '2026-01-20+00', '2025-01-01', '2025-12-31', 0, 365, '2026-01-20+00')",
                (source,),
            )
        cur.execute(
            "INSERT INTO reference (connection, kind, entity_id, facet, record, vendor_id, account, since) "
            "SELECT 'ads', 'line', line_id, '1', 'LineItem', n::text, 'network', %s FROM plain_line ORDER BY n",
            (NOW,),
        )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _contracts(cur: psycopg.Cursor[tuple[object, ...]], lines: int) -> None:
    cur.execute(
        "CREATE TABLE plain_line (n bigint PRIMARY KEY, line_id text, order_id text, currency text, unit text, method text, "
        "rate bigint, net_rate boolean, commission_ppm int, third_party boolean, cap text, tolerance_ppm int, "
        "variance_base text, total bigint, goals bigint[])"
    )
    plain: list[tuple[object, ...]] = []
    entities: list[tuple[object, ...]] = []
    advertiser = canonical_id(EntityKind.PARTY, "bench", "advertiser")
    agency = canonical_id(EntityKind.PARTY, "bench", "agency")
    for number in range(0, lines, LINES_OF_AN_ORDER):
        by_agency = number // LINES_OF_AN_ORDER % 2 == 0
        order_id = canonical_id(EntityKind.ORDER, "bench", str(number))
        payer = agency if by_agency else advertiser
        parties = ((PartyRole.ADVERTISER, advertiser), (PartyRole.AGENCY, agency), (PartyRole.BILL_TO, payer))
        order = Order(
            id=order_id,
            name=f"Order {number}",
            status=CommercialStatus.BOOKED,
            currency="USD",
            parties=tuple(PartyInRole(role=role, party_id=party) for role, party in parties),
        )
        entities.append(_entity("order", order_id, order.canonical_bytes(), None, str(order.status)))
        for n in range(number, min(lines, number + LINES_OF_AN_ORDER)):
            line_id = canonical_id(EntityKind.LINE, "bench", str(n))
            method, unit = METHODS[n % 6]
            currency, cap, base = CURRENCIES[n // 6 % 6], CAPS[n % 4], BASES[n // 4 % 3]
            rate = (2_000_000 + n % 997 * 10_000) if method in ("CPM", "VCPM") else 100_000 + n % 97 * 1_000
            goal = 1_200_000 + n % 1_009 * 1_000
            inside = n % 2 == 1
            start = datetime(2025, 1, 1 + n % 20 if inside else 1)  # noqa: DTZ001 - local time of the flight
            end = datetime(2025, 12, 31 - n % 20) if inside else datetime(2026, 1, 1)  # noqa: DTZ001
            goals = _goals(goal, start, end)
            body = _line(n, line_id, order_id, method, unit, currency, cap, base, rate, goal, start, end)
            entities.append(_entity("line", line_id, body, order_id, None))
            ppm = 150_000 if by_agency else 0
            net = n % 5 == 0
            plain.append(
                (n, line_id, order_id, currency, unit, method, rate, net, ppm, n % 10 < 3, str(cap), 100_000, str(base), goal,
                 goals)
            )  # fmt: skip
        if len(entities) > 20_000:
            _copy(cur, entities, plain)
    _copy(cur, entities, plain)


def _copy(
    cur: psycopg.Cursor[tuple[object, ...]], entities: list[tuple[object, ...]], plain: list[tuple[object, ...]]
) -> None:
    with cur.copy(
        "COPY entity (kind, id, version, canonical, content_hash, source, native_id, name, order_id, status, accepted_at) "
        "FROM STDIN"
    ) as copy:
        for row in entities:
            copy.write_row(row)
    with cur.copy("COPY plain_line FROM STDIN") as copy:
        for row in plain:
            copy.write_row(row)
    entities.clear()
    plain.clear()


def _entity(kind: str, entity_id: str, body: bytes, order_id: str | None, status: str | None) -> tuple[object, ...]:
    digest = UUID(bytes=blake2b(body, digest_size=16).digest())
    return (kind, entity_id, 1, body, digest, "bench", entity_id, entity_id, order_id or entity_id, status, NOW)


_TEMPLATE = Line(
    id=canonical_id(EntityKind.LINE, "bench", "x"),
    order_id=canonical_id(EntityKind.ORDER, "bench", "x"),
    name="Line",
    flight=Flight(start=datetime(2025, 1, 1), end=datetime(2026, 1, 1), zone="UTC"),  # noqa: DTZ001
    price=Price.model_validate({"method": "CPM", "rate": 1, "currency": "USD"}),
    goal=Goal.model_validate({"unit": "impressions", "quantity": 1}),
    terms=BillingTerms(),
).canonical_bytes()


def _line(
    n: int,
    line_id: str,
    order_id: str,
    method: str,
    unit: str,
    currency: str,
    cap: CapMode,
    base: VarianceBase,
    rate: int,
    goal: int,
    start: datetime,
    end: datetime,
) -> bytes:
    body = orjson.loads(_TEMPLATE)
    body.update(id=line_id, order_id=order_id, name=f"Line {n}")
    body["flight"].update(start=start.isoformat(), end=end.isoformat())
    body["price"].update(
        method=method,
        rate=rate,
        currency=currency,
        commission_ppm=150_000,
        basis="net" if n % 5 == 0 else "gross",
    )
    body["goal"].update(unit=unit, quantity=goal)
    body["terms"].update(
        source="third_party" if n % 10 < 3 else "first_party",
        cap=str(cap),
        tolerance_ppm=100_000,
        variance_base=str(base),
    )
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def _goals(goal: int, start: datetime, end: datetime) -> list[int]:
    """The goal by the flight's time in each month, largest remainder, equal remainders to the later month."""
    edges = [datetime(2025 + month // 12, month % 12 + 1, 1) for month in range(MONTHS + 1)]  # noqa: DTZ001
    weights = [int((min(end, until) - max(start, since)).total_seconds()) for since, until in pairwise(edges)]
    whole = sum(weights)
    parts = [goal * weight // whole for weight in weights]
    order = sorted(range(MONTHS), key=lambda i: (goal * weights[i] % whole, i), reverse=True)
    for place in order[: goal - sum(parts)]:
        parts[place] += 1
    return parts
