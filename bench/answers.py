"""What a mapping may ask on its way out, answered as after a first push: every reference is known."""

from __future__ import annotations

from mappings.context import Names
from mappings.trial import TrialContext

_SETTINGS = {"root_ad_unit_id": "21700000001", "trafficker_id": "7"}
_VENDOR_ID = "2890417203"
"""As long as Ad Manager's ids are."""


def answers(names: Names, facet: str = "") -> TrialContext:
    """The surroundings of one batch of records, with the settings that the shipped mappings need."""
    return TrialContext(names, _SETTINGS, facet, known_as=_VENDOR_ID)
