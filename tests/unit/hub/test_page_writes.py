"""What a page brings is written in batches, and the store holds exactly what writing record by record leaves in it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from connectors.base import Page, ReadRecord
from hub.store import entities, lanes
from hub.store.changes import Conclusion
from hub.store.database import Cursor, Database
from hub.store.entities import NewVersion, StoredEntity
from hub.store.lanes import Want
from hub.store.tables import metadata
from hub.sync import intake
from hub.sync.accept_page import Ledger
from hub.sync.page_writes import PageWrites
from oms_schema.ids import EntityKind

from .conftest import World, make_world

ACCOUNTS = ("001A", "001B", "001C", "001D")
ORDERS = ("006A", "006B", "006C")
LINES = tuple(f"00k{number}" for number in range(9))
NAMES = ("Acme", "ACME", "Bolt", "Café")


def _account(world: World, chance: random.Random) -> None:
    name = "" if chance.random() < 0.1 else chance.choice(NAMES)
    master = {"MasterRecordId": chance.choice(ACCOUNTS)} if chance.random() < 0.1 else {}
    world.crm.put("Account", chance.choice(ACCOUNTS), deleted=chance.random() < 0.15, Name=name, **master)


def _opportunity(world: World, chance: random.Random) -> None:
    native_id = chance.choice(ORDERS)
    account = chance.choice((*ACCOUNTS, "001X", None))
    stage = chance.choice(("Closed Won", "Closed Won", "Closed Lost"))
    world.crm.opportunity(native_id, f"Deal {native_id} {chance.choice(('', 'new'))}", account)
    world.crm.put(
        "Opportunity",
        native_id,
        deleted=chance.random() < 0.1,
        StageName=stage,
        IsWon=stage == "Closed Won",
        CurrencyIsoCode=chance.choice(("USD", "USD", "EUR")),
    )


def _line(world: World, chance: random.Random) -> None:
    native_id = chance.choice(LINES)
    world.crm.line(native_id, (*ORDERS, "006X")[int(native_id[3:]) % 4])
    changes: dict[str, Any] = {"CurrencyIsoCode": chance.choice(("USD", "USD", "EUR"))}
    if chance.random() < 0.15:
        changes["Flight_End__c"] = "2026-01-01T00:00:00.000+0000"
    world.crm.put("OpportunityLineItem", native_id, deleted=chance.random() < 0.15, **changes)


EDITS = {"Account": (_account, 6), "Opportunity": (_opportunity, 6), "OpportunityLineItem": (_line, 14)}


def _edited(world: World, stream: str, chance: random.Random) -> list[ReadRecord]:
    """What a poll reads: records as they were at several moments, some of them again."""
    edit, most = EDITS[stream]
    read: list[ReadRecord] = []
    for _ in range(chance.randrange(most)):
        before = dict(world.crm.records[stream])
        edit(world, chance)
        read += [one for key, one in world.crm.records[stream].items() if before.get(key) is not one]
        if chance.random() < 0.2:
            read.append(chance.choice(read))
    return read


def _travelled(url: str, seed: int, page: int) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """The same journey with vendors and clocks of its own, on an empty store; every table of the store afterwards."""
    world = make_world(url)
    with world.hub:
        _empty(world.hub.session.database)
        _travel(world, seed, page)
        return _whole_store(world.hub.session.database)


def _travel(world: World, seed: int, page: int) -> None:
    """Several polls of an untidy source with sends between them."""
    chance = random.Random(seed)
    pages: dict[str, list[ReadRecord]] = {}

    def read(stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        records = pages[stream]
        for start in range(0, max(1, len(records)), page):
            end = start + page >= len(records)
            yield Page(records[start : start + page], f"{world.business.now().isoformat()} {start}", last=end)

    world.ads.lines_per_order = 2
    for _ in range(4):
        pages.update({stream: _edited(world, stream, chance) for stream in EDITS})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.crm, "read", read)
            world.hub.intake("sfdc")
        if chance.random() < 0.3:
            world.ads.lose_reply()
        if chance.random() < 0.7:
            world.hub.push("gam-main")
        world.machine.advance(61)
        world.business.advance(61)
        if chance.random() < 0.5:
            world.hub.settle("gam-main")


def _whole_store(store: Database) -> list[tuple[str, list[tuple[Any, ...]]]]:
    return [
        (table.name, sorted((tuple(map(_plain, row)) for row in store.rows(f"SELECT * FROM {table.name}")), key=repr))
        for table in metadata.sorted_tables
    ]


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _empty(store: Database) -> None:
    names = ", ".join(table.name for table in metadata.sorted_tables)
    with store.transaction() as cur:
        cur.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE".encode())


class AtOnce(PageWrites):
    """Writes each thing when it is said, as if there were no page; what says it without a cursor goes with the next."""

    def conclude(self, cur: Cursor, conclusion: Conclusion) -> None:
        super().conclude(cur, conclusion)
        self.flush(cur)

    def put(self, cur: Cursor, new: NewVersion) -> None:
        super().put(cur, new)
        self.flush(cur)


class Forgetful(Ledger):
    """Reads every entity from the store each time, and writes every reference in its turn."""

    def __init__(self) -> None:
        super().__init__(writes=AtOnce())

    def read(self, cur: Cursor, kind: EntityKind, entity_ids: Iterable[str], *, lock: bool = False) -> None:
        self.entities = {}
        super().read(cur, kind, entity_ids, lock=lock)

    def get(self, cur: Cursor, kind: EntityKind, entity_id: str, *, lock: bool = False) -> StoredEntity | None:
        self.writes.flush(cur)
        self.entities = {}
        return super().get(cur, kind, entity_id, lock=lock)

    def introduce(self, *arguments: Any) -> None:
        """Each reference is written in its turn."""

    def read_accounts(self, *arguments: Any) -> None:
        """Each party is asked about in its turn."""


@pytest.fixture
def record_by_record(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Within it, the hub takes a page record by record and wants lane by lane."""
    real = lanes.want_all

    def each_lane(cur: Cursor, connection: str, wants: Sequence[Want], now: datetime) -> int:
        different = {(want.kind, want.entity_id, want.facet, want.desired_hash): want for want in wants}
        return sum(real(cur, connection, [want], now) for want in different.values())

    with monkeypatch.context() as patch:
        patch.setattr(intake, "BATCH", 1)
        patch.setattr(intake, "Ledger", Forgetful)
        patch.setattr(lanes, "want_all", each_lane)
        yield patch


@pytest.mark.parametrize("seed", range(5, 11))
def test_a_page_leaves_in_the_store_what_its_records_leave_one_by_one(
    database_url: str, record_by_record: pytest.MonkeyPatch, seed: int
) -> None:
    slow = _travelled(database_url, seed, 200)
    record_by_record.undo()
    fast = _travelled(database_url, seed, 200)
    for (name, one_by_one), (_, at_once) in zip(slow, fast, strict=True):
        assert at_once == one_by_one, name


def test_many_records_take_no_more_statements_than_few(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        statements.append(str(query))
        return execute(self, query, *arguments, **options)

    world.book(lines=3)
    world.hub.intake("sfdc")
    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    world.book(lines=3, order="006B")
    assert world.hub.intake("sfdc").accepted == 4
    few = len(statements)
    world.book(lines=150, order="006C")
    assert world.hub.intake("sfdc").accepted == 151
    assert len(statements) - few <= few + 2, "a longer audit chain is copied, which takes another statement"


def test_a_lane_that_is_wanted_twice_in_one_breath_wants_the_last(world: World) -> None:
    def want(content: int) -> Want:
        return Want("party", "pty_a", "advertiser", "", "", 0, content, UUID(int=content))

    with world.hub.session.database.transaction() as cur:
        other = want(1)._replace(entity_id="pty_b")
        now = world.machine.now()
        assert lanes.want_all(cur, "gam-main", [want(1), other, want(1), want(2)], now) == 3
        assert lanes.want_all(cur, "gam-main", [want(2), other], now) == 0
        found = lanes.wanted(cur, "gam-main", [], ["pty_a", "pty_b"])
    assert {key[1]: one.desired_hash.int for key, one in found.items()} == {"pty_a": 2, "pty_b": 1}


@pytest.mark.parametrize("gone", [False, True])
def test_accounts_of_one_page_see_each_others_names(world: World, gone: bool) -> None:
    world.crm.account("001A", "Acme")
    world.crm.account("001B", "Bolt")
    world.hub.intake("sfdc")
    world.crm.put("Account", "001A", deleted=gone, Name="Zinc")
    world.crm.account("001C", "Acme")
    world.crm.account("001D", "acme")
    world.crm.account("001E", "bolt")
    world.crm.account("001F", "acme")
    done = world.hub.intake("sfdc")
    assert done.accepted == 4
    assert [
        row[0] for row in world.hub.session.database.rows("SELECT subject FROM parked WHERE resolved_at IS NULL")
    ] == ["change:sfdc:Account:001F"]


def test_the_names_of_a_page_are_found_without_reading_every_account(world: World) -> None:
    def accounts_read(cur: Cursor) -> int:
        cur.execute("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'entity'")
        ((read,),) = cur.fetchall()
        return int(read)

    with world.hub.session.database.transaction() as cur:
        cur.execute(
            "INSERT INTO entity (kind, id, version, canonical, content_hash, source, native_id, name, accepted_at) SELECT "
            "'party', 'pty_' || i, 1, '', gen_random_uuid(), 'sfdc', '001' || i, 'Account ' || i, now() "
            "FROM generate_series(1, 3000) i"
        )
        cur.execute("ANALYZE entity")
        before = accounts_read(cur)
        lowered, named = entities.of_names(cur, EntityKind.PARTY, ["ACCOUNT 7", "Account 8", "Nobody"], "sfdc")
        assert accounts_read(cur) - before == 2
    assert lowered == {"ACCOUNT 7": "account 7", "Account 8": "account 8", "Nobody": "nobody"}
    assert {lower: list(bearers) for lower, bearers in named.items()} == {
        "account 7": ["pty_7"],
        "account 8": ["pty_8"],
    }
