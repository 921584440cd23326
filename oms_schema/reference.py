"""Which vendor objects stand for which canonical entity: one entity may have several at one connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from oms_schema.base import Canonical
from oms_schema.ids import EntityKind
from oms_schema.instant import Instant
from oms_schema.party import ID
from oms_schema.problems import Problem, Reason, shown

_Word = Annotated[str, Field(min_length=1)]


class Reference(Canonical):
    """One vendor object. `facet` tells several of one entity apart: a party's role, or the part of a split order ("1").

    `account` fingerprints the vendor account (network code, org id) that the id is valid in. A reference that another
    replaced keeps its ids and has `superseded_at`.
    """

    connection: _Word
    kind: EntityKind
    entity_id: ID
    record: _Word
    vendor_id: _Word
    facet: str = ""
    account: str = ""
    since: Instant | None = None
    superseded_at: Instant | None = None

    @property
    def live(self) -> bool:
        """Whether this is the present object."""
        return self.superseded_at is None


def references_of(references: Iterable[Reference], connection: str, entity_id: str) -> tuple[Reference, ...]:
    """The live vendor objects of an entity at a connection, parts in numerical order, other facets by name."""
    found = [r for r in references if r.live and r.connection == connection and r.entity_id == entity_id]
    return tuple(sorted(found, key=lambda r: (not r.facet.isdecimal(), len(r.facet) * r.facet.isdecimal(), r.facet)))


def check_references(references: Iterable[Reference]) -> tuple[Problem, ...]:
    """What cannot be true of the live references together.

    REFERENCE-TWICE: one facet of an entity has two objects. REFERENCE-SHARED: one object stands for two entities or
    facets. REFERENCE-ACCOUNT: one connection holds ids of two accounts.
    """
    problems: list[Problem] = []
    objects: dict[tuple[str, str, str, str], Reference] = {}
    owners: dict[tuple[str, str, str], Reference] = {}
    accounts: dict[str, str] = {}
    for r in references:
        if not r.live:
            continue
        other = objects.setdefault((r.connection, r.kind, r.entity_id, r.facet), r)
        if (other.record, other.vendor_id) != (r.record, r.vendor_id):
            what = f"{r.record} {other.vendor_id} and {r.vendor_id} at {r.connection} both stand for {r.entity_id}."
            problems.append(_problem("REFERENCE-TWICE", Reason.DUPLICATE, "vendor_id", r.vendor_id, what))
        owner = owners.setdefault((r.connection, r.record, r.vendor_id), r)
        if (owner.kind, owner.entity_id, owner.facet) != (r.kind, r.entity_id, r.facet):
            what = f"{r.record} {r.vendor_id} at {r.connection} stands for both {owner.entity_id} and {r.entity_id}."
            problems.append(_problem("REFERENCE-SHARED", Reason.AMBIGUOUS, "entity_id", r.entity_id, what))
        account = accounts.setdefault(r.connection, r.account)
        if account != r.account:
            what = f"{r.connection} holds ids of account {shown(account)} and of account {shown(r.account)}."
            problems.append(_problem("REFERENCE-ACCOUNT", Reason.AMBIGUOUS, "account", r.account, what))
    return tuple(problems)


def _problem(code: str, reason: Reason, path: str, value: str, happened: str) -> Problem:
    return Problem(
        code=code,
        reason=reason,
        path=path,
        value=shown(value),
        happened=happened,
        effect="Nothing is sent for it until this is settled.",
        fix="Operations decides which object is ours.",
        owner="Operations",
    )
