"""Saves records: create, update, upsert, delete, undelete of a failed record, and the end of a call.

A `Unit` is one API call of one user. Each record is saved or refused by itself and leaves nothing behind when it is
refused; `roll_back` takes the whole call back (allOrNone). What depends on several records (roll-ups on the parent) is
done once, in `finish`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sandbox.salesforce import rules
from sandbox.salesforce.errors import RecordError, RecordRefused, refuse
from sandbox.salesforce.facts import Field, SObject
from sandbox.salesforce.ids import make_id, normalise
from sandbox.salesforce.schema import Schema, View
from sandbox.salesforce.tables import Row, Table, lookup_key
from sandbox.salesforce.values import read_csv, read_json, settle, stamp

T = TypeVar("T")
Check = Callable[[SObject, Row], RecordError | None]


@dataclass(frozen=True)
class ForeignKey:
    """A parent named by one of its external ids: `{"Account": {"Hub_Id__c": "x"}}` or the column `Account.Hub_Id__c`."""

    reference: Field
    key: Field
    value: Any


@dataclass
class Payload:
    """A record of a request, typed but not yet checked."""

    values: dict[str, Any] = field(default_factory=dict)
    foreign: list[ForeignKey] = field(default_factory=list)
    id: Any = None

    def get(self, name: str) -> Any:
        """A typed value, None if absent or null."""
        return self.values.get(name)


@dataclass(frozen=True)
class Savepoint:
    """A point in a call to which it can return."""

    journal: int
    created: int
    touched: Mapping[str, bool]


@dataclass
class Unit:
    """One call of one user over the org's tables.

    Args:
        view: what the user sees; `schema.full` for people in Setup.
        counters: last record number per object and block of ids, shared by all calls.
        block: the block of ids this call draws from.
        check: the org's validation rules.
    """

    schema: Schema
    tables: Mapping[str, Table]
    counters: dict[str, int]
    now: datetime
    user_id: str
    view: View
    check: Check
    block: int = 0
    created: list[tuple[str, str]] = field(default_factory=list)
    _journal: list[tuple[str, str, Row | None]] = field(default_factory=list)
    _touched: dict[str, bool] = field(default_factory=dict)

    @property
    def stamp(self) -> str:
        """The time of this call as the vendor writes it."""
        return stamp(self.now)

    # -- reading a request

    def payload_from_json(self, sobject: SObject, body: Mapping[str, Any]) -> Payload:
        """Type a JSON record.

        Raises:
            RecordRefused: INVALID_FIELD or JSON_PARSER_ERROR.
        """
        payload = Payload()
        for name, value in body.items():
            if name == "attributes":
                continue
            known = sobject.by_key.get(name.lower())
            if known is not None and known.type == "id":
                payload.id = value
            elif known is not None:
                payload.values[known.name] = read_json(known, value)
            else:
                payload.foreign.append(self._foreign(sobject, name, value))
        return payload

    def payload_from_csv(self, sobject: SObject, cells: Mapping[str, str]) -> Payload:
        """Type a Bulk 2.0 row: an empty cell leaves the field alone, `#N/A` empties it.

        Raises:
            RecordRefused: INVALID_FIELD or INVALID_TYPE_ON_FIELD_IN_RECORD.
        """
        payload = Payload()
        for name, cell in cells.items():
            known = sobject.by_key.get(name.lower())
            if cell == "":
                continue
            if known is not None and known.type == "id":
                payload.id = cell
            elif known is not None:
                payload.values[known.name] = read_csv(known, cell)
            else:
                relationship, _, key = name.partition(".")
                payload.foreign.append(self._foreign(sobject, relationship, {key: cell}))
        return payload

    def _foreign(self, sobject: SObject, name: str, value: Any) -> ForeignKey:
        reference = sobject.parents.get(name.lower())
        if reference is None:
            raise refuse("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}")
        parent = self.view.find(reference.referenceTo[0])
        keys = {k: v for k, v in value.items() if k != "attributes"} if isinstance(value, Mapping) else {}
        if parent is None or len(keys) != 1:
            message = f"The relationship '{name}' needs exactly one external id field of its object"
            raise refuse("INVALID_FIELD", message)
        ((key_name, key_value),) = keys.items()
        key = parent.by_key.get(str(key_name).lower())
        if key is None or not key.idLookup or key.type == "id":
            message = f"Field name provided, {key_name} is not an External ID or indexed field for {parent.name}"
            raise refuse("INVALID_FIELD", message)
        return ForeignKey(reference, key, read_json(key, key_value))

    # -- saving

    def create(self, sobject: SObject, payload: Payload) -> str:
        """Save a new record and return its id.

        Raises:
            RecordRefused: every reason at once where the vendor gives them at once.
        """
        if payload.id is not None:
            raise refuse("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", ["Id"])
        if not sobject.createable:
            raise refuse("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type {sobject.name} does not support create")
        self._refuse_unwriteable(sobject, payload, lambda f: f.createable)
        full = self.schema.full.objects[sobject.name]
        row: Row = {f.name: f.default for f in full.fields if f.default is not None and f.type != "id"}
        row |= {"OwnerId": self.user_id} if "ownerid" in full.by_key else {}
        row |= self._stamps(created=True)
        changed = {name: value for name, value in self._settled(full, payload).items() if value is not None}
        row |= changed
        given = set(changed)
        counter = f"{full.name}/{self.block}"
        row["Id"] = make_id(full.keyPrefix, self.counters.get(counter, 0) + 1, self.block)
        save = rules.Save(self, full, None, row, given, payload.values)
        rules.before_save(save)
        self._finish_record(full, None, save.row, given)
        self.counters[counter] = self.counters.get(counter, 0) + 1
        self.created.append((full.name, row["Id"]))
        rules.after_save(save)
        return str(row["Id"])

    def update(self, sobject: SObject, id_: object, payload: Payload) -> str:
        """Change a record and return its id.

        Raises:
            RecordRefused: as `create`; ENTITY_IS_DELETED, MALFORMED_ID, INVALID_CROSS_REFERENCE_KEY for the record.
        """
        old = self.existing(sobject, id_)
        if not sobject.updateable:
            raise refuse("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type {sobject.name} does not support update")
        self._refuse_unwriteable(sobject, payload, lambda f: f.updateable)
        full = self.schema.full.objects[sobject.name]
        changed = self._settled(full, payload)
        changed |= {name: False for name, value in changed.items() if value is None and full.is_boolean(name)}
        row = _merged(old, {**changed, **self._stamps(created=False)})
        save = rules.Save(self, full, old, row, set(changed), payload.values)
        rules.before_save(save)
        self._finish_record(full, old, save.row, set(changed))
        rules.after_save(save)
        return str(old["Id"])

    def upsert(self, sobject: SObject, key: Field, value: Any, payload: Payload) -> tuple[str, bool]:
        """Save by an external id; returns the id and whether the record is new.

        Raises:
            RecordRefused: as `create` and `update`; MISSING_ARGUMENT without a value.
        """
        if key.type == "id":
            if value is None:
                payload.id = None
                return self.create(sobject, payload), True
            payload.id = None
            return self.update(sobject, value, payload), False
        if value is None:
            raise refuse("MISSING_ARGUMENT", f"{key.name} not specified")
        found = self.tables[sobject.name].find(key, value)
        if len(found) > 1:
            message = f"{key.label}: more than one record found for external id field: [{', '.join(found)}]"
            raise refuse("DUPLICATE_EXTERNAL_ID", message, [key.name])
        payload.id = None
        if found:
            payload.values.pop(key.name, None)
            return self.update(sobject, found[0], payload), False
        payload.values[key.name] = value
        return self.create(sobject, payload), True

    def delete(self, sobject: SObject, id_: object) -> str:
        """Move a record to the recycle bin, with its details; other references to it are emptied.

        Raises:
            RecordRefused: as `update` for the record; DELETE_FAILED where the vendor protects it.
        """
        old = self.existing(sobject, id_)
        if not sobject.deletable:
            raise refuse("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
        rules.before_delete(self, sobject, old)
        self._bin(sobject.name, old["Id"])
        return str(old["Id"])

    def _bin(self, object_name: str, id_: str) -> None:
        row = self.tables[object_name].rows[id_]
        if row.get("IsDeleted"):
            return
        self.write(object_name, {**row, "IsDeleted": True, **self._stamps(created=False)})
        rules.touch_parent(self, object_name, row, money=True)
        for relationship in self.schema.full.children(object_name):
            reference = relationship.field
            for child_id in sorted(self.tables[relationship.child].children(reference.name, id_)):
                if reference.cascadeDelete:
                    self._bin(relationship.child, child_id)
                elif not self.tables[relationship.child].rows[child_id].get("IsDeleted"):
                    child = self.tables[relationship.child].rows[child_id]
                    self.write(relationship.child, _merged(child, {reference.name: None, "SystemModstamp": self.stamp}))

    def existing(self, sobject: SObject, id_: object) -> Row:
        """The live record of an id in a request.

        Raises:
            RecordRefused: MALFORMED_ID, INVALID_CROSS_REFERENCE_KEY or ENTITY_IS_DELETED.
        """
        if id_ is None or id_ == "":
            raise refuse("MISSING_ARGUMENT", "Id not specified in an update call")
        known = normalise(id_)
        if known is None or not known.startswith(sobject.keyPrefix):
            message = f"{sobject.label} ID: id value of incorrect type: {id_}"
            raise refuse("MALFORMED_ID", message, ["Id"])
        row = self.tables[sobject.name].rows.get(known)
        if row is None:
            raise refuse("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        if row.get("IsDeleted"):
            raise refuse("ENTITY_IS_DELETED", "entity is deleted")
        return row

    def _stamps(self, *, created: bool) -> Row:
        stamps = {
            "LastModifiedDate": self.stamp,
            "LastModifiedById": self.user_id,
            "SystemModstamp": self.stamp,
        }
        return {**stamps, "CreatedDate": self.stamp, "CreatedById": self.user_id} if created else stamps

    def _refuse_unwriteable(self, sobject: SObject, payload: Payload, allowed: Callable[[Field], bool]) -> None:
        names = [*payload.values, *(foreign.reference.name for foreign in payload.foreign)]
        refused = [name for name in names if not allowed(sobject.by_key[name.lower()])]
        if refused:
            message = (
                f"Unable to create/update fields: {', '.join(refused)}. Please check the security settings of this "
                "field and verify that it is read/write for your profile or permission set."
            )
            raise refuse("INVALID_FIELD_FOR_INSERT_UPDATE", message, refused)

    def _settled(self, sobject: SObject, payload: Payload) -> dict[str, Any]:
        """The values to store, all limits checked."""
        errors: list[RecordError] = []
        settled: dict[str, Any] = {}
        for name, value in payload.values.items():
            settled[name] = settle(sobject.by_key[name.lower()], value, errors)
        for foreign in payload.foreign:
            parent = foreign.reference.referenceTo[0]
            found = self.tables[parent].find(foreign.key, foreign.value)
            if len(found) != 1:
                what = "not found" if not found else "is not unique"
                message = (
                    f"Foreign key external ID: {foreign.value} {what} for field {foreign.key.name} in entity {parent}"
                )
                raise refuse("INVALID_FIELD", message)
            settled[foreign.reference.name] = found[0]
        if errors:
            raise RecordRefused(tuple(errors))
        for name, value in settled.items():
            if value is not None and sobject.by_key[name.lower()].type == "reference":
                self._check_reference(sobject.by_key[name.lower()], value)
        return settled

    def _check_reference(self, reference: Field, id_: str) -> None:
        for target in reference.referenceTo:
            table = self.tables.get(target)
            if table is not None and id_.startswith(self.schema.full.objects[target].keyPrefix):
                row = table.rows.get(id_)
                if row is None:
                    raise refuse("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
                if row.get("IsDeleted"):
                    raise refuse("ENTITY_IS_DELETED", "entity is deleted", [reference.name])
                return
        message = f"{reference.label}: id value of incorrect type: {id_}"
        raise refuse("FIELD_INTEGRITY_EXCEPTION", message, [reference.name])

    def _finish_record(self, sobject: SObject, old: Row | None, row: Row, given: set[str]) -> None:
        """The checks on the record as it will stand, then the write."""
        missing = [
            f.name
            for f in sobject.fields
            if not f.nillable
            and f.type != "boolean"
            and row.get(f.name) is None
            and (f.createable if old is None else f.name in given)
        ]
        if missing:
            message = f"Required fields are missing: [{', '.join(missing)}]"
            raise refuse("REQUIRED_FIELD_MISSING", message, missing)
        self._refuse_duplicates(sobject, row, given)
        if (error := self.check(sobject, row)) is not None:
            raise RecordRefused((error,))
        self.write(sobject.name, row)

    def _refuse_duplicates(self, sobject: SObject, row: Row, given: set[str]) -> None:
        table = self.tables[sobject.name]
        for unique in sobject.fields:
            value = row.get(unique.name)
            if not unique.unique or value is None or unique.name not in given:
                continue
            if others := [id_ for id_ in table.find(unique, value) if id_ != row["Id"]]:
                message = f"duplicate value found: {unique.name} duplicates value on record with id: {others[0][:15]}"
                raise refuse("DUPLICATE_VALUE", message)

    # -- the journal

    def write(self, object_name: str, row: Row) -> None:
        """Put a row and remember what stood there."""
        table = self.tables[object_name]
        self._journal.append((object_name, row["Id"], table.rows.get(row["Id"])))
        table.put(row)

    def attempt(self, save: Callable[[], T]) -> T:
        """Save one record; when it is refused nothing of it stays."""
        savepoint = self.savepoint()
        try:
            return save()
        except RecordRefused:
            self.return_to(savepoint)
            raise

    def roll_back(self) -> None:
        """Take back everything this call wrote."""
        self._undo(0)
        self.created.clear()
        self._touched.clear()

    def _undo(self, mark: int) -> None:
        while len(self._journal) > mark:
            object_name, id_, old = self._journal.pop()
            if old is None:
                self.tables[object_name].forget(id_)
            else:
                self.tables[object_name].put(old)

    def touch(self, opportunity_id: str, *, money: bool) -> None:
        """Note that an opportunity's lines changed; `money` if its sum may have."""
        self._touched[opportunity_id] = money or self._touched.get(opportunity_id, False)

    def finish(self) -> bool:
        """Do the roll-ups of the touched parents; returns whether this call wrote anything."""
        for opportunity_id, money in self._touched.items():
            rules.roll_up(self, opportunity_id, money=money)
        self._touched.clear()
        return bool(self._journal)

    def savepoint(self) -> Savepoint:
        """Where the call stands now."""
        return Savepoint(len(self._journal), len(self.created), dict(self._touched))

    def return_to(self, savepoint: Savepoint) -> None:
        """Take back what was written since."""
        self._undo(savepoint.journal)
        del self.created[savepoint.created :]
        self._touched = dict(savepoint.touched)


def _merged(row: Row, changed: Mapping[str, Any]) -> Row:
    """A row with changes; null takes a field out."""
    merged = {**row, **changed}
    return {name: value for name, value in merged.items() if value is not None}


def duplicates_in_request(keys: Iterable[tuple[Field, Any]]) -> set[Any]:
    """Values of an external id that a request names more than once: the vendor refuses those records."""
    seen: set[Any] = set()
    twice: set[Any] = set()
    for key, value in keys:
        if isinstance(value, str):
            folded = lookup_key(key, value)
            (twice if folded in seen else seen).add(folded)
    return twice
