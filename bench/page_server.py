"""A CRM's pages over loopback: made once, then only sent, so that the server costs both sides of a comparison the same.

`python -m bench.page_server --shape lines --records 20000` writes `{"port": …, "bytes": …, "book": …}` and serves
`GET /<anything>?offset=N` until its standard input closes. A page beyond the last record is empty.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterable
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from bench.crm_records import brief_opportunities, lines, opportunities, ordinary_opportunities
from bench.hub_process import PAGE, line_way, order_way
from cli.demo.run import chosen_book

SHAPES = {
    "lines": lines,
    "brief": brief_opportunities,
    "ordinary": ordinary_opportunities,
    "opportunities": opportunities,
}


def pages(records: Iterable[dict[str, Any]]) -> list[bytes]:
    """The bodies that a query answers, page by page; decimals with all their digits."""
    remaining = iter(records)
    made: list[bytes] = []
    while page := list(islice(remaining, PAGE)):
        body = {"totalSize": len(page), "done": len(page) < PAGE, "records": page}
        made.append(orjson.dumps(body, default=_exact))
    return made


def _exact(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} has no JSON form")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the connection stays open, as a vendor's does
    bodies: tuple[bytes, ...] = ()

    def do_GET(self) -> None:
        """One page by its offset."""
        offset = int(parse_qs(urlsplit(self.path).query).get("offset", ["0"])[0])
        place = offset // PAGE
        body = self.bodies[place] if place < len(self.bodies) else b'{"totalSize":0,"done":true,"records":[]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
        """No log: it would cost time."""


def main() -> int:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m bench.page_server", description=__doc__)
    parser.add_argument("--shape", choices=sorted(SHAPES), required=True)
    parser.add_argument("--records", type=int, required=True)
    given = parser.parse_args()
    book = chosen_book(None)
    records = SHAPES[given.shape](book, order_way().reads, line_way().reads, given.records)
    _Handler.bodies = tuple(pages(records))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        size = sum(len(body) for body in _Handler.bodies)
        print(json.dumps({"port": server.server_port, "bytes": size, "book": book.source}), flush=True)
        sys.stdin.read()
        server.shutdown()
        thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
