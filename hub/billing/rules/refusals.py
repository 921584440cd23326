"""Why a line-period cannot be billed: each reason as a problem with its sentence, raised inside a calculation.

`NotBillable` never leaves this package: the calculation turns it into a `Blocked` result.
"""

from __future__ import annotations

from oms_schema.problems import Problem, Reason, shown

_EFFECT = "Nothing is billed for it."


class NotBillable(Exception):  # noqa: N818 - a finding, not an error of the program
    """The calculation ends here. `disputed`: people have to settle it with the other side."""

    def __init__(self, problem: Problem, *, disputed: bool = False) -> None:
        self.problem = problem
        self.disputed = disputed
        super().__init__(problem.sentence)


def _refusal(code: str, path: str, value: object, happened: str, fix: str, owner: str, reason: Reason) -> NotBillable:
    problem = Problem(
        code=code,
        reason=reason,
        path=path,
        value="" if value is None else shown(value),
        happened=happened,
        effect=_EFFECT,
        fix=fix,
        owner=owner,
    )
    return NotBillable(problem, disputed=code == "VARIANCE")


def period_open(label: str) -> NotBillable:
    """PERIOD-OPEN: the period still runs."""
    happened, fix = f"The billing period {label} is not over.", "Nobody has to act; it is calculated after its end."
    return _refusal("PERIOD-OPEN", "period", label, happened, fix, "Operations", Reason.GUARD)


def terms_contradict(source: str, schedule: str) -> NotBillable:
    """TERMS-SCHEDULE: a schedule that spreads the contract's value, on a line billed by delivery."""
    happened = f"The terms bill by the {source} count, and the {schedule} schedule spreads the contract's value."
    fix = "Sales bills the line as contracted, or as delivered, or at the end of the campaign."
    return _refusal("TERMS-SCHEDULE", "terms.schedule", schedule, happened, fix, "Sales", Reason.VALIDATION)


def no_value_left(commission_ppm: int) -> NotBillable:
    """TERMS-COMMISSION: a net rate at 100 % commission has no gross."""
    happened = "The rate is net and the agency's commission is 100 %, so no gross amount belongs to it."
    fix = "Sales corrects the commission at the source."
    return _refusal(
        "TERMS-COMMISSION", "price.commission_ppm", commission_ppm, happened, fix, "Sales", Reason.VALIDATION
    )


def flight_open() -> NotBillable:
    """FLIGHT-OPEN: no end, so no share of the contract belongs to a period."""
    happened = "The flight has no end, so no part of the contract can be told for this period."
    fix = "Sales gives the line an end, or bills it as delivered under a cap of the whole or none."
    return _refusal("FLIGHT-OPEN", "flight.end", None, happened, fix, "Sales", Reason.VALIDATION)


def flight_outside() -> NotBillable:
    """FLIGHT-OUTSIDE: the billing cycles handed over do not cover the flight."""
    happened = "The line's billing cycles do not cover its flight."
    fix = "Operations looks up which billing calendar the order has."
    return _refusal("FLIGHT-OUTSIDE", "flight", None, happened, fix, "Operations", Reason.VALIDATION)


def no_contract_quantity(method: str) -> NotBillable:
    """CONTRACT-UNKNOWN: neither goal nor budget says how much of the paid unit is contracted."""
    happened = f"Neither the goal nor the budget says how many units the {method} price was agreed for."
    fix = "Sales states a goal in the paid unit or a budget, or takes the cap away."
    return _refusal("CONTRACT-UNKNOWN", "goal", None, happened, fix, "Sales", Reason.VALIDATION)


def amount_too_large(quantity: int) -> NotBillable:
    """AMOUNT-TOO-LARGE: no 64-bit amount of micros can hold it, so a count or the rate is wrong."""
    happened = f"{quantity:,} units at this rate cost more than an amount of money can hold."
    fix = "Operations looks up which of the count and the rate is wrong at its source."
    return _refusal("AMOUNT-TOO-LARGE", "counts", quantity, happened, fix, "Operations", Reason.VALIDATION)


def history_missing(label: str) -> NotBillable:
    """EARLIER-OPEN: the cap looks at the line's other periods and one is not known."""
    happened = f"The cap counts the whole line, and what was delivered in {label} is not known."
    fix = "Operations waits for that period's report or asks the source for it."
    return _refusal("EARLIER-OPEN", "others", label, happened, fix, "Operations", Reason.GUARD)


def no_report(who: str, unit: str, month: str | None = None) -> NotBillable:
    """NO-REPORT: the contracted source said nothing of the period, or of a `month` of the life that is billed at its end."""
    happened = f"The {who} has reported no {unit} for {month or 'this period'}."
    fix = "Operations asks the source, enters an approved count, or agrees a fallback."
    return _refusal("NO-REPORT", "counts", who, happened, fix, "Operations", Reason.GUARD)


def not_final(source: str, month: str | None = None) -> NotBillable:
    """NOT-FINAL: nothing bills on numbers that may still change; `month` is the one that may, of a life billed at its end."""
    happened = f"The numbers of {shown(source)}{'' if month is None else f' for {month}'} are not final."
    fix = "Nobody has to act; it is calculated when they are. Operations asks the source if they stay open."
    return _refusal("NOT-FINAL", "counts.final", source, happened, fix, "Operations", Reason.GUARD)


def cancelled(line_id: str, label: str) -> NotBillable:
    """CANCELLED: a value is billed, the line or its order is cancelled, and until when it is owed nobody has said."""
    happened = "The line or its order is cancelled, and nobody has said until which day its value is owed."
    fix = (
        f"Finance asks sales and enters the first day that is not owed: `orderhub bill enter cancellation {line_id} {label} "
        "--ends-on DAY`; somebody else confirms it."
    )
    return _refusal("CANCELLED", "status", "cancelled", happened, fix, "Finance", Reason.APPROVAL)


def no_delivery(source: str, hours: int) -> NotBillable:
    """NO-DELIVERY: zero units while the line was live; never a silent bill of 0.00."""
    happened = f"{shown(source)} counted nothing while the line was live for {hours:,} hours (no_delivery)."
    fix = "Operations looks at the line in the ad server; if nothing ran, Finance approves a quantity of 0."
    return _refusal("NO-DELIVERY", "counts", 0, happened, fix, "Operations", Reason.GUARD)


def variance_too_large(publisher: int, counterparty: int, percent: str, allowed: str, base: str) -> NotBillable:
    """VARIANCE: the counts differ beyond the contract's tolerance."""
    happened = (
        f"The publisher counted {publisher:,} and the other side {counterparty:,}: "
        f"{percent} of the {base} figure, and {allowed} is tolerated."
    )
    fix = "Operations settles it with the buyer: their count, their count plus the uplift, or a quantity in between."
    return _refusal("VARIANCE", "counts", percent, happened, fix, "Operations", Reason.CONFLICT)


def settlement_outside(quantity: int, low: int, high: int) -> NotBillable:
    """SETTLEMENT-OUTSIDE: the agreed quantity does not lie between the two counts."""
    happened = f"The settlement agrees {quantity:,}, and the two counts are {low:,} and {high:,}."
    fix = "Operations corrects the settlement, or Finance approves an override."
    return _refusal(
        "SETTLEMENT-OUTSIDE", "settlement.quantity", quantity, happened, fix, "Operations", Reason.VALIDATION
    )


def override_above_cap(quantity: int, allowed: int) -> NotBillable:
    """OVERRIDE-ABOVE-CAP: a person may correct a count but not bill more than was contracted."""
    happened = f"The override asks for {quantity:,} units, and the cap leaves {allowed:,}."
    fix = "Sales revises the order's goal first, or Finance approves a smaller quantity."
    return _refusal("OVERRIDE-ABOVE-CAP", "override.quantity", quantity, happened, fix, "Sales", Reason.APPROVAL)


def override_without_count(schedule: str) -> NotBillable:
    """OVERRIDE-NOT-COUNTED: the line is billed by value, so a quantity changes nothing."""
    happened = f"An override sets a quantity, and the line is billed by its value ({schedule})."
    fix = "Finance withdraws the override; Sales revises the order if its value is to change."
    return _refusal("OVERRIDE-NOT-COUNTED", "override", schedule, happened, fix, "Finance", Reason.VALIDATION)
