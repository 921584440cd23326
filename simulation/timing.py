"""Vendors that break what they declare: a commit later than `max_in_flight`, an index slower than `index_lag`.

No protocol survives that (the reference's measured table), so only detection is asked for: every duplicate is found and
parked within one census (I1′). `undetected` is the checker for it: it names each duplicate that the hub does not know of.
A census counts companies, orders, lines, and documents as far as they can be told by number; what doubles of the others is
counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hub.store.lanes import DOCUMENT
from simulation import questions, rest
from simulation.ad_server import Address
from simulation.arena import Arena
from simulation.errors import InvariantBroken
from simulation.questions import answers
from simulation.schedule import Schedule, generate
from simulation.steps import CallFault, Fate
from simulation.vendors import ADS
from simulation.world import World

BREAKS = 20.0
"""How many times later than declared."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What a schedule with broken timing left behind."""

    seed: int
    duplicates: int
    undetected: int
    documents: int
    """Documents among the duplicates that no census can tell: their vendor cannot be asked for them by number."""
    others: tuple[str, ...] = ()


def schedule(seed: int) -> Schedule:
    """A schedule whose vendors break their timing, with more late commits than usual."""
    drawn = generate(seed)
    steps = [
        replace(step, faults=(*step.faults, CallFault(2, Fate.LATE_COMMIT, step.salt)))
        if step.what == "push_ads"
        else step
        for step in drawn.steps
    ]
    return replace(drawn, terms=replace(drawn.terms, breaks_timing=BREAKS), steps=tuple(steps))


def run(arena: Arena, drawn: Schedule) -> Broken:
    """Run it, let everything under way land, run a census where there is one, and count what nobody knows of."""
    world = World(arena, drawn.seed, drawn.terms)
    others: list[str] = []
    try:
        for number, step in enumerate(drawn.steps):
            world.step = number
            world.perform(step)
        rest.come_to_rest(world)
        world.clock.advance(BREAKS * 1000)
        world.catch_up()
        world.worker(0).hub.census(ADS)
        rest.come_to_rest(world)
    except InvariantBroken as broken:
        others.append(str(broken))
    found = doubled(world)
    counted = {address: ids for address, ids in found.items() if _can_be_told(world, address)}
    return Broken(drawn.seed, len(found), len(undetected(world, counted)), len(found) - len(counted), tuple(others))


def _can_be_told(world: World, address: Address) -> bool:
    """Whether a census can know: everything but documents without a look-up by number."""
    return address[0] != DOCUMENT or (world.terms.invoice_marker and world.billed[address[1]][0] == "Invoice")


def doubled(world: World) -> dict[Address, list[str]]:
    """Every entity with more than one live object."""
    found: dict[Address, list[str]] = {}
    for thing in world.ads.live():
        if thing.address is not None:
            found.setdefault(thing.address, []).append(thing.id)
    return {address: ids for address, ids in found.items() if len(ids) > 1}


def undetected(world: World, found: dict[Address, list[str]]) -> list[Address]:
    """Duplicates for which nothing is parked as `duplicate` or `ambiguous`."""
    (rows,) = answers(world.arena, questions.PARKED_DUPLICATES)
    known: set[Sequence[Any]] = {row[0] for row in rows}
    return [address for address in sorted(found) if address[1] not in known]
