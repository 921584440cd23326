"""Who holds which lane, seen from outside: triggers in the run's own database note the worker behind every claim and attempt.

The worker is known by PostgreSQL's `application_name`. The notes live in a schema of their own; the hub never reads them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from hub import Hub
from hub.errors import StoreUnavailable

_NOTES = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.claim (lane_id bigint PRIMARY KEY, fence bigint NOT NULL, worker text NOT NULL);
CREATE TABLE chaos.sent (attempt_id bigint PRIMARY KEY, lane_id bigint NOT NULL, worker text NOT NULL);
CREATE INDEX ON chaos.sent (worker, attempt_id);
CREATE FUNCTION chaos.note_claim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO chaos.claim VALUES (NEW.id, NEW.fence, current_setting('application_name'))
  ON CONFLICT (lane_id) DO UPDATE SET fence = excluded.fence, worker = excluded.worker;
  RETURN NULL; END $$;
CREATE FUNCTION chaos.note_attempt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO chaos.sent VALUES (NEW.id, NEW.lane_id, current_setting('application_name'));
  RETURN NULL; END $$;
CREATE TRIGGER chaos_claim AFTER UPDATE OF fence ON lane FOR EACH ROW EXECUTE FUNCTION chaos.note_claim();
CREATE TRIGGER chaos_attempt AFTER INSERT ON attempt FOR EACH ROW EXECUTE FUNCTION chaos.note_attempt();
"""
_HELD = (
    "SELECT l.id FROM chaos.claim c JOIN lane l ON l.id = c.lane_id AND l.fence = c.fence "
    "WHERE c.worker = %s AND l.lease_until IS NOT NULL AND l.state IN ('in_flight', 'in_doubt')"
)
# Settled: the vendor acknowledged something since, holds what it should, or a person was asked.
_UNSETTLED = (
    "SELECT count(*) FROM lane WHERE id = ANY(%s) AND (state = 'parked' OR acked_at > %s "
    "OR (state = 'ready' AND desired_hash IS NOT DISTINCT FROM acked_hash)) IS NOT TRUE"
)
PEEK = 0.001


class Watch:
    """Reads the notes. Survives a restart of the store; not for several threads at once."""

    def __init__(self, hub: Hub) -> None:
        self._database = hub.session.database

    def begin(self) -> None:
        """Make the notes' tables and triggers."""
        with self._database.transaction() as cur:
            cur.execute(_NOTES)

    def newest_attempt(self) -> int:
        """The number of the newest attempt, 0 before the first."""
        return int(self._rows("SELECT coalesce(max(attempt_id), 0) FROM chaos.sent")[0][0])

    def senders_since(self, attempt: int, workers: Collection[str]) -> list[str]:
        """Which of these workers have written attempts after that one that have no outcome yet."""
        rows = self._rows(
            "SELECT DISTINCT s.worker FROM chaos.sent s JOIN attempt a ON a.id = s.attempt_id "
            "WHERE s.attempt_id > %s AND s.worker = ANY(%s) AND a.outcome IS NULL",
            (attempt, list(workers)),
        )
        return sorted(row[0] for row in rows)

    def holders(self, workers: Collection[str]) -> list[str]:
        """Which of these workers hold lanes now."""
        rows = self._rows(
            "SELECT DISTINCT c.worker FROM chaos.claim c JOIN lane l ON l.id = c.lane_id AND l.fence = c.fence "
            "WHERE c.worker = ANY(%s) AND l.lease_until IS NOT NULL AND l.state IN ('in_flight', 'in_doubt')",
            (list(workers),),
        )
        return sorted(row[0] for row in rows)

    def wait_for(self, look: Callable[[], list[str]], dice: random.Random, patience: float) -> str | None:
        """Peek until `look` names somebody; one of them, or None when patience is over."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if found := look():
                return dice.choice(found)
            time.sleep(PEEK)
        return None

    def left_behind(self, worker: str) -> tuple[int, ...]:
        """The lanes that a worker, now dead, held. Its last transaction may still end; it is waited for."""
        while self._rows("SELECT 1 FROM pg_stat_activity WHERE application_name = %s", (worker,)):
            time.sleep(PEEK)
        return tuple(row[0] for row in self._rows(_HELD, (worker,)))

    def settled(self, lanes: Collection[int], since: datetime) -> bool:
        """Whether all of these lanes are settled: acknowledged since then, holding what they should, or parked."""
        return int(self._rows(_UNSETTLED, (list(lanes), since))[0][0]) == 0

    def _rows(self, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of one read; a store that is just coming back is asked again."""
        until = time.monotonic() + 30.0
        while True:
            try:
                return self._database.rows(statement, parameters)
            except StoreUnavailable:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
