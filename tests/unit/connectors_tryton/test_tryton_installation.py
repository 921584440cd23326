"""Starting the ERP: sentences instead of surprises where it is missing or does not start, and no process left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.erp import __main__ as ahead
from cli.erp.installation import ServerProcess, TrytonError, installed, run_admin
from cli.erp.tryton import Credentials, TrytonServer


def environment(folder: Path, server: str, admin: str = "exit 0") -> Path:
    """An installation whose programs are shell scripts."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name, script in (("trytond", server), ("trytond-admin", admin)):
        path = programs / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
    return folder


def test_a_missing_installation_says_what_to_run(tmp_path: Path) -> None:
    assert not installed(tmp_path)
    with pytest.raises(TrytonError, match="make tryton"):
        TrytonServer(tmp_path / "erp", tools=tmp_path).start()


def test_the_template_made_ahead_needs_the_installation_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ahead, "TOOLS", tmp_path)
    assert ahead.main() == 1
    assert "make tryton" in capsys.readouterr().err


def test_a_server_that_ends_at_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    tools = environment(tmp_path / "tools", "echo no database; exit 3")
    folder = tmp_path / "data"
    folder.mkdir()
    server = ServerProcess(tools, folder)
    with pytest.raises(TrytonError, match=r"ended with 3.*no database"):
        server.start()
    assert server.pid is None


def test_a_server_that_never_listens_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.erp.installation.START_SECONDS", 0.2)
    tools = environment(tmp_path / "tools", "exec sleep 60")
    folder = tmp_path / "data"
    folder.mkdir()
    server = ServerProcess(tools, folder)
    with pytest.raises(TrytonError, match="not ready in time"):
        server.start()
    assert server.pid is None


def test_a_template_that_cannot_be_made_is_not_kept(tmp_path: Path) -> None:
    tools = environment(tmp_path / "tools", "exit 0", "echo module missing >&2; exit 1")
    with pytest.raises(TrytonError, match="module missing"):
        TrytonServer(tmp_path / "erp", tools=tools).start()
    assert list((tools / "template").iterdir()) == []


def test_the_server_is_told_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERHUB_SECRET", "ours")
    monkeypatch.setenv("PYTHONPATH", "/ours")
    tools = environment(tmp_path / "tools", "exit 0", f"env > {tmp_path}/seen")
    folder = tmp_path / "data"
    folder.mkdir()
    run_admin(tools, folder, [], {"TRYTONPASSFILE": "x"})
    seen = (tmp_path / "seen").read_text("utf-8")
    assert "ours" not in seen
    assert "TRYTONPASSFILE=x" in seen


def test_passwords_differ_and_are_not_shown() -> None:
    made = Credentials.new()
    assert len({made.admin, made.hub, made.bookkeeper}) == 3
    assert made.hub not in f"{made} {made.of('orderhub')}"
