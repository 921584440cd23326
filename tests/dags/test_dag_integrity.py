"""What every DAG promises, read without any database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
DAGS = REPOSITORY / "dags"

EXPECTED = {
    "intake__sfdc", "mirror__sfdc", "settle__sfdc", "check__sfdc",
    "push__gam-main", "settle__gam-main", "observe__gam-main", "delivery__gam-main", "check__gam-main",
    "census__sfdc", "census__gam-main", "census__Broken_R_um_e",
    "push__Broken_R_um_e", "settle__Broken_R_um_e", "observe__Broken_R_um_e", "delivery__Broken_R_um_e",
    "check__Broken_R_um_e", "completeness__gam-main", "completeness__Broken_R_um_e",
    "check__stranger",
    "check__unreadable",
}  # fmt: skip


def test_every_file_imports_and_every_flow_is_there(dagbag: Any) -> None:
    assert dagbag.import_errors == {}
    assert set(dagbag.dags) >= EXPECTED


def test_no_flow_is_made_for_what_a_connection_cannot_do(dagbag: Any) -> None:
    for dag_id in ("push__sfdc", "observe__sfdc", "delivery__sfdc", "mirror__gam-main", "push__stranger"):
        assert dag_id not in dagbag.dags


def test_each_dag_has_tags_docs_pool_retries_and_one_run_at_a_time(dagbag: Any) -> None:
    from dags.infrastructure import InfrastructureRetryPolicy
    from plugins.names import pool_name

    for dag_id, dag in dagbag.dags.items():
        tags = dict(tag.split(":", 1) for tag in dag.tags if ":" in tag)
        assert "orderhub" in dag.tags
        assert dag_id.startswith(f"{tags['flow']}__")
        assert set(tags) == {"flow", "connection", "connector"}
        assert tags["connection"] in dag.doc_md
        assert len(dag.doc_md) > 150
        assert dag.max_active_runs == 1
        assert dag.catchup is False
        for task in dag.tasks:
            assert task.pool == pool_name(tags["connection"])
            assert task.retries > 0
            assert isinstance(task.retry_policy, InfrastructureRetryPolicy)
            assert task.execution_timeout is not None


def test_assets_tie_the_flows_into_a_line_that_ends_at_the_mirror(dagbag: Any) -> None:
    listens = {
        dag_id: {asset.uri.rstrip("/") for asset in dag.timetable.asset_condition.objects}
        for dag_id, dag in dagbag.dags.items()
        if dag.timetable.asset_condition is not None
    }
    tells = {
        dag_id: {asset.uri.rstrip("/") for task in dag.tasks for asset in task.outlets}
        for dag_id, dag in dagbag.dags.items()
    }
    assert tells["intake__sfdc"] == {"orderhub://changes"}
    assert listens["push__gam-main"] == {"orderhub://changes", "orderhub://replayed"}
    assert tells["push__gam-main"] == tells["settle__gam-main"] == {"orderhub://gam-main/pushed"}
    assert listens["mirror__sfdc"] >= {
        "orderhub://changes", "orderhub://replayed", "orderhub://delivery",
        "orderhub://gam-main/pushed", "orderhub://gam-main/observed",
    }  # fmt: skip
    assert tells["mirror__sfdc"] == set()
    assert tells["delivery__gam-main"] == {"orderhub://delivery"}
    # From any flow the way through assets comes to an end: nothing can run in circles on its own events.
    after = {dag_id: {one for one, heard in listens.items() if heard & said} for dag_id, said in tells.items()}
    for start in after:
        reached, frontier = set[str](), {start}
        while frontier:
            frontier = {follower for one in frontier for follower in after[one]} - reached
            reached |= frontier
        assert start not in reached


def test_schedules_come_from_the_connection_and_the_environment(
    dagbag: Any, configuration_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dags.connections import Flow, clocked_connections
    from dags.schedules import timetable
    from hub.errors import ConfigurationError

    assert dagbag.dags["intake__sfdc"].timetable.delta.total_seconds() == 45
    monkeypatch.setenv("ORDERHUB_CONFIG", str(configuration_file))
    sfdc = clocked_connections()[0]
    monkeypatch.setenv("ORDERHUB_SCHEDULE_SETTLE", "7s")
    assert timetable(Flow.SETTLE, sfdc).delta.total_seconds() == 7
    monkeypatch.setenv("ORDERHUB_SCHEDULE_DELIVERY", "0 4 * * 1")
    assert timetable(Flow.DELIVERY, sfdc).expression == "0 4 * * 1"
    monkeypatch.setenv("ORDERHUB_SCHEDULE_INTAKE", "never")
    assert timetable(Flow.INTAKE, sfdc) is None
    for wrong in ("soon", "0s", "* * *"):
        monkeypatch.setenv("ORDERHUB_SCHEDULE_SETTLE", wrong)
        with pytest.raises(ConfigurationError, match=r"ORDERHUB_SCHEDULE_SETTLE is .*Whoever"):
            timetable(Flow.SETTLE, sfdc)


def test_names_that_airflow_cannot_tell_apart_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dags.connections import clocked_connections
    from hub.errors import ConfigurationError

    path = tmp_path / "orderhub.yaml"
    path.write_text("store: {url: x}\nconnections: {a b: {connector: gam}, a_b: {connector: gam}}")
    monkeypatch.setenv("ORDERHUB_CONFIG", str(path))
    with pytest.raises(ConfigurationError, match="a b differ"):
        clocked_connections()


PARSE = """
import json, sys, time
import airflow.dag_processing.dagbag as dagbag
before = set(sys.modules)
began = time.perf_counter()
bag = dagbag.DagBag(sys.argv[1])
print(json.dumps({
    "errors": bag.import_errors, "dags": sorted(bag.dags), "seconds": time.perf_counter() - began,
    "modules": sorted({name.partition(".")[0] for name in set(sys.modules)}),
}))
"""


def parse_in_a_fresh_process(configuration: Path) -> dict[str, Any]:
    """What a DAG processor sees, in a process that has loaded nothing of ours yet."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(DAGS)],
        env={**os.environ, "ORDERHUB_CONFIG": str(configuration)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_parsing_loads_no_vendor_sdk_and_no_database_driver(configuration_file: Path) -> None:
    seen = parse_in_a_fresh_process(configuration_file)
    assert seen["errors"] == {}
    assert set(seen["dags"]) >= EXPECTED
    heavy = {"simple_salesforce", "googleads", "zeep", "lxml", "pandas", "psycopg", "psycopg_binary", "psycopg_c"}
    assert heavy & set(seen["modules"]) == set()


def test_an_unusable_configuration_is_an_import_error_with_its_sentence(tmp_path: Path) -> None:
    seen = parse_in_a_fresh_process(tmp_path / "absent.yaml")
    assert seen["dags"] == []
    assert len(seen["errors"]) == 12
    for text in seen["errors"].values():
        assert "There is no configuration file" in text
