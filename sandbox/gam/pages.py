"""The pages that all get...ByStatement operations return."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sandbox.gam.network import Network
from sandbox.gam.pql import Property, parse, select
from sandbox.gam.soap import Native


def page(
    network: Network,
    type_name: str,
    statement: Native | None,
    properties: Mapping[str, Property[Native]],
    show: Callable[[Network, Native], Native],
) -> Native:
    """The objects of a type that a statement selects, as a page; sorted by id where the statement does not say.

    Objects under an index lag are left out, as if not yet there.
    """
    query = parse(statement)
    candidates = network.tables[type_name].candidates(query.condition)
    visible = [row for row in candidates if not network.is_hidden(type_name, row["id"])]
    selection = select(
        query, visible, properties, zone_name=network.settings.time_zone, default_order=_first(properties)
    )
    return {
        "totalResultSetSize": selection.total,
        "startIndex": selection.start,
        "results": [show(network, row) for row in selection.page],
    }


def selected(
    network: Network, type_name: str, statement: Native | None, properties: Mapping[str, Property[Native]]
) -> list[Native]:
    """The stored objects an action's statement selects, index lag or not: actions work on what is stored."""
    query = parse(statement)
    candidates = network.tables[type_name].candidates(query.condition)
    return select(
        query, candidates, properties, zone_name=network.settings.time_zone, default_order=_first(properties)
    ).page


def _first(properties: Mapping[str, Property[Native]]) -> str:
    return next(iter(properties))
