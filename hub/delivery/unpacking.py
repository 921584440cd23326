"""Bytes of a report, unpacked where they are gzip, a few pieces ahead of whoever reads them."""

from __future__ import annotations

import queue
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from hub.delivery.refusals import ReportRefused

inflating: ModuleType
try:
    from isal import isal_zlib

    inflating = isal_zlib  # the same as zlib in less than half the time
except ImportError:  # no wheel for this processor: slower, nothing else
    inflating = zlib
_DAMAGED: type[Exception] = inflating.error

PIECE = 1 << 17
"""Bytes of one unpacked piece."""

READ = 1 << 16
"""Bytes read from a file at once."""

AGAIN = "Whoever delivers the file sends it again, whole."
_T = TypeVar("_T")
_Done = TypeVar("_Done")


def file_pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes as they lie on disk. OSError when it cannot be read."""
    with path.open("rb") as file:
        while piece := file.read(READ):
            yield piece


def unpacked(source: str, pieces: Iterable[bytes], *, gzip_wanted: bool, most: int) -> Iterator[bytes]:
    """The report's own bytes; gzip is told by its two first bytes, several members are understood.

    Raises ReportRefused when the stream is cut short, damaged (CRC-32), unpacks beyond `most` bytes, or is no gzip although
    gzip is what proves the report whole.
    """
    packed = iter(pieces)
    first = next(packed, b"")
    while 0 < len(first) < 2:
        more = next(packed, None)
        if more is None:
            break
        first += more
    if not first:
        raise ReportRefused(source, "empty", "The report is empty.", AGAIN)
    whole = _with_first(first, packed)
    if first[:2] == b"\x1f\x8b":
        yield from _members(source, whole, most)
    elif gzip_wanted:
        raise ReportRefused(
            source,
            "no_gzip",
            "The report is not packed with gzip, whose check sum is what proves it whole (`complete_by: gzip`).",
            "Whoever delivers it sends the packed file, or operations declares another `complete_by`.",
        )
    else:
        size = 0
        for piece in whole:
            size = _bounded(source, size + len(piece), most)
            yield piece


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _bounded(source: str, size: int, most: int) -> int:
    if size > most:
        raise ReportRefused(
            source,
            "too_large",
            f"The report unpacks to more than {most:,} bytes.",
            "Operations looks at what was sent.",
        )
    return size


def _members(source: str, packed: Iterator[bytes], most: int) -> Iterator[bytes]:
    machine = inflating.decompressobj(31)
    size = 0
    for chunk in packed:
        data = chunk
        while data:
            if machine.eof:
                machine = inflating.decompressobj(31)
            try:
                piece = machine.decompress(data, PIECE)
            except (zlib.error, _DAMAGED) as error:
                raise ReportRefused(source, "gzip_damaged", f"The gzip file is damaged ({error}).", AGAIN) from error
            size = _bounded(source, size + len(piece), most)
            if piece:
                yield piece
            data = machine.unconsumed_tail or machine.unused_data
    if not machine.eof:
        raise ReportRefused(source, "gzip_cut", "The gzip file ends in the middle.", AGAIN)


def ahead(pieces: Iterator[_T], depth: int = 4) -> Iterator[_T]:
    """The same pieces, made by a thread of their own up to `depth` ahead; its exceptions arrive here.

    Both libraries let other threads run, so that unpacking costs no time of whoever reads.
    """
    handed: queue.Queue[tuple[bool, _T | BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: tuple[bool, _T | BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                handed.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for piece in pieces:
                if not put((True, piece)):
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    worker = threading.Thread(target=work, name="report-unpacking", daemon=True)
    worker.start()
    try:
        while True:
            going_on, item = handed.get()
            if going_on:
                yield item  # type: ignore[misc]
            elif item is None:
                return
            else:
                assert isinstance(item, BaseException)
                raise item
    finally:
        stopped.set()
        worker.join()


def side_by_side(work: Callable[[_T], _Done], pieces: Iterator[_T], workers: int) -> Iterator[tuple[_T, Future[_Done]]]:
    """Each piece and what became of it, in order; `workers` threads work on as many pieces, and no more are held."""
    under_way: deque[tuple[_T, Future[_Done]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="report-pieces") as pool:
        for piece in pieces:
            under_way.append((piece, pool.submit(work, piece)))
            if len(under_way) >= workers:
                yield under_way.popleft()
        while under_way:
            yield under_way.popleft()
