"""Accounting: documents that people have posted, and what must hold of each: one live object, its content never touched.

Invoices carry idempotency keys that the vendor forgets after a while; credit memos have neither keys nor a look-up, so that
one in doubt waits for a person. Documents are not billing: approvals and line-periods are not simulated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from connectors.base import Operation, PushItem
from hub.encoding import decode, encode
from hub.session import Session
from hub.store.database import Cursor
from hub.store.lanes import DOCUMENT
from hub.sync.documents import want_document
from simulation.ad_server import DOCUMENTS, Intent
from simulation.questions import PARKED_DOCUMENTS, answers
from simulation.steps import Step

if TYPE_CHECKING:
    from simulation.workers import Worker
    from simulation.world import World

ADS = "ads"
MOST = 4
"""Documents of one schedule."""


def bill(world: World, worker: Worker, step: Step) -> str:
    """Want a new document, or one of before once more, now and then with other content, which must be refused."""
    rng = Random(step.salt)
    known = sorted(world.billed)
    if known and (len(known) >= MOST or rng.random() < 0.4):
        document_id = rng.choice(known)
        record, content = world.billed[document_id]
        payload = dict(decode(content))
        if document_id in world.promised and rng.random() < 0.5:
            payload = _content(rng, document_id)
    else:
        document_id, record = f"doc_{len(known) + 1}", rng.choice(DOCUMENTS)
        payload = _content(rng, document_id)
        world.billed[document_id] = record, encode(payload)
    session = worker.hub.session
    with session.database.transaction() as cur:
        fresh = _want(session, cur, document_id, record, payload)
    if world.billed[document_id] != (record, encode(payload)):
        world.broken("I16", f"other content for the document {document_id} was not refused")
    world.promised.add(document_id)
    return f"{record} {document_id} {'new' if fresh else 'known'}"


def _want(session: Session, cur: Cursor, document_id: str, record: str, payload: Mapping[str, Any]) -> bool:
    name = f"{record} {document_id}"
    return want_document(
        session, cur, connection=ADS, document_id=document_id, record=record, name=name, payload=payload
    )


def prepare_again(world: World) -> None:
    """What a restored store forgot is wanted once more, as it was."""
    session = world.worker(0).hub.session
    for document_id in sorted(world.billed.keys() - world.promised):
        record, content = world.billed[document_id]
        with session.database.transaction() as cur:
            _want(session, cur, document_id, record, decode(content))
        world.promised.add(document_id)


def _content(rng: Random, document_id: str) -> dict[str, Any]:
    return {"number": f"N-{document_id}", "total_micros": rng.randrange(1, 10**9), "currency": "USD"}


def check_sent(
    world: World, record: str, operation: Operation, intents: Sequence[Intent], items: Sequence[PushItem]
) -> None:
    """I16 at the vendor's door: what is posted is what was asked for, and nothing is ever done to it again."""
    if record not in DOCUMENTS:
        return
    for intent, item in zip(intents, items, strict=True):
        asked = world.billed.get(intent.address[1])
        if operation is not Operation.CREATE or asked is None or asked != (record, encode(dict(item.payload))):
            world.broken("I16", f"{operation} {record} {intent.address[1]} is not what accounting asked for")


def check_kept(world: World, documents: Sequence[tuple[Any, ...]]) -> None:
    """I16 in the store: each document as it was asked for, and each promised one is there."""
    for document_id, record, payload in documents:
        if world.billed.get(document_id) != (record, bytes(payload)):
            world.broken("I16", f"the document {document_id} is not what accounting asked for")
    for document_id in sorted(world.promised - {row[0] for row in documents}):
        world.broken("I3", f"the document {document_id} was accepted and is not in the store")


def check_posted(world: World) -> None:
    """I16 at rest: each document exists exactly once at the vendor, or somebody is told that this is not sure."""
    kept, parked = answers(world.arena, PARKED_DOCUMENTS)
    told = {row[0] for row in parked}
    for (document_id,) in kept:
        address = (DOCUMENT, document_id, "")
        found = [thing.id for record in DOCUMENTS for thing in world.ads.live(record) if thing.address == address]
        if len(found) != 1 and not (not found and document_id in told) and world.assumptions_hold:
            world.broken("I16", f"the document {document_id} exists {len(found)} times and nobody is told")
