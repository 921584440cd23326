"""The vendor's typed errors, and the exception that carries them to the fault.

Every rule of the sandbox refuses with one of these; the types and reasons are those of the contract table, which the
door checks when it writes the fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

# Types without a `reason`; the text `UniqueError.NOT_UNIQUE` is seen in prebid/salesagent#351.
_WITHOUT_REASON = {"UniqueError": "NOT_UNIQUE", "TypeError": "INVALID_TYPE"}
_SEGMENT = re.compile(r"^([^\[\]]*)(?:\[(\d+)\])?$")


@dataclass(frozen=True)
class ApiError:
    """One typed error. `path` is the OGNL path to the offending value (`lineItem[3].costPerUnit`), may be empty."""

    type: str
    reason: str | None = None
    path: str = ""
    trigger: str | None = None

    @property
    def error_string(self) -> str:
        """For instance `UniqueError.NOT_UNIQUE`."""
        return f"{self.type}.{self.reason or _WITHOUT_REASON[self.type]}"

    def __str__(self) -> str:
        trigger = f"; trigger:'{self.trigger}'" if self.trigger is not None else ""
        return f"[{self.error_string} @ {self.path}{trigger}]"

    def path_elements(self) -> list[dict[str, str | int]]:
        """The path cut at its dots: field and, for lists, index."""
        elements: list[dict[str, str | int]] = []
        for segment in filter(None, self.path.split(".")):
            match = _SEGMENT.match(segment)
            if match is None:
                raise ValueError(f"'{self.path}' is no field path")
            element: dict[str, str | int] = {"field": match[1]}
            if match[2] is not None:
                element["index"] = int(match[2])
            elements.append(element)
        return elements


class ApiFaultError(Exception):
    """A refused call: nothing of it was applied. The message joins the errors as the vendor does."""

    def __init__(self, *errors: ApiError) -> None:
        super().__init__(", ".join(map(str, errors)))
        self.errors = errors


def fail(type_name: str, reason: str | None = None, path: str = "", trigger: object = None) -> NoReturn:
    """Refuse the call with one error.

    Raises:
        ApiFaultError: always.
    """
    raise ApiFaultError(ApiError(type_name, reason, path, None if trigger is None else str(trigger)))


class Findings:
    """Collects all errors of a call, because the vendor reports them together."""

    def __init__(self) -> None:
        self._errors: list[ApiError] = []

    def add(self, type_name: str, reason: str | None = None, path: str = "", trigger: object = None) -> None:
        """Note one error."""
        self._errors.append(ApiError(type_name, reason, path, None if trigger is None else str(trigger)))

    def __len__(self) -> int:
        return len(self._errors)

    def refuse(self) -> None:
        """End the call if there is any error.

        Raises:
            ApiFaultError: with all that was found.
        """
        if self._errors:
            raise ApiFaultError(*self._errors)
