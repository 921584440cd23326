"""Transforms of Salesforce's spellings: its date-times and the life of an Opportunity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from mappings.kinds import Kind
from mappings.registry import Pair, Quick, Refused, transform
from oms_schema.problems import Reason


@transform("salesforce_datetime", takes=Kind.WIRE_DATETIME, gives=Kind.INSTANT)
def salesforce_datetime() -> Pair:
    """`2020-01-29T15:00:00.000+0000` to an aware UTC instant and back; a date-time without offset is refused."""

    def forward(value: str) -> datetime:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is None:
            raise Refused("no_offset", "it has no offset from UTC")
        return instant.astimezone(UTC)

    return Pair(forward, _written)


@transform("salesforce_datetime_text", takes=Kind.INSTANT, gives=Kind.WIRE_DATETIME)
def salesforce_datetime_text() -> Pair:
    """An aware instant as `2020-01-29T15:00:00.000+0000`; Salesforce keeps whole seconds, so milliseconds are cut."""
    return Pair(lambda value: _written(value.replace(microsecond=0)))


def _written(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}+0000"


@transform("salesforce_utc_time", takes=Kind.WIRE_DATETIME, gives=Kind.LOCAL)
def salesforce_utc_time() -> Pair:
    """A Salesforce date-time as UTC time of day without offset, for flights whose zone is UTC; whole seconds only."""

    def forward(value: str) -> datetime:
        if len(value) == 28 and value[-9:] == ".000+0000":
            return datetime.fromisoformat(value[:-9])
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is None:
            raise Refused("no_offset", "it has no offset from UTC")
        if instant.microsecond:
            raise Refused(
                "fraction_of_second", "a flight begins and ends at whole seconds", fix="round it to the second"
            )
        return instant.astimezone(UTC).replace(tzinfo=None)

    whole = "{from_iso}({0}[:-9]) if len({0}) == 28 and {0}[-9:] == '.000+0000' else {call}"
    quick = Quick(whole, {"from_iso": datetime.fromisoformat})
    return Pair(forward, lambda value: f"{value:%Y-%m-%dT%H:%M:%S}.000+0000", quick=quick)


@transform(
    "opportunity_status",
    takes=[Kind.BOOLEAN, Kind.BOOLEAN, Kind.TEXT],
    gives=frozenset({Kind.TEXT, Kind.ENUM}),
    absent=True,
)
def opportunity_status(won: str, lost: str, open_stages: Mapping[str, str]) -> Pair:
    """IsClosed, IsWon and StageName to a commercial status.

    Orgs rename stages, so a closed opportunity is told by its flags alone; `open_stages` says what an open one means.
    """

    def forward(closed: bool | None, is_won: bool | None, stage: str | None) -> str:
        if not isinstance(closed, bool) or not isinstance(is_won, bool):
            raise Refused("required_missing", "IsClosed and IsWon are not both there, and the status hangs on them")
        if is_won:
            return won
        if closed:
            return lost
        status = open_stages.get(stage) if stage is not None else None
        if status is None:
            raise Refused(
                "unknown_value_held",
                f"the mapping does not know this open stage; it knows {', '.join(sorted(open_stages))}",
                reason=Reason.PICKLIST,
                fix="add the stage to the mapping's open_stages, or move the opportunity to a known stage",
            )
        return status

    return Pair(forward, None, frozenset({won, lost, *open_stages.values()}))
