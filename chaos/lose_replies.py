"""A mitmproxy script: drops the reply to a share of the writes, after the vendor has applied them.

Runs inside mitmdump's own environment, so it imports nothing of ours. `ORDERHUB_CHAOS_LOSSES` names a JSON file
`{"rate": 0.08, "seed": 1}`, read again whenever it changes; every dropped reply becomes a line of the file beside it
with the ending `.dropped`.
"""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import Any

_SOAP_WRITE = re.compile(rb"<(?:[\w.-]+:)?Body>\s*<(?:[\w.-]+:)?((?:create|update|perform)[A-Z]\w*)")


class LoseReplies:
    """The script's state: the knob and its dice."""

    def __init__(self, knob: Path) -> None:
        self._knob = knob
        self._dropped = knob.with_suffix(".dropped")
        self._read_at = -1
        self._rate = 0.0
        self._dice = random.Random(0)

    def response(self, flow: Any) -> None:
        """mitmproxy's hook: the whole reply has come from the vendor and has not yet gone to the hub."""
        operation = written(flow.request.method, flow.request.path, flow.request.raw_content or b"")
        if operation is None or not self._strikes():
            return
        flow.kill()
        with self._dropped.open("a", encoding="utf-8") as out:
            out.write(f"{flow.response.status_code} {operation}\n")

    def _strikes(self) -> bool:
        changed_at = self._knob.stat().st_mtime_ns
        if changed_at != self._read_at:
            said = json.loads(self._knob.read_text("utf-8"))
            self._read_at, self._rate = changed_at, float(said["rate"])
            self._dice = random.Random(said["seed"])
        return self._rate > 0 and self._dice.random() < self._rate


def written(method: str, path: str, body: bytes) -> str | None:
    """What a request writes at Ad Manager, Salesforce or Xero, None for one that only reads."""
    if method == "POST" and "/apis/ads/publisher/" in path:
        found = _SOAP_WRITE.search(body)
        return None if found is None else found.group(1).decode()
    if method in {"POST", "PATCH", "PUT", "DELETE"} and ("/services/data/" in path or "/api.xro/" in path):
        return f"{method} {path.partition('?')[0]}"
    return None


addons = [LoseReplies(Path(os.environ["ORDERHUB_CHAOS_LOSSES"]))] if "ORDERHUB_CHAOS_LOSSES" in os.environ else []
