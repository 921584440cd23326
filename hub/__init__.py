"""The engine room: how order state moves between systems, and what is remembered of it."""

from hub.hub import ConnectionInfo, Hub, open_hub

__all__ = ["ConnectionInfo", "Hub", "open_hub"]
