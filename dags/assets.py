"""The assets that tie the flows together: each says "something changed here", never what; the store knows what.

    intake ──changes──▶ push ──pushed──▶ mirror
                        settle ─pushed──▶ mirror
                        observe ─observed▶ mirror
                        delivery, reports▶ mirror
    census ─changes──▶ push, mirror
    people ──replayed─▶ push, mirror

A task that changed nothing is skipped and emits nothing, so an idle hub comes to rest; the mirror emits nothing that
anybody listens to.
"""

from __future__ import annotations

from airflow.sdk import Asset

from plugins.names import identifier

CHANGES = Asset(name="orderhub_changes", uri="orderhub://changes", group="orderhub")
"""A source told something that was accepted or refused."""

DELIVERY = Asset(name="orderhub_delivery", uri="orderhub://delivery", group="orderhub")
"""Delivered numbers are new or were restated."""

REPLAYED = Asset(name="orderhub_replayed", uri="orderhub://replayed", group="orderhub")
"""A person put parked work back; whoever does so sends this event (`POST /api/v2/assets/events`)."""


def pushed(connection: str) -> Asset:
    """Something was written, refused or settled at this connection."""
    return _of("pushed", connection)


def observed(connection: str) -> Asset:
    """The vendor's own state of our records changed at this connection."""
    return _of("observed", connection)


def _of(what: str, connection: str) -> Asset:
    name = identifier(connection)
    return Asset(name=f"orderhub_{name}_{what}", uri=f"orderhub://{name}/{what}", group="orderhub")
