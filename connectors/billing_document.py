"""A billing document as the hub hands it to any ERP, and the names under which any ERP's document is read back. Pure.

Amounts are in the document's currency, exact decimals. Those of a credit memo are handed over positive and owed to the buyer;
read back, its `total`, `tax` and `balance` are negative, as they lower what the buyer owes. A vendor's `documents.py` narrows
these shapes by what its API cannot hold, and its reader fills the records below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any, NotRequired, Self, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Text = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
# A vendor that narrows a code repeats this pattern: pydantic keeps only the last one.
Code = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]
Amount = Annotated[Decimal, Field(max_digits=18, allow_inf_nan=False)]
_Day = date  # a field of the same name hides the type


class Kind(StrEnum):
    """What a billing document is."""

    INVOICE = "invoice"
    CREDIT_MEMO = "credit_memo"


class Shape(BaseModel):
    """What is handed over: nothing beyond what is named, and nothing changed on the way."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Shape)


class PartyShape(Shape):
    """Who pays. The code is unique at the ERP; the rest is used only when it does not know the code yet."""

    code: Code
    name: Text = ""
    street: Text = ""
    city: Text = ""
    postal_code: Text = ""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = Field(default=None, description="ISO 3166-1 alpha-2")


class LineShape(Shape):
    """One position, usually one line-period. `amount` counts; quantity and unit price show how it came about."""

    description: Text
    amount: Amount
    quantity: Amount | None = Field(default=None, description="In the price's unit: thousands of impressions for a CPM")
    unit_price: Amount | None = None
    period: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")] | None = None
    product: Code | None = Field(default=None, description="What the ERP sells it as; without it the connection's own")
    corrects: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Line number in the corrected document"
    )

    @property
    def words(self) -> str:
        """The description with its period."""
        return self.description if self.period is None else f"{self.description} ({self.period})"

    def multiplies_out(self, digits: int) -> bool:
        """Whether quantity × unit price is the amount in a currency of so many digits, rounded half up or half to even."""
        if self.quantity is None or self.unit_price is None:
            return False
        product, unit = self.quantity * self.unit_price, Decimal(1).scaleb(-digits)
        return all(product.quantize(unit, how) == self.amount for how in (ROUND_HALF_UP, ROUND_HALF_EVEN))


class DocumentShape(Shape):
    """An invoice or a credit memo. `reference` is the hub's document id."""

    reference: Code
    kind: Kind = Kind.INVOICE
    party: PartyShape
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    date: _Day
    due_date: _Day | None = None
    total: Amount = Field(description="Without tax")
    tax: Amount = Field(default=Decimal(0), description="The tax that the ERP must arrive at")
    lines: Annotated[tuple[LineShape, ...], Field(min_length=1, max_length=5000)]
    description: Text = ""
    corrects: Code | None = Field(default=None, description="Reference of the document it credits or supplements")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if sum((line.amount for line in self.lines), Decimal(0)) != self.total:
            raise ValueError("the total is not the sum of the lines")
        if self.total < 0 or self.tax < 0:
            raise ValueError("the total is negative; what is owed back is a credit memo with positive amounts")
        if self.kind is Kind.CREDIT_MEMO and self.corrects is None:
            raise ValueError("a credit memo names the document it corrects")
        if self.corrects is None and any(line.corrects for line in self.lines):
            raise ValueError("a line corrects a line of no document")
        if self.due_date is not None and self.due_date < self.date:
            raise ValueError("the due date lies before the date")
        return self

    @property
    def gross(self) -> Decimal:
        """The total with tax, as the buyer owes it or, of a credit memo, is owed it."""
        return self.total + self.tax

    @property
    def sign(self) -> int:
        """-1 for a credit memo, which lowers what the buyer owes."""
        return -1 if self.kind is Kind.CREDIT_MEMO else 1


def validated(shape: type[S], payload: Mapping[str, Any]) -> S:
    """The payload as a `shape`. Raises ValueError with every fault, each with its path; the values are not repeated."""
    try:
        return shape.model_validate(dict(payload))
    except ValidationError as error:
        faults = (
            f"{'.'.join(str(part) for part in fault['loc']) or 'document'}: {fault['msg']}" for fault in error.errors()
        )
        raise ValueError("; ".join(faults)) from None


def decimals(number: Decimal) -> int:
    """Digits behind the point that count."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 99


class PaymentShown(TypedDict):
    """What lowered the balance of an invoice; the amount is positive then, in the invoice's currency."""

    id: Any
    date: _Day | None
    amount: Decimal | None
    number: str | None
    by_document: str | None
    """The ERP's number of the credit memo that was set off, None for money."""


class CorrectionShown(TypedDict):
    """A document that corrects the one shown; `total` is negative for a credit memo."""

    id: Any
    reference: str | None
    number: str | None
    date: _Day | None
    total: Decimal | None


class DocumentShown(TypedDict):
    """A document as the ERP shows it. `balance` is what is still owed, None while it is not owed at all (a draft, voided)."""

    id: Any
    reference: str | None
    number: str | None
    kind: NotRequired[str]
    state: str | None
    party: str | None
    currency: str | None
    date: _Day | None
    due_date: NotRequired[_Day | None]
    total: Decimal | None
    tax: NotRequired[Decimal | None]
    balance: Decimal | None
    paid_on: NotRequired[_Day | None]
    payments: NotRequired[Sequence[PaymentShown]]
    corrects: NotRequired[Sequence[Any]]
    """The documents it corrects, by reference where the ERP shows one."""
    corrected_by: NotRequired[Sequence[CorrectionShown]]
    set_off: NotRequired[Sequence[Mapping[str, Any]]]
