"""Which version of the rules calculated a result, and the figures that are ours rather than the contract's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class UnknownRuleSet(KeyError):  # noqa: N818 - named after what is wrong, like the other errors of the project
    """A stored document names rules that this version of the program does not have."""

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__(
            f"The document was calculated by rules {version!r}, which this version does not know. It is not replayed. "
            "Operations replays it with the version of Orderhub that issued it."
        )

    def __str__(self) -> str:
        """The sentence itself; KeyError would show it in quotes."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """One version of the rules. A published one never changes; another figure or another formula is another version."""

    version: str
    no_delivery_after_hours: int
    """A delivering line that was live for longer and counted nothing is a fault to be looked at, never a bill of 0.00."""
    under_delivery_ppm: int
    """Below the booked quantity by more than this raises the flag. IPA: 5 %; another test than the contract's tolerance."""
    dispute_uplift_ppm: int
    """What a settlement adds to the controlling count. Standard terms v3.0 as reported: 10 %."""


_RULE_SETS: Mapping[str, RuleSet] = MappingProxyType(
    {
        rules.version: rules
        for rules in (
            RuleSet(
                version="2026.1",
                no_delivery_after_hours=24,
                under_delivery_ppm=50_000,
                dispute_uplift_ppm=100_000,
            ),
        )
    }
)
CURRENT = _RULE_SETS["2026.1"]
"""The rules that new calculations use."""


def rule_set(version: str) -> RuleSet:
    """The rules of that version. Raises UnknownRuleSet."""
    try:
        return _RULE_SETS[version]
    except KeyError:
        raise UnknownRuleSet(version) from None
