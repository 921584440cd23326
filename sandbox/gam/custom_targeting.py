"""Custom targeting keys and values: create and find."""

from __future__ import annotations

from sandbox.gam.checks import check_batch, check_required
from sandbox.gam.network import Network
from sandbox.gam.pages import page
from sandbox.gam.pql import Property, equal_values, parse
from sandbox.gam.soap import Findings, Native, fail

# The contract's documentation says 10 characters for a key; Prebid works with the 20 that networks really allow.
_KEY_LENGTH, _VALUE_LENGTH = 20, 40
_KEY_FORBIDDEN = frozenset("\"'=!+#*~;^()<>[] ")
_VALUE_FORBIDDEN = frozenset("\"'=!+#*~;^()<>[]")


def create_keys(network: Network, keys: list[Native]) -> list[Native]:
    """Create keys, all or none."""
    check_batch(network, keys, "keys")
    findings = Findings()
    taken: set[str] = set()
    for index, key in enumerate(keys):
        path = f"[{index}]"
        check_required(key, ("name", "type"), path, findings)
        name = key.get("name") or ""
        if reason := key_problem(network, name):
            findings.add("CustomTargetingError", reason, f"{path}.name", name)
        elif name in taken:
            findings.add("CustomTargetingError", "KEY_NAME_DUPLICATE", f"{path}.name", name)
        taken.add(name)
    findings.refuse()
    return [_show(network, add_key(network, key)) for key in keys]


def create_values(network: Network, values: list[Native]) -> list[Native]:
    """Create values of existing keys, all or none."""
    check_batch(network, values, "values")
    findings = Findings()
    taken: set[tuple[int, str]] = set()
    for index, value in enumerate(values):
        path = f"[{index}]"
        check_required(value, ("name", "customTargetingKeyId"), path, findings)
        key_id, name = value.get("customTargetingKeyId", 0), value.get("name") or ""
        if network.tables["CustomTargetingKey"].get(key_id) is None:
            findings.add("CustomTargetingError", "KEY_NOT_FOUND", f"{path}.customTargetingKeyId", key_id)
        elif reason := value_problem(network, key_id, name):
            findings.add("CustomTargetingError", reason, f"{path}.name", name)
        elif (key_id, name) in taken:
            findings.add("CustomTargetingError", "VALUE_NAME_DUPLICATE", f"{path}.name", name)
        taken.add((key_id, name))
    findings.refuse()
    return [_show(network, add_value(network, value)) for value in values]


def get_keys(network: Network, statement: Native | None) -> Native:
    """The keys that a statement selects."""
    return page(network, "CustomTargetingKey", statement, _KEY_PROPERTIES, _show)


def get_values(network: Network, statement: Native | None) -> Native:
    """The values that a statement selects; it must name their key, AND-ed with the rest."""
    if equal_values(parse(statement).condition, "customtargetingkeyid") is None:
        fail("CustomTargetingError", "GET_VALUES_BY_STATEMENT_MUST_CONTAIN_KEY_ID", "filterStatement")
    return page(network, "CustomTargetingValue", statement, _VALUE_PROPERTIES, _show)


def key_problem(network: Network, name: str) -> str | None:
    """The CustomTargetingError reason for which a key cannot have this name, None if it can."""
    if not name:
        return "KEY_NAME_EMPTY"
    if len(name) > _KEY_LENGTH:
        return "KEY_NAME_INVALID_LENGTH"
    if _KEY_FORBIDDEN & set(name):
        return "KEY_NAME_INVALID_CHARS"
    return "KEY_NAME_DUPLICATE" if network.tables["CustomTargetingKey"].having("name", name) else None


def value_problem(network: Network, key_id: int, name: str) -> str | None:
    """The CustomTargetingError reason for which a key cannot have a value of this name, None if it can."""
    if not name:
        return "VALUE_NAME_EMPTY"
    if len(name) > _VALUE_LENGTH:
        return "VALUE_NAME_INVALID_LENGTH"
    if _VALUE_FORBIDDEN & set(name):
        return "VALUE_NAME_INVALID_CHARS"
    twins = network.tables["CustomTargetingValue"].having("name", name)
    return "VALUE_NAME_DUPLICATE" if any(twin["customTargetingKeyId"] == key_id for twin in twins) else None


def add_key(network: Network, key: Native) -> Native:
    """Store a key."""
    row = {"displayName": key["name"], "reportableType": "OFF", **key}
    row.update(id=network.tables["CustomTargetingKey"].new_id(), status="ACTIVE")
    network.tables["CustomTargetingKey"].put(row)
    return row


def add_value(network: Network, value: Native) -> Native:
    """Store a value."""
    row = {"displayName": value["name"], "matchType": "EXACT", **value}
    row.update(id=network.tables["CustomTargetingValue"].new_id(), status="ACTIVE")
    network.tables["CustomTargetingValue"].put(row)
    return row


def _show(_network: Network, row: Native) -> Native:
    return row


_KEY_PROPERTIES: dict[str, Property[Native]] = {
    "id": Property("number", lambda row: row["id"]),
    "name": Property("text", lambda row: row["name"]),
    "displayname": Property("text", lambda row: row["displayName"]),
    "type": Property("text", lambda row: row["type"]),
}
_VALUE_PROPERTIES: dict[str, Property[Native]] = {
    "id": Property("number", lambda row: row["id"]),
    "customtargetingkeyid": Property("number", lambda row: row["customTargetingKeyId"]),
    "name": Property("text", lambda row: row["name"]),
    "displayname": Property("text", lambda row: row["displayName"]),
    "matchtype": Property("text", lambda row: row["matchType"]),
}
