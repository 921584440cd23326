"""A line item's status, delivery and figures: all computed from the order's approval, creatives, clock and flight."""

from __future__ import annotations

from decimal import Decimal

from sandbox.gam.moments import day_of
from sandbox.gam.network import Network
from sandbox.gam.soap import Native

DAY = 86_400
_PER_UNIT = {"CPM": 1000, "VCPM": 1000, "CPM_IN_TARGET": 1000, "CPC": 1, "CPCV": 1}


def line_creatives(network: Network, line_id: int) -> list[Native]:
    """A line's active associations."""
    rows = network.tables["LineItemCreativeAssociation"].having("lineitemid", line_id)
    return [row for row in rows if row["status"] == "ACTIVE"]


def is_live(network: Network, line: Native) -> bool:
    """Whether a line is approved and has an active creative: what it takes to deliver, whatever the clock says."""
    return line["_review"] == "APPROVED" and bool(line_creatives(network, line["id"]))


def delivered(network: Network, line: Native, now: int) -> dict[str, int]:
    """What a line has delivered until now, by metric; empty if nothing."""
    return network.delivery.lifetime(line.get("externalId"), now) if delivers(network, line) else {}


def delivers(network: Network, line: Native) -> bool:
    """Whether the true delivery set for a line's external id is this line's: it is live and the oldest such line."""
    external_id = line.get("externalId")
    if network.delivery.get(external_id) is None or not is_live(network, line):
        return False
    twins = network.tables["LineItem"].having("externalid", external_id)
    return all(twin["id"] >= line["id"] or not is_live(network, twin) for twin in twins)


def line_status(network: Network, line: Native, now: int) -> str:
    """The ComputedStatus of a line.

    A line that never had a creative stays INACTIVE after its flight: it has not run, so it has not completed its run
    (the vendor's documents do not say which of the two it shows).
    """
    if line["_review"] != "APPROVED":
        return str(line["_review"])
    if line["_released"]:
        return "PAUSED_INVENTORY_RELEASED"
    if not line_creatives(network, line["id"]):
        return "PAUSED" if line["_paused"] else "INACTIVE"
    if line["_end"] is not None and now >= line["_end"]:
        extended = line["_end"] + line.get("autoExtensionDays", 0) * DAY
        if now < extended and not goal_met(network, line, now):
            return "PAUSED" if line["_paused"] else "DELIVERY_EXTENDED"
        return "COMPLETED"
    if goal_met(network, line, now):
        return "COMPLETED"
    if line["_paused"]:
        return "PAUSED"
    return "READY" if now < line["_start"] else "DELIVERING"


def goal_met(network: Network, line: Native, now: int) -> bool:
    """Whether a lifetime goal has been reached."""
    goal = line["primaryGoal"]
    return goal.get("goalType") == "LIFETIME" and delivered_units(network, line, now) >= int(goal["units"])


def delivered_units(network: Network, line: Native, now: int) -> int:
    """What counts towards the line's goal, in its unit."""
    metric = {
        "CLICKS": "clicks",
        "VIEWABLE_IMPRESSIONS": "viewable_impressions",
        "COMPLETED_VIEWS": "video_completions",
    }
    unit = metric.get(line["primaryGoal"].get("unitType", ""), "impressions")
    return delivered(network, line, now).get(unit, 0)


def is_missing_creatives(network: Network, line: Native) -> bool:
    """Whether any placeholder has fewer active creatives of its size than it expects."""
    sizes: dict[tuple[int, int], int] = {}
    for row in line_creatives(network, line["id"]):
        creative = network.tables["Creative"].get(row["creativeId"])
        for size in row.get("sizes") or ([creative["size"]] if creative else ()):
            key = (size.get("width", 0), size.get("height", 0))
            sizes[key] = sizes.get(key, 0) + 1
    return any(
        sizes.get((place["size"].get("width", 0), place["size"].get("height", 0)), 0) < place["expectedCreativeCount"]
        for place in line["creativePlaceholders"]
    )


def line_budget(line: Native) -> int:
    """What a line costs if its goal is met: micros of its own currency, rounded half up; 0 for percentage goals."""
    goal, cost = line["primaryGoal"], line["costPerUnit"]["microAmount"]
    if line["costType"] == "CPD":
        days = 1 if line["_end"] is None else -(-(line["_end"] - line["_start"]) // DAY)
        return int(cost * days)
    if goal.get("goalType") != "LIFETIME" or line["costType"] not in _PER_UNIT:
        return 0
    return int((Decimal(cost) * goal["units"] / _PER_UNIT[line["costType"]]).quantize(Decimal(1), "ROUND_HALF_UP"))


def stats(network: Network, line: Native, now: int) -> Native | None:
    """A line's Stats, None before it has any."""
    figures = delivered(network, line, now)
    if not any(figures.values()):
        return None
    return {
        "impressionsDelivered": figures.get("impressions", 0),
        "clicksDelivered": figures.get("clicks", 0),
        "videoCompletionsDelivered": figures.get("video_completions", 0),
        "videoStartsDelivered": figures.get("video_completions", 0),
        "viewableImpressionsDelivered": figures.get("viewable_impressions", 0),
    }


def delivery_indicator(network: Network, line: Native, now: int) -> Native | None:
    """How a delivering line with a lifetime goal and an end is doing, in percent of its goal."""
    goal = line["primaryGoal"]
    if goal.get("goalType") != "LIFETIME" or line["_end"] is None or line_status(network, line, now) != "DELIVERING":
        return None
    elapsed = (now - line["_start"]) / (line["_end"] - line["_start"])
    return {
        "expectedDeliveryPercentage": round(100 * elapsed, 6),
        "actualDeliveryPercentage": round(100 * delivered_units(network, line, now) / goal["units"], 6),
    }


def delivery_data(network: Network, line: Native, now: int) -> Native | None:
    """Impressions of the last seven days, oldest first, None for a line that delivers nothing."""
    if not delivers(network, line):
        return None
    zone_name = network.settings.time_zone
    first, last = day_of(now - 7 * DAY, zone_name), day_of(now - DAY, zone_name)
    figures = {
        day: by_metric.get("impressions", 0)
        for day, by_metric in network.delivery.days(line["externalId"], first, last, now)
    }
    if not figures:
        return None
    return {"units": [figures.get(day_of(now - back * DAY, zone_name), 0) for back in range(7, 0, -1)]}
