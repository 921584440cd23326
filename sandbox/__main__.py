"""`python -m sandbox gam|netsuite|salesforce|xero`: runs one simulated vendor as a process on loopback."""

from __future__ import annotations

import importlib
import sys

_VENDORS = {
    "gam": "sandbox.gam.process",
    "netsuite": "sandbox.netsuite.process",
    "salesforce": "sandbox.salesforce.process",
    "xero": "sandbox.xero.process",
}


def main(arguments: list[str]) -> int:
    """Run the vendor named first with the remaining arguments; exit code 2 if there is no such vendor."""
    if not arguments or arguments[0] not in _VENDORS:
        sys.stderr.write(f"usage: python -m sandbox {{{','.join(_VENDORS)}}} --port P --state FILE --clock ISO\n")
        return 2
    vendor = importlib.import_module(_VENDORS[arguments[0]])
    return int(vendor.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
