"""Vendor ids behind names, remembered so that a table is asked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from hub.store.database import Cursor

Key = tuple[str, str, str]
"""(table, scope, name)."""


def known(cur: Cursor, connection: str, wanted: Sequence[Key], since: datetime) -> dict[Key, str | None]:
    """Answers by key; a name the vendor does not know is None, and asked again when that answer is older than `since`."""
    if not wanted:
        return {}
    cur.execute(
        "SELECT l.table_name, l.scope, l.name, l.vendor_id FROM lookup l "
        "JOIN unnest(%s::text[], %s::text[], %s::text[]) AS w(t, s, n) ON l.table_name = w.t AND l.scope = w.s AND l.name = w.n "
        "WHERE l.connection = %s AND (l.vendor_id IS NOT NULL OR l.looked_up_at >= %s)",
        ([k[0] for k in wanted], [k[1] for k in wanted], [k[2] for k in wanted], connection, since),
    )
    return {(row[0], row[1], row[2]): row[3] for row in cur.fetchall()}


def remember(cur: Cursor, connection: str, answers: Mapping[Key, str | None], now: datetime) -> None:
    """Keep answers, unknown names too."""
    cur.execute(
        "INSERT INTO lookup (connection, table_name, scope, name, vendor_id, looked_up_at) "
        "SELECT %s, w.t, w.s, w.n, w.v, %s FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS w(t, s, n, v) "
        "ON CONFLICT (connection, table_name, scope, name) DO UPDATE SET vendor_id = excluded.vendor_id, "
        "looked_up_at = excluded.looked_up_at",
        (
            connection,
            now,
            [k[0] for k in answers],
            [k[1] for k in answers],
            [k[2] for k in answers],
            list(answers.values()),
        ),
    )
