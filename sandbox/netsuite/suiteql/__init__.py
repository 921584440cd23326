"""SuiteQL: a real parser (lark grammar) and an evaluator over the account's tables; a subset of what the vendor speaks."""

from sandbox.netsuite.suiteql.evaluation import run
from sandbox.netsuite.suiteql.syntax import Select, parse

__all__ = ["Select", "parse", "run"]
