"""Broken engines that lose track of the vendor's records, their order, their fields or their mirror."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

from hub.store import journal, lanes
from hub.sync import outcomes, prepare, push, targets
from simulation.mutants.mutant import Mutant, Patches, wrap


def _reference_not_recorded() -> Patches:
    return [patch.object(outcomes, "_record_reference", lambda *_, **__: None)]


def _children_first() -> Patches:
    order = sorted(targets.STAGES, key=lambda kind: -targets.STAGES[kind])
    stages = {kind: number for number, kind in enumerate(order)}
    ready = "true"
    return [patch.object(lanes, "_READY_TO_SEND", ready), patch.dict(targets.STAGES, stages), _parent_guess()]


def _parent_guess() -> Any:
    def make(vendor_id: Any) -> Any:
        def guess(self: Any, kind: Any, entity_id: str, facet: str) -> Any:
            return vendor_id(self, kind, entity_id, facet) or "1"

        return guess

    return wrap(prepare.StoreContext, "vendor_id", make)


def _mirror_not_told() -> Patches:
    return [patch.object(journal, "mark_stale", lambda *_: None)]


def _float_money() -> Patches:
    def make(shown: Any) -> Any:
        def floating(session: Any, channel: Any, claimed: Any, **more: Any) -> Any:
            ready, refused = shown(session, channel, claimed, **more)
            return [_floated(item) for item in ready], refused

        return floating

    return [wrap(push, "prepare", make)]


def _floated(item: Any) -> Any:
    cost = item.payload.get("costPerUnit")
    if not isinstance(cost, dict):
        return item
    micros = int(cost["microAmount"] / 1000 * 1.1 / 1.1 * 1000)
    return replace(item, payload={**item.payload, "costPerUnit": {**cost, "microAmount": micros}})


def _foreign_fields() -> Patches:
    """Everything read is written back, other people's fields too."""

    def make(shown: Any) -> Any:
        def nosy(session: Any, channel: Any, claimed: Any, **more: Any) -> Any:
            ready, refused = shown(session, channel, claimed, **more)
            return [replace(item, payload={**item.payload, "deliveryRateType": "EVENLY"}) for item in ready], refused

        return nosy

    return [wrap(push, "prepare", make)]


def _plan_remembers() -> Patches:
    """A look writes."""

    def make(dirty: Any) -> Any:
        def writing(cur: Any, connection: str) -> Any:
            found = dirty(cur, connection)
            journal.mark_stale(cur, [lane.order_id for lane in found if lane.order_id])
            return found

        return writing

    return [wrap(lanes, "dirty", make)]


RECORDS: tuple[Mutant, ...] = (
    Mutant("reference not recorded", "a created object is remembered", _reference_not_recorded),
    Mutant("children first", "parents go before children", _children_first),
    Mutant("mirror not told", "what happened marks the projection stale", _mirror_not_told),
    Mutant("float money", "money is integers", _float_money),
    Mutant("foreign fields", "only owned fields are written", _foreign_fields),
    Mutant("a look writes", "plan, status and trace write nothing", _plan_remembers),
)
