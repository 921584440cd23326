"""Why a report is not loaded. Both leave every fact as it was.

ReportRefused       the report is not usable, or not proven to be whole
└── ReportHeld      it is readable, but a person has to look at it first
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.errors import Refused

ENOUGH = 2
"""Other days that a line must have before one of its days can be called unusual."""

RARER = {"clicks": 10}
"""A click costs what many impressions do, so a tenth of the floor holds there."""


class ReportRefused(Refused):
    """`code` is stable, for tables and tests; the message is the sentence."""

    def __init__(self, source: str, code: str, what: str, who: str) -> None:
        self.source = source
        self.code = code
        super().__init__(f"{what} Nothing of the report of {source} was loaded. {who}")


Outlier = tuple[str, str, int, int, str]
"""Line vendor id, day, number, the line's largest other day, unit."""


class ReportHeld(ReportRefused):
    """Numbers far beyond what these lines ever had. `way` is how somebody who looked at them has the report loaded."""

    def __init__(
        self, source: str, outliers: Sequence[Outlier], times: int, way: str = "loads it again with --accept-outliers"
    ) -> None:
        self.outliers = tuple(outliers)
        line, day, number, usual, unit = self.outliers[0]
        what = f"{number:,} {unit.replace('_', ' ')} on {day}"
        more = f" (and {len(self.outliers) - 1} more)" if len(self.outliers) > 1 else ""
        super().__init__(
            source,
            "outlier",
            f"Line {line} has {what}, over {times} times its largest other day of {usual:,}{more}.",
            f"Somebody looks at it and {way}, or asks the source for a corrected report.",
        )
