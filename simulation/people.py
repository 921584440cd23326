"""The disturber: sales people, traffickers, flows and a restating reporter, each doing what such people do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

from simulation.ad_server import Thing
from simulation.steps import Step

if TYPE_CHECKING:
    from simulation.world import World

Deed = Callable[["World", Random, Step], None]

ACCOUNTS = ("001A", "001B", "001C")
_WON = {"StageName": "Closed Won", "IsWon": True, "IsClosed": True}
_LOST = {"StageName": "Closed Lost", "IsWon": False, "IsClosed": True}
_OPEN = {"StageName": "Negotiation/Review", "IsWon": False, "IsClosed": False}


def _later(world: World, rng: Random) -> float:
    """Most changes are visible at once; a long transaction's within the overlap."""
    return rng.choice([0.0, 0.0, 0.0, 0.0, 1.0, world.terms.overlap - 2.0])


def _pick(world: World, rng: Random, stream: str) -> str | None:
    ids = sorted(record.native_id for record in world.crm.present(stream))
    return rng.choice(ids) if ids else None


def _account(world: World, rng: Random) -> str:
    native_id = rng.choice(ACCOUNTS)
    if native_id not in world.crm.records["Account"]:
        world.crm.put("Account", native_id, world.now(), {"Name": f"Acme {native_id}"})
    return native_id


def _line(world: World, rng: Random, order: str) -> None:
    number = len(world.crm.records["OpportunityLineItem"]) + 1
    fields = {
        "Name": f"Line {number}",
        "OpportunityId": order,
        "External_Line_Id__c": f"x{number}",
        "Flight_Start__c": "2026-02-01T00:00:00.000+0000",
        "Flight_End__c": "2026-02-28T23:59:59.000+0000",
        "CPM__c": Decimal(rng.choice(["12.5", "3", "0.75"])),
        "Goal_Impressions__c": Decimal(rng.choice([1000, 50000, 1000000])),
        "Cost_Type__c": "CPM",
        "CurrencyIsoCode": "USD",
        "Product2Id": "01t000000000001AAA",
        "TotalPrice": Decimal("12500"),
    }
    if rng.random() < 0.2:
        fields["Geo_Countries__c"] = rng.choice(["US", "US,DE", "Nowhere"])
    world.crm.put("OpportunityLineItem", f"00k{number:04}", world.now(), fields, later=_later(world, rng))


# ---------------------------------------------------------------- sales
def new_deal(world: World, rng: Random, step: Step) -> None:
    """A deal with one to four lines, most often won already."""
    if len(world.crm.records["Opportunity"]) >= 3:
        return edit_order(world, rng, step)
    native_id = f"006{len(world.crm.records['Opportunity']) + 1:03}"
    fields = {"Name": f"Spring {native_id}", "AccountId": _account(world, rng), "CurrencyIsoCode": "USD"}
    if rng.random() < 0.3:
        fields["Agency__c"] = _account(world, rng)
    stage = rng.choice([_WON, _WON, _WON, _OPEN])
    world.crm.put("Opportunity", native_id, world.now(), {**fields, **stage}, later=_later(world, rng))
    for _ in range(int(step.amount) or rng.choice([1, 2, 2, 3, 4])):
        _line(world, rng, native_id)
    return None


def add_line(world: World, rng: Random, step: Step) -> None:
    """One more line on a deal, four at most."""
    order = _pick(world, rng, "Opportunity")
    if order is not None and len(_lines_of(world, order)) < 4:
        _line(world, rng, order)


def _lines_of(world: World, order: str) -> list[str]:
    lines = world.crm.present("OpportunityLineItem")
    return [line.native_id for line in lines if line.newest.fields["OpportunityId"] == order]


def edit_order(world: World, rng: Random, step: Step) -> None:
    """A name, a purchase order, notes."""
    order = _pick(world, rng, "Opportunity")
    if order is not None:
        change: Mapping[str, object] = rng.choice(
            [
                {
                    "Name": f"Spring {order} {rng.randrange(5)}{rng.choice(['', '', ' '])}"
                },  # a blank at the end is no news
                {"PO_Number__c": f"PO-{rng.randrange(9)}"},
                {"Description": rng.choice(["call first", "urgent", None])},
            ]
        )
        world.crm.put("Opportunity", order, world.now(), change, later=_later(world, rng))


def edit_line(world: World, rng: Random, step: Step) -> None:
    """A goal, a price, an end date, a name."""
    line = _pick(world, rng, "OpportunityLineItem")
    if line is not None:
        change: Mapping[str, object] = rng.choice(
            [
                {"Goal_Impressions__c": Decimal(rng.randrange(1, 99) * 1000)},
                {"CPM__c": Decimal(rng.randrange(1, 2000)) / 100},
                {"Flight_End__c": f"2026-03-{rng.randrange(1, 28):02}T23:59:59.000+0000"},
                {"Name": f"Line {line} {rng.randrange(5)}"},
                {"CPM__c": None},
            ]
        )
        world.crm.put("OpportunityLineItem", line, world.now(), change, later=_later(world, rng))


def touch_all(world: World, rng: Random, step: Step) -> None:
    """A bulk edit: every record of a stream gets one stamp, some another value."""
    stream = rng.choice(["Opportunity", "OpportunityLineItem"])
    for record in world.crm.present(stream):
        world.crm.put(stream, record.native_id, world.now(), {"Description": rng.choice(["bulk 1", "bulk 2"])})


def close_deal(world: World, rng: Random, step: Step) -> None:
    """Won or, less often, lost."""
    order = _pick(world, rng, "Opportunity")
    if order is not None:
        stage = rng.choice([_WON, _WON, _WON, _LOST])
        world.crm.put("Opportunity", order, world.now(), stage, later=_later(world, rng))


def delete_line(world: World, rng: Random, step: Step) -> None:
    """Into the recycle bin; sometimes out of it again."""
    binned = sorted(r.native_id for r in world.crm.records["OpportunityLineItem"].values() if r.newest.deleted)
    if binned and rng.random() < 0.3:
        world.crm.put("OpportunityLineItem", rng.choice(binned), world.now(), {})
        return
    line = _pick(world, rng, "OpportunityLineItem")
    if line is not None:
        world.crm.put("OpportunityLineItem", line, world.now(), {}, deleted=True, later=_later(world, rng))


def delete_deal(world: World, rng: Random, step: Step) -> None:
    """A deal and its lines go into the recycle bin."""
    order = _pick(world, rng, "Opportunity")
    if order is not None:
        world.crm.put("Opportunity", order, world.now(), {}, deleted=True)
        for line in _lines_of(world, order):
            world.crm.put("OpportunityLineItem", line, world.now(), {}, deleted=True)


def rename_account(world: World, rng: Random, step: Step) -> None:
    """Another name, now and then that of another account."""
    account = _pick(world, rng, "Account")
    if account is not None:
        name = rng.choice([f"Acme {account}", f"Acme {account} Ltd", f"Acme {account} Group", "Acme twin"])
        world.crm.put("Account", account, world.now(), {"Name": name}, later=_later(world, rng))


def merge_accounts(world: World, rng: Random, step: Step) -> None:
    """One account is merged into another; its deals follow, as the CRM does it."""
    if len(world.crm.present("Account")) < 2:
        return
    ids = sorted(record.native_id for record in world.crm.present("Account"))
    loser, master = rng.sample(ids, 2)
    now = world.now()
    world.crm.put("Account", loser, now, {"MasterRecordId": master}, deleted=True)
    for order in world.crm.present("Opportunity"):
        for field in ("AccountId", "Agency__c"):
            if order.newest.fields.get(field) == loser:
                world.crm.put("Opportunity", order.native_id, now, {field: master})


# ---------------------------------------------------------------- ad operations
def _thing(world: World, rng: Random, record: str) -> Thing | None:
    things = [thing for thing in world.ads.live(record) if thing.address is not None]
    return rng.choice(things) if things else None


def traffic_edit(world: World, rng: Random, step: Step) -> None:
    """A trafficker changes a field at the ad server, the hub's or another one."""
    thing = _thing(world, rng, rng.choice(["Order", "LineItem"]))
    if thing is not None:
        name, value = rng.choice([("notes", "changed here"), ("deliveryRateType", "AS_FAST_AS_POSSIBLE")])
        world.ads.edit(thing, name, value)


def traffic_pause(world: World, rng: Random, step: Step) -> None:
    """A trafficker pauses a line, or lets it run again."""
    thing = _thing(world, rng, "LineItem")
    if thing is not None and thing.status in {"READY", "PAUSED"}:
        thing.status = "PAUSED" if thing.status == "READY" else "READY"


def traffic_archive(world: World, rng: Random, step: Step) -> None:
    """A trafficker archives a line or a whole order."""
    thing = _thing(world, rng, rng.choice(["LineItem", "LineItem", "Order"]))
    if thing is not None:
        thing.archived = thing.archived_by_person = True
        if thing.record == "Order":
            for line in world.ads.live("LineItem"):
                if str(line.fields.get("orderId")) == thing.id:
                    line.archived = line.archived_by_person = True


def stranger(world: World, rng: Random, step: Step) -> None:
    """Somebody books a company of the same name by hand, unmarked or with another system's mark."""
    account = _pick(world, rng, "Account")
    if account is not None:
        name = world.crm.records["Account"][account].newest.fields["Name"]
        world.ads.stranger(
            {"name": name, "type": "ADVERTISER", "externalId": rng.choice([None, "legacy-7"])}, world.now()
        )


# ---------------------------------------------------------------- delivery
def deliver_units(world: World, rng: Random, step: Step) -> None:
    """Lines that run deliver today."""
    today = world.business.now().date()
    for line in world.ads.things["LineItem"].values():
        if line.status == "READY" and rng.random() < 0.8:
            known = world.ads.delivered.get((line.id, today), 0)
            world.ads.delivered[line.id, today] = known + rng.randrange(1, 500)
    world.clock.advance(1)


def restate(world: World, rng: Random, step: Step) -> None:
    """Days that were reported get other numbers."""
    for key in sorted(world.ads.delivered):
        if rng.random() < 0.3:
            world.ads.delivered[key] = max(1, world.ads.delivered[key] * rng.randrange(80, 115) // 100)
    world.clock.advance(1)


def foreign_delivery(world: World, rng: Random, step: Step) -> None:
    """Somebody else's line delivers."""
    vendor_id = str(90000 + rng.randrange(3))
    world.ads.foreign.add(vendor_id)
    world.ads.delivered[vendor_id, world.business.now().date()] = rng.randrange(1, 500)
    world.clock.advance(1)


# ---------------------------------------------------------------- time
def wait(world: World, rng: Random, step: Step) -> None:
    """Machine time passes."""
    world.clock.advance(step.amount)


def next_day(world: World, rng: Random, step: Step) -> None:
    """Business time moves on by whole days."""
    world.business.skip(int(step.amount) or 1)
    world.clock.advance(1)


def take_backup(world: World, rng: Random, step: Step) -> None:
    """An operator backs the store up."""
    world.take_backup()


def restore(world: World, rng: Random, step: Step) -> None:
    """An operator puts the store back to the newest backup."""
    world.restore()


DEEDS: Mapping[str, Deed] = {
    "new_deal": new_deal,
    "add_line": add_line,
    "edit_order": edit_order,
    "edit_line": edit_line,
    "touch_all": touch_all,
    "close_deal": close_deal,
    "delete_line": delete_line,
    "delete_deal": delete_deal,
    "rename_account": rename_account,
    "merge_accounts": merge_accounts,
    "traffic_edit": traffic_edit,
    "traffic_pause": traffic_pause,
    "traffic_archive": traffic_archive,
    "stranger": stranger,
    "deliver_units": deliver_units,
    "restate": restate,
    "foreign_delivery": foreign_delivery,
    "wait": wait,
    "next_day": next_day,
    "backup": take_backup,
    "restore": restore,
}
