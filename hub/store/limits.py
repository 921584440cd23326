"""Token buckets of known vendor rates, shared by all workers of a credential."""

from __future__ import annotations

from datetime import datetime, timedelta

from hub.store.database import Cursor


def take(
    cur: Cursor, credential: str, name: str, *, limit: float, per: float, burst: int, now: datetime, cost: float = 1.0
) -> float:
    """Take `cost` tokens; returns 0, or the seconds until they could be taken (nothing is taken then)."""
    cur.execute(
        "INSERT INTO bucket (credential, name, tokens, updated_at) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (credential, name, float(burst), now),
    )
    cur.execute(
        "SELECT tokens, updated_at, closed_until FROM bucket WHERE credential = %s AND name = %s FOR UPDATE",
        (credential, name),
    )
    row = cur.fetchone()
    assert row is not None
    tokens, updated_at, closed_until = row
    if closed_until is not None and closed_until > now:
        return float((closed_until - now).total_seconds())
    elapsed = max(0.0, (now - updated_at).total_seconds())
    tokens = min(float(burst), tokens + elapsed * limit / per)
    if tokens < cost:
        return float((cost - tokens) * per / limit)
    cur.execute(
        "UPDATE bucket SET tokens = %s, updated_at = %s, closed_until = NULL WHERE credential = %s AND name = %s",
        (tokens - cost, max(now, updated_at), credential, name),
    )
    return 0.0


def close(cur: Cursor, credential: str, name: str, seconds: float, now: datetime) -> None:
    """The vendor said stop: nobody takes a token of this bucket for `seconds`."""
    cur.execute(
        "INSERT INTO bucket (credential, name, tokens, updated_at, closed_until) VALUES (%(c)s, %(n)s, 0, %(now)s, %(until)s) "
        "ON CONFLICT (credential, name) DO UPDATE SET closed_until = greatest(bucket.closed_until, excluded.closed_until)",
        {"c": credential, "n": name, "now": now, "until": now + timedelta(seconds=seconds)},
    )
