"""The inventory model: the network can serve so many impressions a day, and reserved lines take their share.

Every impression matches any targeting: a simple model, there so that overbooking and forecasts have numbers from the
state. A line needs its lifetime goal in equal parts per second of its flight; an open end counts as 30 days.
"""

from __future__ import annotations

from sandbox.gam.delivery import flight_days
from sandbox.gam.line_rules import RESERVABLE_TYPES
from sandbox.gam.network import Network
from sandbox.gam.soap import Native, fail

_OPEN_END = 30 * 86_400


def daily_need(network: Network, line: Native) -> dict[str, int]:
    """Impressions a line needs on each day of the network, by ISO day."""
    goal = line["primaryGoal"]
    end = line["_end"] or line["_start"] + _OPEN_END
    span = end - line["_start"]
    days = flight_days(line["_start"], end, network.settings.time_zone)
    if goal.get("goalType") == "LIFETIME":
        return {day.isoformat(): goal["units"] * (until - begin) // span for day, (begin, until) in days}
    if line["lineItemType"] == "SPONSORSHIP":
        share = network.settings.daily_impressions * min(goal.get("units", 0), 100) // 100
        return {day.isoformat(): share for day, _ in days}
    return {}


def matched(network: Network, line: Native) -> int:
    """Impressions the network has over a line's flight."""
    end = line["_end"] or line["_start"] + _OPEN_END
    days = flight_days(line["_start"], end, network.settings.time_zone)
    return sum(network.settings.daily_impressions * (until - begin) // 86_400 for _, (begin, until) in days)


def available(network: Network, line: Native) -> int:
    """Impressions over a line's flight that no other line has reserved."""
    own = daily_need(network, line) if line.get("_reserved") else {}
    days = daily_need(network, line)
    taken = sum(network.reserved.get(day, 0) - own.get(day, 0) for day in days)
    return max(0, matched(network, line) - taken)


def has_room(network: Network, line: Native) -> bool:
    """Whether a line that is not reserved yet fits into every day of its flight."""
    limit = network.settings.daily_impressions
    return all(network.reserved.get(day, 0) + need <= limit for day, need in daily_need(network, line).items())


def is_reservable(line: Native) -> bool:
    """Whether inventory can be reserved for a line."""
    return line["lineItemType"] in RESERVABLE_TYPES


def set_reserved(network: Network, line: Native, reserved: bool) -> None:
    """Reserve or release a line's inventory; nothing if it is so already."""
    if line["_reserved"] == reserved:
        return
    line["_reserved"] = reserved
    count(network, line, 1 if reserved else -1)


def count(network: Network, line: Native, sign: int) -> None:
    """Add a line's need to what is reserved, or take it off with sign -1."""
    for day, need in daily_need(network, line).items():
        network.reserved[day] = network.reserved.get(day, 0) + sign * need


def check_forecast(network: Network, operation: str, lines: list[Native], path: str) -> None:
    """The inventory check of an action: refuses if there is no forecast yet, or too little is left.

    `path` with `{}` for the position of a line.

    Raises:
        ApiFaultError: ForecastError.NO_FORECAST_YET (fault `no_forecast`) or NOT_ENOUGH_INVENTORY.
    """
    if lines and network.faults.strikes("no_forecast", operation, write=True):
        fail("ForecastError", "NO_FORECAST_YET", path.format(0), lines[0].get("id"))
    for index, line in enumerate(lines):
        if is_reservable(line) and not line["_reserved"] and not has_room(network, line):
            fail("ForecastError", "NOT_ENOUGH_INVENTORY", path.format(index), line.get("id"))
