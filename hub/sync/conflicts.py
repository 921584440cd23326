"""Conflicts: the vendor's record no longer shows what it acknowledged, because somebody edited it there.

Found before an update overwrites it (`before_update`) and by `hub.sync.drift` while everything is at rest. What decides is
the content that was acknowledged last, not a time: times say when, not what.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from connectors.base import ComparesRecords, Native, ObservesRecords, Operation
from hub.config import DriftPolicy
from hub.encoding import decode, encode
from hub.session import Channel, Session
from hub.store import acceptances, journal
from hub.store.acceptances import Accepted
from hub.store.journal import Entry
from hub.sync.ownership import policy_of
from hub.sync.prepare import Prepared, Refused
from hub.sync.vendor import ask, caught
from mappings.mapping import Mapping
from oms_schema.problems import Problem, Reason, shown

FOREIGN_EDIT = "FOREIGN-EDIT"


@dataclass(frozen=True, slots=True)
class Edit:
    """A field that somebody else changed: what we wrote, what is there, and what the connection's policy says."""

    path: str
    wanted: Any
    present: Any
    policy: DriftPolicy

    @property
    def field(self) -> str:
        """The vendor's top-level field."""
        return self.path.split(".")[0]


def edits(
    channel: Channel,
    comparing: ComparesRecords,
    kind: str,
    mapping: Mapping,
    acknowledged: Native,
    present: Native,
    accepted: MappingType[str, Accepted],
) -> list[Edit]:
    """The fields of ours that show something else than was acknowledged, apart from what a person accepted. Pure."""
    found = []
    for each in comparing.differences(mapping.record, acknowledged, present):
        edit = Edit(each.path, each.wanted, each.present, policy_of(channel, kind, mapping, each.path))
        if edit.policy is not DriftPolicy.IGNORE and not _is_accepted(edit.field, acknowledged, present, accepted):
            found.append(edit)
    return found


def _is_accepted(field: str, wanted: Native, present: Native, accepted: MappingType[str, Accepted]) -> bool:
    known = accepted.get(field)
    return known is not None and (known.wanted, known.present) == (
        encode(wanted.get(field)),
        encode(present.get(field)),
    )


def checks_before_update(channel: Channel) -> bool:
    """Whether this connection looks before it overwrites."""
    return (
        channel.settings.check_before_update
        and isinstance(channel.connector, ComparesRecords)
        and isinstance(channel.connector, ObservesRecords)
    )


def before_update(
    session: Session, channel: Channel, prepared: Sequence[Prepared]
) -> tuple[list[Prepared], list[Refused]]:
    """Take the updates apart that would overwrite somebody else's edit; costs one read for each record type.

    An edit that already shows what we are about to write is no conflict. Nothing is written down before every record was
    compared. Raises VendorUnavailable, ConnectionBroken and ConnectorStumbled.
    """
    updates = [item for item in prepared if item.operation is Operation.UPDATE and not item.unchanged]
    if not updates:
        return list(prepared), []
    with session.database.transaction() as cur:
        accepted = acceptances.of_lanes(cur, [item.lane.id for item in updates])
    seen = [item for item in updates if _worth_a_look(channel, item)] if checks_before_update(channel) else []
    present = shown_now(session, channel, [(item.record, str(item.lane.vendor_id)) for item in seen])
    compared: list[list[Edit]] = []
    for item in prepared:
        native, kept = present.get((item.record, str(item.lane.vendor_id))), accepted.get(item.lane.id, {})
        compared.append(caught(channel, "compare", partial(_found, channel, item, native, kept)))
    send: list[Prepared] = []
    conflicts: list[Refused] = []
    for item, found in zip(prepared, compared, strict=True):
        kept = accepted.get(item.lane.id, {})
        proposed = [edit for edit in found if edit.policy is DriftPolicy.PROPOSE]
        if proposed:
            problems = conflict_problems(channel, item.record, item.lane.vendor_id, item.name, proposed)
            conflicts.append(Refused(item.lane, item.name, problems))
            continue
        over = [field for field, known in kept.items() if not _still_accepted(item, known)]
        told = [_overwritten(channel, item, edit) for edit in found if not item.lane.kind.endswith("_projection")]
        if over or told:
            with session.database.transaction() as cur:
                acceptances.forget(cur, item.lane.id, over)
                journal.write(cur, told, session.machine.now(), session.business.now())
        left_out = set(kept) - set(over)
        payload = {field: value for field, value in item.payload.items() if field not in left_out}
        send.append(replace(item, payload=payload) if left_out else item)
    return send, conflicts


def shown_now(session: Session, channel: Channel, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Native]:
    """What the vendor shows of these records, by record type and id; one read for each type.

    Raises VendorUnavailable, ConnectionBroken and ConnectorStumbled.
    """
    connector = channel.connector
    if not isinstance(connector, ObservesRecords):
        return {}
    by_record: dict[str, list[str]] = {}
    for record, vendor_id in wanted:
        by_record.setdefault(record, []).append(vendor_id)
    shows: dict[tuple[str, str], Native] = {}
    for record, ids in sorted(by_record.items()):
        natives = ask(session, channel, "observe", lambda r=record, i=ids: connector.observe(r, i))  # type: ignore[misc]
        shows.update({(record, vendor_id): native for vendor_id, native in natives.items()})
    return shows


def _found(channel: Channel, item: Prepared, native: Native | None, accepted: MappingType[str, Accepted]) -> list[Edit]:
    """Edits that this update would overwrite; one that already shows what we are about to write is none."""
    connector, mapping = channel.connector, channel.mapping(item.lane.kind, "out")
    if (
        native is None
        or mapping is None
        or item.lane.acked_payload is None
        or not isinstance(connector, ComparesRecords)
    ):
        return []
    acknowledged = decode(item.lane.acked_payload)
    found = edits(channel, connector, item.lane.kind, mapping, acknowledged, native, accepted)
    if not found:
        return []
    different = [each.path for each in connector.differences(item.record, decode(item.payload_bytes), native)]
    return [edit for edit in found if any(_same_place(edit.path, path) for path in different)]


def _still_accepted(item: Prepared, known: Accepted) -> bool:
    """Whether our own value is the one that a person gave up; after a resync (nothing acknowledged) it never is."""
    return item.lane.acked_payload is not None and encode(item.payload.get(known.field)) == known.wanted


def _worth_a_look(channel: Channel, item: Prepared) -> bool:
    """An update of something acknowledged, in which a person may have to be asked about a field."""
    if item.operation is not Operation.UPDATE or item.lane.acked_payload is None or item.unchanged:
        return False
    return asks_somebody(channel, item.lane.kind)


def asks_somebody(channel: Channel, kind: str) -> bool:
    """Whether a foreign edit of any field of this kind of record is shown to a person."""
    mapping = channel.mapping(kind, "out")
    return mapping is not None and any(
        policy_of(channel, kind, mapping, path) is DriftPolicy.PROPOSE for path in mapping.owner
    )


def _same_place(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _overwritten(channel: Channel, item: Prepared, edit: Edit) -> Entry:
    detail = f"{edit.path}: {shown(edit.present, 100)}; its owner wins"
    order_id = item.lane.order_id or None
    return Entry(channel.name, "foreign edit overwritten", detail, order_id, item.lane.kind, item.lane.entity_id)


def conflict_problems(
    channel: Channel, record: str, vendor_id: str | None, name: str, found: Sequence[Edit]
) -> tuple[Problem, ...]:
    """What a person reads of a conflict: both values of every field, and the two ways out."""
    return tuple(
        Problem(
            code=FOREIGN_EDIT,
            reason=Reason.CONFLICT,
            path=f"{record}.{edit.path}",
            value=shown(edit.present),
            happened=f"Somebody set {edit.path} of {record} {vendor_id} {shown(name, 60)!r} to {shown(edit.present, 100)} at "
            f"{channel.connector.title}; the order says {shown(edit.wanted, 100)}.",
            effect="Neither value is overwritten, and nothing more of this record is sent.",
            fix="Ad operations decides: `orderhub resync ORDER` writes the order's value, `orderhub accept ORDER` keeps theirs.",
            owner="Ad operations",
        )
        for edit in found
    )
