"""The rules of reconciliation: pure functions from a line-period's inputs to what may be billed, and why.

Nothing here reads a database, a clock or a file. `calculate` bills a line-period for the first time, `adjust` corrects what
was billed after its numbers were restated, `replay` recomputes a stored case by the rules that calculated it.
"""

from hub.billing.rules.adjustment import Adjustment, Adjustments, adjust
from hub.billing.rules.calculation import calculate, replay
from hub.billing.rules.contract import agency_is_billed, case_of, monthly_cycles
from hub.billing.rules.dispute import Outcome, Settlement
from hub.billing.rules.explanation import Flag, Rule, Step
from hub.billing.rules.line_period import (
    Billable,
    BilledPosition,
    Blocked,
    CancelledContract,
    FinalMonths,
    LinePeriodCase,
    ManualCount,
    OtherPeriod,
    Result,
    SourceCount,
)
from hub.billing.rules.positions import adjustment_line, invoice_lines
from hub.billing.rules.rule_set import CURRENT, RuleSet, UnknownRuleSet, rule_set

__all__ = [
    "CURRENT",
    "Adjustment",
    "Adjustments",
    "Billable",
    "BilledPosition",
    "Blocked",
    "CancelledContract",
    "FinalMonths",
    "Flag",
    "LinePeriodCase",
    "ManualCount",
    "OtherPeriod",
    "Outcome",
    "Result",
    "Rule",
    "RuleSet",
    "Settlement",
    "SourceCount",
    "Step",
    "UnknownRuleSet",
    "adjust",
    "adjustment_line",
    "agency_is_billed",
    "calculate",
    "case_of",
    "invoice_lines",
    "monthly_cycles",
    "replay",
    "rule_set",
]
