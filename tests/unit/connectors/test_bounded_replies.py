"""A reply is read up to a bound of unpacked bytes and of time, whatever the vendor sends."""

from __future__ import annotations

import gzip
import io
import itertools
import time
import tracemalloc

import pytest
import requests
from urllib3 import HTTPResponse

from connectors.bounded import CHUNK, LEAST_PACE, ReplyTooLarge, ReplyTooSlow, bounded_body, paced_pieces

LATER = time.monotonic() + 3_600


def reply(body: bytes, encoding: str = "") -> requests.Response:
    """A streamed response over these bytes."""
    response = requests.Response()
    headers = {"Content-Encoding": encoding} if encoding else {}
    response.raw = HTTPResponse(body=io.BytesIO(body), headers=headers, preload_content=False)
    return response


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_reply_within_the_bound_is_read_whole(encoding: str) -> None:
    body = b"x" * 200_000
    sent = gzip.compress(body) if encoding else body
    assert bounded_body(reply(sent, encoding), 200_000, LATER) == body


def test_a_longer_reply_is_not_read_to_its_end() -> None:
    response = reply(b"x" * 1_000_000)
    with pytest.raises(ReplyTooLarge, match="longer than 1000 bytes"):
        bounded_body(response, 1_000, LATER)
    assert response.raw.closed


def test_a_packed_bomb_never_fills_the_memory() -> None:
    bomb = gzip.compress(bytes(200_000_000), 1)
    tracemalloc.start()
    try:
        with pytest.raises(ReplyTooLarge):
            bounded_body(reply(bomb, "gzip"), 100_000, LATER)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_reply_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(ReplyTooSlow):
        bounded_body(reply(b"x" * 10), 1_000, time.monotonic() - 1)


def test_packed_damage_is_one_of_requests_own_errors() -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        bounded_body(reply(b"\x1f\x8b no gzip", "gzip"), 1_000, LATER)


def test_a_file_that_keeps_the_least_pace_is_read_whole_however_long_it_takes() -> None:
    packed = gzip.compress(bytes(1_000)) + b"x" * 20 * CHUNK
    seconds = itertools.count(0, CHUNK / LEAST_PACE)  # what one piece may take; the clock is asked twice for each
    assert b"".join(paced_pieces(reply(packed, "gzip"), 5, lambda: float(next(seconds)))) == packed


def test_a_file_that_comes_slower_than_that_is_given_up_after_its_grace() -> None:
    seconds = itertools.count(0, 2 * CHUNK / LEAST_PACE)
    pieces = paced_pieces(reply(b"x" * 100 * CHUNK), 5, lambda: float(next(seconds)))
    assert len(next(pieces)) == CHUNK
    with pytest.raises(ReplyTooSlow):
        next(pieces)


def test_the_time_of_a_slow_reader_is_not_that_of_the_file() -> None:
    now = [0.0]
    pieces = 0
    for _ in paced_pieces(reply(b"x" * 10 * CHUNK), 5, lambda: now[0]):
        now[0] += 1_000
        pieces += 1
    assert pieces == 10
