"""Makes a seeded order book, as untidy as a real one, for machines that have no real one at hand.

Same seed and size, same bytes. Names, addresses and figures are invented.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cli.demo.order_book import COLUMNS

DEFAULT_SEED = 20190912
DEFAULT_ORDERS = 100

# (currency, country as the ad platform writes it, regions, cities, metros, postal code pattern, languages)
_MARKETS = (
    ("USD", "united states", "Pennsylvania|Arizona|Iowa|Michigan|Ohio|Georgia|Texas|North Carolina",
     "New York|Denver|Los Angeles|Columbus", "Denver|Houston|Austin|Tulsa|Dallas - Ft. Worth", "#####", "en|es"),
    ("EUR", "netherlands", "Gelderland|Utrecht|Zeeland", "Rotterdam|Utrecht|Den Haag", "", "####", "nl|en"),
    ("GBP", "united kingdom", "England|Scotland|Wales", "London|Leeds|Glasgow", "London|Manchester", "", "en"),
    ("CAD", "canada", "Ontario|Alberta|Quebec", "Toronto|Calgary|Montréal", "Toronto|Saskatoon", "", "en|fr"),
    ("AUD", "australia", "Victoria|Queensland|Tasmania", "Sydney|Brisbane", "", "####", "en"),
    ("SEK", "sweden", "Stockholms Lan|Skane Lan", "Malmö|Göteborg", "", "", "sv"),
    ("DKK", "denmark", "Hovedstaden", "København|Århus", "", "####", "da"),
    ("NOK", "norway", "Oslo|Viken", "Oslo|Tromsø", "", "####", "nb"),
)  # fmt: skip
_MARKET_WEIGHTS = (60, 10, 8, 7, 6, 4, 3, 2)
_FIRST = "Green|Blue|Civic|Harbor|Cedar|Summit|Open|First|Northern|Bright|Común|Élan|Ståhl|New"
_SECOND = "Valley|River|Street|Horizon|Bridge|Garden|Voice|Lantern|Compass|Orchard"
_ADVERTISER = "Fund|Coalition|Museum|Energy|Foods|Transit|for Council|Library|Schools|Health"
_AGENCY = "Media|Digital|& Partners|Strategies|Communications|Group|Lab"
_INTERESTS = (
    "Advocates & Activists|Green Living Enthusiasts|Philanthropists|Political News Watchers|Collegiates|"
    "Math & Science Enthusiasts|Arts & Culture Mavens|TV Network Viewers (FOX News Channel)"
)
_DEMOGRAPHICS = "Parents|College Graduates|Education (Bachelor Degree)|Occupation (Retired)"
_AGES = "18+|18-24|18-34|25+|14-21|25-34|35++"
_FIRST_START = datetime(2019, 9, 12, 17, 41, 8, tzinfo=UTC)
_QUARTERS = 4
_POSTAL_CODES_OF_THE_LONGEST = 4_000


def generated_book(orders: int = DEFAULT_ORDERS, seed: int = DEFAULT_SEED) -> bytes:
    """The CSV bytes of a book with so many orders, in the shape of the real file. Raises ValueError below one order."""
    if orders < 1:
        raise ValueError(f"a book needs at least one order, not {orders}")
    dice = random.Random(seed)  # noqa: S311 - an invented book, not a secret
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, fieldnames=COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    blank = dict.fromkeys(COLUMNS, "")
    row = 0
    for place, (agency, advertiser, market, quarter) in enumerate(_orders(dice, orders)):
        for values in _lines(dice, place, market, quarter):
            row += 1
            ad_id = hashlib.sha256(f"{seed}/{row}".encode()).hexdigest()
            padding = " " if dice.random() < 0.03 else ""
            names = {"OrganizationName": agency + padding, "PayingAdvertiserName": advertiser}
            address = {"BillingAddress": _address(agency, market)}
            writer.writerow(
                {**blank, "ADID": ad_id, "Currency Code": _MARKETS[market][0], **address, **names, **values}
            )
    return out.getvalue().encode()


def _orders(dice: random.Random, count: int) -> Iterator[tuple[str, str, int, int]]:
    """(agency, advertiser, market, quarter) of distinct orders; the first ones carry the untidy names."""
    untidy = (
        ("Civic Lantern Media", "Harbor\u200b Voice Fund", 0, 0),  # zero-width space
        ("Civic Lantern Media", "Cedar 🌲 Library", 0, 1),  # four bytes in UTF-8
        ("Bright Compass & Partners", "Green Valley for Council", 0, 0),
        ("Bright Compass & Partners", "GREEN VALLEY FOR COUNCIL", 0, 0),  # case twin
        ("Open Bridge, Inc.", "Open Bridge, Inc.", 0, 1),  # agency and advertiser at once, with a comma
        ("Ståhl & Søn Kommunikation", "Común Orchard — Fundación", 1, 1),
        ("First Horizon Group", f"The {'Very ' * 18}Long-Named Coalition", 0, 2),
    )
    seen: set[tuple[str, str, int, int]] = set()
    for order in untidy[:count]:
        seen.add(order)
        yield order
    while len(seen) < count:
        agency = f"{_one(dice, _FIRST)} {_one(dice, _SECOND)} {_one(dice, _AGENCY)}"
        advertiser = f"{_one(dice, _FIRST)} {_one(dice, _SECOND)} {_one(dice, _ADVERTISER)}"
        market = dice.choices(range(len(_MARKETS)), weights=_MARKET_WEIGHTS)[0]
        order = (agency, advertiser, market, dice.randrange(_QUARTERS))
        if order not in seen:
            seen.add(order)
            yield order


def _lines(dice: random.Random, place: int, market: int, quarter: int) -> Iterator[dict[str, str]]:
    for number in range(1 + min(int(dice.expovariate(0.25)), 30)):
        start = _start(dice, quarter, first=place == number == 0)
        end: datetime | None = start + timedelta(days=dice.randrange(1, 50), seconds=dice.randrange(3_600))
        impressions = max(1, int(dice.lognormvariate(10.5, 1.6)))
        spend = 0 if dice.random() < 0.03 else max(1, round(impressions * dice.uniform(0.8, 9.0) / 1_000))
        values = _targeting(dice, market)
        if dice.random() < 0.17:
            end = None  # runs until stopped
        elif dice.random() < 0.6:
            end = start.replace(hour=4, minute=59, second=59) + timedelta(days=dice.randrange(1, 50))
        if (place, number) == (2, 0):
            end = start - timedelta(days=3)  # ends before it starts
        if (place, number) == (3, 0):
            impressions = spend = 0  # no price can be made of it
        if (place, number) == (4, 0):
            values["Postal Codes (Included)"] = ",".join(_postal(dice, "#####", _POSTAL_CODES_OF_THE_LONGEST))
        values |= {
            "Spend": str(spend),
            "Impressions": str(impressions),
            "StartDate": _instant(start),
            "EndDate": "" if end is None else _instant(end),
            "CandidateBallotInformation": dice.choice(("", "", "Vote 2020", "Éco-quartier", "Summer 🌞 ", "Just Vote")),
        }
        yield values


def _start(dice: random.Random, quarter: int, *, first: bool) -> datetime:
    if first:
        return _FIRST_START
    month = (9, 11, 15, 18)[quarter]  # from September 2019: one month inside each of four quarters
    begin = datetime(2019 + (month - 1) // 12, (month - 1) % 12 + 1, 13, tzinfo=UTC)
    return begin + timedelta(seconds=dice.randrange(15 * 86_400))


def _targeting(dice: random.Random, market: int) -> dict[str, str]:
    _, country, regions, _, metros, postal, languages = _MARKETS[market]
    values = {"CountryCode": country}

    def sometimes(chance: float, column: str, choices: str | list[str], most: int = 1) -> None:
        known = choices.split("|") if isinstance(choices, str) else choices
        if known != [""] and dice.random() < chance:
            values[column] = ",".join(dice.sample(known, dice.randint(1, min(most, len(known)))))

    sometimes(0.93, "AgeBracket", _AGES)
    sometimes(0.11, "Gender", "FEMALE|MALE")
    sometimes(0.40, "Regions (Included)", regions, 4)
    if "Regions (Included)" not in values:
        sometimes(0.08, "Regions (Excluded)", regions, 2)
    sometimes(0.06, "Metros (Included)", metros, 4)
    sometimes(0.15, "Interests", _INTERESTS, 4)
    sometimes(0.08, "AdvancedDemographics", _DEMOGRAPHICS, 2)
    sometimes(0.40, "Segments", "Provided by Advertiser")
    sometimes(0.20, "Language", languages)
    sometimes(0.01, "OsType", "IOS|ANDROID")
    sometimes(0.02, "Targeting Connection Type", "WIFI|CELL")
    sometimes(
        0.02, "Targeting Carrier (ISP)", [f"Country {country} Carrier {name}" for name in ("Boost Mobile", "MetroPCS")]
    )
    sometimes(0.01, "Location Categories (Included)", ["High Schools", "Colleges & Universities"], 2)
    sometimes(0.02, "Electoral Districts (Included)", ["Iowa 3rd District", "Ohio 1st District"], 2)
    if dice.random() < 0.04:
        values["Radius Targeting (Included)"] = ",".join(
            f"latitude {dice.uniform(30, 55):.5f};longitude {dice.uniform(-100, 10):.5f};radius {dice.randint(1, 20)}.0"
            for _ in range(dice.randint(1, 5))
        )
    if postal and dice.random() < 0.07:
        values["Postal Codes (Included)"] = ",".join(_postal(dice, postal, dice.randint(1, 60)))
    return values


def _postal(dice: random.Random, pattern: str, count: int) -> list[str]:
    return ["".join(dice.choice("0123456789") if c == "#" else c for c in pattern) for _ in range(count)]


def _one(dice: random.Random, choices: str) -> str:
    return dice.choice(choices.split("|"))


def _address(agency: str, market: int) -> str:
    """One per agency and country, commas and a line break inside; no dice, so that an agency keeps its address."""
    number = int.from_bytes(hashlib.sha256(agency.encode()).digest()[:2], "big") % 900 + 1
    city = _MARKETS[market][3].split("|")[number % 2]
    street = f"{number} {agency.split()[-1]} Street"
    return f" {street},\nFloor {number % 9},{city},{_MARKETS[market][0][:2]}" if number % 7 == 0 else f"{street},{city}"


def _instant(instant: datetime) -> str:
    return instant.strftime("%Y/%m/%d %H:%M:%SZ")
