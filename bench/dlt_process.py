"""dlt in its best mode for bench/facts.py; runs in dlt's own environment, so it imports nothing of ours.

pyarrow reads the packed CSV in batches, dlt passes them on as Arrow, writes CSV, COPYs it into its staging table and merges
by key: the mode that its documentation recommends for speed on PostgreSQL, with idempotent reloads as ours are.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main() -> None:
    """`python dlt_process.py URL FILE FOLDER`; prints one JSON object."""
    url, file, folder = sys.argv[1:4]
    os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="CRITICAL", DLT_DATA_DIR=folder)
    import dlt
    import pyarrow
    from pyarrow import csv

    kinds = {"day": pyarrow.date32(), **dict.fromkeys(("line", "ad_unit", "impressions", "clicks"), pyarrow.int64())}

    def facts() -> Iterator[Any]:
        with pyarrow.CompressedInputStream(pyarrow.OSFile(file, "rb"), "gzip") as stream:
            yield from csv.open_csv(
                stream, csv.ReadOptions(block_size=8 << 20), convert_options=csv.ConvertOptions(column_types=kinds)
            )

    # dlt insists on a host and a password; libpq takes the socket's folder, named last, and the server asks for no password.
    url = url.replace("postgres@/", "postgres:none@localhost:5432/", 1)
    begin = time.perf_counter()
    pipeline = dlt.pipeline("facts", destination=dlt.destinations.postgres(credentials=url), dataset_name="facts")
    key = ("day", "line", "ad_unit")
    rows = dlt.resource(facts, name="facts", write_disposition="merge", primary_key=key)
    pipeline.run(rows, loader_file_format="csv")
    seconds = time.perf_counter() - begin
    status = Path("/proc/self/status").read_text("ascii")  # as in facts_process.py
    (peak,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    print(json.dumps({"seconds": seconds, "peak_mb": round(int(peak.split()[1]) / 1024, 1)}))


if __name__ == "__main__":
    main()
