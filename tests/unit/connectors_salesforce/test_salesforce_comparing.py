"""What differs in an org and what is only said otherwise; a hidden field is no edit, null is one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.salesforce.comparing import differences


@pytest.mark.parametrize(
    ("wanted", "present"),
    [
        ("Spring", "Spring"),
        ("Spring ", "Spring"),
        ("\tSpring \r\n", "Spring"),
        (" \n", None),
        ("", None),
        (None, None),
        (5, Decimal("5.0")),
        (Decimal("12.50"), 12.5),
        (0, Decimal("0")),
        (True, True),
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00.000+0000"),
        (datetime(2026, 2, 1, 1, tzinfo=UTC), "2026-02-01T01:00:00.000+0000"),
        (date(2026, 2, 1), "2026-02-01"),
    ],
)
def test_the_same_value_in_another_form_is_no_difference(wanted: Any, present: Any) -> None:
    assert differences({"F": wanted}, {"F": present}) == []


@pytest.mark.parametrize(
    ("wanted", "present"),
    [
        ("Spring", "Autumn"),
        ("Spring\u00a0", "Spring"),
        ("Spring", None),
        (None, "x"),
        (0, None),
        (5, Decimal("5.01")),
        (False, None),
        ("5", "5.0"),
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:01.000+0000"),
        (5, "five"),
    ],
)
def test_another_value_is_told(wanted: Any, present: Any) -> None:
    (found,) = differences({"F": wanted}, {"F": present})
    assert (found.path, found.wanted, found.present) == ("F", wanted, present)


def test_a_field_hidden_by_field_level_security_was_edited_by_nobody() -> None:
    assert differences({"Hidden__c": "x", "Shown__c": "y"}, {"Shown__c": "y"}) == []
