"""`python -m cli.erp`: make the template of the company now, so that the first start of the ERP takes a second."""

from __future__ import annotations

import sys

import typer

from cli.erp.installation import TOOLS, TrytonError
from cli.erp.tryton import made_template


def main() -> int:
    """Make it when there is none yet for this installation; 1 with a sentence when that fails."""
    try:
        typer.echo(f"The company's template is {made_template(TOOLS)}.")
    except TrytonError as error:
        typer.echo(str(error), err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
