"""Views for BI tools, in a schema of their own: what was booked, delivered, billable, billed and paid, and what stands behind.

Amounts are decimals in the currency's major unit, exact; two currencies are never added. Views that begin with `_` are steps on
the way and may change; the others keep their columns.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _major(micros: str) -> str:
    """Micros as an exact decimal of major units; a division would keep 16 digits only."""
    return f"(({micros}) * 0.000001)::numeric(24, 6)"


# The same rounding and the same minor units as `oms_schema.money`; a test compares them.
_FUNCTIONS = (
    """
CREATE FUNCTION report.minor_unit(currency text) RETURNS numeric IMMUTABLE LANGUAGE sql AS $$
  SELECT CASE
    WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF',
                      'XOF', 'XPF') THEN 1000000
    WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 1000
    WHEN currency IN ('CLF', 'UYW') THEN 100
    ELSE 10000 END::numeric
$$""",
    """
CREATE FUNCTION report.rounded(numerator numeric, denominator numeric, minor numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS $$
  SELECT div(2 * numerator + denominator * minor, 2 * denominator * minor) * minor
$$""",
)
# The minor unit is a column of `_contract`: as an argument it is cheap enough for PostgreSQL to inline `rounded`.


# Materialized, because PostgreSQL otherwise parses the JSON once for each column that is read from it (20 times slower).
_CONTRACT = """
CREATE VIEW report._contract AS
WITH read AS MATERIALIZED (
  SELECT l.id AS line_id, l.order_id, l.name AS line, o.name AS order_name, o.status,
         convert_from(l.canonical, 'UTF8')::jsonb AS x, convert_from(o.canonical, 'UTF8')::jsonb AS y
  FROM entity l JOIN entity o ON o.kind = 'order' AND o.id = l.order_id WHERE l.kind = 'line'
), told AS MATERIALIZED (
  SELECT line_id, order_id, line, order_name, y->>'number' AS order_number,
         coalesce(status, y->>'status') IN ('booked', 'on_hold', 'completed', 'closed')
           AND NOT coalesce((x->>'cancelled')::boolean, false) AS stands,
         jsonb_path_query_first(y, '$.parties[*] ? (@.role == "advertiser").party_id') #>> '{}' AS advertiser_id,
         jsonb_path_query_first(y, '$.parties[*] ? (@.role == "agency").party_id') #>> '{}' AS agency_id,
         jsonb_path_query_first(y, '$.parties[*] ? (@.role == "bill_to").party_id') #>> '{}' AS bill_to_id,
         x->'price'->>'method' AS method, (x->'price'->>'rate')::numeric AS rate, x->'price'->>'currency' AS currency,
         x->'price'->>'basis' AS basis, coalesce((x->'price'->>'commission_ppm')::bigint, 0) AS commission_ppm,
         CASE WHEN x->'price'->>'method' IN ('CPM', 'VCPM') THEN 1000 ELSE 1 END AS per,
         CASE x->'price'->>'method' WHEN 'CPM' THEN 'impressions' WHEN 'VCPM' THEN 'viewable_impressions'
           WHEN 'CPC' THEN 'clicks' WHEN 'CPCV' THEN 'completed_views' WHEN 'CPD' THEN 'days' WHEN 'CPA' THEN 'conversions'
           END AS unit,
         x->'goal'->>'unit' AS goal_unit, coalesce(x->'goal'->>'measure', 'count') AS goal_measure,
         (x->'goal'->>'quantity')::numeric AS goal,
         CASE WHEN x->'budget'->>'currency' = x->'price'->>'currency' THEN (x->'budget'->>'micros')::numeric END AS budget,
         coalesce(x->'terms', y->'terms') AS terms,
         (x->'flight'->>'start')::timestamp AS flight_start, (x->'flight'->>'end')::timestamp AS flight_end,
         x->'flight'->>'zone' AS zone, report.minor_unit(x->'price'->>'currency') AS minor
  FROM read
), counted AS (
  SELECT *, CASE WHEN unit IS NULL THEN NULL
                 WHEN goal_unit = unit AND goal_measure = 'count' THEN goal
                 WHEN budget >= 0 AND rate > 0 THEN div(budget * per, rate) END AS units,
         CASE WHEN basis = 'gross' AND agency_id = bill_to_id THEN commission_ppm ELSE 0 END AS deducted_ppm
  FROM told
)
SELECT c.*, v.value - report.rounded(v.value * deducted_ppm, 1000000, minor) AS value
FROM counted c
CROSS JOIN LATERAL (SELECT report.rounded(CASE WHEN method = 'FLAT' THEN rate ELSE rate * units END,
                                          CASE WHEN method = 'FLAT' THEN 1 ELSE per END, minor) AS value) v"""

_LINE = f"""
CREATE VIEW report.line AS
SELECT line_id, line, order_id, order_name, order_number, advertiser_id, coalesce(bill_to_id, advertiser_id) AS bill_to_id, currency,
       method, {_major("rate")} AS rate, unit, units::bigint AS booked_units,
       CASE WHEN stands THEN {_major("value")} ELSE 0::numeric(24, 6) END AS booked, flight_start, flight_end, zone
FROM report._contract"""

# Largest remainder by the flight's local time in each month, equal remainders to the later month: the rules' `by_weight`.
_SPREAD = """
CREATE VIEW report._spread AS
WITH months AS (
  SELECT c.line_id, c.currency, m::date AS period_start, div(c.value, c.minor) AS units, c.minor,
         extract(epoch FROM least(c.flight_end, m + interval '1 month') - greatest(c.flight_start, m)) AS weight
  FROM report._contract c
  CROSS JOIN LATERAL generate_series(date_trunc('month', c.flight_start), c.flight_end - interval '1 microsecond',
                                     interval '1 month') AS m
  WHERE c.stands AND c.value IS NOT NULL AND c.flight_end IS NOT NULL
), whole AS (
  SELECT *, sum(weight) OVER (PARTITION BY line_id) AS life FROM months
), parts AS (
  SELECT *, div(units * weight, life) AS part,
         row_number() OVER (PARTITION BY line_id ORDER BY mod(units * weight, life) DESC, period_start DESC) AS turn
  FROM whole
)
SELECT line_id, currency, period_start,
       (part + CASE WHEN turn <= units - sum(part) OVER (PARTITION BY line_id) THEN 1 ELSE 0 END)
         * minor AS booked
FROM parts"""

_COUNT = """
CREATE VIEW report.source_month AS
WITH by_source AS (
  SELECT d.line_id, date_trunc('month', d.day)::date AS period_start, d.source, coalesce(s.counted_by, 'seller') AS counted_by,
         coalesce(s.metrics, 'impressions clicks completed_views viewable_impressions') AS metrics,
         sum(d.impressions) AS impressions, sum(d.clicks) AS clicks, sum(d.completed_views) AS completed_views,
         sum(d.viewable_impressions) AS viewable_impressions,
         count(*) FILTER (WHERE d.impressions + d.clicks + d.completed_views + d.viewable_impressions > 0) AS active_days,
         max(d.as_of) AS as_of
  FROM delivery_day d LEFT JOIN delivery_source s ON s.source = d.source GROUP BY 1, 2, 3, 4, 5
)
SELECT line_id, period_start, source, counted_by,
       CASE WHEN 'impressions' = ANY(told) THEN impressions::bigint END AS impressions,
       CASE WHEN 'viewable_impressions' = ANY(told) THEN viewable_impressions::bigint END AS viewable_impressions,
       CASE WHEN 'clicks' = ANY(told) THEN clicks::bigint END AS clicks,
       CASE WHEN 'completed_views' = ANY(told) THEN completed_views::bigint END AS completed_views,
       active_days, as_of
FROM by_source CROSS JOIN LATERAL (SELECT string_to_array(metrics, ' ') AS told) t"""

# Several ad servers of the seller are added up; of several measurement companies or buyers' servers the first by name counts.
_COUNTED = """
CREATE VIEW report._counted AS
WITH units AS (
  SELECT c.line_id, s.period_start, s.counted_by, s.source,
         CASE c.unit WHEN 'impressions' THEN s.impressions WHEN 'viewable_impressions' THEN s.viewable_impressions
           WHEN 'clicks' THEN s.clicks WHEN 'completed_views' THEN s.completed_views WHEN 'days' THEN s.active_days
           END::numeric AS units, c.unit
  FROM report._contract c JOIN report.source_month s USING (line_id)
), one AS (
  SELECT line_id, period_start, counted_by, string_agg(source, '+' ORDER BY source) AS source,
         CASE WHEN unit = 'days' THEN max(units) ELSE sum(units) END AS units
  FROM units WHERE counted_by = 'seller' GROUP BY line_id, period_start, counted_by, unit
  UNION ALL
  SELECT * FROM (SELECT DISTINCT ON (line_id, period_start, counted_by) line_id, period_start, counted_by, source, units
                 FROM units WHERE counted_by <> 'seller' ORDER BY line_id, period_start, counted_by, source) x
)
SELECT coalesce(s.line_id, o.line_id) AS line_id, coalesce(s.period_start, o.period_start) AS period_start,
       s.source AS seller, s.units AS seller_units, o.source AS other, o.units AS other_units, o.counted_by AS other_kind
FROM (SELECT * FROM one WHERE counted_by = 'seller') s
FULL JOIN (SELECT DISTINCT ON (line_id, period_start) * FROM one WHERE counted_by <> 'seller'
           ORDER BY line_id, period_start, counted_by DESC) o USING (line_id, period_start)"""

_LINE_MONTH = f"""
CREATE VIEW report.line_month AS
WITH delivered AS (
  SELECT c.line_id, c.currency, n.period_start, t.units,
         v.value - report.rounded(v.value * c.deducted_ppm, 1000000, c.minor) AS value
  FROM report._contract c JOIN report._counted n USING (line_id)
  CROSS JOIN LATERAL (SELECT CASE WHEN c.terms->>'source' = 'third_party' THEN n.other_units ELSE n.seller_units END AS units) t
  CROSS JOIN LATERAL (SELECT report.rounded(c.rate * t.units, c.per, c.minor) AS value) v
), billed AS (
  SELECT p.line_id, d.currency, p.period_start,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.net ELSE p.net END) FILTER (WHERE d.state <> 'proposed') AS net,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.quantity ELSE p.quantity END)
           FILTER (WHERE d.state <> 'proposed' AND NOT p.bonus) AS units,
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

_ORDER_MONTH = f"""
CREATE VIEW report.order_month AS
WITH lines AS (
  SELECT order_id, currency, period_start, sum(booked) AS booked, sum(delivered) AS delivered, sum(billable) AS billable,
         sum(billed) AS billed, count(*) FILTER (WHERE billable IS NULL) AS not_calculated
  FROM report.line_month GROUP BY 1, 2, 3
), paid AS (
  SELECT d.order_id, p.currency, d.period_start,
         sum(CASE d.kind WHEN 'credit_memo' THEN -abs(p.amount) ELSE p.amount END) AS paid
  FROM billing_payment p JOIN billing_document d USING (document_id) WHERE NOT p.gone AND p.by_document IS NULL GROUP BY 1, 2, 3
), named AS (
  SELECT o.id AS order_id, o.name AS order_name, y->>'number' AS order_number,
         jsonb_path_query_first(y, '$.parties[*] ? (@.role == "advertiser").party_id') #>> '{{}}' AS advertiser_id
  FROM entity o CROSS JOIN LATERAL (SELECT convert_from(o.canonical, 'UTF8')::jsonb AS y) x WHERE o.kind = 'order'
)
SELECT order_id, n.order_name, n.order_number, n.advertiser_id, a.name AS advertiser, currency, period_start,
       coalesce(l.booked, 0)::numeric(24, 6) AS booked, coalesce(l.delivered, 0)::numeric(24, 6) AS delivered,
       coalesce(l.billable, 0)::numeric(24, 6) AS billable, coalesce(l.billed, 0)::numeric(24, 6) AS billed,
       {_major("coalesce(p.paid, 0)")} AS paid, coalesce(l.not_calculated, 0) AS not_calculated
FROM lines l FULL JOIN paid p USING (order_id, currency, period_start) LEFT JOIN named n USING (order_id)
LEFT JOIN (SELECT id, name FROM entity WHERE kind = 'party') a ON a.id = n.advertiser_id"""

_FIVE = ", ".join(
    f"sum({one})::numeric(24, 6) AS {one}" for one in ("booked", "delivered", "billable", "billed", "paid")
)
_SUMS = (
    f"""
CREATE VIEW report.advertiser_month AS
SELECT advertiser_id, max(advertiser) AS advertiser, currency, period_start, {_FIVE}, sum(not_calculated)::bigint AS not_calculated
FROM report.order_month GROUP BY advertiser_id, currency, period_start""",
    f"""
CREATE VIEW report.month AS
SELECT period_start, currency, {_FIVE}, sum(not_calculated)::bigint AS not_calculated
FROM report.order_month GROUP BY period_start, currency""",
)

_DISCREPANCY = """
CREATE VIEW report.discrepancy AS
WITH compared AS (
  SELECT n.*, c.order_id, c.line, c.order_name, c.unit, coalesce((c.terms->>'tolerance_ppm')::bigint, 100000) AS tolerance_ppm,
         coalesce(c.terms->>'variance_base', 'publisher') AS variance_base
  FROM report._counted n JOIN report._contract c USING (line_id)
  WHERE n.seller_units IS NOT NULL AND n.other_units IS NOT NULL
), based AS (
  SELECT *, CASE variance_base WHEN 'publisher' THEN seller_units WHEN 'buyer' THEN other_units
              ELSE greatest(seller_units, other_units) END AS base FROM compared
)
SELECT b.line_id, b.line, b.order_id, b.order_name, b.period_start, b.unit, b.seller, b.seller_units::bigint AS seller_units, b.other,
       b.other_kind, b.other_units::bigint AS other_units, (b.seller_units - b.other_units)::bigint AS difference, b.variance_base,
       b.base::bigint AS base, b.tolerance_ppm,
       abs(b.seller_units - b.other_units) * 1000000 <= b.base * b.tolerance_ppm AS within_tolerance, l.status, l.problem_code
FROM based b LEFT JOIN line_period l USING (line_id, period_start)"""

# Over the line's life, so that a shortfall of one month that the next one made good is none.
_SHORTFALL = f"""
CREATE VIEW report.shortfall AS
WITH life AS (
  SELECT line_id, currency, sum(delivered_units) AS delivered_units, sum(billed) AS billed FROM report.line_month GROUP BY 1, 2
), owed AS (
  SELECT c.*, l.delivered_units, l.billed, s.short, v.earned - report.rounded(v.earned * c.deducted_ppm, 1000000, c.minor) AS earned,
         v.missing - report.rounded(v.missing * c.deducted_ppm, 1000000, c.minor) AS missing
  FROM report._contract c JOIN life l USING (line_id, currency)
  CROSS JOIN LATERAL (SELECT greatest(c.units - l.delivered_units, 0) AS short) s
  CROSS JOIN LATERAL (SELECT report.rounded(c.rate * l.delivered_units, c.per, c.minor) AS earned,
                             report.rounded(c.rate * s.short, c.per, c.minor) AS missing) v
  WHERE c.units IS NOT NULL AND c.stands
)
SELECT line_id, line, order_id, order_name, currency, unit, flight_end AT TIME ZONE zone AS ends_at, units::bigint AS booked_units,
       delivered_units::bigint AS delivered_units, short::bigint AS shortfall_units,
       {_major("missing")} AS shortfall, billed,
       greatest(billed - {_major("earned")}, 0) AS liability
FROM owed"""

_DOCUMENT = f"""
CREATE VIEW report.document AS
SELECT d.document_id, d.number, d.kind, d.state, d.order_id, o.name AS order_name, d.bill_to AS bill_to_id, p.name AS bill_to,
       d.currency, d.period_start, d.period_end - 1 AS period_last_day,
       (convert_from(d.body, 'UTF8')::jsonb->>'issued_on')::date AS issued_on, d.corrects,
       CASE d.kind WHEN 'credit_memo' THEN -1 ELSE 1 END AS sign,
       {_major("d.gross")} AS gross, {_major("d.commission")} AS commission, {_major("d.net")} AS net, {_major("d.tax")} AS tax,
       {_major("d.total")} AS total, d.connection, d.vendor_state AS erp_state, {_major("d.their_total")} AS erp_net,
       {_major("d.balance")} AS balance, d.mismatch, d.prepared_by, d.approved_by, d.created_at, d.read_at, d.content_hash
FROM billing_document d LEFT JOIN entity o ON o.kind = 'order' AND o.id = d.order_id
LEFT JOIN entity p ON p.kind = 'party' AND p.id = d.bill_to"""

_PAYMENT = f"""
CREATE VIEW report.payment AS
SELECT p.connection, p.native_id AS payment_id, p.document_id, d.number, d.kind, d.order_id, d.bill_to AS bill_to_id, p.currency,
       {_major("p.amount")} AS amount, p.received_on, p.by_document AS set_off_by, p.gone AS reversed
FROM billing_payment p JOIN billing_document d USING (document_id)"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA report")
    for statement in (
        *_FUNCTIONS,
        *(
            _CONTRACT,
            _LINE,
            _SPREAD,
            _COUNT,
            _COUNTED,
            _LINE_MONTH,
            _ORDER_MONTH,
            *_SUMS,
            _DISCREPANCY,
            _SHORTFALL,
            _DOCUMENT,
            _PAYMENT,
        ),
    ):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP SCHEMA report CASCADE")
