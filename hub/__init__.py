"""The engine room: how order state moves between systems, and what is remembered of it.

The public names are imported when they are asked for: whoever reads the configuration only (Airflow's DAG processor, every
few seconds) loads neither the store nor a database driver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.hub import ConnectionInfo, Hub, open_hub

__all__ = ["ConnectionInfo", "Hub", "open_hub"]


def __getattr__(name: str) -> Any:
    """The public name, kept from then on (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module("hub.hub"), name)
    return value


def __dir__() -> list[str]:
    """Public names too, asked for or not."""
    return sorted({*globals(), *__all__})
