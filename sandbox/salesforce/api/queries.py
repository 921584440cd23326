"""`/query` and `/queryAll`: SOQL in pages."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sandbox.salesforce import soql
from sandbox.salesforce.api.http import Call, Operation, Reply, not_allowed
from sandbox.salesforce.api.service import Service
from sandbox.salesforce.errors import NotSimulatedError, SalesforceError, not_found
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.tables import Row

DEFAULT_PAGE = 2000
_MIN_PAGE = 200
# The vendor shortens pages of wide rows; where it does is not published. This is our guess, in characters of text.
PAGE_CHARACTERS = 8_000_000
_MAX_CURSORS = 50
_LOCATOR = re.compile(r"(01g[0-9A-Za-z]{15})-(\d+)")


@dataclass(frozen=True)
class _Cursor:
    rows: list[Row]
    answer: soql.Answer
    page: int


class Queries:
    """The query resources and their open cursors."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._cursors: OrderedDict[str, _Cursor] = OrderedDict()
        self._opened = 0

    def plan(self, call: Call) -> Operation:
        """Which operation a request is.

        Raises:
            SalesforceError: 404, 405 or NotSimulatedError.
        """
        if call.method != "GET":
            raise not_allowed(call.method, ("GET", "HEAD"))
        if len(call.segments) > 2:
            raise not_found()
        if len(call.segments) == 2:
            return Operation("queryMore", "read", lambda: self._more(call))
        if "explain" in call.query:
            raise NotSimulatedError("REST query plan (explain)")
        name = call.segments[0]
        text = call.query.get("q", "")
        return Operation(
            f"{name} {object_of(text)}".strip(), "read", lambda: self._query(call, text, name == "queryAll")
        )

    def _query(self, call: Call, text: str, deleted_too: bool) -> Reply:
        with self._service.org.lock:
            org = self._service.org.query_org(self._service.view)
            answer = soql.run(text, org, deleted_too=deleted_too)
            if not answer.paged:
                records = [answer.render(row, call.prefix) for row in answer.rows]
                return Reply(200, {"totalSize": answer.total, "done": True, "records": records})
            return self._page(call, _Cursor(answer.rows, answer, _page_size(call)), 0, None)

    def _more(self, call: Call) -> Reply:
        match = _LOCATOR.fullmatch(call.segments[1])
        with self._service.org.lock:
            cursor = self._cursors.get(match.group(1)) if match else None
            if match is None or cursor is None or int(match.group(2)) >= max(1, len(cursor.rows)):
                raise SalesforceError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
            return self._page(call, cursor, int(match.group(2)), match.group(1))

    def _page(self, call: Call, cursor: _Cursor, start: int, locator: str | None) -> Reply:
        records: list[dict[str, Any]] = []
        characters = 0
        for row in cursor.rows[start : start + cursor.page]:
            record = cursor.answer.render(row, call.prefix)
            records.append(record)
            characters += sum(len(value) for value in record.values() if isinstance(value, str))
            if characters > PAGE_CHARACTERS:
                break
        end = start + len(records)
        body: dict[str, Any] = {"totalSize": cursor.answer.total, "done": end >= len(cursor.rows)}
        if not body["done"]:
            locator = locator or self._open(cursor)
            body["nextRecordsUrl"] = f"{call.prefix}/query/{locator}-{end}"
        return Reply(200, {**body, "records": records})

    def _open(self, cursor: _Cursor) -> str:
        self._opened += 1
        locator = make_id("01g", self._opened)
        self._cursors[locator] = cursor
        while len(self._cursors) > _MAX_CURSORS:
            self._cursors.popitem(last=False)
        return locator


def object_of(text: str) -> str:
    """The object a statement reads, for the counters; empty if it does not parse."""
    try:
        return soql.parse(text).source
    except SalesforceError:
        return ""


def _page_size(call: Call) -> int:
    match = re.search(r"batchSize\s*=\s*(\d+)", call.headers.get("sforce-query-options", ""), re.IGNORECASE)
    return min(DEFAULT_PAGE, max(_MIN_PAGE, int(match.group(1)))) if match else DEFAULT_PAGE
