"""Reconcile a book in bulk: `run` is the verb; what it calculates with lies beside it.

`contracts` and `coverage` say what is asked of each line, `lines` reads a shard into arrays, `columns` holds the rules over
them, `library` is the way of the lines that arrays cannot say.
"""

from hub.billing.reconciling.run import MOST_SESSIONS, SESSIONS, Reconciliation, reconcile

__all__ = ["MOST_SESSIONS", "SESSIONS", "Reconciliation", "reconcile"]
