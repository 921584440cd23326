"""The plumbing that all sandboxes share: clock, faults, counters, snapshots, control interface, server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Request, Response

from sandbox.serving import Clock, ControlApp, Faults, RunningServer, Snapshot, serve, with_transport_faults

START = datetime(2019, 9, 11, 17, 41, 8, tzinfo=UTC)


class Notes:
    """A vendor of one operation: POST /notes keeps a text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def objects(self, type_name: str | None, query: Mapping[str, str]) -> list[Any]:
        return list(self.texts)

    def dump(self) -> Any:
        return list(self.texts)

    def restore(self, dumped: Any) -> None:
        self.texts = list(dumped)

    def reset(self) -> None:
        self.texts.clear()


def note_sandbox(state_file: Path | None = None, clock: datetime = START) -> tuple[ControlApp, Notes]:
    notes = Notes()
    app = ControlApp(
        "notes", clock=Clock(clock, running=False), faults=Faults("smudge"), state=notes, state_file=state_file
    )

    def vendor(environ: Any, start_response: Any) -> Any:
        text = Request(environ).get_data(as_text=True)
        app.calls.count("note", "create", 1)

        def handle() -> Response:
            notes.texts.append(text)
            app.snapshot.mark_changed()
            return Response(text)

        return with_transport_faults(environ, app.faults, app.late, "note", write=True, handle=handle)(
            environ, start_response
        )

    app.vendor = vendor
    return app, notes


@pytest.fixture
def sandbox() -> Iterator[tuple[RunningServer, Notes]]:
    app, notes = note_sandbox()
    with serve(app) as server:
        yield server, notes


def test_a_held_clock_stands_and_a_running_one_ticks() -> None:
    clock = Clock(START, running=False)
    assert clock.now() == START
    clock.advance(86400)
    assert clock.now() == START + timedelta(days=1)
    clock.run(True)
    assert clock.now() >= START + timedelta(days=1)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Clock(datetime(2019, 9, 11))  # noqa: DTZ001 - the fault under test


def test_clock_is_driven_over_http(sandbox: tuple[RunningServer, Notes]) -> None:
    url = sandbox[0].url + "/control/clock"
    assert requests.get(url, timeout=60).json() == {"now": "2019-09-11T17:41:08Z", "running": False}
    assert requests.post(url, json={"advance_seconds": 52}, timeout=60).json()["now"] == "2019-09-11T17:42:00Z"
    assert requests.post(url, json={"now": "2020-01-01T00:00:00+01:00"}, timeout=60).json()["now"] == (
        "2019-12-31T23:00:00Z"
    )
    assert requests.post(url, json={"running": True}, timeout=60).json()["running"] is True
    assert requests.post(url, json={"now": "2020-01-01T00:00:00"}, timeout=60).status_code == 400


def test_the_same_seed_strikes_the_same_requests() -> None:
    def strikes(seed: int) -> list[bool]:
        faults = Faults()
        faults.turn_on({"lost_reply": {"rate": 0.3, "seed": seed}})
        return [faults.strikes("lost_reply", "note", write=True) is not None for _ in range(200)]

    assert strikes(7) == strikes(7)
    assert strikes(7) != strikes(8)
    assert 30 < sum(strikes(7)) < 90


def test_a_fault_without_operations_strikes_writes_only_and_ends_with_its_count() -> None:
    faults = Faults()
    faults.turn_on({"quota": {"count": 2}})
    assert faults.strikes("quota", "getOrders", write=False) is None
    assert [faults.strikes("quota", "createOrders", write=True) is not None for _ in range(3)] == [True, True, False]
    faults.turn_on({"quota": {"operations": ["getOrders"]}})
    assert faults.strikes("quota", "getOrders", write=False) is not None
    assert faults.strikes("quota", "createOrders", write=True) is None


@pytest.mark.parametrize("knob", [{"rate": 2}, {"count": -1}, {"every": 3}, {"operations": "note"}, 5])
def test_a_bad_knob_is_refused_and_changes_nothing(sandbox: tuple[RunningServer, Notes], knob: object) -> None:
    url = sandbox[0].url + "/control/faults"
    reply = requests.post(url, json={"quota": {}, "lost_reply": knob}, timeout=60)
    assert reply.status_code == 400
    assert "lost_reply" in reply.json()["error"]
    assert requests.get(url, timeout=60).json() == {}


def test_an_unknown_fault_is_refused_and_a_vendor_one_is_known(sandbox: tuple[RunningServer, Notes]) -> None:
    url = sandbox[0].url + "/control/faults"
    assert requests.post(url, json={"gremlins": {}}, timeout=60).status_code == 400
    assert requests.post(url, json={"smudge": {"count": 1}}, timeout=60).json()["smudge"]["count"] == 1
    assert requests.delete(url, timeout=60).json() == {}


def test_lost_request_applies_nothing_and_lost_reply_applies_once(sandbox: tuple[RunningServer, Notes]) -> None:
    server, notes = sandbox
    server.app.faults.turn_on({"lost_request": {"count": 1}})
    with pytest.raises(requests.ConnectionError):
        requests.post(server.url + "/notes", data="a", timeout=60)
    assert notes.texts == []
    server.app.faults.turn_on({"lost_reply": {"count": 1}})
    with pytest.raises(requests.ConnectionError):
        requests.post(server.url + "/notes", data="b", timeout=60)
    assert notes.texts == ["b"]
    assert requests.post(server.url + "/notes", data="c", timeout=60).text == "c"
    assert requests.get(server.url + "/control/calls", timeout=60).json()["operations"]["note"]["calls"] == 3


def test_late_commit_drops_at_once_and_applies_later(sandbox: tuple[RunningServer, Notes]) -> None:
    server, notes = sandbox
    server.app.faults.turn_on({"late_commit": {"count": 1, "seconds": 3600}})
    with pytest.raises(requests.ConnectionError):
        requests.post(server.url + "/notes", data="late", timeout=60)
    assert notes.texts == []
    server.app.late.apply_now()
    assert notes.texts == ["late"]


def test_html_503_comes_from_a_gateway_and_applies_nothing(sandbox: tuple[RunningServer, Notes]) -> None:
    server, notes = sandbox
    server.app.faults.turn_on({"html_503": {"count": 1}})
    reply = requests.post(server.url + "/notes", data="a", timeout=60)
    assert (reply.status_code, reply.headers["Content-Type"]) == (503, "text/html; charset=UTF-8")
    assert notes.texts == []


def test_state_and_clock_survive_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    app, _ = note_sandbox(file)
    with serve(app) as server:
        requests.post(server.url + "/notes", data="kept", timeout=60)
        requests.post(server.url + "/control/clock", json={"advance_seconds": 60}, timeout=60)
    again, notes = note_sandbox(file, clock=datetime(2000, 1, 1, tzinfo=UTC))
    assert notes.texts == ["kept"]
    assert again.clock.now() == START + timedelta(seconds=60)


def test_a_state_file_of_another_sandbox_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"sandbox": "other", "vendor": [], "clock": {}}))
    with pytest.raises(ValueError, match="belongs to sandbox 'other'"):
        note_sandbox(file)


def test_many_changes_write_the_file_once(tmp_path: Path) -> None:
    dumps: list[int] = []
    written = threading.Event()

    def dump() -> bytes:
        dumps.append(1)
        written.set()
        return b"{}"

    snapshot = Snapshot(tmp_path / "state.json", dump, delay_seconds=0.005)
    for _ in range(100):
        snapshot.mark_changed()
    assert written.wait(60)
    assert len(dumps) <= 2


def test_reset_forgets_state_faults_calls_and_time(sandbox: tuple[RunningServer, Notes]) -> None:
    server, notes = sandbox
    requests.post(server.url + "/notes", data="a", timeout=60)
    requests.post(server.url + "/control/faults", json={"quota": {}}, timeout=60)
    requests.post(server.url + "/control/clock", json={"advance_seconds": 5}, timeout=60)
    requests.post(server.url + "/control/reset", timeout=60)
    assert (notes.texts, server.app.faults.as_json(), server.app.calls.snapshot()) == ([], {}, {})
    assert server.app.clock.now() == START


def test_an_unknown_control_path_names_the_known_ones(sandbox: tuple[RunningServer, Notes]) -> None:
    reply = requests.get(sandbox[0].url + "/control/nothing", timeout=60)
    assert reply.status_code == 404
    assert "GET /control/clock" in reply.json()["known"]


def test_an_unknown_vendor_is_a_usage_error() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "sandbox", "nobody"], capture_output=True, text=True, check=False, timeout=60
    )
    assert process.returncode == 2
    assert "usage" in process.stderr


def test_a_process_says_when_it_is_ready_and_saves_on_sigterm(tmp_path: Path) -> None:
    file = tmp_path / "gam.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "gam", "--state", str(file), "--clock", "2019-09-11T00:00:00Z"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    with process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        assert ready["name"] == "gam"
        assert requests.get(ready["url"] + "/control/clock", timeout=60).json()["now"].startswith("2019-09-11T")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert json.loads(file.read_bytes())["sandbox"] == "gam"
