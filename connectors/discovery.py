"""Which connectors are installed: the entry-point group `orderhub.connectors`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from connectors.base import Connector
from connectors.errors import Misconfigured

GROUP = "orderhub.connectors"


def installed() -> tuple[str, ...]:
    """Names of all installed connectors, sorted; nothing is imported."""
    return tuple(sorted(point.name for point in entry_points(group=GROUP)))


@cache
def load(name: str) -> type[Connector]:
    """The connector class registered under `name`; raises Misconfigured when there is none or it cannot be imported.

    What was found stays: the packages of a process do not change.
    """
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if not found:
        raise Misconfigured(
            "CONNECTOR-UNKNOWN",
            f"No connector named {name!r} is installed. The connection is not used. "
            f"Choose one of {', '.join(installed())} or install the package that provides it.",
        )
    if len({point.value for point in found}) > 1:
        raise Misconfigured(
            "CONNECTOR-TWICE",
            f"Connector {name!r} is provided by {', '.join(sorted(p.value for p in found))}. The connection is not used. "
            "Uninstall all but one of these packages.",
        )
    try:
        loaded = found[0].load()
    except Exception as error:  # whatever a package of somebody's own does while it is imported
        raise Misconfigured(
            "CONNECTOR-IMPORT",
            f"Connector {name!r} cannot be imported ({type(error).__name__}: {error}). The connection is not used. "
            f"Install what {found[0].value} needs, or correct it.",
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Connector)):
        raise Misconfigured("CONNECTOR-TYPE", f"{found[0].value} is not a Connector. Fix the entry point {name!r}.")
    return loaded
