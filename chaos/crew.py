"""The workers of a run: who stands where, and how one is killed and replaced."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.demo.configuration import LEDGER
from cli.demo.engine import AD_SERVER, SOURCE
from cli.demo.supervisor import Program, Supervised, Supervisor


@dataclass(frozen=True, slots=True)
class Post:
    """One place in the crew. `weight` says how often it is hit, relative to the others."""

    name: str
    verb: str
    connection: str
    weight: int


POSTS: Sequence[Post] = (
    Post("push-1", "push", AD_SERVER, 6),
    Post("push-2", "push", AD_SERVER, 6),
    Post("settle-1", "settle", AD_SERVER, 3),
    Post("settle-2", "settle", AD_SERVER, 3),
    Post("mirror-1", "mirror", SOURCE, 3),
    Post("mirror-2", "mirror", SOURCE, 3),
    Post("intake-1", "intake", SOURCE, 3),
    Post("intake-2", "intake", SOURCE, 3),
    Post("observe-1", "observe", AD_SERVER, 1),
    Post("delivery-1", "delivery", AD_SERVER, 1),
    Post("post-1", "post", LEDGER, 4),
    Post("post-2", "post", LEDGER, 4),
    Post("bill-1", "bill", LEDGER, 1),
)
"""Two at once for every verb that writes to a vendor or accepts changes."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One process at a post. Its name is unlike that of every other worker of the run; PostgreSQL knows it by it."""

    post: Post
    name: str
    supervised: Supervised
    started: float
    """Seconds on the monotonic clock."""

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.supervised.process.poll() is None


class Crew:
    """Starts, kills and replaces workers."""

    def __init__(self, supervisor: Supervisor, config: Path, environment: Mapping[str, str]) -> None:
        self._supervisor = supervisor
        self._config = config
        self._environment = {**os.environ, **environment}
        self._number = 0
        self._at: dict[str, Worker] = {}
        self.crashes: list[str] = []

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._at.values())

    def man(self, posts: Sequence[Post]) -> None:
        """Put a worker at each of these posts."""
        for post in posts:
            self._start(post)

    def at(self, post: Post) -> Worker:
        """Who stands at a post now."""
        return self._at[post.name]

    def kill(self, worker: Worker) -> None:
        """SIGKILL, and gone when this returns."""
        os.killpg(worker.supervised.pid, signal.SIGKILL)
        worker.supervised.process.wait()

    def replace(self, worker: Worker) -> Worker:
        """Another process at the post of a worker that is gone."""
        self._supervisor.stop_program(worker.supervised)
        return self._start(worker.post)

    def replace_crashed(self) -> None:
        """Replace workers that ended by themselves, and remember with which words."""
        for worker in list(self._at.values()):
            if not worker.running:
                tail = worker.supervised.log_tail().splitlines()
                self.crashes.append(f"{worker.name}: {tail[-1] if tail else 'no words'}")
                self.replace(worker)

    def dismiss(self, verb: str | None = None) -> None:
        """Let everybody, or all of one verb, finish the round under way and leave."""
        self.replace_crashed()
        leaving = [worker for worker in self._at.values() if verb in (None, worker.post.verb)]
        for worker in leaving:
            worker.supervised.process.send_signal(signal.SIGTERM)
        for worker in leaving:
            self._supervisor.stop_program(worker.supervised)
            del self._at[worker.post.name]

    def _start(self, post: Post) -> Worker:
        self._number += 1
        name = f"{post.name}.{self._number}"
        command = [sys.executable, "-m", "chaos.worker", "--config", str(self._config)]
        command += ["--verb", post.verb, "--connection", post.connection]
        environment = {**self._environment, "PGAPPNAME": name}
        program = Program(name, command, environment, self._supervisor.folder)
        worker = Worker(post, name, self._supervisor.start(program), time.monotonic())
        self._at[post.name] = worker
        return worker
