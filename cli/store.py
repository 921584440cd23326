"""The verb `migrate`: bring the store's schema to this version's, with or without Airflow."""

from __future__ import annotations

from cli.desk import ConfigOption, JsonOption, opened
from hub.store.database import newest_revision


def migrate(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Bring the store's schema to the version that this `orderhub` needs. Stop the workers first; safe to repeat."""
    with opened(config, as_json) as (desk, hub):
        hub.migrate()
        desk.answer({"schema": newest_revision()}, f"The store has schema {newest_revision()}.")
