"""Airflow's connection forms of the hub's vendors: what the fields mean, and the button "Test".

A connection of Airflow is where credentials are kept; the hub's configuration file refers to them (`airflow:CONNECTION`).
The test asks the connector itself what `hub.check` would ask it, with every field the shipped mappings use. It needs no
store and leaves no trace there. References (`file:`, `env:`) are not resolved here: who may edit a connection must not be
able to make the API server read its own files and send them to an address of his choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from airflow.sdk import BaseHook
from pydantic import ValidationError


class VendorHook(BaseHook):
    """A vendor account described by an Airflow connection. Subclasses say which field is which setting."""

    conn_name_attr: ClassVar[str] = "orderhub_conn_id"
    connector: ClassVar[str]
    plain: ClassVar[Mapping[str, str]]
    """Setting of the connector -> field of the connection (an attribute, or a key of its extra)."""
    secret: ClassVar[Mapping[str, str]]
    """The same for settings that are secrets."""

    def __init__(self, orderhub_conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.orderhub_conn_id = orderhub_conn_id

    def get_conn(self) -> dict[str, Any]:
        """The connector's settings without the secrets; the hub itself makes the vendor's session."""
        return self._fields(self.plain)

    def test_connection(self) -> tuple[bool, str]:
        """Whether the account can be used, and what was found. Writes nothing at the vendor."""
        from connectors.base import Severity
        from connectors.discovery import load
        from connectors.errors import ConnectorError
        from hub.mapping_files import load_mappings

        try:
            kind = load(self.connector)
            connector = kind(kind.config.model_validate({**self.get_conn(), **self._fields(self.secret)}))
        except ConnectorError as error:
            return False, error.message
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'settings'}: {one['msg']}" for one in error.errors())
            return False, f"The settings cannot work: {wrong}. Nothing was asked. Correct the form."
        used: dict[str, set[str]] = {}
        written: dict[str, set[str]] = {}
        for (_entity, direction), mapping in load_mappings(self.connector, connector.record_schemas(), None).items():
            for table in (used, written) if direction == "out" else (used,):
                table.setdefault(mapping.record, set()).update(mapping.native_fields)
        try:
            report = connector.check(
                *({record: sorted(table[record]) for record in table} for table in (used, written))
            )
        except ConnectorError as error:
            return False, error.message
        finally:
            connector.close()
        said = " ".join(finding.sentence for finding in report.findings if finding.severity is not Severity.OK)
        return report.usable, said or f"The account {report.account} can be used."

    def _fields(self, wanted: Mapping[str, str]) -> dict[str, Any]:
        connection = self.get_connection(self.orderhub_conn_id)
        extra = connection.extra_dejson
        found = {
            setting: getattr(connection, field) if field in {"login", "password", "host"} else extra.get(field)
            for setting, field in wanted.items()
        }
        return {setting: value for setting, value in found.items() if value not in {None, ""}}


class SalesforceHook(VendorHook):
    """A Salesforce org: client credentials, or a JWT signed with a private key."""

    conn_type: ClassVar[str] = "orderhub_salesforce"
    hook_name: ClassVar[str] = "Orderhub: Salesforce"
    default_conn_name: ClassVar[str] = "orderhub_salesforce_default"
    connector: ClassVar[str] = "salesforce"
    plain: ClassVar[Mapping[str, str]] = {
        "domain": "domain",
        "consumer_key": "login",
        "api_version": "api_version",
        "auth": "auth",
        "username": "username",
        "login_domain": "login_domain",
        "endpoint": "host",
    }
    secret: ClassVar[Mapping[str, str]] = {"consumer_secret": "password", "private_key": "private_key"}


class GamHook(VendorHook):
    """A Google Ad Manager network: a service account's key, or a refresh token."""

    conn_type: ClassVar[str] = "orderhub_gam"
    hook_name: ClassVar[str] = "Orderhub: Google Ad Manager"
    default_conn_name: ClassVar[str] = "orderhub_gam_default"
    connector: ClassVar[str] = "gam"
    plain: ClassVar[Mapping[str, str]] = {
        "network_code": "network_code",
        "application_name": "application_name",
        "version": "version",
        "client_id": "login",
        "endpoint": "host",
    }
    secret: ClassVar[Mapping[str, str]] = {
        "service_account_json": "service_account_json",
        "refresh_token": "refresh_token",
        "access_token": "access_token",
        "client_secret": "password",
    }
