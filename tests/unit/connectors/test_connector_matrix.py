"""The capability matrix in the documentation is what the connectors say today; discovery answers with sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors import discovery, matrix
from connectors.errors import Misconfigured

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "connectors.md"


def test_the_published_matrix_is_what_the_connectors_declare() -> None:
    assert PAGE.read_text(encoding="utf-8") == matrix.page(), "run: python -m connectors.matrix"


def test_a_claim_without_code_would_be_found() -> None:
    assert (
        PAGE.read_text(encoding="utf-8").replace("| reports billing | – |", "| reports billing | yes |")
        != matrix.page()
    )


def test_both_vendors_are_discovered_by_their_entry_points() -> None:
    assert {"gam", "salesforce"} <= set(discovery.installed())
    assert discovery.load("gam").name == "gam"


def test_an_unknown_connector_names_those_that_are_installed() -> None:
    with pytest.raises(Misconfigured, match=r"Choose one of gam, (.+, )?salesforce"):
        discovery.load("operative")
