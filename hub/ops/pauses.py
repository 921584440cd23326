"""Pause and resume: a person stops one connection's reading and writing; its work waits, the other connections go on."""

from __future__ import annotations

from hub.errors import ConnectionPaused, NotFound
from hub.ops.people import who, why
from hub.session import Session
from hub.store import journal, lane_standing
from hub.store.audit import note
from hub.store.database import Cursor
from hub.store.journal import Entry, Pause


def pause(session: Session, connection: str, *, by: str | None, note_text: str | None) -> bool:
    """Stop push, settle and intake of a connection; what is being sent ends. False when it was paused already."""
    return _set(session, connection, paused=True, by=by, note_text=note_text)


def resume(session: Session, connection: str, *, by: str | None, note_text: str | None) -> bool:
    """Let a paused connection go on; False when it was not paused."""
    return _set(session, connection, paused=False, by=by, note_text=note_text)


def _set(session: Session, connection: str, *, paused: bool, by: str | None, note_text: str | None) -> bool:
    if not session.known(connection) and not _is_left_behind(session, connection):
        names = ", ".join(session.names) or "none"
        raise NotFound(f"There is no connection {connection!r}. Nothing was done. The configuration names: {names}.")
    actor, reason, now = who(by), why(note_text), session.machine.now()
    with session.database.acting(actor), session.database.transaction() as cur:
        if not journal.pause(cur, connection, Pause(now, actor, reason) if paused else None, now):
            return False
        word = "paused" if paused else "resumed"
        note(cur, f"connection:{connection}", word, note=reason)
        journal.write(cur, [Entry(connection, f"{word} by {actor}", reason)], now, session.business.now())
    return True


def left_behind(session: Session, cur: Cursor) -> list[str]:
    """The connections that the configuration does not name although work is open there."""
    return sorted(lane_standing.with_open_work(cur) - set(session.names))


def _is_left_behind(session: Session, connection: str) -> bool:
    with session.database.transaction() as cur:
        return connection in left_behind(session, cur)


def paused(session: Session) -> dict[str, str]:
    """The paused connections, each with the sentence that says so."""
    with session.database.transaction() as cur:
        pauses = journal.pauses(cur)
    return {name: sentence(name, each) for name, each in pauses.items()}


def sentence(connection: str, pause: Pause) -> str:
    """Who paused a connection, what that means, and who does what."""
    because = f": {pause.note}" if pause.note else ""
    return (
        f"{pause.by} paused {connection} at {pause.at:%Y-%m-%d %H:%M} UTC{because}. Nothing is read or written there, its "
        f"work waits; the other connections go on. Operations runs `orderhub resume {connection}`."
    )


def refuse_if_paused(session: Session, connection: str) -> None:
    """Raises ConnectionPaused when a person paused this connection."""
    with session.database.transaction() as cur:
        found = journal.pauses(cur).get(connection)
    if found is not None:
        raise ConnectionPaused(connection, sentence(connection, found))
