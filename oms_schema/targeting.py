"""Whom a line should reach: flat criteria, so that every value can be counted as expressed or listed as lossy."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from operator import itemgetter
from typing import Any

from oms_schema.base import Canonical


class Dimension(StrEnum):
    """What a criterion is about."""

    COUNTRY = "country"
    REGION = "region"
    METRO = "metro"
    CITY = "city"
    POSTAL_CODE = "postal_code"
    ELECTORAL_DISTRICT = "electoral_district"
    RADIUS = "radius"
    LOCATION_CATEGORY = "location_category"
    GENDER = "gender"
    AGE = "age"
    INTEREST = "interest"
    DEMOGRAPHIC = "demographic"
    SEGMENT = "segment"
    OS = "os"
    LANGUAGE = "language"
    CONNECTION_TYPE = "connection_type"
    CARRIER = "carrier"


class Operator(StrEnum):
    """Whether the values are wanted or unwanted."""

    INCLUDE = "include"
    EXCLUDE = "exclude"


class Criterion(Canonical):
    """Values of one dimension, or-ed; criteria of a line are and-ed. Values keep the source's order and spelling."""

    dimension: Dimension
    operator: Operator = Operator.INCLUDE
    values: tuple[str, ...]


_about = itemgetter("dimension", "operator")


class Targeting(Canonical):
    """All criteria of a line, at most one per (dimension, operator)."""

    criteria: tuple[Criterion, ...] = ()

    def model_post_init(self, context: Any, /) -> None:
        """One criterion per dimension and operator. Not an after-validator: a validated targeting that becomes part of a line
        would go through it again."""
        criteria = self.__dict__["criteria"]
        # Out of the criteria's dictionaries: an attribute of a model takes four times as long, and there are many. Most
        # name each dimension once.
        many = len(criteria)
        if (
            len({criterion.__dict__["dimension"] for criterion in criteria}) < many
            and len({_about(criterion.__dict__) for criterion in criteria}) < many
        ):
            counts = Counter((c.dimension, c.operator) for c in self.criteria)
            twice = ", ".join(f"{operator} {dimension}" for (dimension, operator), n in counts.items() if n > 1)
            raise ValueError(f"a line has one criterion per dimension and operator; these come twice: {twice}")

    def values(self, dimension: Dimension, operator: Operator = Operator.INCLUDE) -> tuple[str, ...]:
        """The values of one dimension, empty when the line does not mention it."""
        for criterion in self.criteria:
            if criterion.dimension == dimension and criterion.operator == operator:
                return criterion.values
        return ()

    def count(self) -> int:
        """How many single values the line asks for."""
        return sum(len(c.values) for c in self.criteria)
