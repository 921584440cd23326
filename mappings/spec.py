"""The shape of a mapping file, as pydantic models. What a field may say stands here; what it means is `plan.py`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from oms_schema.ids import EntityKind

Literals = str | int | bool | list[str] | dict[str, str]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, strict=True)


class Owner(StrEnum):
    """Who decides the value of a field, and who is asked to correct it."""

    CRM = "crm"
    HUB = "hub"
    ADSERVER = "adserver"
    ERP = "erp"


class Direction(StrEnum):
    """Vendor to canonical, canonical to vendor, or both."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


class TooLong(StrEnum):
    """What becomes of a text beyond `max`: refused, or cut with a hash of the whole so that two stay two."""

    REJECT = "reject"
    TRUNCATE_HASH = "truncate_hash"


class Unknown(StrEnum):
    """What becomes of a value outside an enum table.

    `reject`: its owner has to change it. `hold`: parked until the table knows it. `keep`: passed on as it is.
    """

    REJECT = "reject"
    HOLD = "hold"
    KEEP = "keep"


class UnknownDefault(_Part):
    """Or it becomes this value, silently; say so only where nobody depends on it."""

    default: str


class NewField(StrEnum):
    """What the hub does when the vendor shows a field that the schema did not have."""

    IGNORE = "ignore"
    WARN = "warn"


class TypeChange(StrEnum):
    """What the hub does when a vendor field has another type than the schema says."""

    WARN = "warn"
    FREEZE = "freeze"


def _word_enum(enum: type[StrEnum]) -> BeforeValidator:
    def read(value: object) -> object:
        if isinstance(value, str) and value in {m.value for m in enum}:
            return enum(value)
        raise ValueError(f"it has to be one of {', '.join(enum)}")

    return BeforeValidator(read)


def _unknown(value: object) -> object:
    if isinstance(value, str) and value in {m.value for m in Unknown}:
        return Unknown(value)
    if isinstance(value, dict) and set(value) == {"default"} and isinstance(value["default"], str):
        return UnknownDefault(default=value["default"])
    raise ValueError("it has to be reject, hold, keep or {default: a word}")


AnOwner = Annotated[Owner, _word_enum(Owner)]
AnUnknown = Annotated[Unknown | UnknownDefault, BeforeValidator(_unknown)]


def _hold_or_reject(value: object) -> object:
    if value in (Unknown.HOLD, Unknown.REJECT):
        return Unknown(str(value))
    raise ValueError("it has to be hold or reject")


class Drift(_Part):
    """What happens when the vendor's side changes shape."""

    new_field: Annotated[NewField, _word_enum(NewField)] = NewField.WARN
    new_enum: Annotated[Unknown, BeforeValidator(_hold_or_reject)] = Unknown.HOLD
    type_change: Annotated[TypeChange, _word_enum(TypeChange)] = TypeChange.FREEZE


class Reference(_Part):
    """The value names another entity: its id at the vendor outside, its canonical id inside."""

    kind: Annotated[EntityKind, _word_enum(EntityKind)]
    facet: str = ""


def _calls(value: object) -> object:
    """`as: name`, `as: {name: {argument: literal}}` or a list of these, as a list of (name, arguments)."""
    items = value if isinstance(value, list) else [value]
    calls: list[object] = []
    for item in items:
        if isinstance(item, str):
            calls.append({"name": item})
        elif isinstance(item, dict) and len(item) == 1 and isinstance(arguments := next(iter(item.values())), dict):
            calls.append({"name": next(iter(item)), "arguments": arguments})
        else:
            raise ValueError("it has to be a transform's name, {name: {argument: literal}}, or a list of these")
    return calls


def _literals(value: object) -> object:
    for name, literal in value.items() if isinstance(value, dict) else ():
        texts: list[object] = list(literal.values()) if isinstance(literal, dict) else []
        texts = literal if isinstance(literal, list) else texts
        if not isinstance(literal, (str, int, list, dict)) or not all(isinstance(t, str) for t in texts):
            raise ValueError(
                f"the argument {name} has to be a text, a number, true, false, or texts in a list or a table"
            )
    return value


def _said(value: str) -> str:
    if not value.strip():
        raise ValueError("it has to say why, in words")
    return value


Why = Annotated[str, AfterValidator(_said)]
"""A reason, for people."""


class Call(_Part):
    """One transform with its literal arguments."""

    name: str
    arguments: Annotated[dict[str, Literals], BeforeValidator(_literals)] = {}


Calls = Annotated[list[Call], BeforeValidator(_calls)]


class Value(_Part):
    """What fields and writes have in common."""

    as_: Calls = Field(default=[], alias="as")
    enum: dict[str, str] | None = None
    on_unknown: AnUnknown | None = None
    const: str | int | bool | None = None
    setting: str | None = None
    ref: Reference | None = None
    default: str | int | bool | None = None
    required: bool = False
    max: Annotated[int, Field(gt=0)] | None = None
    on_too_long: Annotated[TooLong, _word_enum(TooLong)] = TooLong.REJECT
    owner: AnOwner | None = None
    lossy: Why | None = None
    why: str | None = None


class FieldSpec(Value):
    """One canonical field and where the vendor keeps it. The enum table reads vendor: canonical."""

    path: str | None = None
    paths: list[str] | None = None
    derived: Why | None = None


class WriteSpec(Value):
    """One vendor field and where its value comes from. The enum table reads canonical: vendor."""

    from_: Annotated[list[str], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)] = Field(
        default=[], alias="from"
    )
    context: Literal["facet", "facets"] | None = None
    absent: Literal["omit", "clear"] = "omit"
    create_only: bool = False


class NativeField(_Part):
    """A vendor field that only this account has."""

    type: Literal["string", "integer", "decimal", "boolean", "date", "datetime", "enum", "id", "object", "list"]
    length: Annotated[int, Field(gt=0)] | None = None
    required: bool = False
    createable: bool = True
    updateable: bool = True
    values: list[str] = []
    closed: bool = False


class MappingSpec(_Part):
    """A whole mapping file."""

    mapping: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+\.[a-z0-9_]+@[1-9][0-9]*$")]
    record: str
    entity: str
    direction: Annotated[Direction, _word_enum(Direction)]
    owner: AnOwner
    operations: list[Literal["create", "update"]] = ["create", "update"]
    drift: Drift = Drift()
    native_fields: dict[str, NativeField] = {}
    fields: dict[str, FieldSpec] = {}
    writes: dict[str, WriteSpec] = {}
    omits: dict[str, Why] = {}
    """Canonical fields that this mapping leaves out, each with the reason."""

    @property
    def connector(self) -> str:
        """The part before the dot."""
        return self.mapping.split(".", 1)[0]

    @property
    def name(self) -> str:
        """Connector and mapping name without version."""
        return self.mapping.split("@", 1)[0]

    @property
    def version(self) -> int:
        """The number after the @."""
        return int(self.mapping.rsplit("@", 1)[1])


_KINDS_OF_FAULT: dict[str, str] = {
    "missing": "it is missing.",
    "extra_forbidden": "nothing of this name may stand here.",
}
_EXPECTED: dict[str, str] = {
    "string_type": "it has to be text",
    "int_type": "it has to be a whole number",
    "bool_type": "it has to be true or false",
    "dict_type": "it has to be a table of keys and values",
    "model_type": "it has to be a table of keys and values",
    "list_type": "it has to be a list",
    "string_pattern_mismatch": "it has to read <connector>.<name>@<version>, for instance salesforce.order@1",
}


def fault_words(kind: str, message: str, value: Any) -> str:
    """A pydantic fault as a mapping author reads it."""
    expected = _EXPECTED.get(kind, message.removeprefix("Value error, "))
    return _KINDS_OF_FAULT.get(kind) or f"{value!r} does not fit: {expected}."
