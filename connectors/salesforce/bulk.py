"""Bulk API 2.0 ingest: one job for thousands of records, in steps that can be resumed, with one result per record.

A job does nothing until it is closed for upload (Bulk API 2.0 guide, job states), so everything before that step is
certainly not applied. Results come as three CSV files in any order: successful, failed and unprocessed; unprocessed
records were not touched and may be sent again. A job with a column that the org does not show is refused as a whole
(`InvalidBatch : Field name not found : X`), all its records unprocessed. The library's own bulk client waits asleep for up
to a day, does not log in again and matches no results, so the requests are made here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.base import JobState, Operation, Outcome, PushItem, PushResult
from connectors.errors import Misconfigured, OutcomeUnknown, RetryLater, SchemaDrift
from connectors.salesforce.describes import DescribedObject
from connectors.salesforce.error_table import Effect, VendorError, one_line, refused
from connectors.salesforce.session import Call, odd_reply
from connectors.salesforce.soql import is_id, same_id
from connectors.salesforce.transport import Reply, encoded, plain
from connectors.salesforce.writes import Row, Target, prepared

MAX_UPLOAD = 100 * 1024 * 1024  # before base64; the vendor's limit for one upload is 150 MB after it
NULL = "#N/A"  # an empty cell leaves the field as it is; this clears it
_CSV = "text/csv; charset=UTF-8"
_STATES = {
    "Open": JobState.RUNNING,
    "UploadComplete": JobState.RUNNING,
    "InProgress": JobState.RUNNING,
    "JobComplete": JobState.READY,
    "Failed": JobState.FAILED,
    "Aborted": JobState.FAILED,
}

_REFUSED = frozenset({"InvalidBatch", "InvalidJob", "ClientInputError"})
"""How the errorMessage of a job begins that would end the same way if it were sent again."""

SendRaw = Callable[[Call], Reply]
SendJson = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class BulkIngest:
    """The ingest jobs of one org. `pause` is the wait after a used-up quota, in seconds."""

    send: SendRaw
    send_json: SendJson
    pause: float

    def start(self, target: Target, rows: Sequence[Row]) -> str:
        """Create, fill and close a job; returns its id.

        Raises OutcomeUnknown when only the closing is uncertain; any other error means that nothing will be applied.
        """
        upload = table(target, rows)
        if len(upload) > MAX_UPLOAD:
            raise Misconfigured(
                "BULK-TOO-LARGE",
                f"A bulk job of {len(rows)} records is {len(upload)} bytes, over the limit of {MAX_UPLOAD}. Nothing was "
                "sent. Whoever calls pushes fewer records at once.",
            )
        description: dict[str, str] = {
            "object": target.record,
            "operation": "upsert" if target.operation is Operation.CREATE else "update",
            "contentType": "CSV",
            "lineEnding": "LF",
        }
        if target.external_id:
            description["externalIdFieldName"] = target.external_id
        # Effect.READ: neither creating nor filling a job writes a record; a lost answer leaves an open job without work.
        job = self.send_json(Call("jobs/ingest", method="POST", body=encoded(description), record=target.record))
        job_id = job.get("id") if isinstance(job, Mapping) else None
        if not is_id(job_id) or job.get("state") != "Open":
            raise odd_reply("a bulk job was answered without an id or not open")
        path = f"jobs/ingest/{job_id}"
        self.send(Call(f"{path}/batches", method="PUT", body=upload, content_type=_CSV, record=target.record))
        closing = encoded({"state": "UploadComplete"})
        try:
            self.send_json(Call(path, method="PATCH", effect=Effect.WRITE, body=closing, record=target.record))
        except OutcomeUnknown as error:
            raise OutcomeUnknown(error.code, f"{error.message} It is bulk job {job_id}.") from error
        return str(job_id)

    def state(self, job: str) -> JobState:
        """Where a job stands; FAILED jobs have results too, because Salesforce works in parts.

        A job that Salesforce does not know any more (it keeps them for a week) is over: FAILED.
        """
        answer = self._facts(job)
        if answer is None:
            return JobState.FAILED
        stated = answer.get("state") if isinstance(answer, Mapping) else None
        if not isinstance(stated, str) or stated not in _STATES:
            raise odd_reply("a bulk job has no state that Salesforce documents")
        return _STATES[stated]

    def _facts(self, job: str) -> Any:
        """What Salesforce shows of a job; None when it does not know it any more."""
        try:
            return self.send_json(Call(_job_path(job)))
        except SchemaDrift as error:
            if error.code == "NOT_FOUND":
                return None
            raise

    def _why(self, job: str) -> str:
        """The errorMessage of a job that ended early; empty when it names none."""
        answer = self._facts(job)
        said = answer.get("errorMessage") if isinstance(answer, Mapping) else None
        return one_line(said) if isinstance(said, str) else ""

    def results(self, target: Target, job: str, items: Sequence[PushItem]) -> list[PushResult]:
        """One result per item, in order, of a job that is READY or FAILED."""
        rows, results = prepared(target, items)
        results.update(unsendable(rows))
        if sent := [row for row in rows if row.place not in results]:
            results.update(self.matched(target, job, sent))
        return [results[place] for place in range(len(items))]

    def matched(self, target: Target, job: str, rows: Sequence[Row]) -> dict[int, PushResult]:
        """Results by place. A record that no file or more than one file names is in doubt."""
        expected = {_known(target, row.key): row for row in rows}
        found: dict[str, list[PushResult]] = {}
        unprocessed: list[str] = []
        for kind in ("successfulResults", "failedResults", "unprocessedrecords"):
            for line in self._lines(f"{_job_path(job)}/{kind}"):
                key = _known(target, _cell(line, target.key_field) or _cell(line, "sf__Id"))
                if key not in expected:
                    raise odd_reply(f"the {kind} of bulk job {job} name a record that was not sent")
                if kind == "unprocessedrecords":
                    unprocessed.append(key)
                else:
                    found.setdefault(key, []).append(self._result(target, expected[key], kind, line))
        ids = [i for told in found.values() for i in {each.vendor_id[:15] for each in told if each.vendor_id}]
        if len(set(ids)) != len(ids):
            raise odd_reply(f"the results of bulk job {job} name one id for two records")
        why = self._why(job) if unprocessed else ""
        refused_whole = not found and why.partition(":")[0].strip() in _REFUSED
        for key in unprocessed:
            found.setdefault(key, []).append(_not_processed(expected[key].item.key, why, alone=refused_whole))
        doubt = f"Bulk job {job} does not say what became of this record. The hub looks it up before it resends."
        return {
            row.place: found[key][0]
            if len(found.get(key, ())) == 1
            else PushResult(row.item.key, Outcome.IN_DOUBT, code="BULK-UNACCOUNTED", message=doubt, reason="protocol")
            for key, row in expected.items()
        }

    def _lines(self, path: str) -> list[Mapping[str, str]]:
        reply = self.send(Call(path, accept=_CSV))
        if "csv" not in reply.headers.get("Content-Type", _CSV).lower():
            raise odd_reply("bulk results are no CSV")
        try:
            reader = csv.DictReader(io.StringIO(reply.body.decode("utf-8"), newline=""), strict=True)
            lines = list(reader)
        except (UnicodeDecodeError, csv.Error):
            raise odd_reply("bulk results are no readable CSV") from None
        if any(None in line or None in line.values() for line in lines):
            raise odd_reply("bulk results have rows longer or shorter than their head")
        return [{name.strip(): value for name, value in line.items()} for line in lines]

    def _result(self, target: Target, row: Row, kind: str, line: Mapping[str, str]) -> PushResult:
        key = row.item.key
        if kind == "failedResults":
            error = bulk_error(_cell(line, "sf__Error"))
            return refused(key, [error] if error else [], pause=self.pause, marker=target.external_id)
        vendor_id, created = _cell(line, "sf__Id"), _cell(line, "sf__Created").lower()
        if not is_id(vendor_id):
            raise odd_reply("a bulk success has no id")
        if target.external_id is None:
            if not same_id(vendor_id, row.key):
                raise odd_reply(f"a bulk success tells of {vendor_id} where {row.key} was written")
        elif created not in ("true", "false"):
            raise odd_reply("a bulk success does not say whether it created")
        outcome = Outcome.CREATED if target.external_id is not None and created == "true" else Outcome.UPDATED
        return PushResult(key, outcome, vendor_id=vendor_id, evidence={"id": vendor_id, "success": True})


def _not_processed(key: str, why: str, *, alone: bool) -> PushResult:
    """A record that the job did not come to. One of a job that was refused whole goes `alone`: in the answer to a collection
    Salesforce says which record or field it minds."""
    said = f" ({why})" if why else ""
    if alone:
        message = (
            f"Salesforce refused the bulk job as a whole{said}. Nothing was written. The hub sends each record alone."
        )
        return PushResult(key, Outcome.RETRY, code="BULK-REFUSED", message=message, alone=True)
    message = f"Salesforce ended the bulk job before it came to this record{said}. Nothing was written. The hub sends it again."
    return PushResult(key, Outcome.RETRY, code="BULK-UNPROCESSED", message=message)


def check_columns(described: DescribedObject, target: Target, rows: Sequence[Row]) -> None:
    """Raise SchemaDrift for a column that the org does not show, as a collection's answer would."""
    for column in columns(target, rows):
        relationship, dot, _ = column.partition(".")
        if (described.relationship(relationship) if dot else described.field(column)) is None:
            error = VendorError("INVALID_FIELD", f"No such column '{column}' on entity '{target.record}'")
            raise SchemaDrift(error.code, error.sentence(), field=column)


def columns(target: Target, rows: Sequence[Row]) -> list[str]:
    """The columns of a job, in the order of the fields that name them."""
    names = dict.fromkeys(name for row in rows for name in _names(row.fields))
    return list(names) if target.external_id else ["Id", *names]


def _names(fields: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _names(value, f"{path}{name}.")
        else:
            yield path + name


def table(target: Target, rows: Sequence[Row]) -> bytes:
    """The rows as CSV. An absent field is an empty cell, None clears the field."""
    head = columns(target, rows)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        cells = ({} if target.external_id else {"Id": row.key}) | _cells(row.fields)
        writer.writerow([cells.get(name, "") for name in head])
    return out.getvalue().encode("utf-8")


def _cells(fields: Mapping[str, Any], path: str = "") -> dict[str, str]:
    """Cells by column; a reference by external id (`{"Opportunity": {"Hub_Id__c": "x"}}`) is `Opportunity.Hub_Id__c`."""
    cells: dict[str, str] = {}
    for name, value in fields.items():
        cells |= _cells(value, f"{path}{name}.") if isinstance(value, Mapping) else {path + name: _text(value)}
    return cells


def unsendable(rows: Sequence[Row]) -> dict[int, PushResult]:
    """Results of rows that CSV cannot say: a text that is the sign for "clear this field"."""
    return {
        row.place: PushResult(
            row.item.key,
            Outcome.REJECTED,
            code="BULK-NA",
            message=f"A text is {NULL}, with which a bulk job would clear the field. The record was not sent and is parked. "
            "A person changes the text, then the work is replayed.",
            reason="validation",
        )
        for row in rows
        if NULL in _raw_texts(row.fields)
    }


def _raw_texts(fields: Mapping[str, Any]) -> set[str]:
    texts: set[str] = set()
    for value in fields.values():
        texts |= _raw_texts(value) if isinstance(value, Mapping) else {value} if isinstance(value, str) else set()
    return texts


def bulk_error(text: str) -> VendorError | None:
    """`CODE:message:field,field --` as an error; None when it is not of that form."""
    code, colon, rest = text.partition(":")
    if not colon or not code.isupper():
        return None
    words, _, tail = rest.rpartition(":")
    named = tail.removesuffix("--").strip()
    fields = tuple(one_line(f.strip(), 120) for f in named.split(",") if f.strip())
    return VendorError(code, one_line(words or rest), fields)


def _job_path(job: str) -> str:
    if not is_id(job):
        raise RetryLater("BULK-JOB-ID", "The id of the bulk job is not one of Salesforce's. Nothing was asked.")
    return f"jobs/ingest/{job}"


def _known(target: Target, key: str) -> str:
    return key[:15] if target.external_id is None else key.casefold()


def _cell(line: Mapping[str, str], name: str) -> str:
    return next((value for column, value in line.items() if column.casefold() == name.casefold()), "")


def _text(value: Any) -> str:
    if value is None or value == "":
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return plain(value)
    return str(value)
