"""Field and object facts of a Salesforce org: what describe says of them, with the vendor's defaults per type.

The facts are data (`org/standard/*.yaml`, `org/adsales.yaml`). A fact that is not written takes the default of its
type; the conformance test compares the result with recorded describes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

_ORG = Path(__file__).parent / "org"

# (soapType, filterable, sortable, groupable, aggregatable), as the recorded describes have them.
_TYPES: dict[str, tuple[str, bool, bool, bool, bool]] = {
    "id": ("tns:ID", True, True, True, True),
    "string": ("xsd:string", True, True, True, True),
    "picklist": ("xsd:string", True, True, True, True),
    "phone": ("xsd:string", True, True, True, True),
    "email": ("xsd:string", True, True, True, True),
    "url": ("xsd:string", True, True, True, True),
    "reference": ("tns:ID", True, True, True, True),
    "textarea": ("xsd:string", True, True, True, True),
    "boolean": ("xsd:boolean", True, True, True, False),
    "int": ("xsd:int", True, True, True, True),
    "double": ("xsd:double", True, True, False, True),
    "currency": ("xsd:double", True, True, False, True),
    "percent": ("xsd:double", True, True, False, True),
    "date": ("xsd:date", True, True, True, True),
    "datetime": ("xsd:dateTime", True, True, False, True),
}
_TEXTS = frozenset({"string", "picklist", "phone", "email", "url", "textarea"})
NUMBERS = frozenset({"int", "double", "currency", "percent"})
LONG_TEXT = 255  # a text area longer than this can be read but not filtered, sorted or grouped


class FactError(ValueError):
    """A field fact that no Salesforce org could have; the sentence says which."""


@dataclass(frozen=True)
class Field:
    """One field, with the property names of describe. `default` is the value a new record gets if none is given."""

    name: str
    type: str
    label: str = ""
    length: int = 0
    precision: int = 0
    scale: int = 0
    digits: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    filterable: bool = True
    sortable: bool = True
    groupable: bool = True
    aggregatable: bool = True
    defaultedOnCreate: bool = False  # noqa: N815 - describe's own names, here and below
    unique: bool = False
    externalId: bool = False  # noqa: N815
    idLookup: bool = False  # noqa: N815
    caseSensitive: bool = False  # noqa: N815
    calculated: bool = False
    nameField: bool = False  # noqa: N815
    restrictedPicklist: bool = False  # noqa: N815
    picklist: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    referenceTo: tuple[str, ...] = ()  # noqa: N815
    relationshipName: str | None = None  # noqa: N815
    childRelationshipName: str | None = None  # noqa: N815
    cascadeDelete: bool = False  # noqa: N815
    multicurrency: bool = False
    compoundFieldName: str | None = None  # noqa: N815
    default: Any = None

    @property
    def custom(self) -> bool:
        """Whether an administrator made it."""
        return self.name.endswith("__c")

    @property
    def is_text(self) -> bool:
        """Whether its values are text with a length."""
        return self.type in _TEXTS

    @property
    def soap_type(self) -> str:
        """Describe's soapType."""
        return _TYPES[self.type][0]

    @cached_property
    def key(self) -> str:
        """The name in lower case: field names are case-insensitive."""
        return self.name.lower()


_FIELD_KEYS = {f.name for f in fields(Field)} - {"name"}


def label_of(name: str) -> str:
    """The label Salesforce would give a field of this API name: `AccountId` is Account ID, `PO_Number__c` PO Number."""
    if name.endswith("__c"):
        return name.removesuffix("__c").replace("_", " ")
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return re.sub(r"\bId\b", "ID", words)


def field_from_facts(name: str, facts: Mapping[str, Any]) -> Field:
    """Build a field from its written facts and the defaults of its type.

    Raises:
        FactError: an unknown key or type, or facts that contradict each other.
    """
    unknown = set(facts) - _FIELD_KEYS
    if unknown:
        raise FactError(f"field '{name}' has unknown facts {sorted(unknown)}; known are {sorted(_FIELD_KEYS)}")
    kind = str(facts.get("type", ""))
    if kind not in _TYPES:
        raise FactError(f"field '{name}' has type '{kind}'; known are {sorted(_TYPES)}")
    _, filterable, sortable, groupable, aggregatable = _TYPES[kind]
    if kind == "textarea" and int(facts.get("length", 0)) > LONG_TEXT:
        filterable = sortable = groupable = aggregatable = False
    known: dict[str, Any] = {
        "label": label_of(name),
        "filterable": filterable,
        "sortable": sortable,
        "groupable": groupable,
        "aggregatable": aggregatable,
    }
    if kind == "boolean":
        known |= {"nillable": False, "defaultedOnCreate": True, "default": False}
    if kind in ("id", "reference"):
        known |= {"length": 18}
    if kind == "int":
        known |= {"digits": 8}
    if kind == "datetime" or kind == "date":
        known |= {"length": 0}
    if facts.get("unique") or facts.get("externalId"):
        known |= {"idLookup": bool(facts.get("externalId"))}
    known |= facts
    for key in ("picklist", "inactive", "referenceTo"):
        if key in known:
            known[key] = tuple(str(value) for value in known[key])
    field = Field(name=name, **known)
    if field.is_text and field.length <= 0:
        raise FactError(f"field '{name}' of type {kind} needs a length")
    if kind in ("double", "currency", "percent") and not 0 <= field.scale <= field.precision <= 18:
        raise FactError(f"field '{name}' needs 0 <= scale <= precision <= 18")
    if kind == "reference" and not field.referenceTo:
        raise FactError(f"field '{name}' of type reference needs referenceTo")
    if kind != "picklist" and (field.picklist or field.restrictedPicklist):
        raise FactError(f"field '{name}' is no picklist but has picklist facts")
    return field


_STAMP = {"type": "datetime", "nillable": False, "createable": False, "updateable": False, "defaultedOnCreate": True}
_BY = {
    "type": "reference",
    "nillable": False,
    "createable": False,
    "updateable": False,
    "defaultedOnCreate": True,
    "referenceTo": ("User",),
}
_SYSTEM_FIELDS: dict[str, dict[str, Any]] = {
    "Id": {
        "type": "id",
        "nillable": False,
        "createable": False,
        "updateable": False,
        "defaultedOnCreate": True,
        "idLookup": True,
    },
    "IsDeleted": {"type": "boolean", "createable": False, "updateable": False, "label": "Deleted"},
    "CreatedDate": _STAMP,
    "CreatedById": {**_BY, "relationshipName": "CreatedBy", "label": "Created By ID"},
    "LastModifiedDate": _STAMP,
    "LastModifiedById": {**_BY, "relationshipName": "LastModifiedBy", "label": "Last Modified By ID"},
    "SystemModstamp": {**_STAMP, "label": "System Modstamp"},
}
_CURRENCY_ISO_CODE = {
    "type": "picklist",
    "length": 3,
    "restrictedPicklist": True,
    "defaultedOnCreate": True,
    "multicurrency": True,
    "label": "Currency ISO Code",
}


@dataclass(frozen=True)
class SObject:
    """One object type: its facts and its fields in describe's order."""

    name: str
    label: str
    labelPlural: str  # noqa: N815
    keyPrefix: str  # noqa: N815
    fields: tuple[Field, ...]
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    undeletable: bool = True
    mergeable: bool = False
    triggerable: bool = True
    searchable: bool = True
    layoutable: bool = True
    feedEnabled: bool = False  # noqa: N815
    mruEnabled: bool = False  # noqa: N815
    deepCloneable: bool = False  # noqa: N815

    @cached_property
    def by_key(self) -> dict[str, Field]:
        """Fields by lower-case name."""
        return {field.key: field for field in self.fields}

    @cached_property
    def parents(self) -> dict[str, Field]:
        """Reference fields by lower-case relationship name."""
        return {field.relationshipName.lower(): field for field in self.fields if field.relationshipName}

    def is_boolean(self, name: str) -> bool:
        """Whether a field is a checkbox, which cannot be null."""
        return self.by_key[name.lower()].type == "boolean"

    def with_field(self, field: Field) -> SObject:
        """A copy with the field added, or replaced where it was."""
        kept = [field if old.key == field.key else old for old in self.fields]
        if field.key not in self.by_key:
            kept.append(field)
        return replace(self, fields=tuple(kept))

    def without_field(self, name: str) -> SObject:
        """A copy without the field."""
        return replace(self, fields=tuple(field for field in self.fields if field.key != name.lower()))


def _object_from_document(document: Mapping[str, Any]) -> SObject:
    facts = {key: value for key, value in document.items() if key not in ("fields", "system", "has_currency")}
    written: dict[str, Any] = document["fields"]
    system = document.get("system") or list(_SYSTEM_FIELDS)
    built = [field_from_facts("Id", {**_SYSTEM_FIELDS["Id"], "label": f"{facts['label']} ID"})]
    if "IsDeleted" in system:
        built.append(field_from_facts("IsDeleted", _SYSTEM_FIELDS["IsDeleted"]))
    built += [field_from_facts(name, facts_of_field) for name, facts_of_field in written.items()]
    if "has_currency" in document:
        built.append(field_from_facts("CurrencyIsoCode", {**_CURRENCY_ISO_CODE, **document["has_currency"]}))
    built += [
        field_from_facts(name, facts_of_field)
        for name, facts_of_field in _SYSTEM_FIELDS.items()
        if name in system and name not in ("Id", "IsDeleted")
    ]
    return SObject(fields=tuple(built), **{"labelPlural": facts["label"] + "s", **facts})


@cache
def _read_standard_objects() -> tuple[SObject, ...]:
    paths = sorted((_ORG / "standard").glob("*.yaml"))
    return tuple(_object_from_document(yaml.safe_load(path.read_text("utf-8"))) for path in paths)


def standard_objects() -> dict[str, SObject]:
    """The standard objects by API name, as a fresh multi-currency org has them."""
    return {sobject.name: sobject for sobject in _read_standard_objects()}


@cache
def template_fields(template: str) -> dict[str, list[Field]]:
    """The custom fields of an org template (`adsales`), by object."""
    document = yaml.safe_load((_ORG / f"{template}.yaml").read_text("utf-8"))
    return {
        object_name: [field_from_facts(name, facts) for name, facts in written.items()]
        for object_name, written in document["fields"].items()
    }


def single_currency(objects: Iterable[SObject]) -> dict[str, SObject]:
    """The same objects in an org without multi-currency: CurrencyIsoCode and CurrencyType do not exist."""
    return {
        sobject.name: replace(sobject, fields=tuple(field for field in sobject.fields if not field.multicurrency))
        for sobject in objects
        if sobject.name != "CurrencyType"
    }


def facts_of_field(field: Field) -> dict[str, Any]:
    """The facts of a field as JSON, readable by `field_from_facts`."""
    return {name: getattr(field, name) for name in sorted(_FIELD_KEYS)}
