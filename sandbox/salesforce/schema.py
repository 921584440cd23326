"""The schema of the org: what exists, and what the integration user may see of it (field-level security)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandbox.salesforce.facts import (
    FactError,
    Field,
    SObject,
    facts_of_field,
    field_from_facts,
    single_currency,
    standard_objects,
    template_fields,
)


@dataclass(frozen=True)
class ChildRelationship:
    """A named list of children of one parent object."""

    name: str | None
    parent: str
    child: str
    field: Field


class View:
    """The schema through one pair of eyes. Immutable; a change of the schema makes a new one."""

    def __init__(self, objects: Mapping[str, SObject]) -> None:
        self.objects = dict(objects)
        self._by_key = {name.lower(): sobject for name, sobject in objects.items()}
        self._children: dict[str, list[ChildRelationship]] = {}
        for sobject in objects.values():
            for field in sobject.fields:
                if field.name == "MasterRecordId":
                    continue  # merged-away records are no children: describe does not list them
                for parent in field.referenceTo:
                    relationship = ChildRelationship(field.childRelationshipName, parent, sobject.name, field)
                    self._children.setdefault(parent, []).append(relationship)
        self.by_prefix = {sobject.keyPrefix: sobject for sobject in objects.values()}

    def find(self, name: str) -> SObject | None:
        """An object by name, whatever the case."""
        return self._by_key.get(name.lower())

    def children(self, parent: str) -> list[ChildRelationship]:
        """All fields that refer to an object."""
        return self._children.get(parent, [])

    def child_relationship(self, parent: str, name: str) -> ChildRelationship | None:
        """A child list by its relationship name."""
        wanted = name.lower()
        return next((c for c in self.children(parent) if c.name and c.name.lower() == wanted), None)


class Schema:
    """The org's objects, changed by the control interface only.

    Attributes:
        full: everything that exists.
        user: what the integration user sees: hidden fields are absent, read-only ones not writeable.
        changed: how often it was changed; describe's Last-Modified moves with it.
    """

    def __init__(self, *, multi_currency: bool, template: str | None) -> None:
        self.multi_currency = multi_currency
        self._template = template
        self.reset()

    def reset(self) -> None:
        """Back to the fresh org."""
        objects = standard_objects()
        for object_name, added in template_fields(self._template).items() if self._template else ():
            for field in added:
                objects[object_name] = objects[object_name].with_field(field)
        if not self.multi_currency:
            objects = single_currency(objects.values())
        self._objects = objects
        self._currencies: tuple[str, ...] = ()
        self._edited: dict[tuple[str, str], dict[str, Any] | None] = {}
        self._security: dict[tuple[str, str], tuple[bool, bool]] = {}
        self.changed = 0
        self._refresh()

    def put_field(self, object_name: str, field_name: str, facts: Mapping[str, Any]) -> Field:
        """Create a field or change an existing one; facts not given keep their value.

        Raises:
            FactError: no such object, or facts that contradict each other.
        """
        sobject = self._require(object_name)
        old = sobject.by_key.get(field_name.lower())
        if old is None and not field_name.endswith("__c"):
            raise FactError(f"a new field needs a name ending in __c; '{field_name}' has none")
        if old is not None and set(facts) - {"type"} and facts.get("type", old.type) == old.type:
            field = field_from_facts(old.name, {**facts_of_field(old), **facts})
        else:
            field = field_from_facts(old.name if old else field_name, facts)
        self._objects[sobject.name] = sobject.with_field(field)
        self._edited[sobject.name, field.name] = facts_of_field(field)
        self._refresh()
        return field

    def drop_field(self, object_name: str, field_name: str) -> str:
        """Delete a custom field; returns its exact name.

        Raises:
            FactError: there is no such custom field.
        """
        sobject = self._require(object_name)
        field = sobject.by_key.get(field_name.lower())
        if field is None or not field.custom:
            raise FactError(f"object '{sobject.name}' has no custom field '{field_name}'; only custom fields can go")
        self._objects[sobject.name] = sobject.without_field(field.name)
        self._edited[sobject.name, field.name] = None
        self._refresh()
        return field.name

    def secure(self, object_name: str, field_name: str, *, visible: bool, editable: bool) -> None:
        """Set what the integration user may do with a field.

        Raises:
            FactError: no such field, or one that security cannot hide.
        """
        sobject = self._require(object_name)
        field = sobject.by_key.get(field_name.lower())
        if field is None:
            raise FactError(f"object '{sobject.name}' has no field '{field_name}'")
        if not visible and not field.custom and not field.nillable:
            raise FactError(f"field '{field.name}' is required by the vendor; field-level security cannot hide it")
        self._security[sobject.name, field.name] = (visible, editable)
        self._refresh()

    def set_currencies(self, active: tuple[str, ...]) -> None:
        """Set the values that CurrencyIsoCode may have."""
        self._currencies = active
        for name, sobject in self._objects.items():
            if (field := sobject.by_key.get("currencyisocode")) is not None:
                self._objects[name] = sobject.with_field(replace(field, picklist=active))
        self._refresh()

    def dump(self) -> dict[str, Any]:
        """The changes since the fresh org, as JSON."""
        return {
            "edited": [[*key, facts] for key, facts in self._edited.items()],
            "security": [[*key, *rights] for key, rights in self._security.items()],
            "currencies": list(self._currencies),
            "changed": self.changed,
        }

    def restore(self, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` returned."""
        self.reset()
        for object_name, field_name, facts in dumped["edited"]:
            if facts is None:
                self._objects[object_name] = self._objects[object_name].without_field(field_name)
            else:
                field = field_from_facts(field_name, facts)
                self._objects[object_name] = self._objects[object_name].with_field(field)
            self._edited[object_name, field_name] = facts
        if dumped["currencies"]:
            self.set_currencies(tuple(dumped["currencies"]))
        self._security = {(o, f): (bool(v), bool(e)) for o, f, v, e in dumped["security"]}
        self._refresh()
        self.changed = dumped["changed"]

    def _require(self, object_name: str) -> SObject:
        sobject = self._objects.get(object_name)
        if sobject is None:
            raise FactError(f"there is no object '{object_name}'; known are {sorted(self._objects)}")
        return sobject

    def _refresh(self) -> None:
        self.changed += 1
        self.full = View(self._objects)
        self.user = View({name: self._as_seen(sobject) for name, sobject in self._objects.items()})

    def _as_seen(self, sobject: SObject) -> SObject:
        seen = []
        for field in sobject.fields:
            visible, editable = self._security.get((sobject.name, field.name), (True, True))
            if visible:
                seen.append(field if editable else replace(field, createable=False, updateable=False))
        return replace(sobject, fields=tuple(seen))
