"""What the tables have in common: one schema with one naming rule, and the columns that occur everywhere."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    MetaData,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def moment(name: str, nullable: bool = False) -> Column[object]:
    """A moment in UTC."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def words(name: str, nullable: bool = False) -> Column[str]:
    """A text."""
    return Column(name, Text, nullable=nullable)


def numbered() -> Column[int]:
    """A primary key that the database counts."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)
