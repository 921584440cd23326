"""`/composite`: up to 25 requests in one, each may use what an earlier one answered: `@{ref.id}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from sandbox.salesforce.api.http import Call, Operation, Reply, not_allowed, refusal
from sandbox.salesforce.api.service import Service
from sandbox.salesforce.errors import RecordRefused, SalesforceError, not_found

MAX_PARTS = 25
MAX_QUERIES = 5
_REFERENCE = re.compile(r"@\{\s*(\w+)((?:\.\w+|\[\d+\])*)\s*\}")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_HALTED = "The transaction was rolled back since another operation in the same transaction failed."


class Composite:
    """The composite resource.

    Args:
        plan_part: plans a part as if it were a request of its own.
    """

    def __init__(self, service: Service, plan_part: Callable[[Call], Operation]) -> None:
        self._service = service
        self._plan_part = plan_part

    def plan(self, call: Call) -> Operation:
        """Which operation a request is.

        Raises:
            SalesforceError: 404 or 405.
        """
        if call.part or len(call.segments) > 1:
            raise not_found()
        if call.method != "POST":
            raise not_allowed(call.method, ("POST",))
        parts = self._count(call)
        return Operation("composite", "act", lambda: self._run(call), True, parts)

    def _count(self, call: Call) -> int:
        try:
            return len(call.json_object["compositeRequest"])
        except (SalesforceError, KeyError, TypeError):
            return 0

    def _run(self, call: Call) -> Reply:
        parts = self._parts(call)
        all_or_none = bool(call.json_object.get("allOrNone", False))
        with self._service.org.lock:
            if not all_or_none:
                return Reply(200, {"compositeResponse": self._each(call, parts)})
            unit = self._service.org.unit(call.user_id, self._service.view)
            answers = self._each(replace(call, unit=unit), parts)
            failed = [answer["httpStatusCode"] >= 400 for answer in answers]
            if any(failed):
                unit.roll_back()
                for answer, bad in zip(answers, failed, strict=True):
                    if not bad:
                        answer["body"] = [{"errorCode": "PROCESSING_HALTED", "message": _HALTED}]
                        answer["httpStatusCode"] = 400
                        answer["httpHeaders"] = {}
            return Reply(200, {"compositeResponse": answers})

    def _each(self, call: Call, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known: dict[str, Any] = {}
        answers = []
        for part in parts:
            try:
                reply = self._part(call, part, known)
            except (SalesforceError, RecordRefused) as refused:
                reply = refusal(refused)
            if reply.status < 300:
                known[part["referenceId"]] = reply.body
            answers.append(
                {
                    "body": reply.body,
                    "httpHeaders": reply.headers,
                    "httpStatusCode": reply.status,
                    "referenceId": part["referenceId"],
                }
            )
        return answers

    def _part(self, call: Call, part: dict[str, Any], known: Mapping[str, Any]) -> Reply:
        url = urlsplit(str(_resolved(part["url"], known)))
        body = part.get("body")
        match = re.fullmatch(r"/services/data/v(\d+\.\d)/(.+?)/?", url.path)
        if match is None:
            raise not_found()
        if match.group(1) != call.version:
            message = f"The API version in the subrequest URL must be {call.version}"
            raise SalesforceError(400, "INVALID_INPUT", message)
        headers = {str(name).lower(): str(value) for name, value in (part.get("httpHeaders") or {}).items()}
        sub = Call(
            method=str(part["method"]).upper(),
            version=call.version,
            segments=tuple(unquote(segment) for segment in match.group(2).split("/")),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers=headers,
            body=b"" if body is None else orjson.dumps(_resolved(body, known)),
            user_id=call.user_id,
            unit=call.unit,
            part=True,
        )
        return self._plan_part(sub).run()

    def _parts(self, call: Call) -> list[dict[str, Any]]:
        parts = call.json_object.get("compositeRequest")
        if not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
            message = "The request body must hold a list of objects named compositeRequest"
            raise SalesforceError(400, "JSON_PARSER_ERROR", message)
        if len(parts) > MAX_PARTS:
            message = f"The composite request has {len(parts)} subrequests; the limit is {MAX_PARTS}"
            raise SalesforceError(400, "LIMIT_EXCEEDED", message)
        seen: set[str] = set()
        for part in parts:
            reference = part.get("referenceId")
            if not isinstance(reference, str) or not re.fullmatch(r"[A-Za-z]\w*", reference) or reference in seen:
                message = f"Provided referenceId ('{reference}') must start with a letter, be alphanumeric and unique"
                raise SalesforceError(400, "INVALID_INPUT", message)
            seen.add(reference)
            if str(part.get("method", "")).upper() not in _METHODS or not isinstance(part.get("url"), str):
                raise SalesforceError(400, "INVALID_INPUT", f"Subrequest '{reference}' needs a method and a url")
        costly = [p for p in parts if re.search(r"/v\d+\.\d/(?:query|queryAll|composite/sobjects)\b", p["url"])]
        if len(costly) > MAX_QUERIES:
            message = (
                f"The composite request has {len(costly)} query or collection subrequests; the limit is {MAX_QUERIES}"
            )
            raise SalesforceError(400, "LIMIT_EXCEEDED", message)
        return parts


def _resolved(value: Any, known: Mapping[str, Any]) -> Any:
    """A value with its references replaced; a text that is one reference takes the type of what it refers to."""
    if isinstance(value, dict):
        return {name: _resolved(inner, known) for name, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, known) for inner in value]
    if not isinstance(value, str) or "@{" not in value:
        return value
    if whole := _REFERENCE.fullmatch(value):
        return _look_up(whole, known)
    return _REFERENCE.sub(lambda match: str(_look_up(match, known)), value)


def _look_up(match: re.Match[str], known: Mapping[str, Any]) -> Any:
    found: Any = known.get(match.group(1))
    for name, index in _STEP.findall(match.group(2)):
        if name and isinstance(found, Mapping):
            found = found.get(name)
        elif index and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        else:
            found = None
    if found is None:
        message = f"Invalid reference specified. No value for {match.group(0)[2:-1]} found in {match.group(1)}"
        raise SalesforceError(400, "PROCESSING_HALTED", message)
    return found
