"""The base every canonical model shares: immutable, closed to unknown fields, and one byte form for hashing."""

from __future__ import annotations

import hashlib
import json
from typing import Self

import orjson
from pydantic import BaseModel, ConfigDict


class Canonical(BaseModel):
    """An immutable canonical value. Unknown fields are an error; instances hash and compare by value."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False, ser_json_timedelta="iso8601")

    def canonical_bytes(self) -> bytes:
        """The one byte form of this value: JSON with sorted keys, absent optional fields left out."""
        content = self.model_dump(mode="json", exclude_none=True)
        try:
            return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # orjson takes no integer beyond 64 bits, which a count may be: the sum of an order's goals, say.
            return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    def content_hash(self) -> str:
        """blake2b-128 of the canonical bytes, 32 hex digits."""
        return hashlib.blake2b(self.canonical_bytes(), digest_size=16).hexdigest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read back what `canonical_bytes` wrote; raises pydantic.ValidationError on anything else."""
        return cls.model_validate_json(data)
