"""Decides what became of each record when the vendor refused a call. Pure.

A create or update call is all-or-nothing [K]: an error that names record 3 says that none of the batch was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from connectors.base import Operation, Outcome, PushItem, PushResult
from connectors.gam.faults import Fate, VendorError, Verdict
from connectors.gam.settings import GamSettings

BATCH_ATOMIC = "BATCH_ATOMIC"
"""Code of a RETRY: nothing is wrong with this record, another one of its batch was refused."""

BATCH_SPLIT = "BATCH_SPLIT"
"""Code of a RETRY: the batch was refused and no error names the record; it each is sent alone next time."""

WHOLE_CALL = (
    Fate.WRITTEN,
    Fate.UNKNOWN,
    Fate.UNSURE,
    Fate.TOKEN,
    Fate.AUTH,
    Fate.MISCONFIGURED,
    Fate.DEFECT,
    Fate.QUOTA,
    Fate.REPORT_QUOTA,
)
_PER_RECORD = (Fate.TAKEN, Fate.REJECT, Fate.PERMISSION, Fate.TOO_LARGE, Fate.FORECAST, Fate.RETRY)
"""In the order of what counts when a record has several errors: look up, park, wait."""


def of_whole_call(errors: Sequence[VendorError], judge: Callable[[str], Verdict]) -> bool:
    """Whether these errors decide the whole call, so that it must be raised (or, when written, be in doubt)."""
    fates = [judge(error.code).fate for error in errors]
    if any(fate in WHOLE_CALL for fate in fates):
        return True
    unnamed = [fate for fate, error in zip(fates, errors, strict=True) if error.index is None]
    return any(fate in (Fate.RETRY, Fate.FORECAST, Fate.PERMISSION) for fate in unnamed)


def of_each(
    items: Sequence[PushItem],
    operation: Operation,
    errors: Sequence[VendorError],
    judge: Callable[[str], Verdict],
    settings: GamSettings,
    fields: frozenset[str] = frozenset(),
) -> list[PushResult]:
    """One result per item, in order, for errors that `of_whole_call` left to us. `fields` are the record's own fields.

    A record that an error names is rejected, or waits, or (its name is taken) is in doubt, to be looked up; the others are
    RETRY with BATCH_ATOMIC and no wait. An error that names no record blames it only when there is one.
    """
    blame: dict[int, VendorError] = {}
    unnamed: VendorError | None = None
    for error in sorted(errors, key=lambda e: _PER_RECORD.index(judge(e.code).fate)):
        at = _position(error, items, fields)
        if at is None:
            unnamed = unnamed or error
        else:
            blame.setdefault(at, error)
    results = []
    for at, item in enumerate(items):
        if at in blame:
            results.append(_blamed(item, operation, blame[at], judge(blame[at].code), settings, alone=len(items) == 1))
        elif unnamed is not None and not blame:
            results.append(_split(item, unnamed))
        else:
            results.append(
                PushResult(
                    item.key,
                    Outcome.RETRY,
                    item.vendor_id,
                    BATCH_ATOMIC,
                    "Not written: another record of the same call was refused.",
                    after=0.0,
                    evidence=_evidence(errors),
                )
            )
    return results


def in_doubt(items: Sequence[PushItem], code: str, message: str) -> list[PushResult]:
    """Every item may have been written."""
    return [PushResult(item.key, Outcome.IN_DOUBT, item.vendor_id, code, message) for item in items]


def _position(error: VendorError, items: Sequence[PushItem], fields: frozenset[str]) -> int | None:
    """Which item an error blames: the position it names, else the one item there is, else the one item with its trigger."""
    if error.index is not None and error.index < len(items) and error.root not in fields:
        return error.index
    if len(items) == 1:
        return 0
    if error.trigger:
        having = [at for at, item in enumerate(items) if error.trigger in _texts(item.payload, item.vendor_id)]
        if len(having) == 1:
            return having[0]
    return None


def _texts(payload: Mapping[str, object], vendor_id: str | None) -> set[str]:
    return {str(value) for value in payload.values() if isinstance(value, str | int)} | {vendor_id or ""}


def _blamed(
    item: PushItem, operation: Operation, error: VendorError, verdict: Verdict, settings: GamSettings, *, alone: bool
) -> PushResult:
    outcome, reason, after = Outcome.REJECTED, verdict.reason, None
    match verdict.fate:
        case Fate.TAKEN if operation is Operation.CREATE:
            outcome, reason = Outcome.IN_DOUBT, "duplicate"
        case Fate.TAKEN:
            reason = "duplicate"
        case Fate.RETRY:
            outcome, after = Outcome.RETRY, settings.busy_wait_seconds
        case Fate.FORECAST:
            outcome, after = Outcome.RETRY, settings.forecast_wait_seconds
        case Fate.PERMISSION:
            reason = "permission"
        case Fate.TOO_LARGE if not alone:
            return _split(item, error)
        case Fate.TOO_LARGE:
            reason = "length"
        case _:
            pass
    return PushResult(
        item.key,
        outcome,
        item.vendor_id,
        error.code,
        str(error),
        path=error.field or None,
        reason=reason,
        after=after,
        evidence=_evidence((error,)),
    )


def _split(item: PushItem, error: VendorError) -> PushResult:
    return PushResult(
        item.key,
        Outcome.RETRY,
        item.vendor_id,
        BATCH_SPLIT,
        f"Not written: the call was refused and the error names no record ({error}). Each is sent alone.",
        after=0.0,
        alone=True,
        evidence=_evidence((error,)),
    )


def _evidence(errors: Sequence[VendorError]) -> Mapping[str, object]:
    return {"errors": [str(error) for error in errors[:5]]}
