"""One side of bench/facts.py in a process of its own, so that its memory can be told; prints one JSON object.

`raw URL FILE`: COPY of the plain CSV into an unlogged table without index, one session. `hub URL FILE`: the report into
facts; `small URL FILE`: the same where the hub's configuration says `report_memory: small`. Seconds are from the first byte
read to the last commit, without the interpreter's start, on all sides. Memory is
this process's largest resident set since it began; it starts no other process.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psycopg


def peak_mb() -> float:
    """What the kernel remembers of this program alone; `getrusage` would count the parent before the program was started, too."""
    status = Path("/proc/self/status").read_text("ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return round(int(line.split()[1]) / 1024, 1)


def raw(url: str, file: Path) -> dict[str, float]:
    """The server's own speed: bytes of the file straight into COPY."""
    begin = time.perf_counter()
    with psycopg.connect(url) as connection, connection.cursor() as cur:
        cur.execute(
            "CREATE UNLOGGED TABLE raw (day date, line bigint, ad_unit bigint, impressions bigint, clicks bigint)"
        )
        with file.open("rb") as bytes_, cur.copy("COPY raw FROM STDIN WITH (FORMAT csv, HEADER)") as copy:
            while piece := bytes_.read(1 << 20):
                copy.write(piece)
        rows = cur.rowcount
    return {"seconds": time.perf_counter() - begin, "rows": rows, "changed": rows}


def hub(url: str, file: Path, memory: Literal["ample", "small"] = "ample") -> dict[str, float]:
    """The report as the hub loads it, under its setting `report_memory`."""
    from hub.config import Configuration, ConnectionSettings, HubSettings, StoreSettings
    from hub.delivery.loading import Report, load_report
    from hub.delivery.shape import ReportShape
    from hub.delivery.unpacking import file_pieces
    from hub.session import Session

    shape = ReportShape.model_validate(
        {
            "columns": {name: name for name in ("day", "line", "ad_unit", "impressions", "clicks")},
            "zone": "UTC",
            "counted_by": "seller",
            "complete_by": "gzip",
        }
    )
    connections = {"ads": ConnectionSettings(connector="gam", report=shape)}
    settings = Configuration(
        Path("bench.yaml"), HubSettings(store=StoreSettings(url=url), report_memory=memory), connections, {}
    )
    session = Session.from_configuration(settings)
    begin = time.perf_counter()
    done = load_report(session, "ads", Report(file.name, file_pieces(file), datetime.now(UTC)))
    seconds = time.perf_counter() - begin
    session.close()
    changed = done.facts_new + done.facts_restated + done.quarantined
    return {"seconds": seconds, "rows": done.rows, "changed": changed, "days_changed": done.days_changed}


def small(url: str, file: Path) -> dict[str, float]:
    """The report as a hub loads it that is told to hold little of it."""
    return hub(url, file, "small")


if __name__ == "__main__":
    said = {"raw": raw, "hub": hub, "small": small}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
    print(json.dumps({**said, "peak_mb": peak_mb()}))
