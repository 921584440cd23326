"""Transforms of Ad Manager's shapes: its names, date-times, goals, placeholders, targeting and notes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from mappings.context import Context, Lookup
from mappings.gam.targeting import Expressed, Expression, by_kind, expression_of, heading
from mappings.kinds import Kind
from mappings.memory import remembered
from mappings.registry import Loss, Pair, Quick, Refused, Resolving, settings_of, transform
from oms_schema.creative import CreativePlaceholder
from oms_schema.line import Commitment, GoalMeasure
from oms_schema.problems import Reason
from oms_schema.targeting import Criterion, Dimension

NAME_LENGTH = 255
"""Order.name and LineItem.name [S]."""
NOTES_LENGTH = 65_535
"""Order.notes and LineItem.notes [S]."""
_TOKEN = 12
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_GUARANTEED, _SPONSORSHIP, _HOUSE, _PERCENT = (
    Commitment.GUARANTEED,
    Commitment.SPONSORSHIP,
    Commitment.HOUSE,
    GoalMeasure.PERCENT,
)  # an enum's member as its attribute takes 90 ns


@transform("gam_order_name", takes=[Kind.TEXT, Kind.TEXT], gives=Kind.TEXT)
def gam_order_name() -> Resolving:
    """A readable name and a token of the canonical id, `Spring launch [k3v9x2m4q7ab 1/2]`, at most 255 characters.

    Order names are unique in a network, archived orders included [I], so the name is how a lost reply is settled. The
    token is the first 60 bits of the id; `1/2` stands there only when the order has several parts.
    """

    def forward(name: str, entity_id: str, context: Context) -> str:
        token = entity_id.partition("_")[2][:_TOKEN]
        part = f" {context.facet}/{context.facets}" if context.facets > 1 else ""
        mark = f" [{token}{part}]"
        return name[: NAME_LENGTH - len(mark)].rstrip() + mark

    return Resolving(forward)


@transform("gam_datetime", takes=[Kind.LOCAL, Kind.TEXT], gives=Kind.WIRE_DATETIME)
def gam_datetime() -> Pair:
    """A local time and its zone as Ad Manager's DateTime; the second of two equal hours is told in UTC instead, because
    DateTime cannot say which one it means."""

    def forward(value: datetime, zone: str) -> dict[str, Any]:
        if value.fold:
            value, zone = value.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC), "UTC"
        return _wire_time(value, zone)

    return Pair(forward, quick=Quick("{call} if {0}.fold else {wire_time}({0}, {1})", {"wire_time": _wire_time}))


@remembered(4096)  # the lines of an order mostly begin and end together; equal datetimes differ in their fold alone
def _wire_time(value: datetime, zone: str) -> dict[str, Any]:
    return {
        "date": {"year": value.year, "month": value.month, "day": value.day},
        "hour": value.hour,
        "minute": value.minute,
        "second": value.second,
        "timeZoneId": zone,
    }


@transform("gam_commitment", takes=[Kind.ENUM, Kind.LOCAL], gives=Kind.ENUM, absent=True)
def gam_commitment() -> Pair:
    """The commitment, if Ad Manager can hold it: a guaranteed line without an end is refused (`unlimitedEndDateTime` is
    for SPONSORSHIP, NETWORK, PRICE_PRIORITY and HOUSE only [S])."""

    def forward(commitment: Commitment, end: datetime | None) -> Commitment:
        if end is None and commitment is _GUARANTEED:
            raise Refused(
                "guaranteed_without_end",
                "Ad Manager guarantees nothing without an end of the flight",
                fix="enter the end of the flight, or sell the line as non-guaranteed",
            )
        return commitment

    return Pair(forward, None, frozenset(Commitment), Quick("{call} if {1} is None else {0}"))


@transform("gam_goal_units", takes=[Kind.INTEGER, Kind.ENUM, Kind.ENUM], gives=Kind.INTEGER)
def gam_goal_units() -> Pair:
    """The goal's number: a percentage for SPONSORSHIP and HOUSE, a count for the others [S]."""

    def forward(quantity: int, measure: GoalMeasure, commitment: Commitment) -> int:
        share = commitment is _SPONSORSHIP or commitment is _HOUSE
        if share is not (measure is _PERCENT):
            wanted = "a percentage" if share else "a count"
            raise Refused("goal_measure", f"a goal of a {commitment} line is {wanted} in Ad Manager")
        return quantity

    counted = {"count": GoalMeasure.COUNT, "guaranteed": _GUARANTEED}
    return Pair(forward, quick=Quick("{0} if {1} is {count} and {2} is {guaranteed} else {call}", counted))


@transform("gam_placeholders", takes=[Kind.LIST], gives=Kind.LIST, absent=True)
def gam_placeholders(default_size: str) -> Resolving:
    """The creative sizes expected; a line that names none gets one of the connection's setting `creative_size`."""
    usual = _one_of_size(default_size)

    def forward(creatives: Sequence[CreativePlaceholder] | None, context: Context) -> list[dict[str, Any]]:
        if not creatives:
            setting = context.setting("creative_size") or default_size
            try:
                return _one_of_size(setting)
            except ValueError as fault:
                raise Refused(
                    "setting_wrong",
                    f"the mapping setting creative_size is wrong: {fault}",
                    reason=Reason.MAPPING,
                    fix="correct mapping_settings.creative_size of this connection in the configuration",
                ) from None
        return [_placeholder(c.width, c.height, c.count) for c in creatives]

    none_named = "{call} if {0} or context.setting('creative_size') else {usual}"
    return Resolving(forward, quick=Quick(none_named, {"usual": usual}))


def _placeholder(width: int, height: int, count: int) -> dict[str, Any]:
    return {"size": {"width": width, "height": height, "isAspectRatio": False}, "expectedCreativeCount": count}


@lru_cache(maxsize=64)
def _one_of_size(text: str) -> list[dict[str, Any]]:
    return [_placeholder(*_size(text), 1)]


def _size(text: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no size in pixels, for instance 320x480")
    return int(match.group(1)), int(match.group(2))


@transform("gam_targeting", takes=[Kind.LIST], gives=Kind.OBJECT, absent=True)
def gam_targeting(geo: Mapping[str, str], custom: Mapping[str, str]) -> Resolving:
    """Targeting by place and by custom key-value, below the ad unit of the setting `root_ad_unit_id`.

    `geo` names the Geo_Target type of each dimension, `custom` the targeting key. What it cannot express is a loss.
    """
    expression = _expression(geo, custom)

    def forward(expressed: Expressed, context: Context) -> dict[str, Any]:
        root = context.setting("root_ad_unit_id")
        return expressed.below(settings_of(context, "root_ad_unit_id") if root is None else root)

    def losses(criteria: Sequence[Criterion] | None, context: Context) -> tuple[Loss, ...]:
        return expression.express(criteria, context).losses

    below = "{0}.whole if {0}.whole is not None and {0}.root == context.setting('root_ad_unit_id') else {call}"
    return Resolving(
        forward,
        expression.lookups,
        losses,
        lambda criteria: sum(len(c.values) for c in criteria or ()),
        expression.shared,
        Quick(below),
    )


@transform("gam_notes", takes=[Kind.TEXT, Kind.TEXT, Kind.LIST], gives=Kind.TEXT, absent=True)
def gam_notes(geo: Mapping[str, str], custom: Mapping[str, str]) -> Resolving:
    """The line's notes, its brand, and the targeting that could not be expressed, for the trafficker's eyes.

    At most 65,535 characters; beyond that the list is cut and says how many values are missing. `geo` and `custom` are
    those of `gam_targeting`.
    """
    expression = _expression(geo, custom)

    def forward(notes: str | None, brand: str | None, expressed: Expressed, context: Context) -> str | None:
        head = notes or ""
        if brand:
            head = f"{head}\nBrand: {brand}" if head else f"Brand: {brand}"
        return (_note(head, expressed) if expressed.listed else head[:NOTES_LENGTH]) or None

    def lookups(notes: str | None, brand: str | None, criteria: Sequence[Criterion] | None) -> frozenset[Lookup]:
        return expression.lookups(criteria)

    return Resolving(
        forward, lookups, shared=expression.shared, quick=Quick("{call} if {0} or {1} or {2}.listed else None")
    )


def _expression(geo: Mapping[str, str], custom: Mapping[str, str]) -> Expression:
    for name in (*geo, *custom):
        if name not in set(Dimension):
            raise ValueError(f"{name!r} is no dimension of targeting; they are {', '.join(Dimension)}")
    both = sorted(set(geo) & set(custom))
    if both:
        raise ValueError(f"{', '.join(both)} stands under geo and under custom")
    return expression_of(tuple(sorted(geo.items())), tuple(sorted(custom.items())))


def _note(head: str, expressed: Expressed) -> str:
    """Head and losses, of which there are some, within NOTES_LENGTH; the head is cut last."""
    listed = expressed.listed
    whole = f"{head}\n{listed}" if head else listed
    if len(whole) <= NOTES_LENGTH:
        return whole
    title, groups = heading(expressed.lost), by_kind(expressed.lost)
    parts = [part for part in (head[: NOTES_LENGTH // 2], title) if part]
    room = NOTES_LENGTH - len("\n".join(parts)) - 60  # the closing sentence takes less than 60 characters
    kept, shown = [], 0
    for name, values in groups.items():
        line = f"{name}:"
        for value in values:
            room_needed = len(value) + 3
            if room - len(line) - 1 < room_needed:
                break
            line += f" {value} |"
            shown += 1
        else:
            kept.append(line.removesuffix(" |"))
            room -= len(line) + 1
            continue
        kept.append(line.removesuffix(" |"))
        break
    return "\n".join([*parts, *kept, f"… and {len(expressed.losses) - shown} more values."])
