"""Results as positions of a document: the billed amount, the bonus listed at 0.00, and corrections."""

from __future__ import annotations

from hub.billing.rules.adjustment import Adjustment
from hub.billing.rules.cost import BILLED_UNIT
from hub.billing.rules.line_period import Billable
from oms_schema.document import Amounts, DocumentLine
from oms_schema.money import Money


def invoice_lines(
    result: Billable, number: int, description: str, tax_code: str | None = None
) -> tuple[DocumentLine, ...]:
    """The positions of a billable result, numbered from `number` on; none when it is empty.

    A bonus is a position of its own at 0.00, so that the buyer sees what was delivered above the cap.
    """
    if result.is_empty:
        return ()
    lines: list[DocumentLine] = []
    if result.amounts.gross or result.quantity:
        lines.append(
            DocumentLine(
                number=number,
                description=description,
                line_id=result.line_id,
                period=result.period,
                quantity=result.quantity,
                unit=result.unit,
                rate=result.rate,
                amounts=result.amounts,
                tax_code=tax_code,
            )
        )
    if result.bonus:
        lines.append(
            DocumentLine(
                number=number + len(lines),
                description=f"{description} (bonus)",
                line_id=result.line_id,
                period=result.period,
                quantity=result.bonus,
                unit=result.unit,
                rate=0,
                amounts=Amounts.of(Money.zero(result.amounts.currency)),
                tax_code=tax_code,
            )
        )
    return tuple(lines)


def adjustment_line(adjustment: Adjustment, number: int, description: str, tax_code: str | None = None) -> DocumentLine:
    """The position of a credit memo or a supplementary invoice that names the position it corrects."""
    unit = BILLED_UNIT[adjustment.price.method]
    return DocumentLine(
        number=number,
        description=description,
        line_id=adjustment.line_id,
        period=adjustment.period,
        quantity=None if unit is None else adjustment.quantity,
        unit=unit,
        rate=adjustment.price.rate,
        amounts=adjustment.amounts,
        tax_code=tax_code,
        corrects=adjustment.corrects_number,
    )
