"""Waiting without a worker: the trigger that asks an ad server whether a delivery report is ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

PATIENCE = 10
"""Questions in a row that may fail before the wait is given up; a vendor's bad minute is no reason to lose a report."""


def report_state(connection: str, job: str) -> str:
    """State of a report job, asked once in this thread."""
    from hub import open_hub
    from plugins.secrets import register_airflow_secrets

    register_airflow_secrets()
    with open_hub() as hub:
        return hub.poll_delivery(connection, job).state


class DeliveryReadyTrigger(BaseTrigger):
    """Fires once, with `{"state": ..., "job": ..., "message": ...}`, when the job no longer runs."""

    def __init__(self, connection: str, job: str, poll_seconds: float = 10.0) -> None:
        super().__init__()
        self.connection = connection
        self.job = job
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What the triggerer needs to make this trigger again."""
        return (
            "plugins.triggers.DeliveryReadyTrigger",
            {"connection": self.connection, "job": self.job, "poll_seconds": self.poll_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask, wait, ask again. The question runs in a thread, because the hub is synchronous."""
        failures = 0
        while True:
            try:
                state = await asyncio.to_thread(report_state, self.connection, self.job)
                failures = 0
            except Exception as error:
                failures += 1
                self.log.warning("Report %s of %s: %s", self.job, self.connection, error)
                if failures >= PATIENCE:
                    yield TriggerEvent({"state": "unreachable", "job": self.job, "message": str(error)})
                    return
                state = "running"
            if state != "running":
                yield TriggerEvent({"state": state, "job": self.job, "message": ""})
                return
            await asyncio.sleep(self.poll_seconds)
