"""The census of the simulated org: every Id once, the recycle bin marked, one request for a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from connectors.base import CountsRecords
from connectors.errors import Misconfigured
from connectors.salesforce import SalesforceConnector

if TYPE_CHECKING:
    from conftest import Org


def test_every_record_is_counted_once_and_the_recycle_bin_is_marked(
    org: Org, connect: Callable[..., SalesforceConnector]
) -> None:
    made = [org.deal(f"Deal {number}") for number in range(7)]
    org.control("delete", object="Opportunity", id=made[2])
    salesforce = connect(page_size=3)
    assert isinstance(salesforce, CountsRecords)
    before = org.calls().get("GET queryAll Opportunity", 0)
    pages = list(salesforce.census("Opportunity"))
    rows = [row for page in pages for row in page]
    assert {row.vendor_id for row in rows if row.archived} == {made[2]}
    assert {row.vendor_id for row in rows if not row.archived} >= {*made} - {made[2]}
    assert len(rows) == len({row.vendor_id for row in rows})
    queries = {name: calls for name, calls in org.calls().items() if "query" in name.casefold()}
    assert sum(queries.values()) - before == len(pages), queries


def test_an_object_that_is_not_handled_is_not_counted(connect: Callable[..., SalesforceConnector]) -> None:
    with pytest.raises(Misconfigured):
        next(connect().census("Contact"))
