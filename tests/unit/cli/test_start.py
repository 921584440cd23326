"""Where the command begins."""

from __future__ import annotations

import gc
from importlib import import_module
from importlib.metadata import entry_points


def test_the_collector_is_at_work_once_the_command_is_there() -> None:
    (command,) = entry_points(group="console_scripts", name="orderhub")
    assert command.load() is import_module("cli.main").run
    assert gc.isenabled()
