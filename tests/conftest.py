"""Fixtures for every test: a real PostgreSQL per test process, and a fresh database per test; Airflow kept off the home.

A check against the vendors' files or the real order book is left out only where the folder is absent: what is skipped although it
is there fails, and with ORDERHUB_REQUIRE_DATA=1 anything of it that is skipped.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from cli.demo.embedded_postgres import EmbeddedPostgres

_numbers = itertools.count(1)
SPECS = Path(os.environ.get("ORDERHUB_SPECS", Path(__file__).parents[1] / "../shared/specs"))
DATA = Path(os.environ.get("ORDERHUB_DATA", Path(__file__).parents[1] / "../shared/data"))
_READ = {"specs": SPECS, "data": DATA / "snap-political-ads"}
"""What the checks of a mark read."""


def pytest_configure() -> None:
    """Give Airflow a throw-away home before anything imports it: it reads its settings at import and writes files.

    A machine that is busy fails no property. In CI, Hypothesis's own profile says the same and draws the same examples each time.
    """
    if not os.environ.get("CI"):
        slow = [hypothesis.HealthCheck.too_slow]
        hypothesis.settings.register_profile("orderhub", deadline=None, suppress_health_check=slow)
        hypothesis.settings.load_profile("orderhub")
    home = Path(tempfile.mkdtemp(prefix="orderhub-test-airflow-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    (home / "no-plugins").mkdir()
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__UNIT_TEST_MODE="True",
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).parents[1] / "dags"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(home / "no-plugins"),
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home}/airflow.db",
        AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(home / "logs"),
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A renamed file under ORDERHUB_SPECS or ORDERHUB_DATA must not turn a comparison into a silent skip."""
    report = yield
    marked = [folder for mark, folder in _READ.items() if item.get_closest_marker(mark) is not None]
    there = [folder for folder in marked if folder.is_dir()]
    if report.skipped and (there or (marked and os.environ.get("ORDERHUB_REQUIRE_DATA") == "1")):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        although = f"{there[0]} is there" if there else "ORDERHUB_REQUIRE_DATA asks for it"
        report.outcome = "failed"
        report.longrepr = (
            f"The check did not run although {although}. Whoever changed the folder or the check mends it: {reason}"
        )
    return report


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The embedded server, one per test process, fsync off (nothing in a test survives a power failure)."""
    folder = Path(tempfile.mkdtemp(prefix="orderhub-test-pg-"))
    try:
        with EmbeddedPostgres(folder, durable=False) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Address of an empty database of this test's own, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)
