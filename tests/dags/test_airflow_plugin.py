"""What Airflow loads of ours besides DAGs: the plugin, the provider, secrets, hooks and the trigger."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hub.results import DeliverySummary
from hub.secrets import SecretMissing, resolve

LOAD = """
import json, sys
from airflow import plugins_manager
plugins = [one for one in plugins_manager._get_plugins()[0] if one.name == "orderhub"]
print(json.dumps({
    "plugins": len(plugins),
    "source": type(plugins[0].source).__name__,
    "errors": {str(key): str(value) for key, value in plugins_manager.get_import_errors().items()},
    "modules": sorted(name for name, module in list(sys.modules.items()) if "OrderhubPlugin" in vars(module)),
}))
"""


def test_the_plugin_is_loaded_exactly_once_and_from_the_installed_package() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["plugins"] == 1
    assert seen["source"] == "EntryPointSource"
    assert seen["modules"] == ["plugins.plugin"]
    assert seen["errors"] == {}


def test_a_plugins_folder_that_holds_our_files_would_load_them_twice(tmp_path: Path) -> None:
    """Why the folder stays empty: the planted fault that the promise above must catch."""
    source = (Path(__file__).parents[2] / "plugins" / "plugin.py").read_text()
    (tmp_path / "plugin.py").write_text(source)
    environment = {**os.environ, "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True, env=environment)
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["source"], seen["modules"]) != ("EntryPointSource", ["plugins.plugin"])


def test_the_provider_is_described_as_airflow_wants_it() -> None:
    import airflow
    import jsonschema

    from plugins.provider import get_provider_info

    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)
    wrong = {**get_provider_info(), "connection-types": [{"hook-name": "no type"}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_airflow_offers_both_connection_forms_with_their_hooks() -> None:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    hooks = ProvidersManagerTaskRuntime().hooks
    for kind, title in {
        "orderhub_gam": "Orderhub: Google Ad Manager",
        "orderhub_salesforce": "Orderhub: Salesforce",
    }.items():
        hook = hooks[kind]
        assert hook is not None
        assert hook.hook_name == title
        assert hook.connection_id_attribute_name == "orderhub_conn_id"


def test_the_forms_name_settings_that_the_connectors_know() -> None:
    from connectors.discovery import load
    from plugins.hooks import GamHook, SalesforceHook

    for hook in (GamHook, SalesforceHook):
        known = set(load(hook.connector).config.model_fields)
        assert {*hook.plain, *hook.secret} <= known


SECRET = "a-secret-kept-in-airflow"


def plant(monkeypatch: pytest.MonkeyPatch, name: str, **fields: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "generic", **fields}))


def test_an_airflow_reference_finds_password_and_extra_and_masks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.log import redact

    from plugins.secrets import register_airflow_secrets

    plant(monkeypatch, "vault", password=SECRET, extra={"private_key": "another-secret-value"})
    register_airflow_secrets()
    assert resolve("airflow:vault") == SECRET
    assert resolve("airflow:vault#private_key") == "another-secret-value"
    assert SECRET not in str(redact(f"log in with {SECRET}"))
    assert "another-secret-value" not in str(redact("key another-secret-value"))


def test_a_reference_that_leads_nowhere_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from plugins.secrets import register_airflow_secrets

    plant(monkeypatch, "bare")
    register_airflow_secrets()
    with pytest.raises(SecretMissing, match=r"'bare' has no password.*not used.*Whoever"):
        resolve("airflow:bare")
    with pytest.raises(SecretMissing, match=r"Airflow has no connection 'nowhere'.*Whoever"):
        resolve("airflow:nowhere")


def test_the_test_button_asks_the_connector_for_every_field_the_mappings_use(monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.base import CheckReport, Finding, Severity
    from connectors.errors import AuthFailed
    from connectors.gam import GamConnector
    from plugins.hooks import GamHook

    asked: list[Any] = []
    answers: list[Any] = [
        CheckReport(
            "123", (Finding(Severity.ERROR, "login", "The token was refused."), Finding(Severity.OK, "a", "fine"))
        ),
        CheckReport("123"),
        AuthFailed("AUTH", "The login was refused."),
    ]

    def check(self: GamConnector, used: Any = None, written: Any = None) -> CheckReport:
        asked.append((used, written))
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, CheckReport)
        return answer

    monkeypatch.setattr(GamConnector, "check", check)
    plant(monkeypatch, "network", extra={"network_code": "123", "access_token": SECRET})
    assert GamHook("network").test_connection() == (False, "The token was refused.")
    assert GamHook("network").test_connection() == (True, "The account 123 can be used.")
    assert GamHook("network").test_connection() == (False, "The login was refused.")
    used, written = asked[0]
    assert "name" in used["LineItem"]
    assert "name" in written["LineItem"]


def test_the_test_button_tells_wrong_settings_without_secrets_and_reads_no_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from connectors.gam import GamConnector
    from plugins.hooks import GamHook

    plant(monkeypatch, "network", extra={"network_code": "one two", "access_token": SECRET})
    usable, sentence = GamHook("network").test_connection()
    assert not usable
    assert "network_code" in sentence
    assert SECRET not in sentence
    (tmp_path / "key").write_text("content of a file")
    plant(monkeypatch, "thief", extra={"network_code": "123", "access_token": f"file:{tmp_path}/key"})
    seen: list[str] = []

    def construct(self: GamConnector, settings: Any) -> None:
        seen.append(settings.access_token.get_secret_value())
        raise RuntimeError("far enough")

    monkeypatch.setattr(GamConnector, "__init__", construct)
    with pytest.raises(RuntimeError, match="far enough"):
        GamHook("thief").test_connection()
    assert seen == [f"file:{tmp_path}/key"]


async def events(trigger: Any) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def test_the_trigger_waits_until_the_report_no_longer_runs(scripted_hub: Any) -> None:
    from plugins.triggers import DeliveryReadyTrigger

    running = DeliverySummary("gam-main", "job-1", "running")
    scripted_hub.answers["poll_delivery"] = [running, OSError("a bad minute"), running]
    assert asyncio.run(events(DeliveryReadyTrigger("gam-main", "job-1", 0.001))) == [
        {"state": "ready", "job": "job-1", "message": ""}
    ]
    assert scripted_hub.asked.count(("poll_delivery", "gam-main", "job-1")) == 4


def test_the_trigger_gives_up_with_the_reason_when_nobody_answers(scripted_hub: Any) -> None:
    from plugins.triggers import PATIENCE, DeliveryReadyTrigger

    scripted_hub.answers["poll_delivery"] = [OSError("no route")] * PATIENCE
    assert asyncio.run(events(DeliveryReadyTrigger("gam-main", "job-1", 0.001))) == [
        {"state": "unreachable", "job": "job-1", "message": "no route"}
    ]


def test_the_triggerer_can_make_the_trigger_again() -> None:

    from plugins.triggers import DeliveryReadyTrigger

    path, arguments = DeliveryReadyTrigger("gam-main", "job-1", 2.5).serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**arguments)
    assert (again.connection, again.job, again.poll_seconds) == ("gam-main", "job-1", 2.5)


def test_pools_are_made_for_every_configured_connection(
    airflow_database: None, configuration_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.pool import Pool

    from plugins.metadata import create_pools

    monkeypatch.setenv("ORDERHUB_CONFIG", str(configuration_file))
    assert create_pools()["orderhub_Broken_R_um_e"] == 2
    monkeypatch.setenv("ORDERHUB_POOL_SLOTS", "3")
    sizes = create_pools()
    pools = {pool.pool: pool.slots for pool in Pool.get_pools()}
    assert {name: pools[name] for name in sizes} == sizes == dict.fromkeys(sizes, 3)
    assert set(sizes) == {
        "orderhub_sfdc",
        "orderhub_gam-main",
        "orderhub_Broken_R_um_e",
        "orderhub_stranger",
        "orderhub_unreadable",
    }
