"""Wall times without a zone lose nothing, quotes cannot be left, and settings that cannot work are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.netsuite.documents import document
from connectors.netsuite.suiteql import instant, text, wall_start

from .conftest import settings

ZONES = [ZoneInfo(name) for name in ("America/Los_Angeles", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata")]
moments = st.integers(1_700_000_000, 1_830_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@hypothesis_settings(max_examples=400)
@given(moments, st.integers(0, 7200), st.sampled_from(ZONES))
def test_whatever_changed_since_an_instant_is_behind_its_wall_start(
    since: datetime, later: int, zone: ZoneInfo
) -> None:
    shown = (since + timedelta(seconds=later)).astimezone(zone).replace(tzinfo=None)
    assert shown >= wall_start(since, zone)


@hypothesis_settings(max_examples=400)
@given(moments, st.sampled_from(ZONES))
def test_a_wall_time_is_never_read_as_later_than_it_was(at: datetime, zone: ZoneInfo) -> None:
    shown = at.astimezone(zone).replace(tzinfo=None)
    assert instant(shown, zone) <= at


@given(st.text(st.characters(blacklist_categories=("Cc", "Cs"))))
def test_a_literal_ends_where_it_should(value: str) -> None:
    quoted = text(value)
    assert quoted[0] == quoted[-1] == "'"
    assert quoted[1:-1].replace("''", "").count("'") == 0
    assert quoted[1:-1].replace("''", "'") == value


@pytest.mark.parametrize("value", ["a\x00b", "a\nb"])
def test_control_characters_are_not_quoted(value: str) -> None:
    with pytest.raises(ValueError, match="control"):
        text(value)


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "https://1234567.app.netsuite.com"},
        {"account": "12/../34"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../etc/passwd"},
        {"endpoint": "http://proxy.example"},
        {"endpoint": "https://user:pass@proxy.example"},
        {"algorithm": "HS256"},
        {"page_size": 1001},
        {"password": "x"},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    assert "PRIVATE KEY" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"total": "2.00"}, "total"),
        ({"total": "-1.00", "lines": [{"description": "x", "amount": "-1.00"}]}, "negative"),
        ({"kind": "credit_memo"}, "corrects"),
        ({"order": "O-1", "kind": "credit_memo", "corrects": "D-0"}, "sales order"),
        ({"lines": [{"description": "x", "amount": "1.00", "order_line": 1}]}, "no order"),
        ({"lines": []}, "lines"),
        ({"reference": "a/../b"}, "reference"),
        ({"total": float("nan")}, "total"),
    ],
)
def test_a_document_that_cannot_be_right_is_refused_with_its_fault(changes: dict[str, Any], said: str) -> None:
    good = {
        "reference": "D-1",
        "party": {"code": "A"},
        "currency": "USD",
        "date": "2026-11-01",
        "total": "1.00",
        "lines": [{"description": "x", "amount": "1.00"}],
    }
    assert document(good).reference == "D-1"
    with pytest.raises(ValueError, match=said):
        document({**good, **changes})
