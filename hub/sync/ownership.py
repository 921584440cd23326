"""Which fields of a vendor's record are the hub's to write, and what happens when somebody else edited one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connectors.base import Operation
from hub.config import DriftPolicy
from hub.session import Channel
from hub.sync.prepare import Prepared
from mappings.mapping import Mapping
from mappings.spec import Owner


def vendors_own(channel: Channel) -> frozenset[Owner]:
    """The owners whose word the vendor's own side is: those that its records speak with on the way in."""
    return frozenset(mapping.spec.owner for (_, direction), mapping in channel.mappings.items() if direction == "in")


def owners_of(mapping: Mapping, path: str) -> frozenset[Owner]:
    """Who owns a vendor field, or the parts of it that the mapping writes; empty for one it does not write."""
    owners = mapping.owner
    for known in (path, *_parents(path)):
        if known in owners:
            return frozenset({owners[known]})
    return frozenset(owner for known, owner in owners.items() if known.startswith(f"{path}."))


def _parents(path: str) -> list[str]:
    steps = path.split(".")
    return [".".join(steps[:end]) for end in range(len(steps) - 1, 0, -1)]


def policy_of(channel: Channel, kind: str, mapping: Mapping, path: str) -> DriftPolicy:
    """What a foreign edit of a field leads to. The vendor's own fields are nobody's business; unsaid, a person is asked.

    The CRM's mirror shows what the hub computed: there, unsaid, the hub writes again.
    """
    ours = owners_of(mapping, path) - vendors_own(channel)
    if not ours:
        return DriftPolicy.IGNORE
    usual = DriftPolicy.OWNER_WINS if kind.endswith("_projection") else DriftPolicy.PROPOSE
    said = {channel.settings.drift.get(owner, usual) for owner in ours}
    return next(
        policy for policy in (DriftPolicy.PROPOSE, DriftPolicy.OWNER_WINS, DriftPolicy.IGNORE) if policy in said
    )


def only_ours(channel: Channel, prepared: Sequence[Prepared]) -> list[Prepared]:
    """The same writes, in order; an update leaves out what belongs to the vendor's own people."""
    theirs = vendors_own(channel)
    foreign: dict[str, frozenset[str]] = {}
    written = []
    for item in prepared:
        if item.operation is not Operation.UPDATE:
            written.append(item)
            continue
        kind = item.lane.kind
        if kind not in foreign:
            mapping = channel.mapping(kind, "out")
            fields = {path.split(".")[0] for path in mapping.owner} if mapping is not None else set()
            foreign[kind] = frozenset(
                field for field in fields if mapping is not None and owners_of(mapping, field) <= theirs
            )
        if foreign[kind]:
            payload = {field: value for field, value in item.payload.items() if field not in foreign[kind]}
            item = replace(item, payload=payload)
        written.append(item)
    return written
