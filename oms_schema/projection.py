"""What the CRM user sees of an order: one status, one true sentence, who acts next, and how much is delivered."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from oms_schema.base import Canonical
from oms_schema.instant import Instant
from oms_schema.money import CurrencyCode, exponent, half_up
from oms_schema.party import ID

_CENT = Decimal("0.01")
_MOST = 99_999_999_999
"""Hundredths of a percent that a percentage has at most."""
_EXACT = Context(prec=60)
"""Our own, so that a caller's precision changes no figure."""


def _no_float(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("a percentage or an amount is a decimal string or Decimal, never a float")
    return value


def _two_places(value: Decimal) -> Decimal:
    shown = value.copy_abs().quantize(_CENT, context=_EXACT)  # the absolute, because Decimal has a zero below zero
    if shown != value:
        raise ValueError("a percentage has two decimals; round it first")
    return shown


def _one_zero(value: Decimal) -> Decimal:
    return value or value.copy_abs()


Percentage = Annotated[
    Decimal,
    BeforeValidator(_no_float),
    Field(ge=0, le=Decimal("999999999.99"), allow_inf_nan=False),
    AfterValidator(_two_places),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,9}\.[0-9]{2}$"}),
]
"""A share in percent, exactly two decimals, at least 0; above 100 when more than the goal was delivered."""

Amount = Annotated[
    Decimal,
    BeforeValidator(_no_float),
    Field(gt=Decimal(-(10**16)), lt=Decimal(10**16), allow_inf_nan=False),
    AfterValidator(_one_zero),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]{1,16}(\.[0-9]{1,4})?$"}),
]
"""Major units of a currency with exactly the decimals of its minor unit; below zero when more was credited than owed."""

Label = Annotated[str, StringConstraints(max_length=40)]
Sentence = Annotated[str, StringConstraints(max_length=255)]
Count = Annotated[int, Field(ge=0, strict=True)]


def percent_of_goal(delivered: int, goal: int) -> Decimal:
    """Delivered as a percentage of the goal, HALF_UP to two decimals; 0.00 when there is no goal to measure against.

    Never above 999,999,999.99, where a goal is so small that its percentage says nothing any more.
    """
    if goal <= 0:
        return Decimal("0.00")
    return _EXACT.scaleb(Decimal(min(half_up(delivered * 10_000, goal), _MOST)), -2)


class OrderBilling(Canonical):
    """What the ERP holds of an order's bills. Amounts are in `currency`, the order's own.

    `invoiced` and `credited` are net of commission and without tax, as billed; `paid` and `balance` are the ERP's, with its tax.
    Documents that the ERP has not numbered, or that it shows otherwise than they were billed, are in no amount.
    """

    currency: CurrencyCode
    invoice: Annotated[str, StringConstraints(max_length=80)] = Field(description="Number of the latest invoice")
    invoice_status: Label
    balance: Amount = Field(description="Open on all documents together, credits that are not set off taken away")
    invoiced: Amount
    paid: Amount
    credited: Amount
    documents: tuple[Sentence, ...] = Field(description="Every document in words, the latest first")

    @model_validator(mode="after")
    def _in_minor_units(self) -> Self:
        decimals = exponent(self.currency)
        for name in ("balance", "invoiced", "paid", "credited"):
            if getattr(self, name).as_tuple().exponent != -decimals:
                raise ValueError(f"{name} is told with {decimals} decimals, those of {self.currency}")
        return self


class OrderProjection(Canonical):
    """The mirror of one order. Units are those of the lines' goals; `last_change_at` is in UTC."""

    order_id: ID
    version: Count
    status: Label
    sentence: Sentence
    next_step_owner: str
    last_change_at: Instant | None = None
    delivered: Count
    goal: Count
    delivered_pct: Percentage
    ad_server_ids: tuple[str, ...] = ()
    error_code: str | None = None
    billing: OrderBilling | None = Field(default=None, description="Absent before the first invoice")


class LineProjection(Canonical):
    """The mirror of one line, in the units of its goal."""

    line_id: ID
    order_id: ID
    version: Count
    status: Label
    sentence: Sentence
    delivered: Count
    goal: Count
    ad_server_ids: tuple[str, ...] = ()
