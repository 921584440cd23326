"""A document is posted once, with the content it was made with; a native key is sent again freely only while it lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from connectors.base import (
    CreateProtocol,
    Operation,
    Outcome,
    PushItem,
    PushResult,
    RecordCapability,
)
from connectors.errors import OutcomeUnknown, RetryLater
from hub.errors import DocumentChanged
from hub.ops.correspondence import mismatches
from hub.store import lanes
from hub.sync.native_keys import alive

if TYPE_CHECKING:
    from conftest import World

DAY = 86_400.0
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


KEYED = (CreateProtocol.NATIVE_KEY,)
KEYED_BLIND = (CreateProtocol.NATIVE_KEY, None)
UNIQUE = (CreateProtocol.UNIQUE_FIELD,)
PROBED = (CreateProtocol.PROBE,)
BLIND = (CreateProtocol.NONE, None)


# ---------------------------------------------------------------- documents
@pytest.mark.parametrize("erp_world", [KEYED, BLIND], indirect=True)
def test_each_document_is_posted_once_in_a_call_of_its_own_where_no_look_up_tells_them_apart(erp_world: World) -> None:
    for number in range(5):
        assert erp_world.invoice(f"INV-{number}")
    erp_world.rest()
    assert sorted(each["number"] for each in erp_world.invoices()) == [f"INV-{n}" for n in range(5)]
    assert [len(call.items) for call in erp_world.ads.calls] == [1] * 5
    erp_world.rest()
    assert len(erp_world.ads.calls) == 5


@pytest.mark.parametrize("erp_world", [UNIQUE, PROBED], indirect=True)
def test_documents_that_a_look_up_finds_share_a_call_and_each_is_posted_once(erp_world: World) -> None:
    for number in range(5):
        assert erp_world.invoice(f"INV-{number}")
    erp_world.ads.lose_reply()
    assert erp_world.hub.push("gam-main").in_doubt == 5
    erp_world.machine.advance(301)
    erp_world.rest()
    assert sorted(each["number"] for each in erp_world.invoices()) == [f"INV-{n}" for n in range(5)]
    assert [len(call.items) for call in erp_world.ads.calls] == [5], "found again, so nothing is sent again"
    assert mismatches(erp_world.hub.session) == []


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_the_same_document_again_is_no_news_and_other_content_is_an_error(erp_world: World) -> None:
    assert erp_world.invoice()
    assert not erp_world.invoice()
    with pytest.raises(DocumentChanged, match="exists with other content"):
        erp_world.invoice(total_micros=1)
    erp_world.rest()
    with pytest.raises(DocumentChanged):
        erp_world.invoice(note="late")
    assert not erp_world.invoice()
    assert [each["total_micros"] for each in erp_world.invoices()] == [12_500_000]
    assert len(erp_world.ads.calls) == 1


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_a_document_lane_takes_no_other_hash_whoever_asks(erp_world: World) -> None:
    erp_world.invoice()

    def want(desired: UUID) -> bool:
        with erp_world.hub.session.database.transaction() as cur:
            return lanes.want(
                cur,
                connection="gam-main",
                kind="document",
                entity_id="doc_INV-1",
                facet="",
                order_id="",
                order_facet="",
                stage=7,
                version=2,
                desired_hash=desired,
                now=erp_world.machine.now(),
            )

    ((known,),) = erp_world.hub.session.database.rows("SELECT desired_hash FROM lane WHERE kind = 'document'")
    assert not want(known)
    with pytest.raises(DocumentChanged, match="wanted with other content"):
        want(UUID(int=7))
    assert erp_world.hub.session.database.rows("SELECT desired_hash FROM lane WHERE kind = 'document'") == [(known,)]


@pytest.mark.parametrize("erp_world", [UNIQUE], indirect=True)
def test_a_lost_reply_never_posts_an_invoice_twice(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.ads.lose_reply()
    erp_world.rest()
    assert len(erp_world.invoices()) == 1
    assert erp_world.hub.status().connections[1].lanes["in_sync"] == 1


@pytest.mark.parametrize("erp_world", [BLIND], indirect=True)
def test_where_nobody_can_look_a_lost_reply_waits_for_a_person(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.ads.lose_reply()
    erp_world.rest()
    ((reason, owner),) = [(item.reason, item.owner) for item in erp_world.hub.parked()]
    assert (reason, owner) == ("ambiguous", "Operations")
    assert len(erp_world.invoices()) == 1


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_a_refused_document_is_replayed_with_the_content_it_was_made_with(erp_world: World) -> None:
    def closed(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        return [
            PushResult(i.key, Outcome.REJECTED, code="PERIOD", message="closed", reason="period_closed") for i in items
        ]

    erp_world.invoice()
    erp_world.ads.misbehave = [closed]
    erp_world.rest()
    assert [item.reason for item in erp_world.hub.parked()] == ["period_closed"]
    erp_world.hub.replay(reason="period_closed")
    erp_world.rest()
    first, again = (call.items[0] for call in erp_world.ads.calls)
    assert (first.key, first.payload) == (again.key, again.payload)
    assert len(erp_world.invoices()) == 1


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_a_posted_document_is_not_posted_again_by_a_resync(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.rest()
    with erp_world.hub.session.database.transaction() as cur:
        cur.execute("UPDATE lane SET acked_hash = NULL, acked_payload = NULL WHERE kind = 'document'")
    erp_world.rest()
    assert len(erp_world.ads.calls) == len(erp_world.invoices()) == 1


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_the_plan_shows_a_document_as_a_create(erp_world: World) -> None:
    erp_world.invoice()
    (item,) = erp_world.hub.plan("gam-main").items
    assert (item.kind, item.action, item.name) == ("document", "create", "Invoice INV-1")


# ---------------------------------------------------------------- native keys
@pytest.mark.parametrize("erp_world", [KEYED, KEYED_BLIND], indirect=True)
def test_a_living_key_is_sent_again_at_once_and_without_a_look_up(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.ads.lose_reply()
    erp_world.hub.push("gam-main")
    assert erp_world.hub.settle("gam-main").resent == 1
    erp_world.machine.advance(5)
    erp_world.hub.push("gam-main")
    assert len({call.items[0].key for call in erp_world.ads.calls}) == 1
    assert (len(erp_world.invoices()), erp_world.ads.finds) == (1, 0)


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_a_long_outage_is_survived_under_one_key(erp_world: World) -> None:
    def gone(*_: object) -> None:
        raise OutcomeUnknown("TIMEOUT", "no answer")

    erp_world.invoice()
    erp_world.ads.lose_reply()
    erp_world.ads.misbehave += [gone] * 9
    erp_world.rest(rounds=60)
    assert len(erp_world.invoices()) == 1
    assert len({call.items[0].key for call in erp_world.ads.calls}) == 1
    assert erp_world.ads.finds == 0


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_after_its_age_a_key_is_not_trusted_and_the_vendor_is_asked(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.ads.lose_reply()
    erp_world.hub.push("gam-main")
    erp_world.machine.advance(25 * 3600)
    erp_world.rest()
    assert len(erp_world.invoices()) == 1, "the vendor forgot the key and would have posted it again"
    assert erp_world.ads.finds >= 1
    assert len(erp_world.ads.calls) == 1


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_a_key_that_dies_between_settling_and_sending_is_looked_up(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.ads.lose_reply()
    erp_world.hub.push("gam-main")
    assert erp_world.hub.settle("gam-main").resent == 1
    erp_world.machine.advance(25 * 3600)
    erp_world.rest()
    assert len(erp_world.invoices()) == 1


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_after_its_age_what_is_proven_absent_is_sent_anew(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.ads.lose_request()
    erp_world.hub.push("gam-main")
    erp_world.machine.advance(25 * 3600)
    erp_world.rest(rounds=20)
    assert len(erp_world.invoices()) == 1
    assert erp_world.ads.finds >= 2, "two negatives past the window"
    assert mismatches(erp_world.hub.session) == []


@pytest.mark.parametrize("erp_world", [KEYED_BLIND], indirect=True)
def test_after_its_age_a_key_without_a_look_up_waits_for_a_person(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.ads.lose_request()
    erp_world.hub.push("gam-main")
    erp_world.machine.advance(25 * 3600)
    erp_world.rest()
    assert [item.reason for item in erp_world.hub.parked()] == ["ambiguous"]


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_a_worker_that_died_while_sending_is_followed_under_the_same_key(erp_world: World) -> None:
    def die(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        erp_world.ads.apply(record, operation, items[0])
        raise KeyboardInterrupt

    erp_world.invoice()
    erp_world.ads.misbehave = [die]
    with pytest.raises(KeyboardInterrupt):
        erp_world.hub.push("gam-main")
    erp_world.machine.advance(601)
    erp_world.rest()
    assert len(erp_world.invoices()) == 1
    assert erp_world.ads.finds == 0


@pytest.mark.parametrize(
    ("age", "flight", "passed", "living"),
    [
        (DAY, 60, 0, True),
        (DAY, 60, DAY - 61, True),
        (DAY, 60, DAY - 60, False),
        (DAY, 60, DAY, False),
        (0, 60, 0, False),
    ],
)
def test_a_key_lives_as_long_as_a_request_sent_now_ends_within_its_age(
    age: float, flight: float, passed: float, living: bool
) -> None:
    capability = RecordCapability(
        1, frozenset({Operation.CREATE}), CreateProtocol.NATIVE_KEY, max_in_flight=flight, key_age=age
    )
    assert alive(capability, NOON, NOON + timedelta(seconds=passed)) is living
    assert not alive(replace(capability, create=CreateProtocol.PROBE), NOON, NOON)
    assert not alive(capability, None, NOON)


# ---------------------------------------------------------------- several sends in doubt
def outcomes(world: World) -> list[tuple[str, str | None]]:
    """(outcome, code) of every send of a document, oldest first."""
    rows = world.hub.session.database.rows(
        "SELECT a.outcome, a.code FROM attempt a JOIN lane l ON l.id = a.lane_id WHERE l.kind = 'document' ORDER BY a.id"
    )
    return [(outcome, code) for outcome, code in rows]


def send_in_doubt(world: World, times: int) -> None:
    """So many requests that never arrive, each under the same living key."""
    for _ in range(times):
        world.ads.lose_request()
        assert world.hub.push("gam-main").in_doubt == 1
        assert world.hub.settle("gam-main").resent == 1
        world.machine.advance(301)


def not_now(world: World) -> None:
    """The next send is refused for now: certainly not applied."""

    def busy(*_: object) -> None:
        raise RetryLater("SERVER_BUSY", "later", after=1)

    world.ads.misbehave.append(busy)


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_proven_absence_answers_for_every_send_under_the_old_key(erp_world: World) -> None:
    erp_world.invoice()
    send_in_doubt(erp_world, 3)
    erp_world.machine.advance(25 * 3600)
    erp_world.rest()
    assert len(erp_world.invoices()) == 1
    assert outcomes(erp_world) == [("retry", "PROVEN-ABSENT")] * 3 + [("created", None)]
    assert mismatches(erp_world.hub.session) == []


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
def test_a_find_answers_for_every_send_under_the_old_key(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.ads.lose_reply()
    erp_world.hub.push("gam-main")
    erp_world.hub.settle("gam-main")
    erp_world.machine.advance(301)
    send_in_doubt(erp_world, 2)
    erp_world.machine.advance(25 * 3600)
    erp_world.rest()
    assert len(erp_world.invoices()) == 1
    assert [outcome for outcome, _ in outcomes(erp_world)] == ["created"] * 3, "one creation under one key, sent thrice"
    assert len(erp_world.ads.calls) == 3


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
@pytest.mark.parametrize("arrived", [False, True])
def test_a_certain_failure_hides_no_older_send_in_doubt(erp_world: World, arrived: bool) -> None:
    erp_world.invoice()
    if arrived:
        erp_world.ads.lose_reply()
    else:
        erp_world.ads.lose_request()
    erp_world.hub.push("gam-main")
    erp_world.hub.settle("gam-main")
    not_now(erp_world)
    erp_world.machine.advance(301)
    assert erp_world.hub.push("gam-main").outcomes["retry"] == 1
    erp_world.machine.advance(25 * 3600)
    erp_world.rest()
    assert len(erp_world.invoices()) == 1
    assert erp_world.ads.finds >= 1
    absent = [("retry", "PROVEN-ABSENT"), ("retry", "SERVER_BUSY"), ("created", None)]
    found = [("created", "TIMEOUT"), ("retry", "SERVER_BUSY")]
    assert outcomes(erp_world) == (found if arrived else absent)
    assert mismatches(erp_world.hub.session) == []


@pytest.mark.parametrize("erp_world", [KEYED], indirect=True)
@pytest.mark.parametrize("arrived", [False, True])
def test_a_refusal_hides_no_older_send_in_doubt(erp_world: World, arrived: bool) -> None:
    def closed(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        return [PushResult(items[0].key, Outcome.REJECTED, code="PERIOD", message="closed", reason="period_closed")]

    erp_world.invoice()
    if arrived:
        erp_world.ads.lose_reply()
    else:
        erp_world.ads.lose_request()
    erp_world.hub.push("gam-main")
    erp_world.hub.settle("gam-main")
    erp_world.ads.misbehave.append(closed)
    erp_world.machine.advance(301)
    erp_world.hub.push("gam-main")
    assert [item.reason for item in erp_world.hub.parked()] == ["period_closed"]
    erp_world.machine.advance(25 * 3600)
    erp_world.hub.replay(reason="period_closed")
    erp_world.rest()
    assert len(erp_world.invoices()) == 1
    assert erp_world.ads.finds >= 1
    assert len(erp_world.ads.calls) == (2 if arrived else 3)


@pytest.mark.parametrize("erp_world", [KEYED_BLIND], indirect=True)
def test_where_nobody_can_look_a_hidden_send_in_doubt_waits_for_a_person_too(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.ads.lose_reply()
    erp_world.hub.push("gam-main")
    erp_world.hub.settle("gam-main")
    not_now(erp_world)
    erp_world.machine.advance(301)
    erp_world.hub.push("gam-main")
    erp_world.machine.advance(25 * 3600)
    erp_world.rest()
    assert [item.reason for item in erp_world.hub.parked()] == ["ambiguous"]
    assert len(erp_world.invoices()) == 1
    assert len(erp_world.ads.calls) == 2


@pytest.mark.parametrize("erp_world", [KEYED_BLIND], indirect=True)
@pytest.mark.parametrize("hidden", [False, True])
def test_a_person_who_says_a_document_is_absent_is_asked_once(erp_world: World, hidden: bool) -> None:
    erp_world.invoice()
    send_in_doubt(erp_world, 2)
    if hidden:
        not_now(erp_world)
        erp_world.hub.push("gam-main")
    erp_world.machine.advance(25 * 3600)
    erp_world.rest()
    assert [item.reason for item in erp_world.hub.parked()] == ["ambiguous"]
    assert erp_world.invoices() == []
    erp_world.hub.declare_absent("doc_INV-1", connection="gam-main", by="Dana", note="looked in the ledger")
    erp_world.rest()
    assert erp_world.hub.parked() == []
    assert len(erp_world.invoices()) == 1
    assert not [outcome for outcome, _ in outcomes(erp_world) if outcome in (None, "in_doubt")]


@pytest.mark.parametrize("erp_world", [KEYED_BLIND], indirect=True)
def test_a_person_may_say_which_record_a_document_in_doubt_is(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.ads.lose_reply()
    erp_world.hub.push("gam-main")
    erp_world.machine.advance(25 * 3600)
    erp_world.rest()
    ((vendor_id, _),) = erp_world.ads.objects["Invoice"].items()
    erp_world.hub.adopt("doc_INV-1", vendor_id, connection="gam-main", by="Dana", note="found in the ledger")
    erp_world.rest()
    assert (erp_world.hub.parked(), len(erp_world.invoices()), len(erp_world.ads.calls)) == ([], 1, 1)


# ---------------------------------------------------------------- answers that come late
@pytest.mark.parametrize("erp_world", [BLIND], indirect=True)
def test_an_answer_after_the_document_was_parked_brings_it_back(erp_world: World) -> None:
    hub = erp_world.hub

    def settled_meanwhile(record: str, operation: Operation, items: Sequence[PushItem]) -> list[PushResult]:
        erp_world.machine.advance(1300)
        assert hub.settle("gam-main").parked == 1
        return [erp_world.ads.apply(record, operation, item) for item in items]

    erp_world.invoice()
    erp_world.ads.misbehave = [settled_meanwhile]
    hub.push("gam-main")
    rows = hub.session.database.rows
    assert rows("SELECT state FROM lane WHERE kind = 'document'") != [("parked",)], "parked, and nobody would be told"
    erp_world.rest()
    assert (len(erp_world.invoices()), hub.parked()) == (1, [])
    assert rows("SELECT state, dirty FROM lane WHERE kind = 'document'") == [("ready", False)]


@pytest.mark.parametrize("erp_world", [UNIQUE], indirect=True)
def test_a_doubt_that_comes_late_does_not_replace_what_was_found(erp_world: World) -> None:
    hub = erp_world.hub

    def found_meanwhile(record: str, operation: Operation, items: Sequence[PushItem]) -> list[PushResult]:
        results = [erp_world.ads.apply(record, operation, item) for item in items]
        erp_world.machine.advance(1300)
        assert hub.settle("gam-main").adopted == 1
        raise OutcomeUnknown("TIMEOUT", f"no answer for {len(results)}")

    erp_world.invoice()
    erp_world.ads.misbehave = [found_meanwhile]
    hub.push("gam-main")
    assert hub.session.database.rows("SELECT outcome FROM attempt") == [("created",)]
    erp_world.rest()
    assert len(erp_world.invoices()) == 1


@pytest.mark.parametrize("erp_world", [UNIQUE], indirect=True)
def test_look_ups_of_an_earlier_send_do_not_count_for_the_next(erp_world: World) -> None:
    erp_world.invoice()
    store = erp_world.hub.session.database
    with store.transaction() as cur:
        cur.execute("UPDATE lane SET probes = 1 WHERE kind = 'document'")
        now = erp_world.machine.now()
        (lane,) = lanes.claim(cur, "gam-main", "document", 5, now, now + timedelta(minutes=10), updates=False)
    assert lane.probes == 0


# ---------------------------------------------------------------- census
def copy_invoice(world: World, **changed: Any) -> str:
    """The vendor holds the one invoice once more, whoever made it."""
    (first,) = world.invoices()
    vendor_id = str(next(world.ads.ids))
    world.ads.objects["Invoice"][vendor_id] = {**first, "id": vendor_id, **changed}
    return vendor_id


@pytest.mark.parametrize("erp_world", [UNIQUE, KEYED], indirect=True)
def test_a_census_finds_an_invoice_that_exists_twice_and_closes_it_when_one_is_voided(erp_world: World) -> None:
    world = erp_world
    world.invoice()
    world.rest()
    (first,) = world.invoices()
    second = copy_invoice(world)
    assert world.hub.census("gam-main").duplicates == 1
    (item,) = world.hub.parked()
    assert (item.reason, item.owner, item.entity_id) == ("duplicate", "Finance", "doc_INV-1")
    assert f"Finance voids {second} there; the hub goes by {first['id']}" in item.fix
    assert world.hub.census("gam-main").duplicates == 1
    assert len(world.hub.parked()) == 1, "counted again, told once"
    world.ads.objects["Invoice"][second]["isArchived"] = True
    assert world.hub.census("gam-main").duplicates == 0
    assert world.hub.parked() == []
    assert mismatches(world.hub.session) == []


@pytest.mark.parametrize("erp_world", [UNIQUE, KEYED], indirect=True)
def test_other_peoples_invoices_are_counted_and_left_alone(erp_world: World) -> None:
    world = erp_world
    world.invoice()
    world.rest()
    for _ in range(2):
        copy_invoice_of_theirs(world)
    summary = world.hub.census("gam-main")
    assert (summary.counted, summary.duplicates) == (3, 0)


def copy_invoice_of_theirs(world: World) -> None:
    vendor_id = str(next(world.ads.ids))
    world.ads.objects["Invoice"][vendor_id] = {"id": vendor_id, "number": "THEIRS-1"}


@pytest.mark.parametrize("erp_world", [KEYED_BLIND, BLIND], indirect=True)
def test_what_cannot_be_told_by_number_is_not_counted(erp_world: World) -> None:
    world = erp_world
    world.invoice()
    world.rest()
    copy_invoice(world)
    assert world.hub.census("gam-main").counted == 0
