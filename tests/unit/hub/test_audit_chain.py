"""The chain's promise: what was edited, removed, put in, moved or cut off is found, and every transition has its event."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import psycopg
import pytest

from hub.errors import AnchorFailed, NotFound
from hub.store import audit
from hub.store.database import Cursor, Database

if TYPE_CHECKING:
    from conftest import World

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def worked(world: World) -> None:
    """A book with doubts, refusals, edits and delivery behind it: every kind of event."""
    world.book(lines=3)
    world.ads.misbehave = [lambda *_: None, lambda *_: None]
    world.ads.lose_reply()
    world.crm.line("00kBAD", "006A", CPM__c=None)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    world.travel()


def statement(world: World, text: str) -> None:
    """Somebody with a database client."""
    with psycopg.connect(world.hub.session.database.url, autocommit=True) as connection:
        connection.execute(text.encode())


def count(world: World) -> int:
    return world.hub.verify_audit().events


# ---------------------------------------------------------------- a sound chain
def test_work_leaves_a_sound_chain_without_gaps_and_every_transition_has_its_event(world: World) -> None:
    worked(world)
    result = world.hub.verify_audit()
    assert (result.sound, result.faults) == (True, [])
    assert result.events == result.head > 60
    assert world.hub.audit_mismatches() == []


def test_doing_nothing_adds_no_event(world: World) -> None:
    worked(world)
    before = count(world)
    world.hub.intake("sfdc")
    for name in ("gam-main", "sfdc"):
        world.hub.push(name)
        world.hub.settle(name)
    world.hub.plan()
    world.hub.status()
    world.hub.trace("006A")
    assert count(world) == before


def test_an_empty_chain_is_sound_and_has_no_end_to_anchor(world: World, tmp_path: Path) -> None:
    assert (world.hub.verify_audit().sound, count(world)) == (True, 0)
    with pytest.raises(NotFound, match="no event yet"):
        world.hub.anchor_audit(tmp_path / "heads")


def test_what_is_rolled_back_leaves_no_event_and_no_gap(world: World) -> None:
    worked(world)
    before, store = count(world), world.hub.session.database

    def fail() -> None:
        with store.transaction() as cur:
            audit.note(cur, "test", "lost")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.transaction() as cur:
        audit.note(cur, "test", "kept")
        with pytest.raises(RuntimeError):
            fail()
        with store.transaction() as inner:
            audit.note(inner, "test", "kept with its savepoint")
    assert world.hub.verify_audit().sound
    assert count(world) == before + 2


def test_two_workers_write_one_chain(world: World) -> None:
    worked(world)
    url, before = world.hub.session.database.url, count(world)
    first, second = Database(url), Database(url)
    for number in range(10):
        for worker in (first, second):
            with worker.transaction() as cur:
                audit.note(cur, f"test:{number}", "counted")
    first.close()
    second.close()
    assert world.hub.verify_audit().sound
    assert count(world) == before + 20


def test_a_worker_waits_for_the_other_ones_commit(world: World) -> None:
    worked(world)
    url = world.hub.session.database.url
    slow, hasty = Database(url), Database(url)
    with hasty.transaction() as cur:
        cur.execute("SET lock_timeout = '50ms'")
    connection = slow._connected()
    with connection.transaction(), connection.cursor() as cur:
        audit.note(cur, "test", "slow")
        audit.append(cur, AT, "hub")
        with pytest.raises(psycopg.errors.LockNotAvailable), hasty.transaction() as other:
            audit.note(other, "test", "hasty")
    with hasty.transaction() as other:
        audit.note(other, "test", "hasty again")
    slow.close()
    hasty.close()
    assert world.hub.verify_audit().sound


def test_an_event_tells_who_and_when(world: World) -> None:
    world.book()
    world.hub.intake("sfdc")
    world.machine.advance(90)
    world.hub.pause("gam-main", by="Dana", note="holidays")
    with world.hub.session.database.transaction() as cur:
        links = list(audit.walk(cur))
    assert {link.actor for link in links[:-1]} == {"hub"}
    last = links[-1]
    assert (last.actor, last.subject, last.at) == ("Dana", "connection:gam-main", world.machine.now())
    assert audit.decoded(last) == {"what": "paused", "note": "holidays"}


def test_the_hash_covers_every_column_and_its_recipe_does_not_drift() -> None:
    content = audit.canonical(7, AT, 'D"ana', "lane:3", b'{"what":"x"}')
    assert content == (
        b'{"actor":"D\\"ana","at":"2026-01-05T09:00:00.000000+00:00","event":{"what":"x"},"sequence":7,"subject":"lane:3"}'
    )
    assert orjson.loads(content)["event"] == {"what": "x"}
    assert audit.link_hash(audit.GENESIS, content).hex() == (
        "8119aa9658f946b0597bfe11cec2e8687aa86199c6e84d813298801545368b2f"
    )


# ---------------------------------------------------------------- planted faults
FAULTS = {
    "one byte of an event": (
        "UPDATE audit SET event = set_byte(event, octet_length(event) - 3, 66) WHERE sequence = 20",
        {("edit", 20)},
    ),
    "the time of an event": ("UPDATE audit SET at = at + interval '1 microsecond' WHERE sequence = 20", {("edit", 20)}),
    "the actor of an event": ("UPDATE audit SET actor = 'Dana' WHERE sequence = 20", {("edit", 20)}),
    "the subject of an event": ("UPDATE audit SET subject = 'lane:999' WHERE sequence = 20", {("edit", 20)}),
    "one byte of a hash": (
        "UPDATE audit SET hash = set_byte(hash, 0, 255 - get_byte(hash, 0)) WHERE sequence = 20",
        {("edit", 20), ("link", 21)},
    ),
    "one byte of a previous hash": (
        "UPDATE audit SET previous = set_byte(previous, 0, 255 - get_byte(previous, 0)) WHERE sequence = 20",
        {("edit", 20), ("link", 20)},
    ),
    "one event removed": ("DELETE FROM audit WHERE sequence = 20", {("gap", 20)}),
    "several events removed": ("DELETE FROM audit WHERE sequence BETWEEN 20 AND 24", {("gap", 20)}),
    "the first events removed": ("DELETE FROM audit WHERE sequence < 4", {("gap", 1)}),
    "two events swapped": (
        "UPDATE audit SET sequence = -1 WHERE sequence = 20; UPDATE audit SET sequence = 20 WHERE sequence = 21; "
        "UPDATE audit SET sequence = 21 WHERE sequence = -1",
        {("edit", 20), ("link", 20), ("edit", 21), ("link", 21), ("link", 22)},
    ),
    "the contents of two events swapped": (
        "UPDATE audit a SET subject = b.subject, event = b.event FROM audit b "
        "WHERE (a.sequence, b.sequence) IN ((20, 22), (22, 20))",
        {("edit", 20), ("edit", 22)},
    ),
    "an event put in at the end": (
        "INSERT INTO audit SELECT sequence + 1, at, actor, subject, event, hash, previous FROM audit "
        "ORDER BY sequence DESC LIMIT 1",
        {("edit", -1), ("head", -1)},
    ),
    "an event put in before the first": (
        "INSERT INTO audit SELECT 0, at, actor, subject, event, previous, hash FROM audit WHERE sequence = 1",
        {("gap", 1), ("edit", 0), ("link", 1)},
    ),
    "the tail cut, the head forgotten": (
        "DELETE FROM audit WHERE sequence > (SELECT sequence - 3 FROM audit_head)",
        {("head", -1)},
    ),
    "the head moved": ("UPDATE audit_head SET hash = previous FROM audit WHERE audit.sequence = 20", {("head", -1)}),
    "the head removed": ("DELETE FROM audit_head", {("head", -1)}),
    "all events removed, the head forgotten": ("DELETE FROM audit", {("head", 0)}),
    "an event that is no JSON": ("UPDATE audit SET event = '\\xff' WHERE sequence = 20", {("edit", 20)}),
}


def test_each_planted_fault_is_found_where_it_is_and_nothing_else(world: World) -> None:
    worked(world)
    with psycopg.connect(world.hub.session.database.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT * FROM audit")
        connection.execute("CREATE TABLE kept_head AS SELECT * FROM audit_head")
        for name, (planted, expected) in FAULTS.items():
            for each in planted.split(";"):
                connection.execute(each.encode())
            result = world.hub.verify_audit()
            places = {(kind, result.head if sequence == -1 else sequence) for kind, sequence in expected}
            assert {(fault.kind, fault.sequence) for fault in result.faults} == places, name
            assert result.faults_found == len(places), name
            assert all(fault.sentence.count(".") >= 2 for fault in result.faults), name
            connection.execute("DELETE FROM audit; DELETE FROM audit_head")
            connection.execute("INSERT INTO audit SELECT * FROM kept")
            connection.execute("INSERT INTO audit_head SELECT * FROM kept_head")
            assert world.hub.verify_audit().sound, name


def test_many_faults_are_counted_and_only_the_first_hundred_told(world: World) -> None:
    for number in range(10):
        world.book(lines=2, order=f"006{number}")
    world.travel()
    statement(world, "UPDATE audit SET actor = 'Dana'")
    result = world.hub.verify_audit()
    assert (len(result.faults), result.faults_found) == (100, result.events)


# ---------------------------------------------------------------- anchors
def cut_the_tail_and_the_head(world: World, events: int) -> None:
    statement(
        world,
        f"DELETE FROM audit WHERE sequence > (SELECT sequence - {events} FROM audit_head); UPDATE audit_head SET "
        "(sequence, hash) = (SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1)",
    )


def rewrite(cur: Cursor, first: int) -> None:
    """The whole chain from an event on, made anew by somebody who knows the recipe."""
    links = audit.chunk(cur, first - 1, 10**6)
    previous = links[0].previous
    for link in links:
        actor = "nobody" if link.sequence == first else link.actor
        content = audit.canonical(link.sequence, link.at, actor, link.subject, link.event)
        digest = audit.link_hash(previous, content)
        cur.execute(
            "UPDATE audit SET actor = %s, previous = %s, hash = %s WHERE sequence = %s",
            (actor, previous, digest, link.sequence),
        )
        previous = digest
    cur.execute("UPDATE audit_head SET hash = %s", (previous,))


def test_a_tail_cut_together_with_the_head_is_found_by_the_anchor_alone(world: World, tmp_path: Path) -> None:
    worked(world)
    heads = tmp_path / "heads"
    anchored = world.hub.anchor_audit(heads)
    assert world.hub.verify_audit(heads).anchors == 1
    cut_the_tail_and_the_head(world, 2)
    assert world.hub.verify_audit().sound, "nothing inside the database can show it"
    result = world.hub.verify_audit(heads)
    assert [(fault.kind, fault.sequence) for fault in result.faults] == [("anchor", anchored.sequence)]


def test_a_chain_written_anew_by_somebody_who_knows_how_is_found_by_the_anchor_alone(
    world: World, tmp_path: Path
) -> None:
    worked(world)
    heads = tmp_path / "heads"
    anchored = world.hub.anchor_audit(heads)
    with psycopg.connect(world.hub.session.database.url) as connection, connection.cursor() as cur:
        rewrite(cur, 20)
    assert world.hub.verify_audit().sound, "nothing inside the database can show it"
    result = world.hub.verify_audit(heads)
    assert [(fault.kind, fault.sequence) for fault in result.faults] == [("anchor", anchored.sequence)]


def test_every_line_of_the_anchor_is_compared(world: World, tmp_path: Path) -> None:
    heads = tmp_path / "heads"
    world.book(lines=1)
    for step in (lambda: world.hub.intake("sfdc"), lambda: world.hub.push("gam-main")):
        step()
        world.hub.anchor_audit(heads)
    lines = heads.read_bytes().splitlines(keepends=True)
    first = orjson.loads(lines[0])
    heads.write_bytes(orjson.dumps({**first, "hash": "00" * 32}) + b"\n\n" + lines[1])
    result = world.hub.verify_audit(heads)
    assert result.anchors == 2
    assert [(fault.kind, fault.sequence) for fault in result.faults] == [("anchor", first["sequence"])]


def test_the_configured_anchor_grows_with_each_verb_that_wrote_and_only_with_those(
    world: World, tmp_path: Path
) -> None:
    heads = tmp_path / "heads"
    world.hub.session.configuration.hub.audit_anchor = heads
    world.book(lines=1)
    world.hub.intake("sfdc")
    assert len(heads.read_bytes().splitlines()) == 1
    world.hub.push("gam-main")
    assert len(heads.read_bytes().splitlines()) == 2
    world.hub.intake("sfdc")
    world.hub.status()
    assert len(heads.read_bytes().splitlines()) == 2
    last = orjson.loads(heads.read_bytes().splitlines()[-1])
    result = world.hub.verify_audit()
    assert (result.head, result.hash, result.anchors) == (last["sequence"], last["hash"], 2)
    assert stat.S_IMODE(heads.stat().st_mode) & stat.S_IWOTH == 0
    cut_the_tail_and_the_head(world, 1)
    assert not world.hub.verify_audit().sound


def test_a_configured_anchor_that_vanished_is_a_fault_and_not_a_chain_without_an_anchor(
    world: World, tmp_path: Path
) -> None:
    heads = tmp_path / "heads"
    world.hub.session.configuration.hub.audit_anchor = heads
    assert world.hub.verify_audit().sound, "nothing was ever written"
    world.book(lines=1)
    world.hub.intake("sfdc")
    assert world.hub.verify_audit().sound
    heads.unlink()
    cut_the_tail_and_the_head(world, 2)
    result = world.hub.verify_audit()
    (fault,) = result.faults
    assert (result.sound, fault.kind, fault.sequence) == (False, "anchor", result.head)
    assert f"orderhub audit anchor {heads}" in fault.sentence
    world.hub.anchor_audit(heads)
    assert world.hub.verify_audit().sound


@pytest.mark.parametrize("configured", [True, False])
def test_an_emptied_chain_is_a_fault_though_its_anchor_vanished_too(
    world: World, tmp_path: Path, configured: bool
) -> None:
    heads = tmp_path / "heads"
    if configured:
        world.hub.session.configuration.hub.audit_anchor = heads
    assert world.hub.verify_audit().sound, "nothing was ever written"
    world.book(lines=1)
    world.hub.intake("sfdc")
    heads.unlink(missing_ok=True)
    statement(world, "DELETE FROM audit; DELETE FROM audit_head")
    result = world.hub.verify_audit()
    assert (result.sound, result.events) == (False, 0)
    assert {fault.kind for fault in result.faults} == ({"empty", "anchor"} if configured else {"empty"})


def test_a_verb_that_failed_after_it_wrote_is_anchored_too(world: World, tmp_path: Path) -> None:
    world.hub.session.configuration.hub.audit_anchor = tmp_path / "heads"
    world.book(lines=1)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    world.hub.intake("sfdc")
    world.ads.misbehave = [die]
    with pytest.raises(KeyboardInterrupt):
        world.hub.push("gam-main")
    last = orjson.loads((tmp_path / "heads").read_bytes().splitlines()[-1])
    assert last["sequence"] == world.hub.verify_audit().head


def test_an_anchor_that_cannot_be_written_is_told_and_the_work_is_kept(world: World, tmp_path: Path) -> None:
    world.hub.session.configuration.hub.audit_anchor = tmp_path / "absent" / "heads"
    world.book(lines=1)
    with pytest.raises(AnchorFailed, match="The work itself is done"):
        world.hub.intake("sfdc")
    assert world.hub.status().orders


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}\n", b"no anchor\n", b'{"sequence": 1, "hash": "xyz"}\n', b"[1]\n"]
)
def test_a_file_that_is_no_anchor_is_never_taken_for_a_sound_one(content: bytes, world: World, tmp_path: Path) -> None:
    heads = tmp_path / "heads"
    heads.write_bytes(content)
    with pytest.raises((AnchorFailed, NotFound), match="Nothing was compared"):
        world.hub.verify_audit(heads)
    with pytest.raises(NotFound, match="Nothing was compared"):
        world.hub.verify_audit(tmp_path / "absent")


# ---------------------------------------------------------------- one to one
BEHIND_THE_BACK: dict[str, str] = {
    "a lane's state": "UPDATE lane SET state = 'parked' WHERE id = 1",
    "a lane's wish": "UPDATE lane SET desired_hash = gen_random_uuid() WHERE id = 1",
    "what a lane acknowledged": "UPDATE lane SET acked_hash = gen_random_uuid() WHERE id = 1",
    "a lane's fence": "UPDATE lane SET fence = fence + 1 WHERE id = 1",
    "a lane removed": "DELETE FROM lane WHERE id = 1",
    "a lane put in": "INSERT INTO lane (connection, kind, entity_id, facet, order_id, order_facet, stage, desired_version, "
    "desired_hash, wanted_at, state) SELECT connection, kind, entity_id, 'x', order_id, order_facet, stage, desired_version, "
    "desired_hash, wanted_at, state FROM lane WHERE id = 1",
    "an attempt's outcome": "UPDATE attempt SET outcome = 'rejected' WHERE id = 1",
    "an attempt removed": "DELETE FROM attempt WHERE id = 1",
    "an attempt put in": "INSERT INTO attempt (lane_id, key, record, operation, version, desired_hash, payload, fence, "
    "invoked_at) SELECT lane_id, key, record, operation, version, desired_hash, payload, fence, invoked_at FROM attempt LIMIT 1",
    "a reference removed": "DELETE FROM reference WHERE kind = 'line'",
    "a reference superseded": "UPDATE reference SET superseded_at = since WHERE kind = 'line'",
    "a version removed": "DELETE FROM entity_version WHERE kind = 'line' AND version = 2",
    "a parked item closed": "UPDATE parked SET resolved_at = opened_at, resolution = 'in sync' WHERE resolved_at IS NULL",
    "a parked item removed": "DELETE FROM parked",
    "a line of the journal removed": "DELETE FROM journal WHERE what LIKE '% accepted as version %'",
    "a report marked as loaded": "INSERT INTO delivery_job (connection, job, since, until, as_of, state, requested_at) VALUES "
    "('gam-main', 'x', '2026-01-01', '2026-01-02', '2026-01-05T09:00Z', 'loaded', '2026-01-05T09:00Z')",
}


def test_each_change_behind_the_hubs_back_is_found(world: World) -> None:
    worked(world)
    assert world.hub.audit_mismatches() == []
    with psycopg.connect(world.hub.session.database.url, autocommit=True) as connection:
        tables = ("lane", "attempt", "reference", "entity_version", "parked", "journal", "delivery_job")
        columns: dict[str, str] = {}
        for table in tables:
            connection.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}".encode())
            written = connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'",
                (table,),
            )
            columns[table] = ", ".join(row[0] for row in written)
        for name, planted in BEHIND_THE_BACK.items():
            done = connection.execute(planted.encode())
            assert done.rowcount > 0, name
            assert world.hub.audit_mismatches(), name
            for table in tables:
                connection.execute(f"DELETE FROM {table}".encode())
                insert = f"INSERT INTO {table} ({columns[table]}) OVERRIDING SYSTEM VALUE SELECT {columns[table]}"
                connection.execute(f"{insert} FROM kept_{table}".encode())
    assert world.hub.audit_mismatches() == []


def test_an_illegal_path_of_a_lane_is_found(world: World) -> None:
    worked(world)
    with world.hub.session.database.transaction() as cur:
        audit.note(cur, "lane:1", "lane woken", state="ready", why="planted")
    assert any("cannot go from ready to ready" in sentence for sentence in world.hub.audit_mismatches())


def test_delivery_is_one_event_for_each_loaded_report(world: World) -> None:
    worked(world)
    world.business.advance(40 * 86_400)
    job = world.hub.start_delivery("gam-main")
    world.hub.poll_delivery("gam-main", job.job)
    before = count(world)
    world.hub.load_delivery("gam-main", job.job)
    with world.hub.session.database.transaction() as cur:
        events = [audit.decoded(link)["what"] for link in audit.chunk(cur, before)]
    assert events.count("facts loaded") == 1
    assert world.hub.audit_mismatches() == []
