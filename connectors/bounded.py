"""Reads the body of a vendor's reply up to a bound: of unpacked bytes, so that a small packed reply cannot fill the memory,
and of time, so that a byte a second cannot hold a worker."""

from __future__ import annotations

import time
from io import BytesIO

import requests
from urllib3.exceptions import HTTPError

CHUNK = 64 * 1024


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
