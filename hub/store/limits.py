"""Token buckets of known vendor rates, shared by all workers of a credential."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from hub.store.database import Cursor, Row
from hub.store.shares import Claim, Rule, Tokens, Work
from hub.store.shares import take as shares_rule


def take(
    cur: Cursor,
    credential: str,
    name: str,
    *,
    limit: float,
    per: float,
    burst: int,
    now: datetime,
    cost: float = 1.0,
    work: str = Work.PUSH,
    shares: Mapping[str, float] | None = None,
) -> float:
    """Take `cost` tokens for a kind of work; returns 0, or the seconds after which to ask again (nothing is taken then).

    Without `shares` nobody has a part of his own: first come, first served.
    """
    row = _locked(cur, credential, name)
    if row is None:
        cur.execute(
            "INSERT INTO bucket (credential, name, tokens, updated_at) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (credential, name, float(burst), now),
        )
        row = _locked(cur, credential, name)
        assert row is not None
    tokens, updated_at, closed_until, claims = row
    if closed_until is not None and closed_until > now:
        return float((closed_until - now).total_seconds())
    rule = Rule(limit, per, float(burst), {work: 100.0} if shares is None else shares)
    known = Tokens(tokens, updated_at.timestamp(), {kind: Claim(*claim) for kind, claim in claims.items()})
    bucket, wait = shares_rule(known, rule, work, now.timestamp(), cost)
    cur.execute(
        "UPDATE bucket SET tokens = %s, updated_at = %s, closed_until = NULL, claims = %s WHERE credential = %s AND name = %s",
        (
            bucket.tokens,
            max(now, updated_at),
            Jsonb({kind: [claim.credit, claim.since, claim.until] for kind, claim in bucket.claims.items()}),
            credential,
            name,
        ),
    )
    return wait


def _locked(cur: Cursor, credential: str, name: str) -> Row | None:
    cur.execute(
        "SELECT tokens, updated_at, closed_until, claims FROM bucket WHERE credential = %s AND name = %s FOR UPDATE",
        (credential, name),
    )
    return cur.fetchone()


def closed(cur: Cursor, credential: str, name: str, now: datetime) -> float:
    """Seconds for which the vendor wants no call of a bucket, 0 when it is open; takes nothing and locks nothing."""
    cur.execute(
        "SELECT closed_until FROM bucket WHERE credential = %s AND name = %s AND closed_until > %s",
        (credential, name, now),
    )
    row = cur.fetchone()
    return 0.0 if row is None else float((row[0] - now).total_seconds())


def close(cur: Cursor, credential: str, name: str, seconds: float, now: datetime) -> None:
    """The vendor said stop: nobody takes a token of this bucket for `seconds`."""
    cur.execute(
        "INSERT INTO bucket (credential, name, tokens, updated_at, closed_until) VALUES (%(c)s, %(n)s, 0, %(now)s, %(until)s) "
        "ON CONFLICT (credential, name) DO UPDATE SET closed_until = greatest(bucket.closed_until, excluded.closed_until)",
        {"c": credential, "n": name, "now": now, "until": now + timedelta(seconds=seconds)},
    )
