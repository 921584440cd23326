"""What makes the project an Airflow provider: the connection forms of its vendors. Read at every start of Airflow.

Imports nothing: Airflow calls this function even for `airflow version`. The connection types carry the project's name, so
that they stand beside those of other providers (`salesforce`) and not in their place.
"""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description in Airflow's own form (`provider_info.schema.json`)."""
    return {
        "package-name": "orderhub",
        "name": "Orderhub",
        "description": "Order management between CRM and ad servers.",
        "connection-types": [
            {
                "connection-type": "orderhub_salesforce",
                "hook-name": "Orderhub: Salesforce",
                "hook-class-name": "plugins.hooks.SalesforceHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {
                        "login": "Consumer key",
                        "password": "Consumer secret",
                        "host": "Endpoint (tests only)",
                    },
                    "placeholders": {"domain": "acme.my"},
                },
                "conn-fields": {
                    "domain": _text("My Domain, without .salesforce.com"),
                    "api_version": _text("API version, as 68.0"),
                    "auth": _text("client_credentials or jwt"),
                    "username": _text("User (jwt only)"),
                    "login_domain": _text("login or test (jwt only)"),
                    "private_key": _secret("Private key in PEM form (jwt only)"),
                },
            },
            {
                "connection-type": "orderhub_gam",
                "hook-name": "Orderhub: Google Ad Manager",
                "hook-class-name": "plugins.hooks.GamHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {
                        "login": "Client id (refresh token only)",
                        "password": "Client secret (refresh token only)",
                        "host": "Endpoint (tests only)",
                    },
                },
                "conn-fields": {
                    "network_code": _text("Network code"),
                    "application_name": _text("Application name"),
                    "version": _text("SOAP version, as v202608"),
                    "service_account_json": _secret("Service account key (JSON)"),
                    "refresh_token": _secret("Refresh token"),
                    "access_token": _secret("Access token (tests only)"),
                },
            },
        ],
    }


def _text(label: str) -> dict[str, Any]:
    return {"label": label, "schema": {"type": ["string", "null"]}}


def _secret(label: str) -> dict[str, Any]:
    return {"label": label, "schema": {"type": ["string", "null"], "format": "password"}}
