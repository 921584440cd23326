"""The Publisher Query Language: a parser for its published grammar and an evaluator over properties."""

from sandbox.gam.pql.evaluation import Kind, Property, Selection, equal_values, matches, select
from sandbox.gam.pql.grammar import And, Comparison, Condition, Or, Query, parse

__all__ = [
    "And",
    "Comparison",
    "Condition",
    "Kind",
    "Or",
    "Property",
    "Query",
    "Selection",
    "equal_values",
    "matches",
    "parse",
    "select",
]
