"""A run over a book: what the statement says is what the billing rules say, line-month by line-month."""

from __future__ import annotations

from typing import Any

from hub.billing.reconciling import reconcile


def test_a_run_tells_every_line_month_and_keeps_the_exceptions(office: Any) -> None:
    order = office.order(source="third_party")
    fine, far = office.line(order, "Fine"), office.line(order, "Far off")
    office.report({fine: {"10": 900_000}, far: {"10": 900_000}})
    office.report({fine: {"10": 890_000}, far: {"10": 500_000}}, source="moat")
    found = reconcile(office.hub.session, "2026-02", "2026-02", "Ada")
    assert (found.run.lines, found.run.line_months, found.run.by_library, found.run.exceptions) == (2, 2, 0, 1)
    assert found.codes == {"VARIANCE": 1}
