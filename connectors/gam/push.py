"""Writes records: creates, read-modify-write updates, and actions whose effect is read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.base import Operation, Outcome, PushItem, PushResult
from connectors.errors import ConnectorError, OutcomeUnknown, RetryLater
from connectors.gam.faults import Fate, Refused, Verdict, actions, verdict
from connectors.gam.objects import Objects, Place, place_of
from connectors.gam.outcomes import BATCH_ATOMIC, in_doubt, of_each, of_whole_call
from connectors.gam.plain import shows
from connectors.gam.rewriting import rewritten
from connectors.gam.settings import GamSettings
from connectors.gam.soap import NotSent, Soap
from connectors.gam.statement import Where

_FROZEN: Mapping[str, tuple[tuple[str, object, str], ...]] = {
    # [S]: OrderError and LineItemError name these states as refusing updates
    "Order": (
        ("isArchived", True, "OrderError.UPDATE_ARCHIVED_ORDER_NOT_ALLOWED"),
        ("status", "PENDING_APPROVAL", "OrderError.UPDATE_PENDING_APPROVAL_ORDER_NOT_ALLOWED"),
        ("status", "CANCELED", "OrderError.UPDATE_CANCELED_ORDER_NOT_ALLOWED"),
        ("status", "DELETED", "OrderError.UPDATE_CANCELED_ORDER_NOT_ALLOWED"),
    ),
    "LineItem": (
        ("isArchived", True, "LineItemError.UPDATE_ARCHIVED_LINE_ITEM_NOT_ALLOWED"),
        ("status", "PENDING_APPROVAL", "LineItemError.UPDATE_PENDING_APPROVAL_LINE_ITEM_NOT_ALLOWED"),
        ("status", "CANCELED", "LineItemError.UPDATE_CANCELED_LINE_ITEM_NOT_ALLOWED"),
    ),
}
REQUEST_ONLY = frozenset(
    {"allowOverbook", "skipInventoryCheck", "skipCrossSellingRuleWarningChecks", "reserveAtCreation"}
)
"""Line item fields that steer one request and are not kept [S]: never a difference by themselves."""


class Push:
    """The writing half of the connector."""

    def __init__(
        self, soap: Soap, objects: Objects, settings: GamSettings, fields: Mapping[str, frozenset[str]]
    ) -> None:
        self._soap = soap
        self._objects = objects
        self._settings = settings
        self._fields = fields

    def create(self, record: str, items: Sequence[PushItem]) -> list[PushResult]:
        """One create call; it may span orders."""
        place = place_of(record)
        payloads = [dict(item.payload) for item in items]
        return self._send(record, Operation.CREATE, place, place.create, items, payloads)

    def update(self, record: str, items: Sequence[PushItem]) -> list[PushResult]:
        """One read and, when anything differs, one update call of the present objects with our fields written over them."""
        place = place_of(record)
        present = self._objects.by_id(record, [item.vendor_id or "" for item in items])
        results: dict[int, PushResult] = {}
        changed: list[tuple[int, PushItem, dict[str, Any]]] = []
        for at, item in enumerate(items):
            native = present.get(item.vendor_id or "")
            ours = {name: value for name, value in item.payload.items() if name != "id"}
            if native is None:
                results[at] = _not_found(record, item)
            elif all(name in REQUEST_ONLY or shows(native.get(name), value) for name, value in ours.items()):
                results[at] = PushResult(item.key, Outcome.UNCHANGED, item.vendor_id, evidence=_seen(native))
            elif frozen := _frozen(record, native):
                results[at] = _rejected(
                    item, frozen, "vendor_state", f"{record} {item.vendor_id} may not be changed in its present state.",
                    _seen(native),
                )  # fmt: skip
            else:
                changed.append((at, item, rewritten(native, ours)))
        if changed:
            sent = self._send(
                record,
                Operation.UPDATE,
                place,
                place.update,
                [item for _, item, _ in changed],
                [payload for _, _, payload in changed],
            )
            results.update({at: result for (at, _, _), result in zip(changed, sent, strict=True)})
        return [results[at] for at in range(len(items))]

    def act(self, record: str, items: Sequence[PushItem]) -> list[PushResult]:
        """One action call for each distinct verb among the items, its effect read back.

        The vendor answers with a count only, so the statuses before and after decide: items that already showed the
        wanted state are UNCHANGED and not sent. An object that queries do not show may be new (`index_lag_seconds`): the action
        is sent, and the count tells whether there was anything to change. Of a payload only the arguments that the action
        takes are sent.
        """
        groups: dict[str, list[int]] = {}
        for at, item in enumerate(items):
            verb = [item.action, self._arguments(record, item)]
            groups.setdefault(json.dumps(verb, sort_keys=True, default=str), []).append(at)
        results: dict[int, PushResult] = {}
        stopped: ConnectorError | None = None
        for group in groups.values():
            some = [items[at] for at in group]
            if stopped is not None:
                done = [
                    PushResult(item.key, Outcome.RETRY, item.vendor_id, BATCH_ATOMIC, "Not sent.", after=0.0)
                    for item in some
                ]
            else:
                try:
                    done = self._act(record, some)
                except ConnectorError as error:
                    if not results:
                        raise
                    stopped = error
                    done = _as_results(some, error)
            results.update(zip(group, done, strict=True))
        return [results[at] for at in range(len(items))]

    # ------------------------------------------------------------ create and update
    def _send(
        self,
        record: str,
        operation: Operation,
        place: Place,
        call: str,
        items: Sequence[PushItem],
        payloads: Sequence[Mapping[str, Any]],
    ) -> list[PushResult]:
        try:
            answer = self._soap.write(place.service, call, list(payloads))
        except Refused as refusal:
            return self._refused(record, operation, items, refusal)
        except NotSent as error:
            return self._unsendable(place, call, items, payloads, str(error))
        return _written(operation, call, items, answer)

    def _refused(
        self, record: str, operation: Operation, items: Sequence[PushItem], refusal: Refused
    ) -> list[PushResult]:
        errors = refusal.errors
        if any(self._judge(error.code).fate is Fate.WRITTEN for error in errors):
            return in_doubt(items, errors[0].code, f"Written, but the answer was lost: {refusal.message}")
        if of_whole_call(errors, self._judge):
            raise self._soap.fate(refusal, record, writes=True) from refusal
        return of_each(items, operation, errors, self._judge, self._settings, self._fields.get(record, frozenset()))

    def _unsendable(
        self, place: Place, call: str, items: Sequence[PushItem], payloads: Sequence[Mapping[str, Any]], words: str
    ) -> list[PushResult]:
        """Nothing left this machine; find the records that cannot be written as SOAP."""
        results = []
        for item, payload in zip(items, payloads, strict=True):
            why = self._soap.can_write(place.service, call, [dict(payload)])
            if why is not None:
                results.append(_rejected(item, "PAYLOAD-INVALID", "mapping", f"The record fits no {call}: {why}."))
            else:
                results.append(
                    PushResult(
                        item.key,
                        Outcome.RETRY,
                        item.vendor_id,
                        BATCH_ATOMIC,
                        "Not sent: another record of the same call cannot be written as SOAP.",
                        after=0.0,
                    )
                )
        if all(result.outcome is Outcome.RETRY for result in results):
            raise RetryLater("REQUEST-INVALID", f"{call} could not be written as SOAP: {words}.")
        return results

    def _judge(self, code: str) -> Verdict:
        return verdict(code, self._settings.retryable)

    # ------------------------------------------------------------ actions
    def _act(self, record: str, items: Sequence[PushItem]) -> list[PushResult]:
        action = items[0].action or ""
        wanted = actions(record).get(action)
        if wanted is None:
            return [
                _rejected(item, "ACTION-UNKNOWN", "mapping", f"{record} has no action {action!r}.") for item in items
            ]
        before = self._shown(record, items, wanted)
        done = {item.key for item in items if before[item.key].native is not None and before[item.key](wanted)}
        results = {
            item.key: PushResult(item.key, Outcome.UNCHANGED, item.vendor_id, evidence=before[item.key].seen)
            for item in items
            if item.key in done
        }
        results.update({item.key: _not_found(record, item) for item in items if not _is_id(item.vendor_id)})
        open_items = [item for item in items if item.key not in results]
        if open_items:
            unseen = {item.key for item in open_items if before[item.key].native is None}
            for result in self._perform(record, action, wanted, open_items, unseen):
                results[result.key] = result
        return [results[item.key] for item in items]

    def _perform(
        self, record: str, action: str, wanted: Mapping[str, Any], items: Sequence[PushItem], unseen: Container[str]
    ) -> list[PushResult]:
        place = place_of(record)
        statement = Where().among("id", sorted(int(str(item.vendor_id)) for item in items)).statement()
        refusal: Refused | None = None
        changes: int | None = None
        try:
            answer = self._soap.write(
                place.service, place.act, {"xsi_type": action, **self._arguments(record, items[0])}, statement
            )
            count = answer.get("numChanges") if isinstance(answer, Mapping) else None
            changes = int(count) if count is not None else None
        except NotSent as error:
            return [
                _rejected(item, "PAYLOAD-INVALID", "mapping", f"{action} cannot be written: {error}.") for item in items
            ]
        except Refused as refused:
            refusal = refused = _of_objects(record, refused)
            if of_whole_call(refused.errors, self._judge) and not _only_waits(refused, self._judge):
                raise self._soap.fate(refused, record, writes=True) from refused
        try:
            after = self._shown(record, items, wanted)
        except ConnectorError as error:
            raise OutcomeUnknown(
                error.code, f"{action} was sent and its effect could not be read back: {error.message}"
            ) from error
        reached = [item for item in items if after[item.key](wanted)]
        short = [item for item in items if item not in reached]
        surely = sum(item.key not in unseen for item in reached)
        results = {
            item.key: PushResult(
                item.key,
                Outcome.UNCHANGED
                if item.key in unseen and changes is not None and changes <= surely
                else Outcome.UPDATED,
                item.vendor_id,
                evidence=after[item.key].seen,
            )
            for item in reached
        }
        if short and refusal is not None:
            # the answer was about the whole statement, in id order
            ordered = sorted(items, key=lambda item: int(str(item.vendor_id)))
            explained = self._explained(record, refusal, ordered)
            results.update({item.key: explained[item.key] for item in short})
        for item in short:
            if after[item.key].native is None and changes is not None and changes <= len(reached):
                results.setdefault(item.key, _not_found(record, item))
            results.setdefault(item.key, _not_reached(item, action, changes, len(reached), after[item.key].seen))
        return [results[item.key] for item in items]

    def _arguments(self, record: str, item: PushItem) -> dict[str, Any]:
        """The arguments that the action takes; whatever else the caller keeps in the payload stays here."""
        takes = actions(record).get(item.action or "", {}).get("takes", ())
        defaults = {"skipInventoryCheck": True} if self._settings.skip_inventory_check else {}
        return {name: value for name, value in {**defaults, **item.payload}.items() if name in takes}

    def _explained(self, record: str, refusal: Refused, items: Sequence[PushItem]) -> dict[str, PushResult]:
        if of_whole_call(refusal.errors, self._judge):
            error = self._soap.fate(refusal, record, writes=True)
            return {result.key: result for result in _as_results(items, error)}
        found = of_each(
            items, Operation.ACT, refusal.errors, self._judge, self._settings, self._fields.get(record, frozenset())
        )
        return {result.key: result for result in found}

    def _shown(self, record: str, items: Sequence[PushItem], wanted: Mapping[str, Any]) -> dict[str, _Shown]:
        ids = [str(item.vendor_id) for item in items]
        natives = self._objects.by_id(record, ids)
        lines: Mapping[str, Sequence[Mapping[str, Any]]] = {}
        if "lines" in wanted:
            lines = self._objects.lines_of(sorted(natives))
        elif "lines_left" in wanted:
            # only where the order itself looks done: before an approval all its lines wait, and there may be hundreds
            done = sorted(i for i, native in natives.items() if native.get("status") in wanted["status"])
            lines = self._objects.lines_of(done, wanted["lines_left"]) if done else {}
        return {
            item.key: _Shown(natives.get(str(item.vendor_id)), lines.get(str(item.vendor_id), [])) for item in items
        }


class _Shown:
    """What an object shows; called with what is wanted, says whether it is reached."""

    def __init__(self, native: Mapping[str, Any] | None, lines: Sequence[Mapping[str, Any]]) -> None:
        self.native = native
        self._lines = lines

    @property
    def seen(self) -> Mapping[str, Any]:
        """The evidence."""
        return _seen(self.native) if self.native is not None else {}

    def __call__(self, wanted: Mapping[str, Any]) -> bool:
        native = self.native
        if native is None:
            return bool(wanted.get("gone"))
        if "lines" in wanted:
            return all(line.get("status") in wanted["lines"] for line in self._lines)
        if "field" in wanted:
            found = native.get(wanted["field"], False)
            return bool(found == wanted["is"])
        if "lines_left" in wanted and (self._lines or native.get("isArchived")):
            return False  # an archived order keeps the status APPROVED and delivers nothing
        return native.get("status") in wanted.get("status", ())


def _written(operation: Operation, call: str, items: Sequence[PushItem], answer: Any) -> list[PushResult]:
    """Results of a call that was answered; raises OutcomeUnknown when the answer does not fit the question."""
    objects = [found or {} for found in answer] if isinstance(answer, list) else []
    ids = [found.get("id") for found in objects]
    if len(objects) != len(items) or None in ids or len(set(ids)) != len(ids):
        raise OutcomeUnknown(
            "REPLY-COUNT", f"{call} answered {len(objects)} objects to {len(items)} records, or objects without an id."
        )
    outcome = Outcome.CREATED if operation is Operation.CREATE else Outcome.UPDATED
    results = []
    for item, found, vendor_id in zip(items, objects, ids, strict=True):
        if not _is_the_same(operation, item, found, str(vendor_id)):
            # One object in another's place says that no place can be trusted: an id would be kept for the wrong record.
            raise OutcomeUnknown("REPLY-ORDER", f"{call} answered with {vendor_id} in the place of another record.")
        evidence = {name: found[name] for name in ("status", "isArchived") if name in found}
        results.append(PushResult(item.key, outcome, str(vendor_id), evidence=evidence))
    return results


def _is_the_same(operation: Operation, item: PushItem, found: Mapping[str, Any], vendor_id: str) -> bool:
    """Whether an answered object is the record in its place: by id, or by what finds a record again after a lost reply."""
    if operation is Operation.UPDATE:
        return vendor_id == item.vendor_id
    return all(
        _folded(sent) == _folded(answered)
        for name in ("name", "externalId")
        if (sent := item.payload.get(name)) is not None and (answered := found.get(name)) is not None
    )


def _folded(text: object) -> str:
    return " ".join(str(text).casefold().split())


def _of_objects(record: str, refusal: Refused) -> Refused:
    """The refusal without positions that do not count the action's objects: approving orders blames `lineItem[7]`."""
    errors = [
        error if error.root.casefold().rstrip("s") in ("", record.casefold()) else replace(error, index=None)
        for error in refusal.errors
    ]
    return Refused(errors, refusal.message)


def _only_waits(refusal: Refused, judge: Callable[[str], Verdict]) -> bool:
    """Whether a refused action may still have reached some of its objects: then their statuses decide."""
    return all(judge(error.code).fate in (Fate.FORECAST, Fate.RETRY, Fate.WRITTEN) for error in refusal.errors)


def _not_reached(item: PushItem, action: str, changes: int | None, reached: int, seen: Mapping[str, Any]) -> PushResult:
    """The vendor took the action without an error and yet the object does not show it.

    While the vendor counts more changes than show, queries may lag behind: looked at again. Else the state forbids it.
    """
    if changes is None or reached < changes:
        return PushResult(
            item.key,
            Outcome.RETRY,
            item.vendor_id,
            "ACTION-NOT-SHOWN",
            f"{action} was answered with {'no count' if changes is None else f'a count of {changes}'}, {reached} show it.",
            evidence=seen,
        )
    return PushResult(
        item.key,
        Outcome.REJECTED,
        item.vendor_id,
        "ACTION-WITHOUT-EFFECT",
        f"{action} was answered with a count of {changes}, but the object shows {dict(seen)}. "
        "Its state does not allow the action; look at it in Ad Manager.",
        reason="vendor_state",
        evidence=seen,
    )


def _as_results(items: Sequence[PushItem], error: ConnectorError) -> list[PushResult]:
    outcome = Outcome.IN_DOUBT if isinstance(error, OutcomeUnknown) else Outcome.RETRY
    after = getattr(error, "after", None)
    return [PushResult(item.key, outcome, item.vendor_id, error.code, error.message, after=after) for item in items]


def _rejected(
    item: PushItem, code: str, reason: str, message: str, seen: Mapping[str, Any] | None = None
) -> PushResult:
    return PushResult(item.key, Outcome.REJECTED, item.vendor_id, code, message, reason=reason, evidence=seen or {})


def _not_found(record: str, item: PushItem) -> PushResult:
    return _rejected(item, "CommonError.NOT_FOUND", "reference_missing", f"{record} {item.vendor_id} does not exist.")


def _is_id(vendor_id: str | None) -> bool:
    return vendor_id is not None and vendor_id.isascii() and vendor_id.isdigit()


def _frozen(record: str, native: Mapping[str, Any]) -> str | None:
    return next((code for name, value, code in _FROZEN.get(record, ()) if native.get(name) == value), None)


def _seen(native: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        name: native[name]
        for name in ("status", "isArchived", "reservationStatus", "isMissingCreatives")
        if name in native
    }
