"""Every targeting column of an order book reaches the ad server's line: in its targeting, or in its notes and listed."""

from __future__ import annotations

import csv
import io

from cli.demo.crm_seed import TARGETING_FIELDS, line_item
from cli.demo.generated_book import generated_book
from cli.demo.order_book import TARGETING_COLUMNS, parse_order_book

from .conftest import World

EXCLUDED = ("Electoral Districts (Excluded)", "Radius Targeting (Excluded)", "Location Categories (Excluded)")


def test_every_value_of_every_column_is_expressed_or_listed_and_in_the_notes(world: World) -> None:
    header, first, *_ = csv.reader(io.StringIO(generated_book(1).decode(), newline=""))
    columns = dict(zip(header, first, strict=True))
    made_up = {column: f"first {number},second {number}" for number, column in enumerate(TARGETING_COLUMNS)}
    out = io.StringIO(newline="")
    csv.writer(out).writerows([header, [{**columns, **made_up}[column] for column in header]])
    (line,) = parse_order_book(out.getvalue().encode(), source="a made-up row").lines
    world.ads.names = {("Geo_Target:REGION", "first 3"): "21176"}
    world.book(lines=0)
    world.crm.line("00k1", "006A", **line_item(line, "006A", "01u"))
    world.hub.intake("sfdc")
    plan = world.hub.plan("gam-main")
    assert plan.values_asked == 2 * len(TARGETING_COLUMNS)
    assert plan.values_expressed + plan.values_lost == plan.values_asked
    assert plan.values_expressed >= 1
    lost = {value for item in plan.items for _, value, _ in item.losses}
    assert {value for column in EXCLUDED for value in made_up[column].split(",")} <= lost
    world.rest()
    (live,) = world.ads.live("LineItem")
    assert [value for value in lost if value not in live["notes"]] == []


def test_every_targeting_column_has_a_field_in_the_crm() -> None:
    assert set(TARGETING_FIELDS) == set(TARGETING_COLUMNS)
    assert len(set(TARGETING_FIELDS.values())) == len(TARGETING_FIELDS)
