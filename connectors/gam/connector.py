"""The connector: one Ad Manager network in use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel

from connectors.base import (
    Capabilities,
    CensusRow,
    CheckReport,
    Connector,
    CreateProtocol,
    DeliveryQuery,
    DeliveryRow,
    FieldDifference,
    JobState,
    Native,
    Operation,
    Page,
    PushItem,
    PushResult,
    Rate,
    RecordCapability,
    RecordSchema,
    StreamCapability,
)
from connectors.bounded import paced_pieces
from connectors.endpoint import keep_header
from connectors.errors import Misconfigured, OutcomeUnknown, RetryLater, SchemaDrift
from connectors.exchange import stay
from connectors.gam import changes, checks, comparing, counting, report
from connectors.gam.faults import actions
from connectors.gam.finding import find
from connectors.gam.login import Login
from connectors.gam.names import Names
from connectors.gam.objects import Objects
from connectors.gam.plain import project
from connectors.gam.push import Push
from connectors.gam.records import field_names, record_schemas
from connectors.gam.settings import GamSettings, ReportTimeZone
from connectors.gam.soap import Soap

_WRITABLE = ("Company", "Order", "LineItem")
_CREATE_UPDATE = frozenset({Operation.CREATE, Operation.UPDATE})
_REPORTING = frozenset({"start_delivery", "runReportJob"})
"""What costs a report token: the engine knows calls by the protocol's method, the vendor's limit by its operation."""
_JOB_STATES = {"COMPLETED": JobState.READY, "IN_PROGRESS": JobState.RUNNING, "FAILED": JobState.FAILED}


class GamConnector(Connector):
    """Google Ad Manager through SOAP.

    Creates and updates are all-or-nothing per call [K]; an update costs one more request (read, overlay, write), an
    action two (statuses before and after). Each request is paced: it costs a token of `requests_per_second`.
    """

    name: ClassVar[str] = "gam"
    title: ClassVar[str] = "Google Ad Manager"
    config: ClassVar[type[BaseModel]] = GamSettings

    def __init__(self, settings: BaseModel, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        if not isinstance(settings, GamSettings):
            raise Misconfigured("SETTINGS-TYPE", f"GamConnector needs GamSettings, not {type(settings).__name__}.")
        self.settings = settings
        self._now = now
        self._soap = Soap(settings, Login(settings), lambda: self.pace())
        self._objects = Objects(self._soap, settings)
        self._push = Push(self._soap, self._objects, settings, {record: field_names(record) for record in _WRITABLE})
        self._names = Names(self._soap, self._objects, settings)
        self._network: Mapping[str, Any] | None = None
        self._network_lock = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        """What this connection can do with its present settings."""
        s = self.settings
        waits: dict[str, Any] = {"index_lag": s.index_lag_seconds, "max_in_flight": s.max_in_flight_seconds}
        overlap = s.index_lag_seconds + s.max_in_flight_seconds
        acting = _CREATE_UPDATE | {Operation.ACT}
        return Capabilities(
            streams={
                "Order": StreamCapability("Order", overlap, deletes=False),
                "LineItem": StreamCapability("LineItem", overlap, deletes=False, parents=("Order",)),
            },
            records={
                # names are unique per type [I]; externalId cannot be filtered on [S], so the name is the mark
                "Company": RecordCapability(
                    s.batch_size,
                    _CREATE_UPDATE,
                    CreateProtocol.UNIQUE_FIELD,
                    marker="name",
                    mark="externalId",
                    atomic=True,
                    **waits,
                ),
                # unique in the network, even against archived orders [I]
                "Order": RecordCapability(
                    s.batch_size,
                    acting,
                    CreateProtocol.UNIQUE_FIELD,
                    marker="name",
                    atomic=True,
                    children={"LineItem": s.lines_per_order},
                    actions=frozenset(actions("Order")),
                    **waits,
                ),
                # externalId can be filtered on within an order [S] and is not unique
                "LineItem": RecordCapability(
                    s.batch_size,
                    acting,
                    CreateProtocol.PROBE,
                    marker="externalId",
                    atomic=True,
                    actions=frozenset(actions("LineItem")),
                    **waits,
                ),
            },
            rates=(
                Rate("requests", s.requests_per_second, 1.0, max(1, int(s.requests_per_second))),
                Rate("reports", float(s.reports_per_hour), 3600.0, s.reports_per_hour, _REPORTING),
            ),
            max_concurrency=s.max_concurrency,
            longest_request=2 * s.timeout_seconds,  # to connect, and then to answer
            verified_by=(
                "vendor WSDLs v202608 (derived): every request and reply through the unmodified googleads client",
                "simulated network: an order's life, refusals and faults (tests/contract/gam_connector)",
                "public issue threads for uniqueness of names, NO_FORECAST_YET and HTML 503",
            ),
            cannot=(
                "upload creatives or associate them (associations are read)",
                "find orders by externalOrderId or custom field (SOAP cannot filter on them)",
                "set dates or a budget on an order (both derive from its line items)",
                "report deletions: a deleted object vanishes from the streams without a trace",
                "proposals, invoices, webhooks",
            ),
        )

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        """Company, Order, LineItem, LineItemCreativeAssociation."""
        return record_schemas()

    def check(
        self, used: Mapping[str, Sequence[str]] | None = None, written: Mapping[str, Sequence[str]] | None = None
    ) -> CheckReport:
        """Network, user, API version, and the used fields against the WSDL in use; the WSDL knows no field rights."""
        network = self._current_network(fresh=True)
        user = self._soap.read("UserService", "getCurrentUser") or {}
        findings = [
            checks.version_finding(self.settings.version, self._now().date()),
            *checks.network_findings(network, self.settings),
            checks.user_finding(user),
            *checks.field_findings(self._soap, used or {}),
        ]
        return CheckReport(f"gam:{network.get('networkCode')}", tuple(findings))

    def close(self) -> None:
        """Close the sockets of all threads."""
        self._soap.close()

    # ------------------------------------------------------------ reads
    def read(self, stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        """Changes of orders or line items in (modified, id) order; deletions do not show."""
        overlap = self.settings.index_lag_seconds + self.settings.max_in_flight_seconds
        return changes.read(self._objects, self.settings, stream, fields, cursor, overlap)

    def fetch(self, record: str, fields: Sequence[str], native_ids: Sequence[str]) -> Mapping[str, Native]:
        """Present state by id. LineItemCreativeAssociation is fetched by *line item* id: a list `associations` each."""
        if record == "LineItemCreativeAssociation":
            return self._objects.associations_of(native_ids)
        found = self._objects.by_id(record, native_ids)
        return {key: project(native, fields) for key, native in found.items()} if fields else found

    def observe(self, record: str, vendor_ids: Sequence[str]) -> Mapping[str, Native]:
        """Present state by id, all fields; archived objects are shown, unknown ids are absent."""
        return self._objects.by_id(record, vendor_ids)

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        """Company by name and type, Order by name, LineItem by orderId and externalId; archived ones included."""
        return find(self._objects, record, items, self.settings)

    def differences(self, record: str, wanted: Native, present: Native) -> Sequence[FieldDifference]:
        """Absent, empty and false are one to this vendor, as are date-times in another zone and lists in another order."""
        return comparing.differences(wanted, present)

    def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
        """Every Company, Order or LineItem of the network, archived ones too; an order's mark stands in its name."""
        return counting.census(self._objects, self.settings, record)

    def resolve(self, table: str, names: Sequence[str], scope: str = "") -> Mapping[str, str]:
        """Tables: `Geo_Target:COUNTRY|REGION|METRO|DISTRICT|CITY|POSTAL_CODE` (scope: country name or code),
        `CustomTargetingKey`, `CustomTargetingValue` (scope: name of the key), `User` (e-mail address or name).
        """
        return self._names.resolve(table, names, scope)

    # ------------------------------------------------------------ writes
    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        """One create, update or action call; see the contract. A refused batch rejects the records it names, and the
        others are RETRY with code BATCH_ATOMIC (or BATCH_SPLIT when no record is named).
        """
        capability = self.capabilities.records.get(record)
        if capability is None or operation not in capability.operations:
            raise Misconfigured("OPERATION-UNKNOWN", f"Ad Manager cannot {operation} {record} here.")
        if len(items) > capability.batch:
            raise Misconfigured("BATCH-TOO-LARGE", f"{len(items)} records in one call; at most {capability.batch}.")
        if not items:
            return []
        match operation:
            case Operation.CREATE:
                return self._push.create(record, items)
            case Operation.UPDATE:
                return self._push.update(record, items)
            case Operation.ACT:
                return self._push.act(record, items)

    # ------------------------------------------------------------ delivery
    def delivery_zone(self) -> str:
        """The network's zone, or the vendor's own for PACIFIC reports."""
        if self.settings.report_time_zone is ReportTimeZone.PACIFIC:
            return "America/Los_Angeles"
        return str(self._current_network()["timeZone"])

    def start_delivery(self, query: DeliveryQuery) -> str:
        """Run a report job by day, order and line item; costs one token of the rate `reports`."""
        job = self._soap.read(
            "ReportService", "runReportJob", {"reportQuery": report.report_query(query, self.settings)}
        )
        number = job.get("id") if isinstance(job, Mapping) else None
        if number is None:
            raise RetryLater("JOB-UNREADABLE", "Ad Manager started a report and did not name its job.")
        return str(number)

    def delivery_state(self, job: str) -> JobState:
        """RUNNING, READY or FAILED; the vendor names no reason for a failure [I]."""
        status = str(self._soap.read("ReportService", "getReportJobStatus", _job_number(job)))
        state = _JOB_STATES.get(status)
        if state is None:
            raise RetryLater("JOB-STATE", f"Ad Manager answered the job state {status!r}, which is not known.")
        return state

    def read_delivery(self, job: str) -> Iterator[DeliveryRow]:
        """Rows of a READY job from its gzip CSV, streamed; never the whole file in memory."""
        url = str(
            self._soap.read(
                "ReportService", "getReportDownloadUrlWithOptions", _job_number(job), dict(report.DOWNLOAD_OPTIONS)
            )
        )
        pieces = report.unpacked(self._download(url), self.settings.report_max_bytes)
        yield from report.rows(pieces, self.settings.report_columns)

    def _download(self, url: str) -> Iterator[bytes]:
        """The report file as it is stored. The address is signed by the vendor: it gets no credential of ours."""
        self._trust(url)
        try:
            with requests.get(
                url,
                stream=True,
                timeout=self.settings.timeout_seconds,
                allow_redirects=False,
                headers={"Accept-Encoding": "gzip"},
                auth=keep_header,
                hooks={"response": stay},
            ) as response:
                if response.status_code != 200:
                    raise _download_refused(response.status_code)
                yield from paced_pieces(response, self.settings.timeout_seconds)
        except (requests.RequestException, OSError) as error:
            raise OutcomeUnknown(
                "REPORT-CUT", f"The report file did not arrive whole ({type(error).__name__})."
            ) from error
        except Exception as error:
            if type(error).__module__.startswith("urllib3"):
                raise OutcomeUnknown(
                    "REPORT-CUT", f"The report file did not arrive whole ({type(error).__name__})."
                ) from error
            raise

    def _trust(self, url: str) -> None:
        """Only https, except from the test server that the settings name."""
        place, endpoint = urlsplit(url), urlsplit(self.settings.endpoint or "")
        if place.scheme != "https" and (place.scheme, place.netloc) != (endpoint.scheme, endpoint.netloc):
            raise OutcomeUnknown("REPORT-ADDRESS", f"The report lies at an address that is not trusted: {url[:80]!r}.")

    # ------------------------------------------------------------ forecast
    def availability(self, record: str, prospective: Native) -> Mapping[str, int]:
        """Units `matched`, `available`, `possible` for a line item that need not exist; raises RetryLater with the
        forecast wait while there is NO_FORECAST_YET.
        """
        if record != "LineItem":
            raise Misconfigured("FORECAST-RECORD", f"Only a LineItem can be forecast, not {record}.")
        answer = self._soap.read(
            "ForecastService",
            "getAvailabilityForecast",
            {"lineItem": dict(prospective)},
            {"includeTargetingCriteriaBreakdown": False, "includeContendingLineItems": False},
        )
        forecast = answer if isinstance(answer, Mapping) else {}
        units = {name: forecast.get(f"{name}Units") for name in ("matched", "available", "possible")}
        missing = sorted(name for name, value in units.items() if value is None and name != "possible")
        if missing:
            raise SchemaDrift(
                "FORECAST-UNREADABLE", f"The forecast came without {', '.join(missing)}Units.", missing[0]
            )
        return {name: int(value) for name, value in units.items() if value is not None}

    def _current_network(self, *, fresh: bool = False) -> Mapping[str, Any]:
        with self._network_lock:
            if self._network is None or fresh:
                network = self._soap.read("NetworkService", "getCurrentNetwork")
                if not isinstance(network, dict) or not network.get("timeZone"):
                    raise RetryLater("NETWORK-UNREADABLE", "Ad Manager answered no network with a time zone.")
                self._network = network
            return self._network


def _job_number(job: str) -> int:
    if not (job.isascii() and job.isdigit()):
        raise Misconfigured("JOB-UNKNOWN", f"{job[:40]!r} is no report job of Ad Manager.")
    return int(job)


def _download_refused(status: int) -> Exception:
    words = f"The report file answers HTTP {status}."
    if status in (401, 403):
        # a signed address lives for minutes; asking for the file again gets a new one
        return RetryLater(f"HTTP-{status}", f"{words} Its address has expired.")
    if status in (404, 410):
        return OutcomeUnknown(f"HTTP-{status}", f"{words} The report must be run again.")
    return RetryLater(f"HTTP-{status}", words)
