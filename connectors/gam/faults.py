"""What an answer of the vendor means: typed errors out of a fault, and their fate from a table.

Pure: no request, no clock. The table is `facts/errors.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

_FACTS = Path(__file__).parent / "facts"
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_INDEX = re.compile(r"^([A-Za-z]*)\[(\d+)\]")
_ERROR_STRING = re.compile(r"^[A-Za-z]+Error\.[A-Z0-9_]+$")
_IN_MESSAGE = re.compile(
    r"\[(?P<code>[A-Za-z]+Error(?:\.[A-Z0-9_]+)?) @ (?P<path>(?:[^;\[\]]|\[\d+\])*)(?:; trigger:'(?P<trigger>.*?)')?\]"
)


class Fate(StrEnum):
    """What an error means for the call or the record."""

    RETRY = "retry"
    QUOTA = "quota"
    REPORT_QUOTA = "report_quota"
    FORECAST = "forecast"
    WRITTEN = "written"
    UNSURE = "unsure"
    TAKEN = "taken"
    TOO_LARGE = "too_large"
    TOKEN = "token"  # noqa: S105 - a fate, not a secret
    AUTH = "auth"
    PERMISSION = "permission"
    MISCONFIGURED = "misconfigured"
    DEFECT = "defect"
    REJECT = "reject"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VendorError:
    """One entry of `ApiException.errors`: `code` is `Type.REASON`, `index` the position in the batch if it names one."""

    code: str
    path: str = ""
    trigger: str = ""
    index: int | None = None

    @property
    def root(self) -> str:
        """The word before the position in the batch: `lineItem` of `lineItem[3].name`, empty for `[3].name`."""
        found = _INDEX.match(self.path)
        return found.group(1) if found else ""

    @property
    def field(self) -> str:
        """The field path without the position in the batch: `[3].name` and `lineItem[3].name` are `name`."""
        return re.sub(r"^[A-Za-z]*\[\d+\]\.?", "", self.path)

    def __str__(self) -> str:
        where = f" @ {self.path}" if self.path else ""
        what = f"; trigger:'{self.trigger[:80]}'" if self.trigger else ""
        return f"[{self.code}{where}{what}]"


class Refused(Exception):  # noqa: N818 - the vendor's typed answer, on its way to a decision
    """The vendor answered with an ApiException; never leaves this package."""

    def __init__(self, errors: Iterable[VendorError], message: str) -> None:
        self.errors = tuple(errors)
        self.message = " ".join(message.split())[:500]
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row of the table."""

    fate: Fate
    reason: str | None = None


@cache
def _table() -> tuple[tuple[str, Verdict], ...]:
    rows = json.loads((_FACTS / "errors.json").read_text("utf-8"))["errors"]
    return tuple((row["code"], Verdict(Fate(row["fate"]), row.get("reason"))) for row in rows)


@cache
def verdict(code: str, retryable: frozenset[str] = frozenset()) -> Verdict:
    """What an error of this code means; UNKNOWN when the table has no row for it."""
    if code in retryable:
        return Verdict(Fate.RETRY)
    for pattern, known in _table():
        if code == pattern or (pattern.endswith(".*") and code.split(".")[0] == pattern[:-2]):
            return known
    return Verdict(Fate.UNKNOWN)


def read_fault(detail: Any, message: str | None) -> Refused:
    """The typed errors of a SOAP fault's detail element; of its message when there is no readable detail.

    Read from the XML itself rather than through zeep: an error type that the WSDL does not know (the vendor adds some
    every quarter) must not hide the others.
    """
    words = message or ""
    errors: list[VendorError] = []
    if detail is not None and not isinstance(detail, str | bytes):
        for element in detail.iter():
            if isinstance(element.tag, str) and _local(element.tag) == "errors":
                errors.append(_error(element))
    if not errors:
        errors = list(read_message(words))
    return Refused(errors, words)


def read_message(message: str) -> tuple[VendorError, ...]:
    """The errors named in a fault string such as `[UniqueError.NOT_UNIQUE @ [0].name; trigger:'x']`."""
    return tuple(
        VendorError(found["code"], found["path"].strip(), found["trigger"] or "", _index(found["path"]))
        for found in _IN_MESSAGE.finditer(message)
    )


def _error(element: Any) -> VendorError:
    parts: dict[str, str] = {}
    index: int | None = None
    steps = 0
    for child in element:
        name = _local(child.tag) if isinstance(child.tag, str) else ""
        if name == "fieldPathElements":
            if not steps:
                at = next((c.text for c in child if isinstance(c.tag, str) and _local(c.tag) == "index"), None)
                index = int(at) if at is not None and at.strip().isdigit() else None
            steps += 1
        elif name:
            parts[name] = (child.text or "").strip()
    kind = str(element.get(_XSI_TYPE) or parts.get("ApiError.Type") or "ApiError").rsplit(":", 1)[-1]
    text = parts.get("errorString", "")
    if _ERROR_STRING.match(text):
        code = text
    elif parts.get("reason"):
        code = f"{kind}.{parts['reason']}"
    else:
        code = kind
    path = parts.get("fieldPath", "")
    named = _index(path)
    return VendorError(code, path, parts.get("trigger", ""), index if named is None else named)


def _index(path: str) -> int | None:
    """The position in the batch: it stands in the first step of a path (`[0].name`, `lineItem[0].orderId`)."""
    found = _INDEX.match(path)
    return int(found.group(2)) if found else None


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def actions(record: str) -> Mapping[str, Mapping[str, Any]]:
    """The vendor's verbs for a record type and what shows that one was done."""
    return _actions().get(record, {})


@cache
def _actions() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    facts = json.loads((_FACTS / "actions.json").read_text("utf-8"))
    return {record: verbs for record, verbs in facts.items() if record != "about"}
