"""Writes the demo's `orderhub.yaml`: two connections to the sandboxes, every secret a reference to the environment."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cli.demo.engine import AD_SERVER, SOURCE

STORE_URL = "ORDERHUB_STORE_URL"
CRM_SECRET = "ORDERHUB_SFDC_SECRET"  # noqa: S105 - the name of a variable, not a secret
AD_SERVER_TOKEN = "ORDERHUB_GAM_TOKEN"  # noqa: S105 - the name of a variable, not a secret
LEDGER = "erp"
CONSUMER_KEY = "orderhub"
SANDBOX_TOKEN = "sandbox-token"  # noqa: S105 - the sandbox's own static token, good for nothing else
ROOT_AD_UNIT = "21700000001"
"""The simulated network's root ad unit: lines run on the whole inventory."""
SETTLE_SECONDS = 3.0
"""How long a sandbox may still apply what it dropped; its late commits come after one second. Vendors need minutes."""


@dataclass(frozen=True)
class DemoSecrets:
    """The secrets of one demo, made at its first start and kept in its state folder with mode 600."""

    crm: str
    ad_server: str = SANDBOX_TOKEN

    @classmethod
    def of(cls, folder: Path) -> DemoSecrets:
        """Read or make the secrets of a state folder."""
        path = folder / "secrets.json"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(json.dumps({"crm": secrets.token_urlsafe(24)}), encoding="utf-8")
        return cls(crm=json.loads(path.read_text(encoding="utf-8"))["crm"])

    def environment(self, store_url: str) -> dict[str, str]:
        """The variables that the configuration refers to."""
        return {STORE_URL: store_url, CRM_SECRET: self.crm, AD_SERVER_TOKEN: self.ad_server}


def configuration(crm_url: str, ad_server_url: str, *, trafficker: str) -> dict[str, Any]:
    """The configuration of the demo. `trafficker` is a user id of the ad server."""
    return {
        "store": {"url": f"env:{STORE_URL}"},
        "business_clock": "store",
        "connections": {
            SOURCE: {
                "connector": "salesforce",
                "overlays": ["billing"],
                "settings": {
                    "domain": "acme.my",
                    "api_version": "68.0",
                    "consumer_key": CONSUMER_KEY,
                    "consumer_secret": f"env:{CRM_SECRET}",
                    "endpoint": crm_url,
                    "max_in_flight_seconds": SETTLE_SECONDS,
                    "quota_pause_seconds": 1.0,
                    # A mirror of thousands of lines stays in calls of 200, so that a person can watch it grow.
                    "bulk_threshold": 1_000_000,
                },
            },
            AD_SERVER: {
                "connector": "gam",
                "settings": {
                    "network_code": "123456",
                    "endpoint": ad_server_url,
                    "access_token": f"env:{AD_SERVER_TOKEN}",
                    "requests_per_second": 8.0,
                    "index_lag_seconds": 0.0,
                    "max_in_flight_seconds": SETTLE_SECONDS,
                    "quota_wait_seconds": 1.0,
                    "forecast_wait_seconds": 1.0,
                },
                "mapping_settings": {"trafficker_id": trafficker, "root_ad_unit_id": ROOT_AD_UNIT},
            },
        },
    }


def add_ledger(path: Path, settings: Mapping[str, Any], password: Path) -> None:
    """Add the ERP's connection to a configuration that was written. Its password stands in a file, because Airflow's
    processes and a person's shell have their environment already."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = {**settings, "password": f"file:{password}"}
    content["connections"][LEDGER] = {"connector": "tryton", "settings": known}
    write_configuration(path, content)


def write_configuration(path: Path, content: Mapping[str, Any]) -> None:
    """Write the file whole or not at all."""
    fresh = path.with_suffix(".tmp")
    fresh.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
    fresh.replace(path)
