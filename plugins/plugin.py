"""The Airflow plugin of the hub, found through the entry point `airflow.plugins`.

It holds nothing yet but its name: pages and their log-in come with the console. Airflow's plugins folder must stay empty,
because Airflow executes every file of it under its bare name.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

# The scheduler loads plugins before its LocalExecutor forks the workers, and workers fork the tasks: what is imported here
# need not be imported by every task again (1.2 s became 0.2 s on a busy machine, and the pages are shared memory).
import hub  # noqa: F401


class OrderhubPlugin(AirflowPlugin):
    """What Airflow shows of the hub."""

    name = "orderhub"
