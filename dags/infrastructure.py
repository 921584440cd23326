"""Which failures Airflow may retry: those of our own infrastructure. Vendors are retried by the hub's store, not here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from airflow.sdk import Context, RetryDecision, RetryPolicy

RETRIES = 3
RETRY_DELAY = timedelta(seconds=15)

OURS = frozenset(
    {
        "hub.errors.StoreUnavailable",
        "psycopg.OperationalError",
        "psycopg.errors.OperationalError",
        "psycopg_pool.PoolTimeout",
        "sqlalchemy.exc.OperationalError",
        "builtins.MemoryError",
    }
)
"""By name, because the clock imports no database driver. A class or any of its bases counts."""

VENDORS = frozenset({"connectors.errors", "requests.exceptions", "urllib3.exceptions"})
"""Modules whose exceptions are a vendor's and never retried by Airflow, although some of them are operating system errors."""


def is_ours(error: BaseException) -> bool:
    """Whether a failure is of the database, the network inside the installation, or the machine."""
    bases = [base for base in type(error).__mro__ if base not in {object, BaseException, Exception}]
    if any(base.__module__ in VENDORS for base in bases):
        return False
    return isinstance(error, OSError) or any(f"{base.__module__}.{base.__qualname__}" in OURS for base in bases)


class InfrastructureRetryPolicy(RetryPolicy):
    """Retry what is ours, fail at once with the error's sentence otherwise; the store keeps the work in both cases."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Airflow's question after a failure, asked in the worker."""
        if is_ours(exception) or type(exception).__module__.startswith("airflow."):
            return RetryDecision.default()
        return RetryDecision.fail(str(exception)[:500])

    def serialize(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """The same policy again."""
        return cls()
