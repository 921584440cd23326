"""The promises, and where each is checked.

Checked at every vendor call (`world.World.intents`, `ad_server`, `crm`):
I1 one live object per entity and facet · I5 only owned fields · I6 versions never decrease · I7 one attempt of a lane
under way, sent by the holder of its fence · I8 a committed attempt before each send · I9 no resend before look-ups have
denied the one before · I20 calls within the budget.

Checked after every verb (`after_verb`):
I2 references one to one, to objects that bear their mark · I3 nothing waits for what is there · I10 acknowledged means
evidence of that version, and that the vendor holds it · I11 every version of an entity has news, none is missing · I15
delivery facts never change, the current one is the newest · I18 every change and lane is in one known state · I24 plan,
status and trace write nothing (`world`).

Checked at rest (`rest`):
I1, I2, I4 the vendor holds the newest canonical state · I3, I14 every change a source shows is in the log with a verdict,
parked when refused, waiting only for what is really missing · I12 nothing more is written, each edit cost a bounded number
of writes · I13 foreign values were ingested · I15 daily numbers equal the vendor's · I19 what is parked or missing delays
nothing else · I22 the CRM's mirror shows the projection of the newest state · I25 (`campaign`, tests) same seed, same log.

Also: I16 for documents (`bookkeeping`): posted as accounting asked for, exactly once or somebody is told · I21 at rest, the
audit chain tells what the store holds · I1′ (`timing`): what a vendor doubles by breaking its declared timing is found by one
census, documents excepted, which no census counts.

Not checked here: I17 and the sums of I16 (billing's approvals are no part of these worlds) · I23 (tenants) · the blast-radius
guard and shares of a rate: they have unit tests; no random schedule reaches their thresholds on purpose · I6, I10 and I13 of a
store that was put back to a backup (`upheaval`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from hub.encoding import decode, encode
from simulation import bookkeeping, questions
from simulation.ad_server import DOCUMENTS
from simulation.questions import answers
from simulation.world import World


def after_verb(world: World) -> None:
    """Everything that must hold between any two steps. Raises InvariantBroken."""
    references, lanes, versions, changes, facts, stale, documents, undated, settled = answers(
        world.arena, questions.AFTER_VERB
    )
    _references(world, references)
    for lane_id, kind, entity_id, version, unproven, stateless, _ in lanes:
        if unproven:
            world.broken("I10", f"lane {lane_id} ({kind} {entity_id}) claims version {version} without evidence")
        world.broken("I18", f"lane {lane_id} is {'in no known state' if stateless else 'parked and nobody is told'}")
    for kind, entity_id, version in versions:
        lacks = "lacks a version" if version is None else f"holds nothing new in version {version}"
        world.broken("I11", f"{kind} {entity_id} {lacks}")
    for change_id, waits_for, unjudged, refused, _ in changes:
        if unjudged:
            world.broken("I18", f"change {change_id} has no verdict")
        told = "was refused and nobody is told" if refused else f"waits for {waits_for}, which is there"
        world.broken("I3", f"change {change_id} {told}")
    _facts(world, facts)
    for line_id, day in stale:
        world.broken("I15", f"the current number of {line_id} on {day} is not its newest fact")
    for line_id, day, as_of in undated:
        world.broken("I15", f"no report of {as_of} was asked for, and the fact of {line_id} on {day} bears this time")
    bookkeeping.check_kept(world, documents)
    _held(world, settled)


def _references(world: World, references: Sequence[tuple[Any, ...]]) -> None:
    """I2: every live reference points to an object that is there and is nobody else's."""
    for kind, entity_id, facet, record, vendor_id in references:
        thing = world.ads.thing(record, vendor_id)
        if thing is None:
            world.broken("I2", f"{kind} {entity_id} points to {record} {vendor_id}, which does not exist")
            return
        if thing.address is not None:
            ours = thing.address == (kind, entity_id, facet)
        elif record == "Company":
            mark = thing.fields.get("externalId")
            ours = mark == entity_id or (not mark and world.terms.adopt_unmarked)
        else:
            ours = False
        if not ours:
            world.broken("I2", f"{kind} {entity_id} {facet} points to {record} {vendor_id} of {thing.address}")


def _held(world: World, settled: Sequence[tuple[Any, ...]]) -> None:
    """I10: what is acknowledged of a lane that nobody works on is what the vendor holds, but for what people changed there.

    A restored store does not know what was sent since its backup: drift and the next change tell.
    """
    if not world.assumptions_hold or world.restored:
        return
    for lane_id, kind, entity_id, record, vendor_id, payload in settled:
        thing = world.ads.thing(record, vendor_id)
        if thing is None:
            continue  # I2 tells
        for name, value in _acknowledged(bytes(payload)).items():
            held = thing.fields.get(name)
            if held != value and name not in thing.touched and encode(held) != encode(value):
                world.broken(
                    "I10",
                    f"lane {lane_id} ({kind} {entity_id}): {name} is acknowledged as {value!r}, and {record} {vendor_id} "
                    f"holds {held!r}",
                )


@lru_cache(maxsize=4096)
def _acknowledged(payload: bytes) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = decode(payload)
    return fields


def _facts(world: World, facts: Sequence[tuple[Any, ...]]) -> None:
    """I15: what was once written of a day is never changed and never vanishes."""
    seen: dict[tuple[Any, ...], tuple[int, ...]] = {tuple(row[:4]): tuple(row[4:]) for row in facts}
    for key, units in world.facts.items():
        if seen.get(key) != units:
            world.broken(
                "I15", f"the fact of {key[1]} on {key[2]} as of {key[3]} changed from {units} to {seen.get(key)}"
            )
    world.facts = seen


def duplicates(world: World) -> list[str]:
    """Every entity that has more than one live object at the ad server, whoever's fault it is."""
    found: dict[tuple[str, ...], list[str]] = {}
    for thing in world.ads.live():
        if thing.address is not None:
            found.setdefault((thing.record, *thing.address), []).append(thing.id)
    return [f"{'/'.join(address)}: {', '.join(ids)}" for address, ids in sorted(found.items()) if len(ids) > 1]


def by_mark(world: World, record: str) -> dict[tuple[str, ...], list[str]]:
    """Live objects by the mark that their fields bear: a census, apart from what they were created for."""
    found: dict[tuple[str, ...], list[str]] = {}
    for thing in world.ads.live(record):
        mark: tuple[str, ...] = (str(thing.fields.get("number" if record in DOCUMENTS else "externalId")),)
        if record == "Company":
            mark = (*mark, str(thing.fields.get("type")))
        if record == "Order":
            mark = (str(thing.fields.get("name")).rpartition("[")[2].rstrip("]"),)
        found.setdefault(mark, []).append(thing.id)
    return found
