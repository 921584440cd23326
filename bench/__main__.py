"""`make bench`: every measurement as JSON, small sizes by default, the full ones with `--full`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

BENCHES = ("mapping", "planning")


def main() -> int:
    """Run the chosen measurements; exit code 2 only when one could not be made."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(BENCHES), help=f"which of {', '.join(BENCHES)}")
    parser.add_argument("--full", action="store_true", help="the sizes of the published figures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="also write the JSON here")
    given = parser.parse_args()
    results = []
    for name in given.names:
        module = importlib.import_module(f"bench.{name}")
        found = module.run(rounds=given.rounds, full=given.full)
        for measurement in found if isinstance(found, list) else [found]:
            results.append(measurement.as_dict())
            print(
                f"{measurement.name}: {measurement.ratio} {measurement.spread} ({measurement.verdict})", file=sys.stderr
            )
    document = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
        "full": given.full,
        "results": results,
    }
    text = json.dumps(document, indent=2)
    if given.output is not None:
        given.output.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
