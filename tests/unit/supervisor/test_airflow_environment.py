"""Promises of Airflow's environment in the demo; the running system is tried in the scenarios."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from cli.demo.airflow_environment import COMPONENTS, ROLES, AirflowEnvironment, dags_folder, free_port


@pytest.fixture
def airflow(tmp_path: Path) -> AirflowEnvironment:
    return AirflowEnvironment(
        tmp_path / "airflow",
        "postgresql+psycopg2://postgres@/airflow?host=/nowhere",
        tmp_path / "orderhub.yaml",
        hub={"ORDERHUB_STORE_URL": "postgresql:///orderhub"},
        schedules={"settle": "5s"},
    )


def test_secrets_are_made_once_and_only_we_can_read_them(airflow: AirflowEnvironment) -> None:
    first, second = airflow.environment(), airflow.environment()
    assert first == second
    assert len(first["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64
    for name in ("passwords.json", "jwt-secret", "api-secret", "fernet-key"):
        assert stat.S_IMODE((airflow.home / name).stat().st_mode) == 0o600


def test_each_role_has_an_account_with_a_password_of_its_own(airflow: AirflowEnvironment) -> None:
    environment = airflow.environment()
    written = json.loads(Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]).read_text())
    assert written == airflow.passwords
    assert set(written) == set(ROLES)
    assert len(set(written.values())) == len(ROLES)
    assert environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:admin,operator:op,viewer:viewer"


def test_two_state_folders_never_share_a_secret(tmp_path: Path) -> None:
    one, other = (AirflowEnvironment(tmp_path / name, "x", tmp_path / "y") for name in ("one", "other"))
    assert one.environment()["AIRFLOW__API_AUTH__JWT_SECRET"] != other.environment()["AIRFLOW__API_AUTH__JWT_SECRET"]
    assert not set(one.passwords.values()) & set(other.passwords.values())


def test_everything_stays_on_loopback_and_the_plugins_folder_is_empty(airflow: AirflowEnvironment) -> None:
    environment = airflow.environment()
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"http://127.0.0.1:{airflow.port}/execution/"
    assert list(Path(environment["AIRFLOW__CORE__PLUGINS_FOLDER"]).iterdir()) == []
    assert Path(environment["AIRFLOW__CORE__DAGS_FOLDER"]) == dags_folder()
    assert (dags_folder() / "intake.py").exists()
    for component in ("scheduler", "triggerer"):
        assert "--skip-serve-logs" in COMPONENTS[component]


def test_foreign_airflow_settings_are_left_out_and_ours_arrive(
    airflow: AirflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://somebody-elses")
    environment = airflow.environment()
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "somebody-elses" not in str(environment)
    assert environment["ORDERHUB_STORE_URL"] == "postgresql:///orderhub"
    assert environment["ORDERHUB_SCHEDULE_SETTLE"] == "5s"
    assert environment["ORDERHUB_CONFIG"] == str(airflow.configuration)


def test_every_setting_exists_in_the_installed_airflow(airflow: AirflowEnvironment) -> None:
    """A misspelled setting is silently ignored by Airflow; here it is not."""
    from airflow.configuration import conf

    names = [name for name in airflow.environment() if name.startswith("AIRFLOW__")]
    assert len(names) > 20
    for name in names:
        _, section, key = name.lower().split("__", 2)
        assert key in conf.configuration_description[section]["options"], name


def test_free_ports_differ() -> None:
    assert len({free_port() for _ in range(20)}) > 10


def test_an_airflow_that_is_not_there_is_not_healthy(airflow: AirflowEnvironment) -> None:
    assert airflow.healthy() is False
