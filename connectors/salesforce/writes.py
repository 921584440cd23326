"""Writing in collections: up to 200 records in one request, one result per record, in the order of the batch.

sObject Collections answer HTTP 200 with `[{"id", "success", "errors"}]` in request order (REST API guide, sObject
Collections). A list that cannot be that answer says nothing about any record: the whole batch is in doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.base import Native, Operation, Outcome, PushItem, PushResult
from connectors.errors import (
    AuthFailed,
    ConnectorError,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    QuotaExhausted,
    RecordRejected,
    RetryLater,
    SchemaDrift,
)
from connectors.salesforce.error_table import Effect, Fate, VendorError, missing_field, refused, vendor_error
from connectors.salesforce.session import Call
from connectors.salesforce.soql import is_id, same_id
from connectors.salesforce.transport import Unwritable, encoded, written

BATCH = 200
PARENTS = {"OpportunityLineItem": "OpportunityId", "Opportunity": "AccountId"}
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_NOT_SENT = (AuthFailed, PermissionMissing, RetryLater, QuotaExhausted, SchemaDrift, Misconfigured)

Send = Callable[[Call], Any]
"""Sends a request once and returns the body as values; raises ConnectorError."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is written: a record type, and for upserts the external id field that names a record."""

    record: str
    operation: Operation
    external_id: str | None = None

    @property
    def key_field(self) -> str:
        """The field by which Salesforce finds the record."""
        return self.external_id or "Id"


@dataclass(frozen=True, slots=True)
class Row:
    """One item that can be sent: its place in the batch, its key value and its fields in the form JSON takes."""

    place: int
    item: PushItem
    key: str
    fields: Mapping[str, Any]


def prepared(target: Target, items: Sequence[PushItem]) -> tuple[list[Row], dict[int, PushResult]]:
    """The items that can be sent, in sending order, and the results of those that cannot, by place.

    Sending order is by parent, then by key: Salesforce locks parents and records in the order of the request, and two
    requests that lock in the same order wait for each other instead of failing with UNABLE_TO_LOCK_ROW.
    """
    rows: list[Row] = []
    results: dict[int, PushResult] = {}
    taken: dict[str, str] = {}
    for place, item in enumerate(items):
        try:
            key, fields = _fields(target, item)
            known = key[:15] if target.external_id is None else key.casefold()
            if known in taken:
                raise Unwritable(f"{target.key_field} {key} is written twice in one batch, also as {taken[known]}")
            taken[known] = item.key
            rows.append(Row(place, item, key, fields))
        except Unwritable as error:
            results[place] = PushResult(
                key=item.key,
                outcome=Outcome.REJECTED,
                code="UNWRITABLE",
                message=f"{error}. The record was not sent and is parked. Whoever keeps the mapping mends it, then the "
                "work is replayed.",
                reason="mapping",
            )
    parent = PARENTS.get(target.record, "")
    rows.sort(key=lambda row: (str(row.fields.get(parent, "")), row.key))
    return rows, results


def _fields(target: Target, item: PushItem) -> tuple[str, dict[str, Any]]:
    fields: dict[str, Any] = {}
    for name, value in item.payload.items():
        if not _FIELD.fullmatch(name) or name in ("Id", "id", "attributes"):
            raise Unwritable(f"{name[:80]!r} cannot be a written field of {target.record}")
        fields[name] = written(value, name)
    if target.external_id is None:
        if not is_id(item.vendor_id):
            raise Unwritable(f"{str(item.vendor_id)[:40]!r} is no Salesforce id, which an update needs")
        return str(item.vendor_id), fields
    key = fields.get(target.external_id)
    if not isinstance(key, str) or not key.strip():
        raise Unwritable(f"the record has no text in {target.external_id}, which creating it needs")
    return key, fields


def push_collections(send: Send, target: Target, items: Sequence[PushItem], *, pause: float) -> list[PushResult]:
    """Write all items in requests of 200; `pause` is the wait after a used-up quota, in seconds.

    The first request's failure is raised as it is. Once something was sent, a failing request's records get the
    outcome that its error means, and what was not sent yet is reported RETRY.
    """
    rows, results = prepared(target, items)
    for start in range(0, len(rows), BATCH):
        group = rows[start : start + BATCH]
        try:
            answers = _send_group(send, target, group, pause)
        except RecordRejected as error:
            answers = [_rejected(row.item.key, error) for row in group]
        except (OutcomeUnknown, *_NOT_SENT) as error:
            if start == 0 and (isinstance(error, _NOT_SENT) or len(group) == len(items)):
                raise
            rest = rows[start + BATCH :]
            answers = [_shared_fate(row.item.key, error) for row in group]
            answers += [_not_sent(row.item.key, error) for row in rest]
            results.update({row.place: answer for row, answer in zip([*group, *rest], answers, strict=True)})
            break
        results.update({row.place: answer for row, answer in zip(group, answers, strict=True)})
    return [results[place] for place in range(len(items))]


def _send_group(send: Send, target: Target, group: Sequence[Row], pause: float) -> list[PushResult]:
    records = list(_collection(target, group))
    path = "composite/sobjects"
    if target.external_id is not None:
        path += f"/{target.record}/{target.external_id}"
    body = encoded({"allOrNone": False, "records": records})
    answer = send(Call(path, method="PATCH", effect=Effect.WRITE, body=body, record=target.record))
    return collection_results(target, group, answer, pause=pause)


def _collection(target: Target, group: Sequence[Row]) -> Iterator[Native]:
    for row in group:
        attributes = {"attributes": {"type": target.record}}
        yield {**attributes, **row.fields} if target.external_id else {**attributes, "id": row.key, **row.fields}


def collection_results(target: Target, group: Sequence[Row], answer: object, *, pause: float) -> list[PushResult]:
    """One result per row.

    Raises OutcomeUnknown when the answer cannot belong to these rows, and SchemaDrift when every record was refused for
    a field or object that is not there: then the mapping is at fault, not the records.
    """
    if not isinstance(answer, list) or len(answer) != len(group):
        what = f"{len(answer)} results" if isinstance(answer, list) else "no list of results"
        raise _foreign_answer(f"{what} for {len(group)} records")
    results: list[PushResult] = []
    drifts: list[VendorError] = []
    ids: set[str] = set()
    for row, entry in zip(group, answer, strict=True):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("success"), bool):
            raise _foreign_answer("a result without success")
        vendor_id, errors = entry.get("id"), entry.get("errors") or []
        if not isinstance(errors, list) or (vendor_id is not None and not is_id(vendor_id)):
            raise _foreign_answer("a result with an unreadable id or error list")
        if target.external_id is None and vendor_id is not None and not same_id(str(vendor_id), row.key):
            raise _foreign_answer(f"a result for {vendor_id} where {row.key} was written")
        if not entry["success"]:
            found = [e for e in map(vendor_error, errors) if e is not None]
            found = found if len(found) == len(errors) else []
            drifts += [e for e in found if e.facts is not None and e.facts.fate is Fate.DRIFT][:1]
            results.append(refused(row.item.key, found, pause=pause, marker=target.external_id))
            continue
        if vendor_id is None or errors or str(vendor_id)[:15] in ids:
            raise _foreign_answer("a success without an id of its own")
        ids.add(str(vendor_id)[:15])
        created = entry.get("created")
        if target.external_id is not None and not isinstance(created, bool):
            raise _foreign_answer("an upsert result that does not say whether it created")
        outcome = Outcome.CREATED if created and target.external_id else Outcome.UPDATED
        results.append(
            PushResult(row.item.key, outcome, vendor_id=str(vendor_id), evidence={"id": vendor_id, "success": True})
        )
    if drifts and len(drifts) == len(group):
        raise SchemaDrift(drifts[0].code, drifts[0].sentence(), field=missing_field(drifts[0]) or target.record)
    return results


def _foreign_answer(why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        "RESULTS-FOREIGN",
        f"Salesforce answered a batch with {why}. No record's outcome is known. The hub looks them up before it resends.",
    )


def _rejected(key: str, error: RecordRejected) -> PushResult:
    return PushResult(
        key, Outcome.REJECTED, code=error.code, message=error.message, path=error.path or None, reason="mapping"
    )


def _shared_fate(key: str, error: ConnectorError) -> PushResult:
    if isinstance(error, OutcomeUnknown):
        return PushResult(key, Outcome.IN_DOUBT, code=error.code, message=error.message, reason="protocol")
    return _not_sent(key, error)


def _not_sent(key: str, error: ConnectorError) -> PushResult:
    after = error.after if isinstance(error, RetryLater | QuotaExhausted) else None
    message = f"The record was not written, because its request or one before it failed: {error.message}"
    return PushResult(key, Outcome.RETRY, code=error.code, message=message, after=after)
