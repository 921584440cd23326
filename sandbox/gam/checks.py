"""Checks that several objects share: required fields, lengths, references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sandbox.gam.network import Network
from sandbox.gam.soap import Findings, Native, fail


def check_batch(network: Network, objects: list[Native], path: str) -> None:
    """Refuse a create or update of nothing or of more objects than one call may carry.

    Raises:
        ApiFaultError: CollectionSizeError.TOO_LARGE or RequiredCollectionError.REQUIRED.
    """
    if not objects:
        fail("RequiredCollectionError", "REQUIRED", path)
    if len(objects) > network.settings.batch_limit:
        fail("CollectionSizeError", "TOO_LARGE", path, len(objects))


def check_required(native: Native, fields: Iterable[str], path: str, findings: Findings) -> None:
    """Note each field that is absent or, if it is a text, blank."""
    for name in fields:
        value = native.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            findings.add("RequiredError", "REQUIRED", f"{path}.{name}")


def check_lengths(native: Native, limits: Mapping[str, int], path: str, findings: Findings) -> None:
    """Note each text that is too long. Counted in UTF-16 units, as the vendor's Java does; so is a CRM's Apex."""
    for name, limit in limits.items():
        value = native.get(name)
        if isinstance(value, str) and len(value.encode("utf-16-le", "surrogatepass")) // 2 > limit:
            findings.add("StringLengthError", "TOO_LONG", f"{path}.{name}", value[:64])


def check_custom_fields(network: Network, native: Native, entity: str, path: str, findings: Findings) -> None:
    """Note each custom field value whose field does not exist or belongs to another kind of object."""
    for index, value in enumerate(native.get("customFieldValues", ())):
        field = network.tables["CustomField"].get(value.get("customFieldId"))
        here = f"{path}.customFieldValues[{index}]"
        if field is None:
            findings.add("CustomFieldValueError", "CUSTOM_FIELD_NOT_FOUND", here, value.get("customFieldId"))
        elif field["entityType"] != entity:
            findings.add("CustomFieldValueError", "INVALID_ENTITY_TYPE", here, value.get("customFieldId"))


def check_absent_objects(native: Native, fields: Mapping[str, str | None], path: str, findings: Findings) -> None:
    """Note references to kinds of objects that this network has none of: labels, teams, contacts.

    `fields` maps the field to the member that holds the id, None where the list holds bare ids.
    """
    for name, member in fields.items():
        for index, value in enumerate(native.get(name, ())):
            reference = value if member is None else value.get(member)
            findings.add("CommonError", "NOT_FOUND", f"{path}.{name}[{index}]", reference)


def check_user(network: Network, user_id: int | None, path: str, findings: Findings) -> None:
    """Note a user id that names no active user."""
    user = network.tables["User"].get(user_id)
    if user_id is not None and (user is None or not user["isActive"]):
        findings.add("CommonError", "NOT_FOUND", path, user_id)


def existing(
    network: Network, type_name: str, objects: list[Native], path: str, findings: Findings
) -> list[Native | None]:
    """The stored objects that an update names, in order; None where there is none. Notes missing and repeated ids."""
    found: list[Native | None] = []
    seen: set[int] = set()
    for index, native in enumerate(objects):
        object_id = native.get("id")
        row = network.tables[type_name].get(object_id)
        here = f"{path}[{index}].id"
        if object_id is None:
            findings.add("RequiredError", "REQUIRED", here)
        elif row is None:
            findings.add("CommonError", "NOT_FOUND", here, object_id)
        elif object_id in seen:
            findings.add("CommonError", "DUPLICATE_OBJECT", here, object_id)
            row = None
        if object_id is not None:
            seen.add(object_id)
        found.append(row)
    return found
