"""An instant on the time line: always aware, always kept in UTC, so that equal instants have equal bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the instant lies at the edge of the calendar, outside the years that UTC has") from None


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""An aware datetime, converted to UTC on the way in. A naive one is a validation error."""
