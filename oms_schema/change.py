"""A change: something a source told us. It becomes a version, is superseded, waits, or is rejected; it is never dropped."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from oms_schema.base import Canonical
from oms_schema.ids import EntityKind
from oms_schema.instant import Instant
from oms_schema.party import ID
from oms_schema.problems import Reason

_Word = Annotated[str, Field(min_length=1)]


class ChangeStatus(StrEnum):
    """What became of a change."""

    RECEIVED = "received"
    """It is stored and nobody has looked at it yet."""
    ACCEPTED = "accepted"
    """It is a new version of its entity."""
    UNCHANGED = "unchanged"
    """It says what is known already."""
    SUPERSEDED = "superseded"
    """A later change of the same record made it unnecessary."""
    REJECTED = "rejected"
    """It is parked with a reason, until it is repaired or replaced."""
    HELD = "held"
    """It waits for another entity that it points to."""


class Change(Canonical):
    """One record as a source showed it. `modified_at` is the source's time of change, `received_at` ours; both UTC."""

    connection: _Word
    stream: _Word
    native_id: _Word
    received_at: Instant
    modified_at: Instant | None = None
    deleted: bool = False
    native_hash: str | None = Field(default=None, description="Of the record's bytes as the source sent them")
    status: ChangeStatus
    reason: Reason | None = None
    sentence: str = Field(default="", description="What happened, its effect, and who does what")
    kind: EntityKind | None = None
    entity_id: ID | None = None
    version: Annotated[int, Field(ge=1, strict=True)] | None = None
    waits_for: ID | None = None

    @model_validator(mode="after")
    def _says_what_became_of_it(self) -> Self:
        if self.status is ChangeStatus.ACCEPTED and (self.entity_id is None or self.version is None):
            raise ValueError("an accepted change names its entity and the version it became")
        if self.status is ChangeStatus.REJECTED and self.reason is None:
            raise ValueError("a rejected change has a reason")
        if self.status is ChangeStatus.HELD and self.waits_for is None:
            raise ValueError("a held change names what it waits for")
        return self
