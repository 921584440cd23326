"""Reads the body of a vendor's reply up to a bound: of unpacked bytes, so that a small packed reply cannot fill the memory,
and of time, so that a byte a second cannot hold a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from io import BytesIO

import requests
from urllib3.exceptions import HTTPError

CHUNK = 64 * 1024
LEAST_PACE = 16 * 1024
"""Bytes a second that a file of any length must bring in the long run. Our own choice: far below any line that a hub hangs on."""


class ReplyTooLarge(requests.RequestException):
    """The reply is longer than allowed; the rest was not read."""


class ReplyTooSlow(requests.Timeout):
    """The reply began but did not end in time."""


def bounded_body(response: requests.Response, most_bytes: int, until: float) -> bytes:
    """The unpacked body of a streamed response; `until` is a moment of `time.monotonic`.

    Raises ReplyTooLarge, ReplyTooSlow and requests' own errors; the response is closed then.
    """
    body, length = BytesIO(), 0  # gives its bytes away without copying them, unlike a bytearray
    try:
        # read1 returns what has come; reading whole pieces would wait for them, and a byte a second keeps a time-out
        # from ever striking.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            length += body.write(chunk)
            if length > most_bytes:
                raise ReplyTooLarge(f"it is longer than {most_bytes} bytes", response=response)
            if time.monotonic() > until:
                raise ReplyTooSlow("it began but did not end in time", response=response)
    except HTTPError as error:  # urllib3's own errors; requests wraps them only where it reads by itself
        response.close()
        raise requests.exceptions.ChunkedEncodingError(error, response=response) from error
    except BaseException:
        response.close()
        raise
    return body.getvalue()


def paced_pieces(
    response: requests.Response, grace: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[bytes]:
    """The body of a streamed response as it was sent, still packed, of any length: its time grows with what has come.

    `grace` are the seconds of waiting that it has besides those of LEAST_PACE; the reader's own time does not count. Raises
    ReplyTooSlow and urllib3's own errors.
    """
    length, waited = 0, 0.0
    while True:
        asked = clock()
        chunk = response.raw.read1(CHUNK, decode_content=False)
        waited += clock() - asked
        if not chunk:
            return
        length += len(chunk)
        if waited > grace + length / LEAST_PACE:
            raise ReplyTooSlow(f"{length} bytes came in {waited:.0f} seconds", response=response)
        yield chunk
