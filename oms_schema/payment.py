"""Payments: money that arrived for a document, as the ERP or the bank says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from oms_schema.base import Canonical
from oms_schema.money import Money
from oms_schema.party import ID
from oms_schema.problems import Problem, Reason

_Word = Annotated[str, Field(min_length=1)]


class Payment(Canonical):
    """One payment on one document, known by what its source calls it. A reversed one no longer counts."""

    connection: _Word
    native_id: _Word
    document_id: ID
    amount: Money
    received_on: date
    reversed: bool = False

    @model_validator(mode="after")
    def _pays_something(self) -> Self:
        if self.amount.micros <= 0:
            raise ValueError("a payment is more than nothing; money given back is a reversal or a credit memo")
        return self


def balance(due: Money, payments: Iterable[Payment], credited: Iterable[Money] = ()) -> Money:
    """What is still owed after payments and applied credits; below zero when too much came.

    One payment told twice counts once, as it was told last. ValueError when a currency differs.
    """
    latest = {(payment.connection, payment.native_id): payment for payment in payments}
    paid = Money.total((p.amount for p in latest.values() if not p.reversed), due.currency)
    return due - paid - Money.total(credited, due.currency)


def check_balance(due: Money, payments: Iterable[Payment], credited: Iterable[Money] = ()) -> tuple[Problem, ...]:
    """PAYMENT-ABOVE-BALANCE when more has come than was owed."""
    left = balance(due, payments, credited)
    if left.micros >= 0:
        return ()
    return (
        Problem(
            code="PAYMENT-ABOVE-BALANCE",
            reason=Reason.VALIDATION,
            path="amount",
            value=f"{(-left).amount} {left.currency}",
            happened=f"Payments exceed what was owed by {(-left).amount} {left.currency}.",
            effect="The document counts as paid; the rest is not applied to anything.",
            fix="Finance applies the rest to another document or pays it back.",
            owner="Finance",
        ),
    )
