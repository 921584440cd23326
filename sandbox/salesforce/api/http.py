"""What a resource receives and what it answers, below any resource."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from sandbox.salesforce.errors import RecordRefused, SalesforceError
from sandbox.salesforce.records import Unit
from sandbox.serving import Kind

MAX_URI = 16_384  # bytes of a request URI, vendor's limit


@dataclass(frozen=True)
class Call:
    """One request under `/services/data/vNN.N/`, whole or a part of a composite.

    Attributes:
        version: `68.0`.
        segments: the path after the version, decoded.
        headers: by lower-case name.
        unit: the shared call of an all-or-none composite; None elsewhere.
        part: whether it is a part of a composite request.
    """

    method: str
    version: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user_id: str = ""
    unit: Unit | None = None
    part: bool = False

    @property
    def prefix(self) -> str:
        """`/services/data/v68.0`."""
        return f"/services/data/v{self.version}"

    def at_least(self, version: float) -> bool:
        """Whether the API version has what came with `version`."""
        return float(self.version) >= version

    @cached_property
    def json(self) -> Any:
        """The JSON body.

        Raises:
            SalesforceError: JSON_PARSER_ERROR.
        """
        if not self.body:
            message = "No content to map to Object due to end of input"
            raise SalesforceError(400, "JSON_PARSER_ERROR", message)
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            message = f"Unexpected character at [line:{error.lineno}, column:{error.colno}]: {error.msg}"
            raise SalesforceError(400, "JSON_PARSER_ERROR", message) from None

    @cached_property
    def json_object(self) -> dict[str, Any]:
        """The JSON body, which must be an object.

        Raises:
            SalesforceError: JSON_PARSER_ERROR.
        """
        if not isinstance(self.json, dict):
            message = f"Unexpected token {type(self.json).__name__}, expected an object at [line:1, column:1]"
            raise SalesforceError(400, "JSON_PARSER_ERROR", message)
        return self.json


@dataclass
class Reply:
    """An answer: a JSON value, or text as it goes out."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    content_type: str = "application/json;charset=UTF-8"

    def data(self, *, pretty: bool) -> bytes:
        """The bytes that go out."""
        if self.text is not None:
            return self.text.encode("utf-8")
        if self.body is None:
            return b""
        return orjson.dumps(self.body, option=orjson.OPT_INDENT_2 if pretty else 0)


@dataclass(frozen=True)
class Operation:
    """What a request asks for, known before it is done: its name for counters and faults, and the doing."""

    name: str
    kind: Kind
    run: Callable[[], Reply]
    write: bool = False
    records: int = 0


def refusal(error: SalesforceError | RecordRefused) -> Reply:
    """The reply of a refused request."""
    if isinstance(error, RecordRefused):
        return Reply(error.status, [reason.as_rest() for reason in error.errors])
    return Reply(error.status, error.body())


def not_allowed(method: str, allowed: Iterable[str]) -> SalesforceError:
    """The vendor's 405."""
    message = f"HTTP Method '{method}' not allowed. Allowed are {','.join(sorted(allowed))}"
    return SalesforceError(405, "METHOD_NOT_ALLOWED", message)


def records_of(body: bytes) -> int:
    """How many records a collections body carries, for the counters; 0 if it cannot be read."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return 0
    records = document.get("records") if isinstance(document, dict) else None
    return len(records) if isinstance(records, list) else 0


def true_word(text: str | None) -> bool:
    """A boolean of a query string."""
    return bool(re.fullmatch("true", text or "", re.IGNORECASE))
