"""What if: the same month under another source, cap or tolerance, beside the real one, in a transaction that cannot write."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hub.billing import cases, preparing
from hub.billing.answers import WhatIf, WhatIfLine
from hub.billing.cases import CONTRACT, LineFile, Terms
from hub.billing.preparing import payable
from hub.billing.review import amount
from hub.billing.rules import Billable, Blocked
from hub.errors import Refused
from hub.session import Session
from oms_schema.delivery import BillingPeriod

MOST_SHOWN = 1000
"""Lines that differ in one answer, the largest difference first; the sums hold all."""


def what_if(session: Session, period: BillingPeriod, terms: Terms) -> WhatIf:
    """Calculate every line-period twice, as if it was not billed yet: by its contract and by `terms`. Writes nothing.

    The other periods of a line stay what they are. Raises Refused when no other term is named.
    """
    if terms == CONTRACT:
        raise Refused("A what-if names another source, cap or tolerance. Nothing was calculated.")
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    blocked = [0, 0]
    different: list[tuple[Decimal, WhatIfLine]] = []
    lines = 0
    with session.database.transaction() as cur:
        chunks = list(preparing.chunks(cur, period))
    for chunk in chunks:
        with session.database.transaction() as cur:
            cur.execute("SET TRANSACTION READ ONLY")
            known = cases.files(session, cur, chunk, period)
        for file in known:
            if file.order.status not in preparing.BILLABLE_ORDERS:
                continue
            if not file.concerns(period) or preparing.never_ran(file, period):
                continue
            lines += 1
            try:
                real, other = (_calculated(session, file, period, one) for one in (CONTRACT, terms))
            except ValueError:  # the contract contradicts what was billed; `prepare` and `why` say how
                blocked = [count + 1 for count in blocked]
                continue
            currency = file.line.price.currency
            nets = [None if isinstance(one, Blocked) else amount(one.amounts.net, currency) for one in (real, other)]
            before = sums.get(currency, (Decimal(0), Decimal(0)))
            sums[currency] = (before[0] + (nets[0] or 0), before[1] + (nets[1] or 0))
            blocked[0] += isinstance(real, Blocked)
            blocked[1] += isinstance(other, Blocked)
            if nets[0] != nets[1]:
                gap = abs((nets[1] or Decimal(0)) - (nets[0] or Decimal(0)))
                shown = WhatIfLine(file.line.id, file.line.name, currency, nets[0], nets[1], _why(other))
                different.append((gap, shown))
    different.sort(key=lambda pair: (-pair[0], pair[1].line_id))
    return WhatIf(
        period=period.label,
        terms=_named(terms),
        lines=lines,
        sums=sums,
        real_blocked=blocked[0],
        other_blocked=blocked[1],
        different=[one for _, one in different[:MOST_SHOWN]],
    )


def _calculated(session: Session, file: LineFile, period: BillingPeriod, terms: Terms) -> Billable | Blocked:
    case = cases.case(file, period, session.business.now(), terms)
    return payable(file, case.model_copy(update={"billed": ()}))


def _why(result: Billable | Blocked) -> str:
    sentences: Sequence[str] = result.sentences
    return (
        sentences[-1]
        if isinstance(result, Blocked)
        else next((step.sentence for step in reversed(result.steps) if step.rule in ("cap", "price")), sentences[-1])
    )


def _named(terms: Terms) -> dict[str, str]:
    named = {"source": terms.source, "cap": terms.cap}
    told = {name: str(value) for name, value in named.items() if value is not None}
    if terms.tolerance_ppm is not None:
        told["tolerance"] = f"{Decimal(terms.tolerance_ppm).scaleb(-4).normalize():f} %"
    return told
