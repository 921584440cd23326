"""The accounting API on the wire: routes a request, counts it, lets faults strike, checks who asks, does it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from werkzeug.wrappers import Request, Response

from sandbox.serving import ControlApp, Kind, with_transport_faults
from sandbox.xero import elements
from sandbox.xero.access import MAX_KEY, KeyMemory, Limits, Tokens, fingerprint
from sandbox.xero.contract import BadBody, checked
from sandbox.xero.ledger import ID, NUMBER, Ledger, Refused
from sandbox.xero.where import QueryRefused, ordered, where

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_ROOT = "/api.xro/2.0/"
_SCOPES = {
    "Invoices": "accounting.transactions",
    "CreditNotes": "accounting.transactions",
    "Payments": "accounting.transactions",
    "Contacts": "accounting.contacts",
    "Organisation": "accounting.settings",
    "Accounts": "accounting.settings",
    "TaxRates": "accounting.settings",
}
_PARAMETERS = {
    "Invoices": {"where", "order", "IDs", "InvoiceNumbers", "Statuses", "page", "pageSize", "unitdp"},
    "CreditNotes": {"where", "order", "page", "pageSize", "unitdp"},
    "Payments": {"where", "order", "page", "pageSize"},
    "Contacts": {"where", "order", "IDs", "page", "pageSize", "includeArchived"},
    "Accounts": {"where", "order"},
    "TaxRates": {"where", "order"},
    "Organisation": set(),
}
_IDS = {**ID, "Contacts": "ContactID", "Payments": "PaymentID"}
_MAX_PAGE = 1000
_UNPAGED = 100
_MAX_ELEMENTS = 50
_DOCUMENT_FIELDS = {
    "Type",
    "Status",
    "Date",
    "DueDate",
    "Reference",
    "CurrencyCode",
    "Total",
    "SubTotal",
    "UpdatedDateUTC",
}
_IDENTITIES = {
    "InvoiceID",
    "InvoiceNumber",
    "CreditNoteID",
    "CreditNoteNumber",
    "PaymentID",
    "ContactID",
    "ContactNumber",
}
_OTHER_FIELDS = {
    "AmountDue",
    "AmountPaid",
    "RemainingCredit",
    "Amount",
    "Contact",
    "Invoice",
    "Name",
    "ContactStatus",
    "Code",
}
_KNOWN = frozenset(_DOCUMENT_FIELDS | _IDENTITIES | _OTHER_FIELDS | {"Class", "TaxType"})


@dataclass
class Reply:
    """An answer before it is bytes."""

    status: int
    value: object
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, value: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
        self.reply = Reply(status, value, dict(headers or {}))
        super().__init__(str(value))


class XeroApp:
    """The organisation on the wire."""

    def __init__(self, ledger: Ledger, tokens: Tokens, limits: Limits, control: ControlApp) -> None:
        self._ledger = ledger
        self._control = control
        self.tokens = tokens
        self.limits = limits
        self._keys = KeyMemory(ledger.clock)

    def forget(self) -> None:
        """Drop what belongs to an organisation that was. Tokens stay."""
        self._keys.reset()
        self.limits.reset()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        body = request.get_data()
        path = request.path
        segments = path.removeprefix(_ROOT).split("/") if path.startswith(_ROOT) else []
        write = request.method != "GET" and path != "/connect/token"
        name = "token" if path == "/connect/token" else f"{request.method} {'/'.join(segments[::2]) or 'unknown'}"
        kind: Kind = (
            "login" if name == "token" else "read" if not write else "create" if request.method == "PUT" else "update"
        )
        self._control.calls.count(name, kind, _count(body) if write else 0)

        def handle() -> Response:
            try:
                reply = self._answer(request, body, segments, name, write=write)
            except ApiError as error:
                reply = error.reply
            except BadBody as error:
                reply = Reply(400, {"ErrorNumber": 14, "Type": "PostDataInvalidException", "Message": str(error)})
            except QueryRefused as error:
                reply = Reply(400, {"ErrorNumber": 16, "Type": "QueryParseException", "Message": str(error)})
            data = reply.value if isinstance(reply.value, bytes) else elements.body(reply.value)
            headers = reply.headers if name == "token" else {**self.limits.headers(), **reply.headers}
            return Response(data, reply.status, headers, content_type="application/json; charset=utf-8")

        faults, late = self._control.faults, self._control.late
        return with_transport_faults(environ, faults, late, name, write=write, handle=handle)(environ, start_response)

    # -- the gate

    def _answer(self, request: Request, body: bytes, segments: list[str], name: str, *, write: bool) -> Reply:
        if name == "token":
            if request.method != "POST":
                return Reply(405, {"error": "invalid_request"})
            form = dict(parse_qsl(body.decode("ascii", "replace")))
            status, value = self.tokens.grant(request.headers.get("Authorization"), form)
            return Reply(status, value)
        faults = self._control.faults
        authorization = request.headers.get("Authorization")
        if faults.strikes("expired_token", name, write=write):
            self.tokens.revoke(authorization)
        scopes = self.tokens.scopes(authorization)
        if scopes is None:
            detail = "TokenExpired: token expired or not valid"
            raise ApiError(401, {"Type": None, "Title": "Unauthorized", "Status": 401, "Detail": detail})
        if request.headers.get("xero-tenant-id") != self._ledger.tenant_id:
            raise ApiError(
                403, {"Type": None, "Title": "Forbidden", "Status": 403, "Detail": "AuthenticationUnsuccessful"}
            )
        problem = "minute" if faults.strikes("quota", name, write=write) else self.limits.count()
        if problem is not None:
            wait = {"X-Rate-Limit-Problem": problem, "Retry-After": str(self.limits.wait(problem))}
            raise ApiError(429, {"Title": "Too Many Requests", "Status": 429}, wait)
        resource = segments[0] if segments else ""
        if resource not in _SCOPES:
            raise ApiError(
                404, {"Title": "Not Found", "Status": 404, "Detail": "The resource is unknown or not simulated."}
            )
        needed = _SCOPES[resource]
        if needed not in scopes and (write or f"{needed}.read" not in scopes):
            raise ApiError(
                403, {"Title": "Forbidden", "Status": 403, "Detail": "AuthorizationUnsuccessful: insufficient scope"}
            )
        if not write:
            return Reply(200, self._read(request, segments))
        return self._once(request, body, segments)

    def _once(self, request: Request, body: bytes, segments: list[str]) -> Reply:
        """A write, answered from memory when its key was seen."""
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > MAX_KEY:
            raise ApiError(
                400, {"Title": "Bad Request", "Status": 400, "Detail": "Idempotency-Key exceeds 128 characters"}
            )
        print_ = fingerprint(request.method, request.path, request.query_string.decode("latin-1"), body)
        with self._ledger.lock:
            known = self._keys.recall(key) if key else None
            if known is not None:
                if known.request != print_:
                    detail = "Idempotency-Key was used with another request"
                    raise ApiError(400, {"Title": "Bad Request", "Status": 400, "Detail": detail})
                return Reply(known.status, known.body)
            reply = self._write(request, body, segments)
            data = elements.body(reply.value)
            if key:
                self._keys.keep(key, print_, reply.status, data)
            self._control.snapshot.mark_changed()
        return Reply(reply.status, data)

    # -- writing

    def _write(self, request: Request, body: bytes, segments: list[str]) -> Reply:
        if request.method not in ("PUT", "POST"):
            raise ApiError(405, {"Title": "Method Not Allowed", "Status": 405})
        if request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            raise ApiError(415, {"Title": "Unsupported Media Type", "Status": 415})
        unknown = set(request.args) - {"summarizeErrors", "unitdp"}
        if unknown:
            raise BadBody(f"unknown parameter {sorted(unknown)[0]}")
        resource = segments[0]
        name = "Allocations" if segments[2:] == ["Allocations"] and resource == "CreditNotes" else resource
        if len(segments) not in (1, 3) or (len(segments) == 3 and name != "Allocations"):
            raise ApiError(404, {"Title": "Not Found", "Status": 404})
        do = self._action(request, name, segments)
        given = checked(_json(body), name)
        if len(given) > _MAX_ELEMENTS:
            raise BadBody(f"{len(given)} elements; the sandbox takes {_MAX_ELEMENTS}, which is what Xero recommends")
        shown, failed = [], []
        for element in given:
            try:
                shown.append(do(element))
            except Refused as error:
                shown.append(elements.refused(name, element, error.sentences))
                failed.append(error.sentences)
        if failed and request.args.get("summarizeErrors") != "false":
            told = [{"ValidationErrors": [{"Message": s} for s in sentences]} for sentences in failed]
            message = "A validation exception occurred"
            return Reply(400, {"ErrorNumber": 10, "Type": "ValidationException", "Message": message, "Elements": told})
        return Reply(200, self._envelope(name, shown))

    def _action(self, request: Request, name: str, segments: list[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        ledger, method = self._ledger, request.method
        if name == "Allocations" and method == "PUT":
            if ledger.documents.get(segments[1], {}).get("kind") != "CreditNotes":
                raise ApiError(404, {"Title": "Not Found", "Status": 404, "Detail": "The credit note does not exist."})
            return lambda given: elements.allocation(ledger, ledger.allocate(segments[1], given))
        if name == "Contacts" and method == "PUT":
            return lambda given: {**elements.contact(ledger.create_contact(given)), "StatusAttributeString": "OK"}
        if name in ID and method == "PUT":
            decimals = 4 if request.args.get("unitdp") == "4" else 2
            return lambda given: self._ok(ledger.create_document(name, given, decimals))
        if name in ID and method == "POST":
            return lambda given: self._ok(ledger.update_document(name, given))
        raise ApiError(405, {"Title": "Method Not Allowed", "Status": 405})

    def _ok(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {**elements.document(self._ledger, row), "StatusAttributeString": "OK"}

    # -- reading

    def _read(self, request: Request, segments: list[str]) -> dict[str, Any]:
        resource, args = segments[0], request.args.to_dict()
        unknown = set(args) - _PARAMETERS[resource]
        if unknown:
            raise QueryRefused(f"unknown parameter {sorted(unknown)[0]}")
        if len(segments) > 1:
            raise ApiError(404, {"Title": "Not Found", "Status": 404, "Detail": "Single resources are not simulated."})
        with self._ledger.lock:
            found = self._rows(resource)
            if resource == "Organisation":
                return self._envelope("Organisations", found)
            found = self._filtered(request, resource, args, found)
        paged = {"pagination": None}
        if "page" in args or resource not in ("Accounts", "TaxRates"):
            page, size = _number(args, "page", 1), min(_number(args, "pageSize", _UNPAGED), _MAX_PAGE)
            count = len(found)
            paged["pagination"] = {"page": page, "pageSize": size, "pageCount": -(-count // size), "itemCount": count}  # type: ignore[assignment]
            found = found[(page - 1) * size : page * size]
        return {**self._envelope(resource, found), **{name: value for name, value in paged.items() if value}}

    def _filtered(self, request: Request, resource: str, args: Mapping[str, str], found: list[Any]) -> list[Any]:
        if resource == "Contacts" and args.get("includeArchived") != "true":
            found = [row for row in found if row["ContactStatus"] == "ACTIVE"]
        for name, id_field in (
            ("IDs", _IDS.get(resource, "")),
            ("InvoiceNumbers", NUMBER["Invoices"]),
            ("Statuses", "Status"),
        ):
            if name in args:
                wanted = set(args[name].split(","))
                found = [row for row in found if row[id_field] in wanted]
        since = request.headers.get("If-Modified-Since")
        if since is not None:
            moment = _since(since)
            found = [row for row in found if row["UpdatedDateUTC"] > moment]
        if "where" in args:
            test = where(args["where"], _KNOWN)
            found = [row for row in found if test(row)]
        if "order" in args:
            found = list(ordered(found, args["order"], _KNOWN))
        return found

    def _rows(self, resource: str) -> list[dict[str, Any]]:
        ledger = self._ledger
        if resource in ID:
            return [elements.document(ledger, row) for row in ledger.documents.values() if row["kind"] == resource]
        if resource == "Contacts":
            return [elements.contact(row) for row in ledger.contacts.values()]
        if resource == "Payments":
            return [elements.payment(ledger, row) for row in ledger.payments.values()]
        if resource == "Accounts":
            return [
                {
                    "AccountID": f"00000000-0000-4000-8000-{int(code):012d}",
                    "Code": code,
                    "Class": kind,
                    "Status": "ACTIVE",
                }
                for code, kind in ledger.setup["accounts"].items()
            ]
        if resource == "TaxRates":
            return [{"TaxType": name, "Status": "ACTIVE"} for name in ledger.setup["rates"]]
        locks = {
            name: None if ledger.setup[key] is None else datetime.fromisoformat(ledger.setup[key]).date()
            for name, key in (("PeriodLockDate", "period_lock"), ("EndOfYearLockDate", "year_lock"))
        }
        shown = {
            "OrganisationID": ledger.tenant_id,
            "Name": ledger.setup["name"],
            "BaseCurrency": ledger.setup["currency"],
        }
        return [{**shown, **{name: day for name, day in locks.items() if day is not None}}]

    def _envelope(self, name: str, found: list[Any]) -> dict[str, Any]:
        now = self._ledger.clock.now()
        return {"Status": "OK", "ProviderName": "Sandbox", "DateTimeUTC": now, name: found}


def _json(body: bytes) -> object:
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise BadBody("JSON for post data was invalid") from None


def _count(body: bytes) -> int:
    """How many elements a write carries, for the counters."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return 0
    lists = [value for value in said.values() if isinstance(value, list)] if isinstance(said, dict) else []
    return len(lists[0]) if lists else 0


def _number(args: Mapping[str, str], name: str, default: int) -> int:
    text = args.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text[:6]) < 100_000:
        raise QueryRefused(f"{name} must be a positive number")
    return int(text[:6])


def _since(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise QueryRefused("If-Modified-Since must be a UTC time, yyyy-mm-ddThh:mm:ss") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
