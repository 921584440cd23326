"""SOQL: a real parser (lark grammar) and an evaluator over the org's tables."""

from sandbox.salesforce.soql.query import Answer, Org, matcher, run
from sandbox.salesforce.soql.syntax import Aggregate, Column, Select, parse

__all__ = ["Aggregate", "Answer", "Column", "Org", "Select", "matcher", "parse", "run"]
