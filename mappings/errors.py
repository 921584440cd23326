"""What is wrong with a mapping file. One class, raised at load with every finding at once.

MappingErrors(Exception)    the file cannot be used; `.errors` holds one MappingError for each finding
MappingDefect(Exception)    the compiled code and the reference disagree: a fault of this package, not of the file
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class MappingError:
    """One finding: where (`line` counts from 1), which field, what is wrong and what would make it right."""

    file: str
    line: int
    field: str
    wrong: str
    fix: str

    def __str__(self) -> str:
        """`file:line: field: what is wrong. Fix: what to do.`"""
        return f"{self.file}:{self.line}: {self.field}: {self.wrong} Fix: {self.fix}"


class MappingErrors(Exception):  # noqa: N818 - it carries several errors, and that is its name
    """All findings of one mapping, in file order; never raised empty."""

    def __init__(self, errors: Sequence[MappingError]) -> None:
        if not errors:
            raise ValueError("MappingErrors needs at least one error")
        self.errors = tuple(sorted(set(errors)))
        super().__init__("\n".join(str(error) for error in self.errors))


class MappingDefect(Exception):  # noqa: N818 - a defect of ours, named so
    """The generated function failed where the reference did not; the record is not mapped, the mapping is to be reported."""
