"""Availability forecasts from the simple inventory model of `reservations`."""

from __future__ import annotations

from sandbox.gam.line_rules import check_line
from sandbox.gam.line_status import delivered_units
from sandbox.gam.network import Network
from sandbox.gam.reservations import available, daily_need, is_reservable, matched
from sandbox.gam.soap import Findings, Native, fail


def get_availability_forecast(network: Network, prospective: Native, options: Native) -> Native:
    """What could be booked for a line item that may not exist yet. An id of an existing line means that line, changed.

    The line is checked by the rules of a new line, except that it needs no order.
    """
    line = prospective.get("lineItem")
    if line is None:
        fail(
            "FeatureError" if prospective.get("proposalLineItem") else "RequiredError",
            _missing(prospective),
            "lineItem",
        )
    _check_forecast_exists(network, "getAvailabilityForecast", line.get("id"))
    old = network.tables["LineItem"].get(line.get("id"))
    defaults: Native = {"orderId": 0, "name": "prospective", "creativeRotationType": "OPTIMIZED"}
    findings = Findings()
    row = check_line(network, {**defaults, **line}, old, "lineItem", findings)
    findings.refuse()
    row["_reserved"] = old is not None and old["_reserved"]
    return _forecast(network, row, old, line.get("orderId"), options)


def get_availability_forecast_by_id(network: Network, line_id: int, options: Native) -> Native:
    """What is left for a line item that exists; only for SPONSORSHIP and STANDARD lines."""
    _check_forecast_exists(network, "getAvailabilityForecastById", line_id)
    line = network.tables["LineItem"].get(line_id)
    if line is None:
        fail("CommonError", "NOT_FOUND", "lineItemId", line_id)
    if not is_reservable(line):
        fail("ReservationDetailsError", "LINE_ITEM_TYPE_NOT_ALLOWED", "lineItemId", line["lineItemType"])
    return _forecast(network, line, line, line["orderId"], options)


def _missing(prospective: Native) -> str:
    return "MISSING_FEATURE" if prospective.get("proposalLineItem") else "REQUIRED"


def _check_forecast_exists(network: Network, operation: str, line_id: int | None) -> None:
    # A forecast changes nothing, yet it is what the fault is about: with no operations named it strikes here too.
    if network.faults.strikes("no_forecast", operation, write=True):
        fail("ForecastError", "NO_FORECAST_YET", "lineItem", line_id)


def _forecast(network: Network, line: Native, stored: Native | None, order_id: int | None, options: Native) -> Native:
    free = available(network, line)
    forecast: Native = {
        "lineItemId": stored["id"] if stored else None,
        "orderId": order_id,
        "unitType": line["primaryGoal"]["unitType"],
        "availableUnits": free,
        "deliveredUnits": delivered_units(network, stored, network.now()) if stored else 0,
        "matchedUnits": matched(network, line),
        "possibleUnits": matched(network, line),
        "reservedUnits": line["primaryGoal"].get("units", 0),
    }
    if options.get("includeContendingLineItems"):
        forecast["contendingLineItems"] = _contending(network, line, stored)
    return forecast


def _contending(network: Network, line: Native, stored: Native | None) -> list[Native]:
    days = daily_need(network, line)
    contending = []
    for other in network.tables["LineItem"]:
        if not other["_reserved"] or (stored is not None and other["id"] == stored["id"]):
            continue
        need = sum(units for day, units in daily_need(network, other).items() if day in days)
        if need:
            contending.append({"lineItemId": other["id"], "contendingImpressions": need})
    return contending
