"""Bulk API 2.0: `/jobs/ingest` and `/jobs/query`.

A job works on a thread of its own in chunks of 200 records and lets go of the org between them, so it can be aborted
midway: records not reached are unprocessed, not failed. The fault `job_stop` fails a job after its first chunk.
"""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.salesforce import soql
from sandbox.salesforce.api.http import Call, Operation, Reply, not_allowed
from sandbox.salesforce.api.queries import object_of
from sandbox.salesforce.api.service import Service
from sandbox.salesforce.errors import RecordRefused, SalesforceError, not_found
from sandbox.salesforce.facts import SObject
from sandbox.salesforce.ids import make_id, normalise
from sandbox.salesforce.records import Unit
from sandbox.salesforce.values import read_json

CHUNK = 200
MAX_BYTES = 150_000_000  # of one job's data, after base64; vendor's limit
_INGEST = ("insert", "update", "upsert", "delete")
_DELIMITERS = {"COMMA": ",", "TAB": "\t", "SEMICOLON": ";", "PIPE": "|", "CARET": "^", "BACKQUOTE": "`"}
_RESULTS = {"successfulResults": "successful", "failedResults": "failed", "unprocessedrecords": "unprocessed"}


@dataclass
class Job:
    """One bulk job."""

    id: str
    kind: str
    facts: dict[str, Any]
    state: str = "Open"
    data: bytes = b""
    version: str = ""
    processed: int = 0
    error: str | None = None
    columns: list[str] = field(default_factory=list)
    successful: list[list[str]] = field(default_factory=list)
    failed: list[list[str]] = field(default_factory=list)
    unprocessed: list[list[str]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


class Bulk:
    """The jobs resource."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._jobs: dict[str, Job] = {}
        self._made = 0

    def reset(self) -> None:
        """Forget all jobs; one that is at work stops before its next chunk."""
        with self._service.org.lock:
            for job in self._jobs.values():
                job.state = "Aborted"
            self._jobs.clear()

    def plan(self, call: Call) -> Operation:
        """Which operation a request is.

        Raises:
            SalesforceError: 404 or 405.
        """
        rest = call.segments[1:]
        if not rest or rest[0] not in ("ingest", "query") or len(rest) > 3:
            raise not_found()
        kind = rest[0]
        name = f"{call.method} jobs/{kind}"
        if len(rest) == 1:
            if call.method == "POST":
                operation = f"{name} {_subject(call)}".strip()
                if kind == "query":
                    return Operation(operation, "read", lambda: self._create_query(call))
                return Operation(operation, "act", lambda: self._create_ingest(call), True)
            if call.method == "GET":
                return Operation(name, "read", lambda: self._list(call, kind))
            raise not_allowed(call.method, ("GET", "POST"))
        if len(rest) == 2:
            if call.method == "GET":
                return Operation(f"{name}/id", "read", lambda: Reply(200, self._shown(self._job(kind, rest[1]))))
            if call.method == "PATCH":
                return Operation(f"{name}/id", "act", lambda: self._set_state(call, self._job(kind, rest[1])), True)
            if call.method == "DELETE":
                return Operation(f"{name}/id", "act", lambda: self._delete(self._job(kind, rest[1])), True)
            raise not_allowed(call.method, ("DELETE", "GET", "PATCH"))
        if kind == "ingest" and rest[2] == "batches":
            if call.method != "PUT":
                raise not_allowed(call.method, ("PUT",))
            records = max(0, call.body.count(b"\n") - 1)
            return Operation(f"{name}/batches", "update", lambda: self._upload(call, rest[1]), True, records)
        if call.method != "GET":
            raise not_allowed(call.method, ("GET",))
        if kind == "ingest" and rest[2] in _RESULTS:
            return Operation(f"{name}/{rest[2]}", "read", lambda: self._results(rest[1], rest[2]))
        if kind == "query" and rest[2] == "results":
            return Operation(f"{name}/results", "read", lambda: self._query_results(call, rest[1]))
        raise not_found()

    # -- jobs

    def _job(self, kind: str, id_: str) -> Job:
        job = self._jobs.get(normalise(id_) or "")
        if job is None or job.kind != kind:
            raise not_found()
        return job

    def _new(self, call: Call, kind: str, facts: dict[str, Any]) -> Job:
        with self._service.org.lock:
            self._made += 1
            now = self._service.org.unit(call.user_id, self._service.view).stamp
            id_ = make_id("750", self._made)
            facts |= {"createdById": call.user_id, "createdDate": now, "systemModstamp": now}
            job = Job(id_, kind, facts, version=call.version)
            self._jobs[id_] = job
        return job

    def _shown(self, job: Job) -> dict[str, Any]:
        facts = {"id": job.id, **job.facts, "state": job.state, "concurrencyMode": "Parallel"}
        facts |= {"apiVersion": float(job.version), "jobType": "V2Ingest" if job.kind == "ingest" else "V2Query"}
        if job.kind == "ingest":
            facts["contentUrl"] = f"services/data/v{job.version}/jobs/ingest/{job.id}/batches"
            facts["numberRecordsFailed"] = len(job.failed)
        facts |= {"numberRecordsProcessed": job.processed, "retries": 0, "totalProcessingTime": 0}
        return {**facts, "errorMessage": job.error} if job.error else facts

    def _list(self, call: Call, kind: str) -> Reply:
        records = [self._shown(job) for job in self._jobs.values() if job.kind == kind]
        return Reply(200, {"done": True, "records": records, "nextRecordsUrl": None})

    def _delete(self, job: Job) -> Reply:
        if job.state in ("UploadComplete", "InProgress"):
            raise _bad_state(f"Deleting {job.kind} job in state {job.state} is not allowed")
        del self._jobs[job.id]
        return Reply(204)

    # -- ingest

    def _create_ingest(self, call: Call) -> Reply:
        body = call.json_object
        operation = body.get("operation")
        if operation not in _INGEST:
            raise SalesforceError(400, "INVALIDOPERATION", f"Operation '{operation}' is not supported")
        sobject = self._service.view.find(str(body.get("object")))
        if sobject is None:
            raise SalesforceError(400, "INVALIDENTITY", f"Unknown object '{body.get('object')}'")
        if str(body.get("contentType", "CSV")) != "CSV":
            raise SalesforceError(400, "INVALIDCONTENTTYPE", "Only CSV is supported")
        delimiter = str(body.get("columnDelimiter", "COMMA"))
        ending = str(body.get("lineEnding", "LF"))
        if delimiter not in _DELIMITERS or ending not in ("LF", "CRLF"):
            raise SalesforceError(400, "INVALIDJOB", "Unknown columnDelimiter or lineEnding")
        key_name = body.get("externalIdFieldName")
        if operation == "upsert":
            key = sobject.by_key.get(str(key_name).lower()) if key_name else None
            if key is None or not key.idLookup:
                message = (
                    f"InvalidJob : Field name not found : {key_name}"
                    if key_name
                    else "External ID was blank for upsert"
                )
                raise SalesforceError(400, "INVALIDJOB", message)
            key_name = key.name
        facts = {"operation": operation, "object": sobject.name, "contentType": "CSV"}
        facts |= {"lineEnding": ending, "columnDelimiter": delimiter}
        if operation == "upsert":
            facts["externalIdFieldName"] = key_name
        return Reply(200, self._shown(self._new(call, "ingest", facts)))

    def _upload(self, call: Call, id_: str) -> Reply:
        job = self._job("ingest", id_)
        if job.state != "Open" or job.data:
            raise _bad_state(
                "Found multiple contents for job: <" + job.id + ">, please 'Close' / 'Abort' / 'Delete' it"
            )
        if not call.headers.get("content-type", "").startswith("text/csv"):
            raise SalesforceError(415, "UNSUPPORTED_MEDIA_TYPE", "The job's data must be text/csv")
        if len(call.body) > MAX_BYTES * 3 // 4:
            raise SalesforceError(400, "INVALIDJOB", "Job data exceeds the limit of 150 MB after base64 encoding")
        job.data = call.body
        return Reply(201)

    def _set_state(self, call: Call, job: Job) -> Reply:
        state = call.json_object.get("state")
        with self._service.org.lock:
            if state == "Aborted" and job.state in ("Open", "UploadComplete", "InProgress"):
                job.state = "Aborted"
            elif state == "UploadComplete" and job.kind == "ingest" and job.state == "Open":
                if not job.data:
                    raise _bad_state("The job has no data")
                job.state = "UploadComplete"
                threading.Thread(target=self._work, args=(call, job), name=f"bulk-{job.id}", daemon=True).start()
            else:
                raise _bad_state(f"Transition from {job.state} to {state} is not allowed")
            return Reply(200, self._shown(job))

    def _work(self, call: Call, job: Job) -> None:
        rows = self._read_csv(job)
        if rows is None:
            return
        sobject = self._service.view.find(job.facts["object"])
        operation = f"jobs {job.facts['operation']} {job.facts['object']}"
        done = 0
        while sobject is not None and done < len(rows):
            with self._service.org.lock:
                if job.state not in ("UploadComplete", "InProgress"):
                    break
                job.state = "InProgress"
                self._chunk(call, job, sobject, rows[done : done + CHUNK], operation)
                done += len(rows[done : done + CHUNK])
                if done < len(rows) and self._service.faults.strikes("job_stop", operation, write=True):
                    job.state, job.error = "Failed", "InternalServerError : The job was stopped by the service"
        with self._service.org.lock:
            job.unprocessed = rows[done:]
            if job.state == "InProgress":
                job.state = "JobComplete"

    def _read_csv(self, job: Job) -> list[list[str]] | None:
        try:
            text = job.data.decode("utf-8-sig")
            reader = csv.reader(
                io.StringIO(text, newline=""), delimiter=_DELIMITERS[job.facts["columnDelimiter"]], strict=True
            )
            rows = [row for row in reader if row]
        except (UnicodeDecodeError, csv.Error) as error:
            job.state, job.error = "Failed", f"InvalidBatch : Failed to parse CSV: {error}"
            return None
        if not rows:
            job.state, job.error = "Failed", "InvalidBatch : The CSV has no header row"
            return None
        job.columns, rows = rows[0], rows[1:]
        sobject = self._service.view.find(job.facts["object"])
        unknown = [name for name in job.columns if sobject is None or not _column_known(sobject, name)]
        if unknown:
            job.state, job.error = "Failed", f"InvalidBatch : Field name not found : {unknown[0]}"
            job.unprocessed = rows
            return None
        return rows

    def _chunk(self, call: Call, job: Job, sobject: SObject, rows: list[list[str]], operation: str) -> None:
        refusals = self._service.lock_refusals(operation, len(rows))
        with self._service.writing(call, operation) as unit:
            for index, row in enumerate(rows):
                try:
                    if len(row) != len(job.columns):
                        raise RecordRefused(())
                    if index in refusals:
                        raise RecordRefused((refusals[index],))
                    cells = dict(zip(job.columns, row, strict=True))
                    id_, created = unit.attempt(lambda cells=cells: _save(unit, sobject, job, cells))  # type: ignore[misc]
                    job.successful.append([id_, str(created).lower(), *row])
                except RecordRefused as refused:
                    reason = refused.errors[0].as_csv() if refused.errors else "InvalidBatch : Wrong number of cells"
                    job.failed.append(["", reason, *row])
                job.processed += 1

    def _results(self, id_: str, which: str) -> Reply:
        job = self._job("ingest", id_)
        with self._service.org.lock:
            rows = list(getattr(job, _RESULTS[which]))
        extra = {"successful": ["sf__Id", "sf__Created"], "failed": ["sf__Id", "sf__Error"], "unprocessed": []}
        return _csv_reply([[*extra[_RESULTS[which]], *job.columns], *rows], job)

    # -- query

    def _create_query(self, call: Call) -> Reply:
        body = call.json_object
        operation, text = body.get("operation"), body.get("query")
        if operation not in ("query", "queryAll") or not isinstance(text, str):
            raise SalesforceError(400, "INVALIDOPERATION", "A query job needs operation query or queryAll, and a query")
        delimiter = str(body.get("columnDelimiter", "COMMA"))
        if delimiter not in _DELIMITERS:
            raise SalesforceError(400, "INVALIDJOB", "Unknown columnDelimiter")
        select = soql.parse(text)
        if any(isinstance(item, soql.Select | soql.Aggregate) for item in select.items) or select.group:
            raise SalesforceError(400, "INVALIDJOB", "Bulk queries support neither aggregates nor child sub-selects")
        facts = {"operation": operation, "object": object_of(text), "contentType": "CSV"}
        facts |= {"lineEnding": str(body.get("lineEnding", "LF")), "columnDelimiter": delimiter}
        with self._service.org.lock:
            org = self._service.org.query_org(self._service.view)
            answer = soql.run(text, org, deleted_too=operation == "queryAll")
            job = self._new(call, "query", facts)
            job.columns = [".".join(item.path.parts) for item in select.items if isinstance(item, soql.Column)]
            records = [answer.render(row, call.prefix) for row in answer.rows]
        job.rows = [[_cell(record, column.split(".")) for column in job.columns] for record in records]
        job.processed = len(job.rows)
        job.state = "JobComplete"
        return Reply(200, {**self._shown(job), "state": "UploadComplete"})

    def _query_results(self, call: Call, id_: str) -> Reply:
        job = self._job("query", id_)
        if job.state != "JobComplete":
            raise _bad_state(f"The job is in state {job.state}")
        try:
            start = int(call.query.get("locator") or 0)
            size = int(call.query.get("maxRecords") or 50_000)
        except ValueError:
            raise SalesforceError(400, "INVALID_QUERY_LOCATOR", "invalid query locator") from None
        rows = job.rows[start : start + max(1, size)]
        reply = _csv_reply([job.columns, *rows], job)
        more = start + len(rows) < len(job.rows)
        reply.headers |= {
            "Sforce-NumberOfRecords": str(len(rows)),
            "Sforce-Locator": str(start + len(rows)) if more else "null",
        }
        return reply


def _save(unit: Unit, sobject: SObject, job: Job, cells: dict[str, str]) -> tuple[str, bool]:
    payload = unit.payload_from_csv(sobject, cells)
    operation = job.facts["operation"]
    if operation == "insert":
        return unit.create(sobject, payload), True
    if operation == "delete":
        return unit.delete(sobject, payload.id), False
    if operation == "update":
        return unit.update(sobject, payload.id, payload), False
    key = sobject.by_key[job.facts["externalIdFieldName"].lower()]
    raw = next((cell for name, cell in cells.items() if name.lower() == key.key), "")
    return unit.upsert(sobject, key, read_json(key, raw) if key.type != "id" else raw or None, payload)


def _column_known(sobject: SObject, name: str) -> bool:
    return name.lower() in sobject.by_key or name.partition(".")[0].lower() in sobject.parents


def _cell(record: Any, path: list[str]) -> str:
    """A value of a rendered record as a CSV cell; names are case-insensitive."""
    for part in path:
        if not isinstance(record, dict):
            return ""
        record = next((value for name, value in record.items() if name.lower() == part.lower()), None)
    if isinstance(record, bool):
        return str(record).lower()
    return "" if record is None else str(record)


def _csv_reply(rows: Iterable[list[str]], job: Job) -> Reply:
    out = io.StringIO(newline="")
    ending = "\r\n" if job.facts["lineEnding"] == "CRLF" else "\n"
    delimiter = _DELIMITERS[job.facts["columnDelimiter"]]
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator=ending, delimiter=delimiter).writerows(rows)
    return Reply(200, text=out.getvalue(), content_type="text/csv")


def _bad_state(message: str) -> SalesforceError:
    return SalesforceError(400, "INVALIDJOBSTATE", message)


def _subject(call: Call) -> str:
    try:
        body = call.json_object
    except SalesforceError:
        return ""
    return str(body.get("object") or object_of(str(body.get("query", ""))))
