"""The hub's mapping against Airbyte's CDK reading the same records untransformed: whole processes, JSON lines out, rounds apart.

Both sides read the same pages of 500 records from one server on loopback and write a line of JSON for each. The CDK runs
a low-code manifest with one stream, no transformation, no schema to check: it decodes, wraps and writes. The hub decodes,
maps to canonical with full validation, maps to the ad server's record and writes, in one process and in several. The
CDK's pins and ours do not fit together, so it has an environment of its own under `.tools/airbyte`, made from
`requirements/airbyte.lock` by hash when it is wanted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.crm_records import LINES
from bench.hub_process import PAGE
from bench.result import Measurement, NotRun, measured

LIMIT = 3.0
PROCESSES = 4
"""In which the hub maps when it maps in several; the method's machine has as many cores."""
ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "airbyte.lock"
ENVIRONMENT = ROOT / ".tools" / "airbyte"
INSTALL_SECONDS = 600.0
RUN_SECONDS = 600.0
VARIABLES = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
"""Loopback is never reached through a proxy, on either side."""
_UNKEPT = "PYTHONDONTWRITEBYTECODE"
"""Where it is set, each start would compile the hub's own modules anew, while those of installed packages lie compiled."""


class InstallationError(Exception):
    """Airbyte's CDK cannot be installed here; the message says why."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One process that came to its end: wall seconds, processor seconds, peak resident memory, lines it wrote."""

    seconds: float
    processor_seconds: float
    peak_mb: float
    lines: int


def run(*, rounds: int, full: bool) -> list[Measurement | NotRun]:
    """Lines as the hub's connector reads them; opportunities with eight lines in one record, in the study's size (few fields
    asked for), with all fields of ordinary lines, and of any lines of the book, those of thousands of postal codes included."""
    name = "mapping against Airbyte's CDK"
    try:
        python = installed()
    except InstallationError as why:
        return [NotRun(name, str(why))]
    lines, opportunities = (20_000, 20_000) if full else (10_000, 2_000)
    shapes = {
        "lines": ("lines", lines, 1),
        f"opportunities with {LINES} lines of few fields": ("brief", opportunities, 1 + LINES),
        f"opportunities with {LINES} ordinary lines": ("ordinary", opportunities, 1 + LINES),
        f"opportunities with {LINES} lines of any length": ("opportunities", opportunities, 1 + LINES),
    }
    return [
        measurement
        for words, (shape, count, per_record) in shapes.items()
        for measurement in compared(f"{name}: {words}", python, shape, count, rounds, per_record)
    ]


def compared(name: str, python: Path, shape: str, count: int, rounds: int, per_record: int) -> list[Measurement]:
    """Interleaved rounds of the CDK and of the hub in one process and in several over the same pages.

    Raises AssertionError when a side lost a record.
    """
    with tempfile.TemporaryDirectory() as scratch, served(shape, count) as (url, size):
        folder = Path(scratch)
        peer = peer_command(python, folder, url)
        ours = [sys.executable, "-m", "bench.hub_start", f"{url}/records"]
        seen: list[tuple[Ran, Ran, Ran]] = []
        for number in range(rounds + 1):
            sides = (
                ran(peer, folder / "peer.jsonl", b'"type":"RECORD"'),
                ran([*ours, "1"], folder / "hub.jsonl", b""),
                ran([*ours, str(PROCESSES)], folder / "many.jsonl", b""),
            )
            if [side.lines for side in sides] != [count, count * per_record, count * per_record]:
                came = ", ".join(str(side.lines) for side in sides)
                raise AssertionError(f"of {count} records, {came} came through Airbyte, the hub and the hub in several")
            if number:  # the first round warms the page cache and the compiled files, and is not counted
                seen.append(sides)
    return [
        _measurement(
            name if side == 1 else f"{name}, {PROCESSES} processes",
            [(sides[0], sides[side]) for sides in seen],
            count,
            per_record,
            size,
            "one process" if side == 1 else f"pages mapped in {PROCESSES} processes",
        )
        for side in (1, 2)
    ]


def _measurement(
    name: str, seen: Sequence[tuple[Ran, Ran]], count: int, per_record: int, size: int, words: str
) -> Measurement:
    return measured(
        name,
        [(theirs.seconds, hub.seconds) for theirs, hub in seen],
        method=(
            f"{count:,} records in pages of {PAGE} over loopback, whole processes with their start, JSON lines out; "
            "a: Airbyte CDK low-code source, untransformed, unvalidated; b: the hub, to canonical (fully validated) and "
            f"to the ad server's record, {words}. Interleaved rounds, wall time, ratio = a / b."
        ),
        limit=LIMIT,
        sense="at_least",
        ratio=lambda theirs, hub: theirs / hub,
        figures={
            "records": count,
            "canonical_entities": count * per_record,
            "bytes_per_record": round(size / count),
            "peak_mb_a": max(theirs.peak_mb for theirs, _ in seen),
            "peak_mb_b": max(hub.peak_mb for _, hub in seen),
            "processor_seconds_a": round(min(theirs.processor_seconds for theirs, _ in seen), 2),
            "processor_seconds_b": round(min(hub.processor_seconds for _, hub in seen), 2),
        },
    )


def installed() -> Path:
    """The interpreter of the CDK's environment, made from the lock when it is absent or another. Raises InstallationError."""
    python, mark = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "installed.lock"
    lock = LOCK.read_bytes()
    if mark.exists() and mark.read_bytes() == lock:
        return python
    uv = [sys.executable, "-m", "uv"]
    # Compiled like our own environment, else the first start would be the peer's alone to pay.
    sync = ["pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--python", str(python), str(LOCK)]
    for step in ([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(ENVIRONMENT)], [*uv, *sync]):
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InstallationError(f"the CDK cannot be installed ({error})") from error
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or ["uv said nothing"]
            raise InstallationError(f"the CDK cannot be installed ({said[-1][:300]})")
    mark.write_bytes(lock)
    return python


@contextmanager
def served(shape: str, count: int) -> Iterator[tuple[str, int]]:
    """A page server in a process of its own: its URL and how many bytes it holds."""
    command = [sys.executable, "-m", "bench.page_server", "--shape", shape, "--records", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            said = json.loads(server.stdout.readline())
            yield f"http://127.0.0.1:{said['port']}", int(said["bytes"])
        finally:
            server.stdin.close()


def ran(command: Sequence[str], out: Path, counted: bytes) -> Ran:
    """Run a process to its end, its output into a file; `counted` lines are those that contain these bytes.

    Raises AssertionError when it fails.
    """
    complaints = out.with_suffix(".err")
    variables = {name: value for name, value in os.environ.items() if name != _UNKEPT} | VARIABLES
    with out.open("wb") as file, complaints.open("wb") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=file, stderr=errors, cwd=ROOT, env=variables)
        _, status, used = os.wait4(process.pid, 0)  # the only call that tells one child's memory
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = complaints.read_text("utf-8")[-800:] or out.read_text("utf-8")[-1600:]  # the CDK complains to its output
        raise AssertionError(f"{Path(command[0]).name} ended with {process.returncode}: {said}")
    with out.open("rb") as file:
        lines = sum(1 for line in file if counted in line)
    return Ran(seconds, used.ru_utime + used.ru_stime, round(used.ru_maxrss / 1024, 1), lines)


def peer_command(python: Path, folder: Path, url: str) -> list[str]:
    """The CDK's own runner of low-code manifests, with its configuration written into the folder."""
    stream = {"name": "records", "json_schema": {"type": "object"}, "supported_sync_modes": ["full_refresh"]}
    configured = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    files = {
        "config.json": {"__injected_declarative_manifest": manifest(url)},
        "catalog.json": {"streams": [configured]},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    runner = str(python.parent / "source-declarative-manifest")
    return [runner, "read", "--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json")]


def manifest(url: str) -> Mapping[str, Any]:
    """One stream, paged by offset, no transformation, a schema that allows everything."""
    retriever = {
        "type": "SimpleRetriever",
        "requester": {"type": "HttpRequester", "url_base": url, "path": "/records", "http_method": "GET"},
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": ["records"]},
        },
        "paginator": {
            "type": "DefaultPaginator",
            "page_token_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "offset"},
            "page_size_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "limit"},
            "pagination_strategy": {"type": "OffsetIncrement", "page_size": PAGE},
        },
    }
    schema = {"type": "InlineSchemaLoader", "schema": {"type": "object", "additionalProperties": True}}
    stream = {"type": "DeclarativeStream", "name": "records", "retriever": retriever, "schema_loader": schema}
    return {
        "version": "7.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["records"]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "additionalProperties": True}},
    }
