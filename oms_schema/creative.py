"""What is to be shown: sizes expected, and the Universal Ad IDs that name a creative across the trade."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_schema.base import Canonical


class UniversalAdId(Canonical):
    """An ad id with the registry that gave it (IAB VAST 4: `idRegistry`), for instance `ad-id.org`."""

    registry: str
    value: str


class CreativePlaceholder(Canonical):
    """A size in pixels and how many creatives of it are expected."""

    width: Annotated[int, Field(ge=1, strict=True)]
    height: Annotated[int, Field(ge=1, strict=True)]
    count: Annotated[int, Field(ge=1, strict=True)] = 1
    ad_ids: tuple[UniversalAdId, ...] = ()
