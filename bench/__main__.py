"""`make bench`: every measurement as JSON, small sizes by default, the full ones with `--full`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from bench.result import Measurement, NotRun

BENCHES = ("mapping", "soap", "airbyte", "planning", "facts", "reconciliation", "claims", "latency", "demo")
"""Names of the modules that measure, the quick ones first."""
FAILED = 2
"""Exit code when a measurement broke off. A limit that is missed is a figure, not a failure."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen measurements and print them; one that breaks off is told with its reason, and the others go on."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(BENCHES)}; all by default")
    parser.add_argument("--full", action="store_true", help="the sizes of the published figures")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of each ratio (5)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the JSON here")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.names) - set(BENCHES)):
        parser.error(f"no measurement is called {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    if given.rounds < 1:
        parser.error("--rounds needs at least 1")
    results: list[Measurement | NotRun] = []
    broken = 0
    for name in given.names or BENCHES:
        try:
            found = importlib.import_module(f"bench.{name}").run(rounds=given.rounds, full=given.full)
        except Exception as error:  # whatever stops one measurement must not hide the others
            traceback.print_exc()
            broken += 1
            found = NotRun(name, f"it broke off: {type(error).__name__}: {error}")
        for one in found if isinstance(found, list) else [found]:
            results.append(one)
            print(sentence(one), file=sys.stderr, flush=True)
    document = {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
            "load_average": os.getloadavg(),
        },
        "full": given.full,
        "results": [one.as_dict() for one in results],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if given.output is not None:
        given.output.write_text(text + "\n", encoding="utf-8")
    print(text)
    return FAILED if broken else 0


def sentence(one: Measurement | NotRun) -> str:
    """One measurement for a person."""
    if isinstance(one, NotRun):
        return f"{one.name}: not run: {one.reason}"
    low, high = one.spread
    limit = "" if one.limit is None else f"; limit {one.sense.replace('_', ' ')} {one.limit:g}"
    return f"{one.name}: {one.ratio:g} {one.unit} ({low:g} to {high:g}{limit}) {one.verdict}"


if __name__ == "__main__":
    sys.exit(main())
