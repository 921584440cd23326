"""What accepting a page of changes knows: read once for all its records, and kept up with what they make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hub.session import Channel, Session
from hub.store import attempts, entities, journal
from hub.store.database import Cursor
from hub.store.entities import Named, NewVersion, StoredEntity
from hub.store.journal import Entry
from hub.sync.page_writes import PageWrites
from oms_schema.ids import EntityKind
from oms_schema.order import Order
from oms_schema.party import Party


@dataclass(frozen=True, slots=True)
class Accounts:
    """What is asked about the parties of one batch: by native id what each was mapped to, by id its orders, by the name in
    lower case, as the store writes it, the living parties that bear it, and by party the name of those that it bears."""

    mapped: Mapping[str, Party]
    orders: Mapping[str, tuple[str, ...]]
    lowered: Mapping[str, str]
    named: dict[str, dict[str, Named]]
    bearing: dict[str, str]

    def put(self, new: NewVersion) -> None:
        """A party got a new version."""
        before = self.bearing.pop(new.entity_id, None)
        if before is not None:
            del self.named[before][new.entity_id]
        if new.status != "deleted":
            lower = self.bearing[new.entity_id] = self.lowered[new.name]
            self.named.setdefault(lower, {})[new.entity_id] = Named(new.entity_id, new.native_id, new.name)


@dataclass
class Ledger:
    """What the store holds about one page's records, read once for all of them, and what is to be written about them.

    Whatever is not in `entities` is read when it is asked for; a new version takes its entity's place there. That holds
    because only who has the turn to accept (`changes.one_at_a_time`) writes entities. `referenced` are the entities whose
    object at the source is on record, `introduced` those of them whose reference was written in advance and is to be told.
    """

    entities: dict[tuple[EntityKind, str], StoredEntity | None] = field(default_factory=dict)
    referenced: set[str] = field(default_factory=set)
    introduced: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    writes: PageWrites = field(default_factory=PageWrites)
    _order: tuple[StoredEntity, Order] | None = None
    _accounts: Accounts | None = None

    @classmethod
    def of(cls, cur: Cursor, channel: Channel, kind: EntityKind, entity_ids: Sequence[str]) -> Ledger:
        """Read and lock what is known of these entities."""
        ledger = cls()
        ledger.read(cur, kind, entity_ids, lock=True)
        references = attempts.references(cur, channel.name, [(kind, entity_id) for entity_id in entity_ids])
        ledger.referenced.update(entity_id for _, entity_id, facet in references if facet == "")
        return ledger

    def read(self, cur: Cursor, kind: EntityKind, entity_ids: Iterable[str], *, lock: bool = False) -> None:
        """Read those of these entities that were not read yet, in one statement."""
        unread = sorted({entity_id for entity_id in entity_ids if (kind, entity_id) not in self.entities})
        if unread:
            known = entities.many(cur, kind, unread, lock=lock)
            self.entities.update({(kind, entity_id): known.get(entity_id) for entity_id in unread})

    def get(self, cur: Cursor, kind: EntityKind, entity_id: str, *, lock: bool = False) -> StoredEntity | None:
        """One entity, from what was read or from the store."""
        if (kind, entity_id) not in self.entities:
            self.entities[kind, entity_id] = entities.get(cur, kind, entity_id, lock=lock)
        return self.entities[kind, entity_id]

    def many(self, cur: Cursor, kind: EntityKind, entity_ids: Sequence[str]) -> dict[str, StoredEntity]:
        """Entities by id, from what was read or from the store; unknown ids are absent."""
        self.read(cur, kind, entity_ids)
        found = ((entity_id, self.entities[kind, entity_id]) for entity_id in entity_ids)
        return {entity_id: entity for entity_id, entity in found if entity is not None}

    def introduce(
        self,
        session: Session,
        cur: Cursor,
        channel: Channel,
        record: str,
        kind: EntityKind,
        native_ids: Mapping[str, str],
    ) -> None:
        """Write the references of these entities (id -> native id) that have none, in one statement."""
        objects = {entity_id: native for entity_id, native in native_ids.items() if entity_id not in self.referenced}
        put = attempts.put_new_references(
            cur,
            objects,
            connection=channel.name,
            kind=kind,
            record=record,
            account=channel.account,
            now=session.machine.now(),
        )
        self.introduced |= put

    def put(self, cur: Cursor, new: NewVersion, known: StoredEntity | None) -> None:
        """Write a new version of an entity; the first one said from which source it is."""
        self.writes.put(cur, new)
        self.entities[EntityKind(new.kind), new.entity_id] = StoredEntity(
            new.kind,
            new.entity_id,
            new.version,
            new.canonical,
            new.content_hash,
            new.source if known is None else known.source,
            new.native_id if known is None else known.native_id,
            new.name,
            new.order_id,
            new.status,
            new.external_id,
        )
        if self._accounts is not None:
            self._accounts.put(new)

    def order_model(self, stored: StoredEntity) -> Order:
        """The order behind a stored entity; lines of one order mostly follow one another."""
        if self._order is None or self._order[0] is not stored:
            self._order = (stored, Order.from_bytes(stored.canonical))
        return self._order[1]

    def read_accounts(self, cur: Cursor, source: str, party_ids: Sequence[str], mapped: Mapping[str, Party]) -> None:
        """Read at once what is asked about these parties until `forget_accounts`; `mapped` (by native id) are those not gone.

        Between the two no party but these and no order may be accepted.
        """
        names = sorted({party.name for party in mapped.values()})
        touched = entities.orders_of_parties(cur, party_ids)
        lowered, named = entities.of_names(cur, EntityKind.PARTY, names, source)
        bearing = {entity_id: lower for lower, bearers in named.items() for entity_id in bearers}
        self._accounts = Accounts(mapped, touched, lowered, named, bearing)

    def forget_accounts(self) -> None:
        """Ask the store about each party again."""
        self._accounts = None

    def mapped_party(self, native_id: str) -> Party | None:
        """The party that a record was mapped to when its page's were read; None when it was not."""
        return None if self._accounts is None else self._accounts.mapped.get(native_id)

    def orders_of_party(self, cur: Cursor, party_id: str) -> tuple[str, ...]:
        """Orders on which a party plays any part."""
        if self._accounts is not None:
            return self._accounts.orders.get(party_id, ())
        self.writes.flush_parties(cur)
        return entities.orders_of_parties(cur, [party_id]).get(party_id, ())

    def namesakes(self, cur: Cursor, party: Party, source: str) -> list[Named]:
        """Other living parties of one source whose name is the same but for case, by name and id."""
        accounts = self._accounts
        if accounts is not None:
            bearers = accounts.named.get(accounts.lowered[party.name], {})
        else:
            self.writes.flush_versions(cur, EntityKind.PARTY)
            lowered, named = entities.of_names(cur, EntityKind.PARTY, [party.name], source)
            bearers = named.get(lowered[party.name], {})
        others = [each for each in bearers.values() if each.entity_id != party.id]
        return sorted(others, key=lambda each: (each.name, each.entity_id))

    def write(self, session: Session, cur: Cursor) -> None:
        """Write what is held back, and the journal of this page."""
        self.writes.flush(cur)
        journal.write(cur, self.entries, session.machine.now(), session.business.now())
        self.entries = []
