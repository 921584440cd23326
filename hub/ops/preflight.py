"""What the mappings of a connection use at its account: field names by record type, and the account's own fields as declared."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.base import FieldSchema, FieldType
from mappings.mapping import Mapping


@dataclass
class Used:
    """Vendor fields by record type, each once, in the order of the mappings. What is written is in use as well."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    written: dict[str, list[str]] = field(default_factory=dict)
    declared_read: dict[str, Sequence[FieldSchema]] = field(default_factory=dict)
    declared_written: dict[str, Sequence[FieldSchema]] = field(default_factory=dict)


def used_by(mappings: MappingType[tuple[str, str], Mapping]) -> Used:
    """Everything a check has to look at, of mappings by (entity, direction)."""
    used = Used()
    for (_, direction), mapping in mappings.items():
        outward = direction == "out"
        for table in (used.fields, used.written) if outward else (used.fields,):
            names = table.setdefault(mapping.record, [])
            names += [name for name in mapping.native_fields if name not in names]
        declared = used.declared_written if outward else used.declared_read
        declared[mapping.record] = (*declared.get(mapping.record, ()), *declared_fields(mapping))
    return used


def declared_fields(mapping: Mapping) -> list[FieldSchema]:
    """The `native_fields` of a mapping that it uses, as the connector knows fields."""
    return [
        FieldSchema(
            path=path,
            type=FieldType(said.type),
            length=said.length,
            required=said.required,
            createable=said.createable,
            updateable=said.updateable,
            values=frozenset(said.values),
            values_closed=said.closed,
        )
        for path, said in mapping.spec.native_fields.items()
        if path in mapping.native_fields
    ]
