"""The billing rules as one statement over columns, calculated inside PostgreSQL: every line-month of a shard of lines.

It follows `hub.billing.rules` for lines that bill what was counted, month by month and as if nothing had been billed
before: period over, report, finality, silent zero, variance in the month and over the line's life, a gap before a cap over the
whole line, cap, price rounded once, commission. Counts are added up from the line's first month, so that every month is
calculated by itself. All figures are 64-bit integers; a line whose figures could leave them goes to the library, as does
everything that the columns cannot say. Tests compare both, line-month by line-month.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date

from hub.store.billing_contracts import Shard
from hub.store.database import Cursor
from hub.store.reconciliation import (
    CODE,
    DIGEST,
    EXCEPTION_COLUMNS,
    IN_STATEMENT,
    LINE_COLUMNS,
    NO_END,
    NO_FACTS,
    ODD,
    PEOPLE,
    SEVERAL_SOURCES,
    TOLERANCE,
    digest_keys_between,
)

_SOURCES = (
    "SELECT source FROM delivery_source UNION SELECT source FROM delivery_report UNION "
    "SELECT connection AS source FROM delivery_job WHERE state = 'loaded'"
)
"""Whatever ever loaded a report."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """One source under one kind of closing terms: bit m stands for the m-th whole month after `first_month`."""

    source: str
    closing: str
    first_month: int
    whole: int
    final: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A part of a month, where a flight begins or ends in it.

    `early` and `late`: the source counts in another zone, and whether its days before or after the month, on which the flight may
    have run there, are covered and final is another answer than that of the part itself.
    """

    source: str
    closing: str
    first: date
    last: date
    whole: bool
    final: bool
    early: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Today:
    """What day and what month it is where a kind of closing terms is in force."""

    closing: str
    month: int
    day: date


def prepare_statement(cur: Cursor) -> None:
    """Temporary tables of a worker that lets PostgreSQL calculate."""
    cur.execute(
        "CREATE TEMP TABLE coverage (source text, closing text, first_month int, whole bigint, final bigint) ON COMMIT DROP"
    )
    cur.execute(
        "CREATE TEMP TABLE coverage_edge (source text, closing text, first date, last date, whole boolean, final boolean, "
        "early boolean, late boolean) ON COMMIT DROP"
    )
    cur.execute("CREATE TEMP TABLE closing_today (closing text, month int, day date) ON COMMIT DROP")
    cur.execute("CREATE TEMP TABLE apart (line_id text PRIMARY KEY, why text NOT NULL) ON COMMIT DROP")


def tell(cur: Cursor, coverage: Iterable[Coverage], edges: Iterable[Edge], todays: Iterable[Today]) -> None:
    """What reports cover and what day it is."""
    for table, rows in (("coverage", coverage), ("coverage_edge", edges), ("closing_today", todays)):
        with cur.copy(f"COPY {table} FROM STDIN") as copy:
            for one in rows:
                copy.write_row(astuple(one))
        cur.execute(f"ANALYZE {table}")


def told_apart(cur: Cursor, apart: Mapping[str, str]) -> None:
    """Name lines that the library calculates, each with the reason."""
    with cur.copy("COPY apart FROM STDIN") as copy:
        for row in apart.items():
            copy.write_row(row)


def set_apart(cur: Cursor, shard: Shard, since: int, until: int, statuses: Sequence[str]) -> int:
    """Name the lines that the library calculates, with the reason; returns how many.

    Only lines of orders in these statuses that have a month between these two (since year 0, both included).
    """
    of_shard = "{0} >= %(lo)s AND (%(hi)s::text IS NULL OR {0} < %(hi)s)"
    cur.execute(
        "INSERT INTO apart (line_id, why) SELECT c.line_id, min(x.why) FROM ("
        f"SELECT line_id, apart AS why FROM billing_contract WHERE apart <> '' AND {of_shard.format('line_id')} UNION ALL "
        f"SELECT line_id, %(people)s FROM billing_input WHERE approved_at IS NOT NULL AND {of_shard.format('line_id')} UNION ALL "
        # Only where a side has several sources at all; the books of most sellers have one of each.
        f"SELECT line_id, %(several)s FROM delivery_life WHERE {of_shard.format('line_id')} AND (SELECT "
        "count(*) FILTER (WHERE coalesce(s.counted_by, 'seller') = 'seller') > 1 OR count(*) FILTER (WHERE s.counted_by <> 'seller') > 1 "
        f"FROM ({_SOURCES}) known LEFT JOIN delivery_source s USING (source)) GROUP BY line_id, seller HAVING count(*) > 1 UNION ALL "
        "SELECT r.entity_id, %(unknown)s FROM reference r WHERE r.kind = 'line' AND r.superseded_at IS NULL "
        f"AND {of_shard.format('r.entity_id')} AND r.connection IN ({_SOURCES}) AND NOT EXISTS ("
        "SELECT 1 FROM delivery_life d WHERE d.line_id = r.entity_id AND d.source = r.connection)"
        ") x JOIN billing_contract c USING (line_id) WHERE c.order_status = ANY(%(statuses)s) "
        "AND (c.apart = %(open)s OR c.first_month + c.months > %(since)s) AND c.first_month <= %(until)s GROUP BY 1",
        {
            **shard.named,
            "people": PEOPLE,
            "several": SEVERAL_SOURCES,
            "unknown": NO_FACTS,
            "statuses": list(statuses),
            "open": NO_END,
            "since": since,
            "until": until,
        },
    )
    return cur.rowcount


def apart(cur: Cursor) -> dict[str, str]:
    """The lines that the library calculates, each with the reason."""
    cur.execute("SELECT line_id, why FROM apart ORDER BY 1")
    return dict(cur.fetchall())


def _side(name: str, condition: str) -> tuple[str, str]:
    """Columns and joins of one side's counts: `{name}_cum` added up, and in bits what reports tell of each month."""
    unit = (
        f"CASE c.unit WHEN 1 THEN {name}.impressions WHEN 2 THEN {name}.clicks WHEN 3 THEN {name}.completed_views "
        f"WHEN 4 THEN {name}.viewable_impressions WHEN 5 THEN {name}.active_days END"
    )
    ahead = f"(c.first_month - {name}.first_month)"
    # Calendars are at most two days apart.
    begins = "extract(day FROM c.first_live) <= 2"
    ends = "extract(day FROM c.last_live + 2) <= 2"

    def bits(what: str) -> str:
        # The first and the last month may be parts of one; those between are whole.
        return (
            f"(coalesce({name}_c.{what}, 0) & ((1::bigint << (c.months - 1)) - 1) & (~1::bigint)) "
            f"| coalesce({name}_1.{what}, false)::int | (coalesce({name}_2.{what}, false)::int::bigint << (c.months - 1))"
        )

    seen = (
        f"CASE WHEN {ahead} BETWEEN 0 AND 62 THEN {name}.seen >> {ahead} WHEN {ahead} BETWEEN -62 AND -1 THEN {name}.seen << -{ahead} "
        "ELSE 0 END"
    )
    columns = (
        f"{unit} AS {name}_cum, {ahead} + 1 AS {name}_shift, {name}.months AS {name}_n, "
        f"{name}.first_month + {name}.months AS {name}_end, {name}.line_id IS NOT NULL AND ({name}.seen IS NULL OR {name}.below_zero) AS {name}_long, "
        f"coalesce(({unit})[least({ahead}, {name}.months)], 0) AS {name}_base, {bits('whole')} AS {name}_whole, "
        f"{bits('final')} AS {name}_final, {seen} AS {name}_seen, "
        # Facts outside of the flight's months alone do not make a source one that counts the line.
        f"{name}.line_id IS NOT NULL AND ({seen}) & ((1::bigint << c.months) - 1) = 0 AS {name}_elsewhere, "
        # Days of another month may be the flight's own where the source counts: the library looks at them one by one.
        f"coalesce({ahead} > 0 AND {begins}, false) OR coalesce({name}_1.early, false) "
        f"OR coalesce({name}.first_month + {name}.months > c.first_month + c.months AND {ends}, false) "
        f"OR coalesce({name}_2.late, false) AS {name}_edge"
    )
    joins = (
        f"LEFT JOIN delivery_life {name} ON {name}.line_id = c.line_id AND {condition} "
        f"AND {name}.line_id >= %(lo)s AND (%(hi)s::text IS NULL OR {name}.line_id < %(hi)s) "
        f"LEFT JOIN coverage {name}_c ON {name}_c.source = {name}.source AND {name}_c.closing = c.closing "
        f"AND {name}_c.first_month = c.first_month "
        f"LEFT JOIN coverage_edge {name}_1 ON {name}_1.source = {name}.source AND {name}_1.closing = c.closing "
        f"AND {name}_1.first = c.first_live AND {name}_1.last = c.first_until "
        f"LEFT JOIN coverage_edge {name}_2 ON {name}_2.source = {name}.source AND {name}_2.closing = c.closing "
        f"AND {name}_2.first = c.last_since AND {name}_2.last = c.last_live"
    )
    return columns, joins


def _lives(name: str) -> str:
    """A side's counts from its first month to each month that is asked for, and to the one before, as two arrays.

    Slices of what is stored where that covers the months; taken one by one it costs as much as all the rest.
    """
    cum, first, last, n = f"{name}_cum", f"{name}_shift + first_m", f"{name}_shift + last_m", f"{name}_n"

    def each(month: str) -> str:
        value = f"coalesce({cum}[least({name}_shift + {month}, {n})], 0) - {name}_base"
        return f"ARRAY(SELECT {value} FROM generate_series(first_m, last_m) m)"

    return (
        f"CASE WHEN {first} = 1 AND {last} = {n} THEN {cum} "
        f"WHEN {first} >= 1 AND {last} <= {n} AND {name}_base = 0 THEN {cum}[{first}:{last}] ELSE {each('m')} END AS {name}_lives, "
        f"CASE WHEN {first} = 1 AND {last} <= {n} THEN '{{0}}'::bigint[] || {cum}[1:{last} - 1] "
        f"WHEN {first} > 1 AND {last} <= {n} AND {name}_base = 0 THEN {cum}[{first} - 1:{last} - 1] "
        f"ELSE {each('m - 1')} END AS {name}_befores"
    )


_BEFORE = "((1::bigint << least(first_m, fallback_before)) - 1)"
"""Months before those that are asked for in which a fallback is due: what was billed of them goes into the cap."""

_SELLER, _SELLER_JOINS = _side("s", "s.seller")
_OTHER, _OTHER_JOINS = _side("o", "NOT o.seller")

# What would not fit: counts × 10^6, twice an amount in micros (a net rate's scaled up), commission's 2 × 10^6 × minor units.
_LINES = f"""
SELECT line_id, order_id, currency, first_month, first_m, last_m, third_party, cap, tolerance_ppm, variance_base, commission_ppm, net_rate,
  total, live, minor, goals || '{{}}'::bigint[] AS goals, month_now - first_month AS open_m, fallback_before,
  rate2, bought, 2 * bought AS bought2, rate2_up, bought_up, 2 * bought_up AS bought2_up,
  {_lives("s")}, {_lives("o")}, s_told, o_told, s_told & every = every AS s_all, o_told & every = every AS o_all,
  s_final & o_final AS both_final, s_final & o_final & every = every AS both_all,
  CASE WHEN third_party THEN o_final ELSE s_final END AS chosen_final,
  CASE WHEN third_party THEN o_final ELSE s_final END & every = every AS chosen_all,
  chosen_whole, (cap = 1 OR cap = 3) AND chosen_whole & (every >> 1) <> every >> 1 AS gap,
  s_long OR o_long OR s_elsewhere OR o_elsewhere OR s_edge OR o_edge OR largest > 4000000000000
    OR rate2_up::float8 * largest + bought_up > 9e18 OR 1e6::float8 * (rate2_up::float8 * largest / bought_up + 1) > 9e18
    OR window_days > 0 AND greatest(s_end, o_end) > first_month + months
    OR first_m > 0 AND fallback_before > 0 AND (cap = 1 OR cap = 3) AND {_BEFORE} & CASE WHEN third_party THEN o_told & o_final
      ELSE s_told & s_final END <> {_BEFORE} AS odd
FROM (
  SELECT *, (1::bigint << months) - 1 AS every, 2 * rate AS rate2, 2 * rate * up AS rate2_up, bought * down AS bought_up,
    CASE WHEN s_cum IS NULL THEN 0 ELSE s_whole | s_seen END AS s_told,
    CASE WHEN o_cum IS NULL THEN 0 ELSE o_whole | o_seen END AS o_told,
    CASE WHEN CASE WHEN third_party THEN o_cum ELSE s_cum END IS NULL THEN 0
         WHEN third_party THEN o_whole ELSE s_whole END AS chosen_whole,
    greatest(coalesce(s_cum[least(s_shift + months - 1, s_n)], 0) - s_base, coalesce(o_cum[least(o_shift + months - 1, o_n)], 0) - o_base,
      total, 1) AS largest
  FROM (
    SELECT c.*, t.month AS month_now, c.per::bigint * c.minor AS bought,
      greatest(0, %(since)s - c.first_month) AS first_m, least(c.months - 1, %(until)s - c.first_month) AS last_m,
      CASE WHEN c.net_rate THEN 1000000 / gcd(1000000, c.commission_ppm) ELSE 1 END AS up,
      CASE WHEN c.net_rate THEN (1000000 - c.commission_ppm) / gcd(1000000, c.commission_ppm) ELSE 1 END AS down,
      CASE WHEN c.third_party AND c.fallback_days IS NOT NULL
        THEN (extract(year FROM t.day - c.fallback_days) * 12 + extract(month FROM t.day - c.fallback_days))::int - 1 - c.first_month
        ELSE 0 END AS fallback_before,
      {_SELLER}, {_OTHER}
    FROM billing_contract c JOIN closing_today t ON t.closing = c.closing
    {_SELLER_JOINS}
    {_OTHER_JOINS}
    WHERE c.line_id >= %(lo)s AND (%(hi)s::text IS NULL OR c.line_id < %(hi)s) AND c.order_status = ANY(%(statuses)s)
      AND c.fixed_gross IS NULL AND c.first_month <= %(until)s AND c.first_month + c.months > %(since)s
      AND NOT EXISTS (SELECT 1 FROM apart a WHERE a.line_id = c.line_id)
    OFFSET 0
  ) known OFFSET 0
) summed OFFSET 0"""

# Each step is computed once and named; OFFSET 0 keeps the planner from writing a step out wherever it is used. What is the same
# for all months of a line, and where all its bits are set, is asked before any month.
_MONTHS = f"""
SELECT m, status, tolerance, seller, other, chosen, quantity, gross_minor,
  CASE WHEN l.commission_ppm = 0 THEN 0
    WHEN l.net_rate THEN (gross_minor - (l.rate2 * quantity + l.bought) / l.bought2) * l.minor
    ELSE (2 * gross_minor * l.commission_ppm + 1000000) / 2000000 * l.minor END AS commission
FROM (
  SELECT m, status, tolerance, seller, other, chosen, CASE WHEN status = 0 THEN entitled ELSE 0 END AS quantity,
    CASE WHEN status = 0 THEN (l.rate2_up * entitled + l.bought_up) / l.bought2_up ELSE 0 END AS gross_minor
  FROM (
    SELECT m, seller, other, chosen, tolerance,
      CASE WHEN seller < 0 OR other < 0 THEN {ODD}
        WHEN tolerance > 1 AND NOT l.both_all AND l.both_final & ((1::bigint << m) - 1) <> (1::bigint << m) - 1 THEN {ODD}
        WHEN m >= l.open_m THEN 6
        WHEN chosen IS NULL THEN CASE WHEN m < l.fallback_before THEN {ODD} ELSE 1 END
        WHEN NOT l.chosen_all AND (l.chosen_final >> m) & 1 = 0 THEN CASE WHEN m < l.fallback_before THEN {ODD} ELSE 2 END
        WHEN chosen = 0 AND coalesce(seller, 0) = 0 AND (l.live >> m) & 1 = 1 THEN 3
        WHEN tolerance = 3 THEN 4
        WHEN l.gap AND l.chosen_whole & ((1::bigint << m) - 1) <> (1::bigint << m) - 1 THEN 5
        ELSE 0 END AS status,
      CASE l.cap WHEN 0 THEN chosen WHEN 1 THEN least(chosen_life, l.total) - least(chosen_life - chosen, l.total)
        WHEN 2 THEN least(chosen, l.goals[m + 1] - CASE WHEN m = 0 THEN 0 ELSE l.goals[m] END)
        ELSE least(chosen_life, l.goals[m + 1]) - least(chosen_life - chosen, CASE WHEN m = 0 THEN 0 ELSE l.goals[m] END)
        END AS entitled
    FROM (
      SELECT m, seller, other, CASE WHEN l.third_party THEN other ELSE seller END AS chosen,
        CASE WHEN l.third_party THEN other_life ELSE seller_life END AS chosen_life,
        CASE WHEN seller IS NULL OR other IS NULL OR NOT l.both_all AND l.both_final >> m & 1 = 0 THEN 0
          WHEN abs(seller - other) * 1000000 <= l.tolerance_ppm *
            CASE l.variance_base WHEN 0 THEN seller WHEN 1 THEN other ELSE greatest(seller, other) END THEN 1
          WHEN abs(seller_life - other_life) * 1000000 <= l.tolerance_ppm *
            CASE l.variance_base WHEN 0 THEN seller_life WHEN 1 THEN other_life ELSE greatest(seller_life, other_life) END
          THEN 2 ELSE 3 END AS tolerance
      FROM (
        SELECT m, seller_life, other_life,
          CASE WHEN l.s_all OR (l.s_told >> m) & 1 = 1 THEN seller_life - seller_before END AS seller,
          CASE WHEN l.o_all OR (l.o_told >> m) & 1 = 1 THEN other_life - other_before END AS other
        FROM (
          SELECT generate_series(l.first_m, l.last_m) AS m, unnest(l.s_lives) AS seller_life, unnest(l.s_befores) AS seller_before,
            unnest(l.o_lives) AS other_life, unnest(l.o_befores) AS other_before OFFSET 0
        ) lives OFFSET 0
      ) counts OFFSET 0
    ) compared OFFSET 0
  ) judged OFFSET 0
) priced OFFSET 0"""


_FOUND = f"""
SELECT l.line_id, l.order_id, l.currency, l.first_month, r.*, l.odd OR coalesce(r.worst = {ODD}, false) AS odd,
  l.last_m - l.first_m + 1 AS line_months, coalesce(l.s_lives[l.last_m - l.first_m + 1] - l.s_befores[1], 0) AS seller_units,
  coalesce(l.o_lives[l.last_m - l.first_m + 1] - l.o_befores[1], 0) AS other_units
FROM ({_LINES}) l CROSS JOIN LATERAL (
  SELECT max(status) AS worst, (count(*) FILTER (WHERE status = 0))::int AS billable_months,
    sum(quantity)::bigint AS billable_units, sum(gross_minor)::bigint * l.minor AS gross_sum, sum(commission)::bigint AS commission_sum,
    sum(chosen - quantity) FILTER (WHERE quantity < chosen AND status = 0) AS capped,
    {DIGEST.format(gross="gross_minor * l.minor", code="status", month="l.first_month + m")} AS digest,
    array_agg(ROW(m, status, tolerance, seller, other, chosen, quantity, gross_minor * l.minor, commission)::reconciliation_month)
      FILTER (WHERE status <> 0 OR tolerance = 2 OR quantity < chosen) AS told
  FROM ({_MONTHS}) months WHERE NOT l.odd
) r"""


_RECONCILE = f"""
WITH found AS MATERIALIZED ({_FOUND}), kept AS (
  INSERT INTO reconciliation_line ({LINE_COLUMNS})
  SELECT %(run)s, line_id, order_id, currency, line_months, billable_months, coalesce(cardinality(told), 0), '', seller_units, other_units,
    billable_units, coalesce(capped, 0), gross_sum, commission_sum, digest
  FROM found WHERE NOT odd ORDER BY line_id
), excepted AS (
  INSERT INTO reconciliation_exception ({EXCEPTION_COLUMNS})
  SELECT %(run)s, line_id, make_date((first_month + x.m) / 12, (first_month + x.m) %% 12 + 1, 1), {CODE.format("x.status")},
    {TOLERANCE.format("x.tolerance")}, x.seller, x.other, x.chosen, x.quantity,
    CASE WHEN x.status = 0 THEN greatest(0, x.chosen - x.quantity) ELSE 0 END, x.gross, x.commission
  FROM found, unnest(told) x WHERE NOT odd AND told IS NOT NULL ORDER BY line_id, x.m
)
INSERT INTO apart SELECT line_id, %(odd)s FROM found WHERE odd"""

# A contract's value needs no count; only whether the period is over is left to ask.
_RECONCILE_VALUES = f"""
WITH found AS MATERIALIZED (
  SELECT c.line_id, c.order_id, c.currency, r.* FROM billing_contract c JOIN closing_today t ON t.closing = c.closing
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS line_months, (count(*) FILTER (WHERE status = 0))::int AS billable_months,
      sum(quantity)::bigint AS billable_units, sum(gross)::bigint AS gross_sum, sum(commission)::bigint AS commission_sum,
      {DIGEST.format(gross="gross", code="status", month="month")} AS digest, array_agg(month) FILTER (WHERE status <> 0) AS x_month
    FROM (
      SELECT month, status, CASE WHEN status = 0 THEN units ELSE 0 END AS quantity,
        CASE WHEN status = 0 THEN fixed_gross ELSE 0 END AS gross, CASE WHEN status = 0 THEN fixed_commission ELSE 0 END AS commission
      FROM (
        SELECT c.first_month + m - 1 AS month, CASE WHEN c.first_month + m - 1 >= t.month AND NOT c.prepaid THEN 6 ELSE 0 END AS status,
          c.fixed_units[m] AS units, c.fixed_gross[m] AS fixed_gross, c.fixed_commission[m] AS fixed_commission
        FROM generate_series(greatest(1, %(since)s - c.first_month + 1), least(c.months, %(until)s - c.first_month + 1)) m
      ) told
    ) months
  ) r
  WHERE c.line_id >= %(lo)s AND (%(hi)s::text IS NULL OR c.line_id < %(hi)s) AND c.order_status = ANY(%(statuses)s)
    AND c.fixed_gross IS NOT NULL AND c.first_month <= %(until)s AND c.first_month + c.months > %(since)s
    AND NOT EXISTS (SELECT 1 FROM apart a WHERE a.line_id = c.line_id)
), kept AS (
  INSERT INTO reconciliation_line ({LINE_COLUMNS})
  SELECT %(run)s, line_id, order_id, currency, line_months, billable_months, line_months - billable_months, '', 0, 0,
    billable_units, 0, gross_sum, commission_sum, digest FROM found
)
INSERT INTO reconciliation_exception ({EXCEPTION_COLUMNS})
SELECT %(run)s, line_id, make_date(month / 12, month %% 12 + 1, 1), 'PERIOD-OPEN', 'not compared', NULL, NULL, NULL, 0, 0, 0, 0
FROM found, unnest(x_month) AS month"""


def _named(run: int, shard: Shard, since: int, until: int, statuses: Sequence[str]) -> dict[str, object]:
    keys = digest_keys_between(since, until)
    return {
        **shard.named, "run": run, "since": since, "until": until, "statuses": list(statuses), "odd": IN_STATEMENT, "keys": keys
    }  # fmt: skip


def reconcile(cur: Cursor, run: int, shard: Shard, since: int, until: int, statuses: Sequence[str]) -> None:
    """Every line-month of a shard that the columns can say; lines that turn out not to fit are set apart."""
    named = _named(run, shard, since, until, statuses)
    cur.execute(_RECONCILE.encode(), named)
    cur.execute(_RECONCILE_VALUES.encode(), named)


def reconcile_values(cur: Cursor, run: int, shard: Shard, since: int, until: int, statuses: Sequence[str]) -> None:
    """Of these, lines that bill their contract's value, unless they are set apart."""
    cur.execute(_RECONCILE_VALUES.encode(), _named(run, shard, since, until, statuses))
