"""Whether what a person named was ever parked: a misspelt name must not look like work that is done.

Asked only where nothing open was found. What was parked once and is no longer is known, and nothing is wrong with naming it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from hub.errors import NotFound
from hub.store import entities, parking
from hub.store.database import Cursor
from hub.store.parking import Selection
from oms_schema.problems import Reason

LISTED = 20
"""Names shown where none is near what was given."""


def must_be_known(cur: Cursor, selection: Selection, connections: Collection[str], done: str) -> None:
    """Raises NotFound for the first part of a selection that nothing has or had; nothing was `done` then.

    A connection that was taken out of the configuration is known as long as something of it was parked.
    """
    for part, given in selection.named.items():
        if parking.ever(cur, part, given):
            continue
        if part == "reason" and given not in set(Reason):
            _unknown(part, given, done, list(Reason), "These are known")
        elif part == "connection" and given not in connections:
            _unknown(part, given, done, sorted(connections), "The configuration names")
        elif part in {"code", "group"}:
            _unknown(part, given, done, parking.open_names(cur, part), "Parked now")
        elif part == "subject" and not parking.is_entity(cur, given):
            orders = entities.find_order_ids(cur, given)
            if orders:
                raise NotFound(
                    f"{given!r} is no canonical id. Nothing was {done}. It leads to {', '.join(orders)}: name that, or what "
                    "`orderhub parked --all` shows."
                )
            _unknown(part, given, done, parking.open_names(cur, part), "Parked now")


def _unknown(part: str, given: str, done: str, names: Sequence[str], known: str) -> None:
    """Raises NotFound with the names that are near, else with all of them."""
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.6)
    if near:
        told = f"Is it {' or '.join(near)}? "
    else:
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        told = f"{known}: {', '.join(names[:LISTED]) or 'nothing'}{more}. "
    raise NotFound(f"There is no {part} {given!r}. Nothing was {done}. {told}`orderhub parked --all` shows every name.")
