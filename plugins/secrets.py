"""Secrets kept in Airflow's connections: `airflow:CONNECTION` is its password, `airflow:CONNECTION#field` another field.

A field is `login`, `host`, `schema`, or a key of the connection's extra. The value is masked in every Airflow log.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from hub.secrets import SecretMissing, register

SCHEME = "airflow"
OWN_FIELDS = ("password", "login", "host", "schema")


class AirflowSecretSource:
    """Turns `CONNECTION` or `CONNECTION#field` into the secret. Works inside Airflow's tasks and triggers."""

    def __call__(self, reference: str) -> str:
        """The secret, masked from now on. Raises hub.secrets.SecretMissing."""
        connection_id, _, wanted = reference.partition("#")
        wanted = wanted or "password"
        try:
            connection = Connection.get(connection_id)
        except AirflowNotFoundException as error:
            raise SecretMissing(
                f"Airflow has no connection {connection_id!r}. The hub's connection that refers to it is not used. Whoever "
                "runs Airflow creates it (Admin, Connections)."
            ) from error
        value = self._field(connection, wanted)
        if not isinstance(value, str) or not value:
            raise SecretMissing(
                f"Airflow's connection {connection_id!r} has no {wanted}. The hub's connection that refers to it is not "
                "used. Whoever runs Airflow fills it in (Admin, Connections)."
            )
        mask_secret(value)
        return value

    @staticmethod
    def _field(connection: Connection, wanted: str) -> Any:
        if wanted in OWN_FIELDS:
            return getattr(connection, wanted)
        return connection.extra_dejson.get(wanted)


def register_airflow_secrets() -> None:
    """Make `airflow:` references work in this process."""
    register(SCHEME, AirflowSecretSource())
