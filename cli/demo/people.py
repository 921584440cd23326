"""Plays the people around the hub, through the sandboxes' control interfaces only: administrators, the trafficker, readers.

The CRM's administrator activates currencies; the ad server's administrator defines custom targeting; the trafficker
attaches creatives to approved lines; readers see ads (true impressions); time passes; networks misbehave (`--faults`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cli.demo.control import SandboxControl
from cli.demo.order_book import BookLine, OrderBook

CUSTOM_KEYS: Mapping[str, str] = {
    "AgeBracket": "age",
    "Gender": "gender",
    "Interests": "interest",
    "AdvancedDemographics": "demographic",
    "Segments": "segment",
    "OsType": "os",
    "Language": "language",
    "Targeting Connection Type": "connection_type",
    "Targeting Carrier (ISP)": "carrier",
    "Location Categories (Included)": "location_category",
    "Location Categories (Excluded)": "location_category",
}
"""Columns that the ad server can only express as custom key-values, and the keys its administrator gave them."""

FAULTS: Mapping[str, Mapping[str, object]] = {
    "lost_reply": {"rate": 0.05, "seed": 11},
    "late_commit": {"rate": 0.02, "seed": 12, "seconds": 1.0},
    "quota": {"rate": 0.02, "seed": 13},
}
"""`--faults`: 5 % of the writes lose their reply, 2 % are applied a second after the connection broke, some hit a quota."""


@dataclass(frozen=True, slots=True)
class TrueDelivery:
    """What one line really delivers over its flight, known to the ad server alone."""

    external_id: str
    start: datetime
    end: datetime
    impressions: int


class People:
    """Everybody around the hub."""

    def __init__(self, ad_server: SandboxControl, crm: SandboxControl) -> None:
        self.ad_server = ad_server
        self.crm = crm

    def prepare_vendors(self, book: OrderBook) -> None:
        """What administrators did before the first deal: currencies, custom targeting keys and values."""
        for vendor in (self.crm, self.ad_server):
            vendor.post("currencies", {"currencies": list(book.currencies)})
        self.ad_server.post("custom_targeting", {"keys": custom_targeting(book.lines)})

    def trafficker(self) -> str:
        """User id of the ad server's trafficker, who is responsible for every order."""
        users = self.ad_server.objects("User")
        return str(next((user for user in users if user.get("roleName") == "Trafficker"), users[0])["id"])

    def set_time(self, now: datetime) -> None:
        """Let the vendors' time pass to `now`."""
        for vendor in (self.ad_server, self.crm):
            vendor.set_clock(now)

    def hold_time(self, held: bool) -> None:
        """Stop the vendors' clocks, or let them tick again."""
        for vendor in (self.ad_server, self.crm):
            vendor.set_clock(running=not held)

    def attach_creatives(self) -> None:
        """The trafficker gives every approved line its creative, now and from now on."""
        self.ad_server.post("trafficker", {"auto_attach": True})

    def see_ads(self, truths: Iterable[TrueDelivery]) -> None:
        """Readers see ads: each line's true impressions, spread over its flight by the ad server."""
        self.ad_server.post(
            "impressions",
            {
                "lines": [
                    {
                        "external_id": truth.external_id,
                        "from": truth.start.isoformat(),
                        "until": truth.end.isoformat(),
                        "impressions": truth.impressions,
                    }
                    for truth in truths
                ]
            },
        )

    def misbehave(self) -> None:
        """Turn the fault knobs on at both vendors."""
        for vendor in (self.ad_server, self.crm):
            vendor.turn_faults_on(FAULTS)

    def behave(self) -> None:
        """Turn them off."""
        for vendor in (self.ad_server, self.crm):
            vendor.turn_faults_off()


def custom_targeting(lines: Iterable[BookLine]) -> dict[str, list[str]]:
    """Every value the book uses, by custom key, in order of first appearance."""
    found: dict[str, dict[str, None]] = {}
    for line in lines:
        for column, text in line.targeting.items():
            if key := CUSTOM_KEYS.get(column):
                found.setdefault(key, {}).update(dict.fromkeys(split_values(text)))
    return {key: list(values) for key, values in found.items()}


def split_values(text: str) -> list[str]:
    """The values of a column: separated by commas, except those inside parentheses (`Income ($1,000-$24,999)`)."""
    values, depth, begin = [], 0, 0
    for place, character in enumerate(text):
        if character == "(":
            depth += 1
        elif character == ")":
            depth = max(0, depth - 1)
        elif character == "," and depth == 0:
            values.append(text[begin:place])
            begin = place + 1
    values.append(text[begin:])
    return [value for raw in values if (value := raw.strip())]
