"""What the org says of its own objects: describes, kept and asked again only if they changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.errors import SchemaDrift
from connectors.exact_json import Unreadable
from connectors.salesforce.schemas import TYPES
from connectors.salesforce.session import Call, OrgSession, odd_reply, unreadable


@dataclass(frozen=True, slots=True)
class DescribedField:
    """One field as the integration user sees it."""

    name: str
    type: str
    length: int
    createable: bool
    updateable: bool
    restricted: bool
    unique: bool
    external_id: bool
    values: frozenset[str]
    refers_to: tuple[str, ...]
    relationship: str | None


@dataclass(frozen=True, slots=True)
class DescribedObject:
    """One object as the integration user sees it; fields hidden from that user are not there."""

    name: str
    createable: bool
    updateable: bool
    queryable: bool
    fields: Mapping[str, DescribedField]

    def field(self, name: str) -> DescribedField | None:
        """The field of this name; Salesforce's names are case-insensitive."""
        return self.fields.get(name.casefold())

    def relationship(self, name: str) -> DescribedField | None:
        """The reference field whose relationship has this name (`Account` for AccountId)."""
        wanted = name.casefold()
        return next((f for f in self.fields.values() if (f.relationship or "").casefold() == wanted), None)

    def carried(self) -> tuple[str, ...]:
        """Names of all fields the connector can carry, in the org's order."""
        return tuple(f.name for f in self.fields.values() if f.type in TYPES)


class Describes:
    """Describes of one org for as long as its connector lives; a repeated look sends If-Modified-Since."""

    def __init__(self, session: OrgSession) -> None:
        self._session = session
        self._kept: dict[str, tuple[str, DescribedObject]] = {}

    def known(self, record: str) -> DescribedObject:
        """The describe kept from before, asked for if there is none. Raises like `fresh`."""
        return self._kept[record][1] if record in self._kept else self.fresh(record)

    def fresh(self, record: str) -> DescribedObject:
        """The present describe. Raises SchemaDrift when the object does not exist or is hidden, else like a read."""
        kept = self._kept.get(record)
        headers = {"If-Modified-Since": kept[0]} if kept and kept[0] else {}
        reply = self._session.send(Call(f"sobjects/{record}/describe", headers=headers, record=record))
        if reply.status == 304:  # the library raises it as an error; the session gives it back as a reply
            if kept is None:
                raise odd_reply(f"the describe of {record} is unchanged since never")
            return kept[1]
        call_said = {name.casefold(): value for name, value in reply.headers.items()}
        try:
            described = _described(record, reply.json())
        except Unreadable as error:
            raise unreadable(reply, str(error), Call("").effect) from error
        self._kept[record] = (call_said.get("last-modified") or call_said.get("date") or "", described)
        return described


def _described(record: str, answer: Any) -> DescribedObject:
    listed = answer.get("fields") if isinstance(answer, dict) else None
    if not isinstance(listed, list) or not all(
        isinstance(f, dict) and isinstance(f.get("name"), str) and isinstance(f.get("type"), str) for f in listed
    ):
        raise odd_reply(f"the describe of {record} has no readable fields")
    if answer.get("name") != record:
        raise SchemaDrift(
            "OBJECT-RENAMED", f"Asked for {record}, the org described {answer.get('name')!r:.80}.", field=record
        )
    fields = {f["name"].casefold(): _field(f) for f in listed}
    return DescribedObject(
        record,
        createable=answer.get("createable") is True,
        updateable=answer.get("updateable") is True,
        queryable=answer.get("queryable") is not False,
        fields=fields,
    )


def _field(facts: Mapping[str, Any]) -> DescribedField:
    values, length = facts.get("picklistValues"), facts.get("length")
    refers_to, relationship = facts.get("referenceTo"), facts.get("relationshipName")
    return DescribedField(
        name=facts["name"],
        type=facts["type"],
        length=length if isinstance(length, int) else 0,
        createable=facts.get("createable") is True,
        updateable=facts.get("updateable") is True,
        restricted=facts.get("restrictedPicklist") is True,
        unique=facts.get("unique") is True,
        external_id=facts.get("externalId") is True,
        values=frozenset(
            value["value"]
            for value in (values if isinstance(values, list) else ())
            if isinstance(value, dict) and value.get("active") is not False and isinstance(value.get("value"), str)
        ),
        refers_to=tuple(r for r in refers_to if isinstance(r, str)) if isinstance(refers_to, list) else (),
        relationship=relationship if isinstance(relationship, str) else None,
    )
