"""Airflow's database and logs do not grow without end, and nothing that still waits is deleted."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plugins import housekeeping

NOW = datetime.now(UTC)
OLD, NEW = NOW - timedelta(days=61), NOW - timedelta(days=59)


def written(file: Path, at: datetime) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a line\n")
    for path in (file, file.parent, file.parent.parent):
        os.utime(path, (at.timestamp(), at.timestamp()))
    return file


def test_old_logs_and_the_folders_they_leave_empty_go_and_others_stay(tmp_path: Path) -> None:
    before = NOW - timedelta(days=60)
    folder = tmp_path / "logs"
    old = written(folder / "dag_id=push" / "run_id=1" / "task_id=push" / "attempt=1.log", OLD)
    new = written(folder / "dag_id=push" / "run_id=2" / "task_id=push" / "attempt=1.log", NEW)
    fresh = folder / "dag_id=push" / "run_id=3"
    fresh.mkdir()
    elsewhere = written(tmp_path / "kept.txt", OLD)
    (folder / "latest").symlink_to(elsewhere)
    assert housekeeping.remove_logs(folder, before) == 1
    assert not old.parent.parent.exists(), "the run's folder went with its task's"
    assert new.exists()
    assert fresh.exists(), "a task may be about to write there"
    assert (folder / "latest").is_symlink()
    assert elsewhere.exists()
    assert housekeeping.remove_logs(folder, before) == 0


def test_old_rows_of_airflow_go_and_newer_ones_stay(airflow_database: None) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        for at, owner in ((OLD, "old"), (NEW, "new")):
            event = Log(event="housekeeping", owner=owner)
            event.dttm = at
            session.add(event)
    for _ in range(2):
        housekeeping.clean_database(NOW - timedelta(days=60))
        with create_session() as session:
            assert session.scalars(select(Log.owner).where(Log.event == "housekeeping")).all() == ["new"]


def test_a_run_that_may_wait_for_an_approval_is_never_too_old(
    capsys: pytest.CaptureFixture[str], configuration_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERHUB_CONFIG", str(configuration_file))
    from dags.billing_close import LONGEST_ANSWER

    assert timedelta(days=housekeeping.SHORTEST_DAYS) > LONGEST_ANSWER
    with pytest.raises(SystemExit) as ended:
        housekeeping.main(["--keep-days", "28"])
    assert ended.value.code == 2
    assert "35 or more" in capsys.readouterr().err


def test_it_goes_on_until_it_is_stopped_and_shows_a_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, rounds = threading.Event(), []

    def round_(keep_days: int) -> None:
        rounds.append(keep_days)
        if len(rounds) == 3:
            stop.set()

    monkeypatch.setattr(housekeeping, "keep_house", round_)
    sign = tmp_path / "sign"
    housekeeping.main(["--every-hours", "1e-9", "--keep-days", "40", "--sign-of-life", str(sign)], stop)
    assert (rounds, sign.exists()) == ([40, 40, 40], True)
    housekeeping.main(["--keep-days", "40"], stop)
    assert len(rounds) == 4, "without --every-hours it is one round"


def test_a_round_that_fails_shows_no_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(keep_days: int) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(housekeeping, "keep_house", fails)
    with pytest.raises(OSError, match="disk"):
        housekeeping.main(["--every-hours", "24", "--sign-of-life", str(tmp_path / "sign")], threading.Event())
    assert not (tmp_path / "sign").exists()
