"""Rules that one record cannot break alone: a line against its order, and a line's goal against what its price buys.

Pure functions that answer with all problems at once; they raise nothing. Whoever plans a write asks them first.
"""

from __future__ import annotations

from collections.abc import Mapping

from oms_schema.currencies import check_currency
from oms_schema.line import CostMethod, Goal, GoalMeasure, GoalUnit, Line
from oms_schema.order import Order
from oms_schema.party import PartyRole
from oms_schema.problems import Problem, Reason, shown

GOAL_UNITS: Mapping[CostMethod, frozenset[GoalUnit]] = {
    CostMethod.CPM: frozenset({GoalUnit.IMPRESSIONS}),
    CostMethod.VCPM: frozenset({GoalUnit.VIEWABLE_IMPRESSIONS}),
    CostMethod.CPC: frozenset({GoalUnit.CLICKS, GoalUnit.IMPRESSIONS}),
    CostMethod.CPCV: frozenset({GoalUnit.COMPLETED_VIEWS, GoalUnit.IMPRESSIONS}),
    CostMethod.CPD: frozenset({GoalUnit.DAYS, GoalUnit.IMPRESSIONS}),
    CostMethod.FLAT: frozenset(GoalUnit),
    CostMethod.CPA: frozenset({GoalUnit.CONVERSIONS, GoalUnit.IMPRESSIONS}),
}
"""What a goal may count for each cost method: what is paid for, or impressions where that is how delivery is steered."""

_OWNER = "Sales"
_EFFECT = "The line is kept and not sent."


def check_line_against_order(order: Order, line: Line) -> tuple[Problem, ...]:
    """LINE-ORDER, CURRENCY-MISMATCH (price and budget), and what `check_line` finds."""
    problems: list[Problem] = []
    if line.order_id != order.id:
        problems.append(
            _problem(
                "LINE-ORDER",
                "order_id",
                line.order_id,
                f"The line belongs to order {line.order_id}, not to {order.id}.",
                "Operations looks up why the two were put together.",
                owner="Operations",
            )
        )
    currencies = {"price.currency": line.price.currency}
    if line.budget is not None:
        currencies["budget.currency"] = line.budget.currency
    problems += [
        _problem(
            "CURRENCY-MISMATCH",
            path,
            currency,
            f"The line's {path.split('.')[0]} is in {currency} and its order is in {order.currency}.",
            f"{_OWNER} gives the line and its order one currency at the source.",
        )
        for path, currency in currencies.items()
        if currency != order.currency
    ]
    return (*problems, *check_line(line))


def check_line(line: Line) -> tuple[Problem, ...]:
    """GOAL-UNIT and GOAL-PERCENT for the line's goal and each flight's, and FLIGHT-GOALS when they do not add up."""
    problems = list(_check_goal("goal", line.goal, line.price.method))
    for number, flight in enumerate(line.flights):
        if flight.goal is not None:
            problems += _check_goal(f"flights[{number}].goal", flight.goal, line.price.method)
    goals = [flight.goal for flight in line.flights]
    comparable = [g for g in goals if g and g.measure is GoalMeasure.COUNT and g.unit is line.goal.unit]
    if goals and len(comparable) == len(goals) and line.goal.measure is GoalMeasure.COUNT:
        booked = sum(g.quantity for g in comparable)
        if booked != line.goal.quantity:
            problems.append(
                _problem(
                    "FLIGHT-GOALS",
                    "flights",
                    booked,
                    f"The goals of the flights add up to {booked:,} and the line's goal is {line.goal.quantity:,}.",
                    f"{_OWNER} corrects the goals at the source.",
                )
            )
    return tuple(problems)


def check_order(order: Order) -> tuple[Problem, ...]:
    """CURRENCY-UNKNOWN; PARTY-MISSING when nobody is the advertiser; PARTY-ROLE-TWICE when several parties play one role."""
    problems = list(check_currency("currency", order.currency))
    if order.party(PartyRole.ADVERTISER) is None:
        problems.append(
            _problem(
                "PARTY-MISSING",
                "parties[role=advertiser].party_id",
                None,
                f"The order {shown(order.name)!r} names no advertiser.",
                f"{_OWNER} names the advertiser at the source.",
                effect="The order is kept and not sent.",
            )
        )
    for role in PartyRole:
        players = list(dict.fromkeys(p.party_id for p in order.parties if p.role is role))
        if len(players) > 1:
            problems.append(
                _problem(
                    "PARTY-ROLE-TWICE",
                    f"parties[role={role}].party_id",
                    ", ".join(players),
                    f"The order {shown(order.name)!r} names {len(players)} parties as {role}.",
                    f"{_OWNER} decides which one it is, at the source.",
                    effect="The order is kept and not sent.",
                )
            )
    return tuple(problems)


def _check_goal(path: str, goal: Goal, method: CostMethod) -> tuple[Problem, ...]:
    if goal.unit not in GOAL_UNITS[method]:
        units = " or ".join(sorted(unit.value for unit in GOAL_UNITS[method]))
        return (
            _problem(
                "GOAL-UNIT",
                f"{path}.unit",
                goal.unit,
                f"The goal counts {goal.unit.value}, but a {method.value} line counts {units}.",
                f"{_OWNER} corrects the goal or the price at the source.",
            ),
        )
    if goal.measure is GoalMeasure.PERCENT and goal.unit is GoalUnit.DAYS:
        return (
            _problem(
                "GOAL-PERCENT",
                f"{path}.measure",
                goal.quantity,
                "The goal is a percentage of days, which no ad server can steer by.",
                f"{_OWNER} gives a number of days, or a percentage of impressions.",
            ),
        )
    return ()


def _problem(
    code: str, path: str, value: object, happened: str, fix: str, *, effect: str = _EFFECT, owner: str = _OWNER
) -> Problem:
    return Problem(
        code=code,
        reason=Reason.VALIDATION,
        path=path,
        value="" if value is None else shown(value),
        happened=happened,
        effect=effect,
        fix=fix,
        owner=owner,
    )
