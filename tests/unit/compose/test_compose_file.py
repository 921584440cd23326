"""What docker-compose.yml and the image promise, as far as files can tell: images are not built here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
COMPOSE = REPOSITORY / "docker-compose.yml"
SANDBOX = REPOSITORY / "docker" / "compose.sandbox.yml"
DOCKERFILE = REPOSITORY / "Dockerfile"
EXAMPLE = REPOSITORY / "docker" / "env.example"

REFERENCE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(:?[-?])?([^}]*)\}")
SECRET = re.compile(r"PASSWORD|SECRET|KEY|TOKEN")


def check(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def services(path: Path = COMPOSE) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(path.read_text())["services"])


def references() -> list[tuple[str, str, str]]:
    return [match for path in (COMPOSE, SANDBOX) for match in REFERENCE.findall(path.read_text())]


@pytest.mark.parametrize("path", [COMPOSE, SANDBOX])
def test_the_file_fits_the_compose_specification(path: Path) -> None:
    done = check(path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("restart: unless-stopped", "restarts: unless-stopped"),
        ("condition: service_healthy", "condition: service_happy"),
    ],
)
def test_the_check_catches_a_planted_fault(tmp_path: Path, text: str, instead: str) -> None:
    written = COMPOSE.read_text()
    assert text in written
    (tmp_path / "docker-compose.yml").write_text(written.replace(text, instead))
    assert check(tmp_path / "docker-compose.yml").returncode != 0


def test_every_secret_is_mandatory_and_has_no_default() -> None:
    secrets = {
        name: (how, text) for name, how, text in references() if SECRET.search(name) and not name.endswith("_FILE")
    }
    assert len(secrets) >= 8
    for name, (how, text) in secrets.items():
        assert how == ":?", f"{name} may be absent"
        assert name in text


def test_no_secret_is_written_into_the_file() -> None:
    for name, service in services().items():
        for setting, value in (service.get("environment") or {}).items():
            if SECRET.search(setting) or ("://" in str(value) and "@" in str(value)):
                assert "${" in str(value), f"{setting} of {name} stands in the file"


def test_the_example_names_every_mandatory_variable_and_no_value_of_a_secret() -> None:
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    mandatory = {name for name, how, _ in references() if how == ":?"}
    assert mandatory <= set(example)
    for name in mandatory:
        assert example[name] == ""


def test_every_service_that_stays_has_a_health_check() -> None:
    for path in (COMPOSE, SANDBOX):
        for name, service in services(path).items():
            if name == "airflow-init" or (path == SANDBOX and name == "airflow-triggerer"):
                continue
            assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name
            assert service["restart"] == "unless-stopped", name


def test_all_airflow_services_run_one_image_with_one_environment() -> None:
    airflow = {name: service for name, service in services().items() if name.startswith("airflow-")}
    assert set(airflow) == {
        "airflow-init", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
        "airflow-worker", "airflow-housekeeping",
    }  # fmt: skip
    first = airflow["airflow-worker"]
    for name, service in airflow.items():
        assert service["image"] == first["image"], name
        for setting, value in first["environment"].items():
            assert service["environment"][setting] == value, f"{setting} of {name}"
        if name != "airflow-init":
            assert service["depends_on"]["airflow-init"] == {"condition": "service_completed_successfully"}
    assert first["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert "FabAuthManager" in first["environment"]["AIRFLOW__CORE__AUTH_MANAGER"]


def test_airflows_settings_exist_in_the_installed_airflow() -> None:
    """A misspelled setting is silently ignored by Airflow; here it is not."""
    from airflow.configuration import conf

    written = {
        name
        for service in services().values()
        for name in (service.get("environment") or {})
        if name.startswith("AIRFLOW__")
    }
    written |= set(re.findall(r"(AIRFLOW__\w+)=", DOCKERFILE.read_text()))
    assert len(written) > 15
    for name in written:
        _, section, key = name.lower().split("__", 2)
        assert key in conf.configuration_description[section]["options"], name


def test_only_loopback_is_published_and_no_plugins_or_dags_are_mounted() -> None:
    for name, service in services().items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        for volume in service.get("volumes", []):
            assert "/dags" not in str(volume)
            assert "plugins" not in str(volume)


def test_nothing_on_the_host_grows_without_end() -> None:
    for name, service in services().items():
        assert service["logging"]["options"] == {"max-size": "20m", "max-file": "5"}, name


def test_a_configuration_that_is_not_there_stops_the_start_instead_of_becoming_a_folder() -> None:
    mounted = [
        volume
        for service in services().values()
        for volume in service.get("volumes", [])
        if "ORDERHUB_CONFIG_FILE" in str(volume)
    ]
    assert len(mounted) == 7
    for volume in mounted:
        assert (volume["type"], volume["read_only"], volume["bind"]) == ("bind", True, {"create_host_path": False})


def test_every_slot_of_four_workers_gets_its_connections() -> None:
    (limit,) = re.findall(r"max_connections=\$\{POSTGRES_CONNECTIONS:-(\d+)\}", COMPOSE.read_text())
    (slots,) = re.findall(r"WORKER_CONCURRENCY: \$\{WORKER_SLOTS:-(\d+)\}", COMPOSE.read_text())
    assert int(limit) > 4 * int(slots) * 2 + 100, "and Airflow's own services"


def test_the_housekeeping_command_can_be_read_and_its_health_check_sees_a_day_that_was_missed(tmp_path: Path) -> None:
    service = services()["airflow-housekeeping"]
    words = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in service["command"]]
    assert words[:3] == ["python", "-m", "plugins.housekeeping"]
    (sign,) = [word.partition("=")[2] for word in words if word.startswith("--sign-of-life=")]
    (script,) = service["healthcheck"]["test"][1:]
    file = tmp_path / "sign"

    def healthy() -> bool:
        run = script.replace("$$", "$").replace(sign, str(file))
        return subprocess.run(["sh", "-c", run], capture_output=True, check=False).returncode == 0

    assert not healthy()
    file.touch()
    assert healthy()
    day_and_a_half = file.stat().st_mtime - 36 * 3600
    os.utime(file, (day_and_a_half, day_and_a_half))
    assert not healthy()


def test_the_image_holds_every_package_of_the_wheel_and_only_locked_requirements() -> None:
    text = DOCKERFILE.read_text()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for package in packages:
        assert f"COPY {package} {package}" in text
        assert f"!{package}" in (REPOSITORY / ".dockerignore").read_text().splitlines()
    installs = re.findall(r"pip install (.*)", text)
    assert len(installs) == 2
    assert "--require-hashes -r requirements/orderhub.lock" in installs[0]
    assert "--no-index" in installs[1]
    versions = set(re.findall(r"python:?(3\.\d+)", text))
    assert versions == {"3.11"}


def test_the_lock_holds_what_the_services_need() -> None:
    lock = (REPOSITORY / "requirements" / "orderhub.lock").read_text()
    for name in (
        "apache-airflow-providers-celery",
        "apache-airflow-providers-fab",
        "redis",
        "psycopg2-binary",
        "psycopg",
    ):
        assert re.search(rf"^{name}==", lock, re.MULTILINE), name
    celery = re.search(r"^celery==(\d+)\.(\d+)", lock, re.MULTILINE)
    assert celery is not None
    # celery 5.7 cannot be imported by the Celery provider 3.26.0, and `pip check` sees nothing of it.
    assert (int(celery[1]), int(celery[2])) < (5, 7)
    from airflow.providers.celery.executors.celery_executor import CeleryExecutor

    assert CeleryExecutor.__name__ == "CeleryExecutor"


def test_any_password_and_name_of_the_administrator_will_do() -> None:
    from airflow.cli.cli_parser import get_parser  # a slow import

    def words(variables: dict[str, str]) -> list[str]:
        lines = services()["airflow-init"]["command"][-1].replace("\\\n", " ").replace("$$", "$").splitlines()
        (create,) = [line for line in lines if line.startswith("airflow users create")]
        run = ["bash", "-euc", create.replace("airflow ", "printf '%s\\0' ", 1)]
        done = subprocess.run(run, env={**os.environ, **variables}, capture_output=True, text=True, check=True)
        return done.stdout.split("\0")[:-1]

    for password in ("plain", "-x1", "--role", "two words", "a'b\"$c"):
        given = get_parser().parse_args(words({"ADMIN_NAME": "-admin", "ADMIN_PASSWORD": password}))
        assert (given.username, given.password, given.role) == ("-admin", password, "Admin")


def test_all_airflow_services_share_the_folder_of_files_that_the_configuration_names() -> None:
    for name, service in services().items():
        if name.startswith("airflow-"):
            assert "${ORDERHUB_FILES:-orderhub-files}:/var/lib/orderhub" in service["volumes"], name
    made = re.search(r"install -d -o orderhub -g orderhub (.*)", DOCKERFILE.read_text())
    assert made is not None
    assert "/var/lib/orderhub" in made[1].split(), "else the volume belongs to root"


def test_the_example_tells_the_defaults_that_the_file_has() -> None:
    told = dict(re.findall(r"^# ([A-Z_]+)=(\S+)$", EXAMPLE.read_text(), re.MULTILINE))
    assert {"ORDERHUB_FILES", "AIRFLOW_KEEP_DAYS"} <= set(told)
    defaults = {name: text for name, how, text in references() if how == ":-"}
    assert told == {name: defaults[name] for name in told}
