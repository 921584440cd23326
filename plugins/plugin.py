"""The Airflow plugin of the hub, found through the entry point `airflow.plugins`.

It holds nothing yet but its name: pages and their log-in come with the console. Airflow's plugins folder must stay empty,
because Airflow executes every file of it under its bare name.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class OrderhubPlugin(AirflowPlugin):
    """What Airflow shows of the hub."""

    name = "orderhub"
