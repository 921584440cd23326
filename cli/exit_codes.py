"""The exit codes of `orderhub`; `docs/` and `orderhub --help` quote this table."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script that calls `orderhub` may rely on."""

    FINE = 0
    """Everything asked for was done."""
    ATTENTION = 1
    """Done, but something is parked or in doubt, or a check failed: a person should look. Or refused: nothing was done."""
    USAGE = 2
    """The command line was wrong: nothing was opened."""
    UNUSABLE = 3
    """The configuration, the store or a connection cannot be used."""
    NOT_FOUND = 4
    """Nothing carries the id or name that was given."""
    MOVED = 5
    """`apply --plan-hash`: either side moved since the plan was made; nothing was written."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM."""


EPILOG = (
    "Exit codes: 0 fine; 1 something is parked or in doubt, a check failed, or the request was refused; 2 wrong command line; "
    "3 configuration, store or connection unusable; 4 not found; 5 the plan moved; 130 interrupted."
)
