"""Keeps a sandbox's state in one file: loaded at start, written atomically a little after a change and at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path


class Snapshot:
    """One state file, or none (`path=None`: every call is then a no-op and nothing is kept).

    Args:
        path: the file; its folder must exist.
        dump: returns the whole state as bytes; takes the sandbox's own lock itself.
        delay_seconds: how long after a change the file is written, machine time.
    """

    def __init__(self, path: Path | None, dump: Callable[[], bytes], *, delay_seconds: float = 3.0) -> None:
        self._path = path
        self._dump = dump
        self._delay = delay_seconds
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._timer: threading.Timer | None = None

    def load(self) -> bytes | None:
        """The bytes of the file, or None if there is no file yet."""
        if self._path is None or not self._path.exists():
            return None
        return self._path.read_bytes()

    def mark_changed(self) -> None:
        """Say that the state changed; the file is written once within the delay, however often this is called."""
        if self._path is None:
            return
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(self._delay, self._save_later)
                self._timer.daemon = True
                self._timer.start()

    def _save_later(self) -> None:
        with self._lock:
            self._timer = None
        self.save()

    def save(self) -> None:
        """Write the file now: a temporary file beside it, then a rename, so a reader never sees half a state."""
        if self._path is None:
            return
        with self._writing:
            temporary = self._path.with_name(self._path.name + ".tmp")
            with temporary.open("wb") as file:
                file.write(self._dump())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)

    def close(self) -> None:
        """Cancel what is scheduled and write the file a last time."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self.save()
