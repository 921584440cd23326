"""Promises of the embedded PostgreSQL."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from cli.demo.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError


def test_a_test_gets_a_real_empty_postgresql_18(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        version = connection.execute("SHOW server_version_num").fetchone()
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert version is not None
    assert version[0].startswith("18")
    assert tables == (0,)


def test_a_database_can_be_copied_from_a_template(postgres: EmbeddedPostgres) -> None:
    postgres.create_database("pattern")
    postgres.sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)", "pattern")
    try:
        url = postgres.create_database("copy", template="pattern")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
    finally:
        postgres.drop_database("copy")
        postgres.drop_database("pattern")


def test_the_server_listens_on_a_private_socket_only(postgres: EmbeddedPostgres) -> None:
    assert postgres.sql("SHOW listen_addresses").strip() == ""
    folder = Path(postgres.sql("SHOW unix_socket_directories").strip())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_data_survive_a_restart_and_a_stop_leaves_no_process(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "state", durable=False) as server:
        server.create_databases()
        server.create_databases()
        server.sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)", "orderhub")
        pid = server.pid
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
    with EmbeddedPostgres(tmp_path / "state", durable=False) as server:
        assert server.sql("SELECT n FROM kept", "orderhub").strip() == "7"


def test_a_long_path_gets_a_short_socket_folder_that_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 15)
    with EmbeddedPostgres(folder, durable=False) as server:
        sockets = Path(server.sql("SHOW unix_socket_directories").strip())
        assert sockets != server.data
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert not sockets.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")
def test_roots_private_folder_for_temporary_files_may_hold_the_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = Path(tempfile.mkdtemp(prefix="oh-"))  # mode 700, as libpam-tmpdir makes it, and short enough for a socket
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    folder = tmp_path / ("deep" * 20) / ("deeper" * 15)
    with EmbeddedPostgres(folder, durable=False) as server:
        assert Path(server.sql("SHOW unix_socket_directories").strip()).parent == private
    assert stat.S_IMODE(private.stat().st_mode) == 0o701
    private.rmdir()


def test_a_server_left_behind_by_a_killed_owner_is_replaced(tmp_path: Path) -> None:
    first = EmbeddedPostgres(tmp_path / "state", durable=False)
    first.start()
    left = first.pid
    second = EmbeddedPostgres(tmp_path / "state", durable=False)
    try:
        second.start()
        assert second.pid != left
        assert second.sql("SELECT 1").strip() == "1"
        assert first.pid is None
    finally:
        second.stop()
        first.stop()


STOPPED_AT_START = """
import os, signal, sys
from pathlib import Path
from cli.demo.embedded_postgres import EmbeddedPostgres
from cli.demo.signals import stopping_on_signals
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
wait = server._wait_until_ready
def wait_and_be_stopped(until):
    wait(until)
    print(server.pid, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
server._wait_until_ready = wait_and_be_stopped
with stopping_on_signals(), server:
    print("was not stopped", flush=True)
"""


def test_a_stop_while_the_server_starts_leaves_no_process(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ended = subprocess.run(
        [sys.executable, "-c", STOPPED_AT_START, str(state)], capture_output=True, text=True, check=False
    )
    (pid,) = ended.stdout.split()
    left = Path(f"/proc/{pid}").exists()
    if left:
        os.kill(int(pid), signal.SIGQUIT)
    assert (ended.returncode, left) == (128 + signal.SIGTERM, False)


def test_broken_data_are_reported_with_the_log(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "state", durable=False)
    with server:
        control = server.data / "global" / "pg_control"
    control.write_bytes(b"\0" * 8192)
    with pytest.raises(EmbeddedPostgresError, match=r"ended at start.*postgres\.log"):
        server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")
def test_root_opens_folders_above_for_passing_only(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "state", durable=False) as server:
        assert server.sql("SELECT 1").strip() == "1"
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701


def test_a_failing_statement_is_an_error_with_the_servers_words(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedPostgresError, match="does not exist"):
        postgres.sql("SELECT * FROM nowhere")
