"""What differs at Ad Manager and what is only said otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.gam.comparing import differences

MOMENT = {"date": {"year": 2026, "month": 2, "day": 1}, "hour": 5, "minute": 0, "second": 0, "timeZoneId": "UTC"}
ELSEWHERE = {**MOMENT, "hour": 0, "timeZoneId": "America/New_York"}
AFTER_SUMMER = {**MOMENT, "date": {"year": 2019, "month": 11, "day": 3}, "hour": 6, "minute": 11}
TWICE = {**AFTER_SUMMER, "hour": 1, "timeZoneId": "America/New_York"}
"""The hour that comes twice in New York; the vendor's form cannot say which."""


@pytest.mark.parametrize(
    ("wanted", "present"),
    [
        ({"notes": None}, {}),
        ({"notes": ""}, {"notes": None}),
        ({"unlimitedEndDateTime": False}, {}),
        ({"startDateTime": MOMENT}, {"startDateTime": ELSEWHERE}),
        ({"endDateTime": AFTER_SUMMER}, {"endDateTime": TWICE}),
        ({"endDateTime": {**AFTER_SUMMER, "hour": 5}}, {"endDateTime": TWICE}),
        ({"primaryGoal": {"units": 5}}, {"primaryGoal": {"units": 5, "goalType": "LIFETIME"}}),
        ({"advertiserId": "7"}, {"advertiserId": 7}),
        ({"appliedTeamIds": [1, 2]}, {"appliedTeamIds": [2, 1]}),
        ({"geoTargeting": {"targetedLocations": [], "excludedLocations": []}}, {}),
        ({"name": "Spring", "allowOverbook": True}, {"name": "Spring"}),
        ({"id": 7}, {"id": 8}),
        ({}, {"priority": 8, "status": "READY"}),
    ],
)
def test_another_spelling_or_a_default_is_no_difference(wanted: dict[str, Any], present: dict[str, Any]) -> None:
    assert differences(wanted, present) == []


@pytest.mark.parametrize(
    ("wanted", "present", "paths"),
    [
        ({"name": "Spring"}, {"name": "Autumn"}, ["name"]),
        ({"name": "Spring"}, {}, ["name"]),
        ({"endDateTime": {**AFTER_SUMMER, "hour": 7}}, {"endDateTime": TWICE}, ["endDateTime"]),
        ({"notes": None}, {"notes": "by hand"}, ["notes"]),
        ({"primaryGoal": {"units": 5, "goalType": "LIFETIME"}}, {"primaryGoal": {"units": 6, "goalType": "LIFETIME"}},
         ["primaryGoal.units"]),
        ({"costPerUnit": {"microAmount": 1, "currencyCode": "USD"}}, {"costPerUnit": {"microAmount": 2, "currencyCode": "USD"}},
         ["costPerUnit"]),
        ({"startDateTime": MOMENT}, {"startDateTime": {**MOMENT, "hour": 6}}, ["startDateTime"]),
        ({"creativePlaceholders": [{"size": 1}]}, {"creativePlaceholders": [{"size": 1}, {"size": 2}]}, ["creativePlaceholders"]),
        ({"targeting": {"geoTargeting": {"targetedLocations": [{"id": 1}]}}}, {"targeting": {}}, ["targeting.geoTargeting"]),
        ({"geoTargeting": {"targetedLocations": []}}, {"geoTargeting": {"targetedLocations": [{"id": 1}]}},
         ["geoTargeting.targetedLocations"]),
    ],
)  # fmt: skip
def test_a_foreign_value_is_named_by_its_path(
    wanted: dict[str, Any], present: dict[str, Any], paths: list[str]
) -> None:
    assert [each.path for each in differences(wanted, present)] == paths
