"""The months of lines read each contract once: the view's steps read and parsed every line and its order five times.

The same rows as before; a test compares them. What `report._spread` and `report._counted` say stands in the view as steps of its
own, and what is known of a month comes together by one aggregate instead of a union and four joins.
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_KEPT = "d.state <> 'proposed' AND d.mismatch = ''"


def _major(micros: str) -> str:
    """Micros as an exact decimal of major units; a division would keep 16 digits only."""
    return f"(({micros}) * 0.000001)::numeric(24, 6)"


# What 0017 says of a month: the same as `hub.billing.rules.window.period_of` says day by day, with the months that were billed before a flight was moved;
# a test compares them. A day that counts into no period stays in the month of its name. The order's terms are read for days
# after a line's last month alone.
_AS_BILLED = """CASE
    WHEN d.day < f.first AND ((f.starts AT TIME ZONE f.zone) AT TIME ZONE coalesce(s.zone, f.zone))::date <= d.day THEN f.first
    WHEN d.day >= f.until AND d.day < greatest(
        f.until + coalesce((f.terms->>'measurement_window_days')::integer, (
          SELECT (convert_from(o.canonical, 'UTF8')::jsonb->'terms'->>'measurement_window_days')::integer
          FROM entity o WHERE f.terms IS NULL AND o.kind = 'order' AND o.id = f.order_id), 0),
        (((f.ends AT TIME ZONE f.zone) - interval '1 microsecond') AT TIME ZONE coalesce(s.zone, f.zone))::date + 1)
      THEN (f.until - interval '1 month')::date
    ELSE date_trunc('month', d.day)::date END"""
_FLIGHTS = """flight AS MATERIALIZED (
  SELECT l.id AS line_id, l.order_id, nullif(x->'terms', 'null') AS terms, x->'flight'->>'zone' AS zone, t.starts, t.ends,
         least(date_trunc('month', t.starts)::date, b.first) AS first,
         CASE WHEN t.ends IS NOT NULL THEN
           greatest((date_trunc('month', t.ends - interval '1 microsecond') + interval '1 month')::date, b.until) END AS until
  FROM entity l CROSS JOIN LATERAL (SELECT convert_from(l.canonical, 'UTF8')::jsonb AS x{once}) c
  CROSS JOIN LATERAL (SELECT (x->'flight'->>'start')::timestamp AS starts, (x->'flight'->>'end')::timestamp AS ends) t
  LEFT JOIN (
    SELECT line_id, min(period_start) AS first, max(period_end) AS until FROM line_period
    WHERE status IN ('locked', 'exported', 'invoiced', 'paid', 'adjusted') GROUP BY line_id) b ON b.line_id = l.id
  WHERE l.kind = 'line'
), """


def _source_month(flights: str, month: str, lines: str) -> str:
    return f"""
CREATE OR REPLACE VIEW report.source_month AS
WITH {flights}by_source AS (
  SELECT d.line_id, {month} AS period_start, d.source, coalesce(s.counted_by, 'seller') AS counted_by,
         coalesce(s.metrics, 'impressions clicks completed_views viewable_impressions') AS metrics,
         sum(d.impressions) AS impressions, sum(d.clicks) AS clicks, sum(d.completed_views) AS completed_views,
         sum(d.viewable_impressions) AS viewable_impressions,
         count(*) FILTER (WHERE d.impressions + d.clicks + d.completed_views + d.viewable_impressions > 0) AS active_days,
         max(d.as_of) AS as_of
  FROM delivery_day d LEFT JOIN delivery_source s ON s.source = d.source{lines} GROUP BY 1, 2, 3, 4, 5
)
SELECT line_id, period_start, source, counted_by,
       CASE WHEN 'impressions' = ANY(told) THEN impressions::bigint END AS impressions,
       CASE WHEN 'viewable_impressions' = ANY(told) THEN viewable_impressions::bigint END AS viewable_impressions,
       CASE WHEN 'clicks' = ANY(told) THEN clicks::bigint END AS clicks,
       CASE WHEN 'completed_views' = ANY(told) THEN completed_views::bigint END AS completed_views,
       active_days, as_of
FROM by_source CROSS JOIN LATERAL (SELECT string_to_array(metrics, ' ') AS told) t"""


# What 0015 says, with its counts.
_BEFORE = f"""
CREATE OR REPLACE VIEW report.line_month AS
WITH delivered AS (
  SELECT c.line_id, c.currency, n.period_start, t.units,
         v.value - report.rounded(v.value * c.deducted_ppm, 1000000, c.minor) AS value
  FROM report._contract c JOIN report._counted n USING (line_id)
  CROSS JOIN LATERAL (SELECT CASE WHEN c.terms->>'source' = 'third_party' THEN n.other_units ELSE n.seller_units END AS units) t
  CROSS JOIN LATERAL (SELECT report.rounded(c.rate * t.units, c.per, c.minor) AS value) v
), billed AS (
  SELECT p.line_id, d.currency, p.period_start,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.net ELSE p.net END) FILTER (WHERE {_KEPT}) AS net,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.quantity ELSE p.quantity END)
           FILTER (WHERE {_KEPT} AND NOT p.bonus) AS units,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.net ELSE p.net END) FILTER (WHERE d.corrects IS NOT NULL) AS corrected
  FROM billing_position p JOIN billing_document d USING (document_id) WHERE d.state <> 'withdrawn' GROUP BY 1, 2, 3
), keys AS (
  SELECT line_id, currency, period_start FROM report._spread UNION SELECT line_id, currency, period_start FROM delivered
  UNION SELECT line_id, currency, period_start FROM billed UNION SELECT line_id, currency, period_start FROM line_period
)
SELECT k.line_id, coalesce(c.order_id, l.order_id) AS order_id, k.currency, k.period_start, l.status, l.problem_code, c.unit,
       {_major("coalesce(s.booked, 0)")} AS booked, d.units::bigint AS delivered_units, {_major("d.value")} AS delivered,
       l.quantity AS billable_units, {_major("l.net + coalesce(b.corrected, 0)")} AS billable,
       coalesce(b.units, 0)::bigint AS billed_units, {_major("coalesce(b.net, 0)")} AS billed
FROM keys k LEFT JOIN report._spread s USING (line_id, currency, period_start)
LEFT JOIN delivered d USING (line_id, currency, period_start)
LEFT JOIN line_period l USING (line_id, currency, period_start)
LEFT JOIN billed b USING (line_id, currency, period_start)
LEFT JOIN report._contract c ON c.line_id = k.line_id"""

_NOW = f"""
CREATE OR REPLACE VIEW report.line_month AS
WITH contract AS MATERIALIZED (
  SELECT line_id, order_id, currency, unit, rate, per, minor, deducted_ppm, stands, value, flight_start, flight_end,
         coalesce(terms->>'source' = 'third_party', false) AS third_party
  FROM report._contract
), months AS (
  SELECT c.line_id, c.currency, m::date AS period_start, div(c.value, c.minor) AS units, c.minor,
         extract(epoch FROM least(c.flight_end, m + interval '1 month') - greatest(c.flight_start, m)) AS weight
  FROM contract c
  CROSS JOIN LATERAL generate_series(date_trunc('month', c.flight_start), c.flight_end - interval '1 microsecond',
                                     interval '1 month') AS m
  WHERE c.stands AND c.value IS NOT NULL AND c.flight_end IS NOT NULL
), whole AS (
  SELECT *, sum(weight) OVER (PARTITION BY line_id) AS life FROM months
), parts AS (
  SELECT *, div(units * weight, life) AS part,
         row_number() OVER (PARTITION BY line_id ORDER BY mod(units * weight, life) DESC, period_start DESC) AS turn
  FROM whole
), spread AS (
  SELECT line_id, currency, period_start,
         (part + CASE WHEN turn <= units - sum(part) OVER (PARTITION BY line_id) THEN 1 ELSE 0 END) * minor AS booked
  FROM parts
), units AS MATERIALIZED (
  SELECT c.line_id, s.period_start, s.counted_by, s.source,
         CASE c.unit WHEN 'impressions' THEN s.impressions WHEN 'viewable_impressions' THEN s.viewable_impressions
           WHEN 'clicks' THEN s.clicks WHEN 'completed_views' THEN s.completed_views WHEN 'days' THEN s.active_days
           END::numeric AS units, c.unit
  FROM contract c JOIN report.source_month s USING (line_id)
), seller AS (
  SELECT line_id, period_start, CASE WHEN unit = 'days' THEN max(units) ELSE sum(units) END AS units
  FROM units WHERE counted_by = 'seller' GROUP BY line_id, period_start, unit
), other AS (
  SELECT DISTINCT ON (line_id, period_start) line_id, period_start, units
  FROM units WHERE counted_by <> 'seller' ORDER BY line_id, period_start, counted_by DESC, source
), counted AS (
  SELECT line_id, period_start, s.units AS seller_units, o.units AS other_units
  FROM seller s FULL JOIN other o USING (line_id, period_start)
), delivered AS (
  SELECT c.line_id, c.currency, n.period_start, t.units,
         v.value - report.rounded(v.value * c.deducted_ppm, 1000000, c.minor) AS value
  FROM contract c JOIN counted n USING (line_id)
  CROSS JOIN LATERAL (SELECT CASE WHEN c.third_party THEN n.other_units ELSE n.seller_units END AS units) t
  CROSS JOIN LATERAL (SELECT report.rounded(c.rate * t.units, c.per, c.minor) AS value) v
), billed AS (
  SELECT p.line_id, d.currency, p.period_start,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.net ELSE p.net END) FILTER (WHERE {_KEPT}) AS net,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.quantity ELSE p.quantity END)
           FILTER (WHERE {_KEPT} AND NOT p.bonus) AS units,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.net ELSE p.net END) FILTER (WHERE d.corrects IS NOT NULL) AS corrected
  FROM billing_position p JOIN billing_document d USING (document_id) WHERE d.state <> 'withdrawn' GROUP BY 1, 2, 3
), every AS (
  SELECT line_id, currency, period_start, max(order_id) AS order_id, max(status) AS status, max(problem_code) AS problem_code,
         max(booked) AS booked, max(delivered_units) AS delivered_units, max(delivered) AS delivered, max(quantity) AS quantity,
         max(net) AS net, max(billed_units) AS billed_units, max(billed) AS billed, max(corrected) AS corrected
  FROM (
    SELECT line_id, currency, period_start, NULL::text AS order_id, NULL::text AS status, NULL::text AS problem_code, booked,
           NULL::numeric AS delivered_units, NULL::numeric AS delivered, NULL::bigint AS quantity, NULL::bigint AS net,
           NULL::numeric AS billed_units, NULL::numeric AS billed, NULL::numeric AS corrected
    FROM spread
    UNION ALL SELECT line_id, currency, period_start, NULL, NULL, NULL, NULL, units, value, NULL, NULL, NULL, NULL, NULL FROM delivered
    UNION ALL SELECT line_id, currency, period_start, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, units, net, corrected FROM billed
    UNION ALL SELECT line_id, currency, period_start, order_id, status, problem_code, NULL, NULL, NULL, quantity, net, NULL, NULL, NULL
    FROM line_period
  ) parts GROUP BY line_id, currency, period_start
)
SELECT e.line_id, coalesce(c.order_id, e.order_id) AS order_id, e.currency, e.period_start, e.status, e.problem_code, c.unit,
       {_major("coalesce(e.booked, 0)")} AS booked, e.delivered_units::bigint AS delivered_units, {_major("e.delivered")} AS delivered,
       e.quantity AS billable_units, {_major("e.net + coalesce(e.corrected, 0)")} AS billable,
       coalesce(e.billed_units, 0)::bigint AS billed_units, {_major("coalesce(e.billed, 0)")} AS billed
FROM every e LEFT JOIN contract c ON c.line_id = e.line_id"""


def _of_flights(once: str) -> str:
    return _source_month(_FLIGHTS.replace("{once}", once), _AS_BILLED, " LEFT JOIN flight f ON f.line_id = d.line_id")


STATEMENTS = (_of_flights(" OFFSET 0"), _NOW)
"""Without OFFSET 0 PostgreSQL parses a line's JSON once for each of eight values."""

BEFORE = (_of_flights(""), _BEFORE)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for statement in BEFORE:
        op.execute(statement)
