"""Is the lease longer than a connector's own time-outs? A call that outlives it is looked up in vain."""

from __future__ import annotations

from connectors.base import Capabilities, Finding, Severity

BEFORE_IT_HANGS = 1.5
"""How many longest requests a lease must hold: a call logs in and looks up before the request that is never answered."""


def lease_finding(connection: str, capabilities: Capabilities, lease_seconds: float) -> Finding | None:
    """A warning where a request of this connector may outlive the engine's lease; None where none does, or takes no records.

    Nothing is doubled then: who took the work over looks it up, and the late answer is fenced off. But what was well under
    way is in doubt for nothing, each time.
    """
    needed = capabilities.longest_request * BEFORE_IT_HANGS
    if not capabilities.records or lease_seconds >= needed:
        return None
    return Finding(
        Severity.WARNING,
        "lease_seconds",
        f"lease_seconds is {lease_seconds:g}, and one request of {connection} may take {capabilities.longest_request:g} s before "
        "it is given up. A slow call counts as a dead worker's while it still runs: nothing is doubled, but its records are "
        f"looked up in vain. Whoever edits the configuration sets lease_seconds to {needed:g} or more, or lowers the "
        "connection's time-outs.",
    )
