"""Airflow's connection forms of the hub's vendors: what the fields mean, and the button "Test".

A connection of Airflow is where credentials are kept; the hub's configuration file refers to them (`airflow:CONNECTION`).
The test makes a configuration for this one connection in a private folder, asks `hub.check`, and removes it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml
from airflow.sdk import BaseHook

TESTED = "tested"
"""Name of the connection in the temporary configuration."""


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
        """Whether the account can be used, and what was found. Writes nothing at the vendor or in the store."""
        from hub import open_hub
        from hub.config import load
        from hub.errors import HubError

        with tempfile.TemporaryDirectory(prefix="orderhub-check-") as folder:  # mode 700
            path = Path(folder)
            settings = self.get_conn()
            for setting, value in self._fields(self.secret).items():
                kept = path / setting
                kept.touch(mode=0o600)
                kept.write_text(value, encoding="utf-8")
                settings[setting] = f"file:{kept}"
            try:
                body = {
                    "store": {"url": load().hub.store.url},
                    "connections": {TESTED: {"connector": self.connector, "settings": settings}},
                }
                configuration = path / "orderhub.yaml"
                configuration.write_text(yaml.safe_dump(body), encoding="utf-8")
                with open_hub(configuration) as hub:
                    result = hub.check(TESTED)
            except HubError as error:
                return False, str(error)
        said = " ".join(sentence for severity, _subject, sentence in result.findings if severity != "ok")
        return result.usable, said or f"The account {result.account} can be used."

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
