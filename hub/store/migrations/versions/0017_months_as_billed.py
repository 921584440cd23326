"""A report's month is the one that billing counts a day into: at a line's edges the network's day may lie in another month."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_BY_NAME = "date_trunc('month', d.day)::date"

# The same as `hub.billing.rules.window.period_of` says day by day, with the months that were billed before a flight was moved;
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
  FROM entity l CROSS JOIN LATERAL (SELECT convert_from(l.canonical, 'UTF8')::jsonb AS x) c
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


def upgrade() -> None:
    op.execute(_source_month(_FLIGHTS, _AS_BILLED, " LEFT JOIN flight f ON f.line_id = d.line_id"))


def downgrade() -> None:
    op.execute(_source_month("", _BY_NAME, ""))
