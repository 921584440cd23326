"""Reads what a SOAP reply brings into plain dictionaries, by the types of the WSDL that zeep has loaded.

zeep makes several Python objects for each element of a reply; its time for a page of line items is eight times that of the tables
into which each type is compiled here, once (`python -m bench soap`). What comes out is what zeep's values say, field by field
(tests/unit/connectors_gam/test_gam_replies.py), as dictionaries with `xsi_type` where a value has another type than its place
declares, which the way back needs. Absent values are left out: the vendor does not tell null from absent either. Where zeep makes
None of a number that it cannot read, and logs it, the whole reply is unreadable here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Reader = Callable[[Any], Any]
"""An lxml element to dict, list, scalar, or None for what says nothing."""

_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


class ReplyUnreadable(ValueError):  # noqa: N818 - on its way to a decision
    """A reply that does not fit the WSDL."""


class Replies:
    """Takes the return value out of each reply of one client before zeep reads the rest of it: a plugin of zeep's."""

    def __init__(self, types: Any) -> None:
        self._types = types
        self._known: dict[int, _Compound] = {}
        self._taken: Any = None

    def take(self) -> Any:
        """The return value of the last reply: a list where the WSDL says so, None where there was none."""
        taken, self._taken = self._taken, None
        return taken

    def egress(self, envelope: Any, http_headers: Any, operation: Any, binding_options: Any) -> tuple[Any, Any]:
        """Requests go as they are."""
        self._taken = None
        return envelope, http_headers

    def ingress(self, envelope: Any, http_headers: Any, operation: Any) -> tuple[Any, Any]:
        """Read the return value and take it out; a fault stays as it is. Raises ReplyUnreadable, ValueError."""
        body = envelope.find(f"{{{_ENVELOPE}}}Body")
        reply = None if body is None or not len(body) else body[0]
        if reply is None or reply.tag == f"{{{_ENVELOPE}}}Fault":
            return envelope, http_headers
        for name, element in operation.output.body.type.elements:
            if name == "rval":
                tags, read = {element.qname.text, element.qname.localname}, self._reader(element.type)
                values = [read(child) for child in reply if child.tag in tags]
                self._taken = values if element.accepts_multiple else next(iter(values), None)
                reply.clear()  # while nothing holds a child: lxml would look through all of a child that it must keep
        return envelope, http_headers

    def _reader(self, kind: Any) -> Reader:
        return self._compound(kind).read if _is_compound(kind) else _simple(kind)

    def _compound(self, kind: Any) -> _Compound:
        known = self._known.get(id(kind))  # zeep's types live as long as its client, and are not all hashable
        if known is None:
            known = self._known[id(kind)] = _Compound(kind, self._reader, self._named)
        return known

    def _named(self, element: Any, name: str) -> _Compound | None:
        """The type that an element says it has; None when it is none of the WSDL's. Raises zeep's LookupError for a new one."""
        prefix, _, local = name.rpartition(":")
        kind = self._types.get_type(f"{{{element.nsmap.get(prefix or None, '')}}}{local}", fail_silently=True)
        return self._compound(kind) if _is_compound(kind) else None


class _Compound:
    """One complex type: its fields by tag, compiled when the first element of it is met, since types contain each other."""

    __slots__ = ("_fields", "_kind", "_named", "_reader", "name")

    def __init__(
        self, kind: Any, reader: Callable[[Any], Reader], named: Callable[[Any, str], _Compound | None]
    ) -> None:
        self.name: str | None = kind.qname.localname if kind.qname is not None else None
        self._kind, self._reader, self._named = kind, reader, named
        self._fields: dict[Any, tuple[str, bool, Reader]] | None = None

    def fields(self) -> dict[Any, tuple[str, bool, Reader]]:
        """(name, whether there may be several, how it is read) by tag, with the namespace and without it."""
        if self._fields is None:
            self._fields = {}
            for name, element in self._kind.elements:
                field = (name, element.accepts_multiple, self._reader(element.type))
                self._fields |= {element.qname.text: field, element.qname.localname: field}
        return self._fields

    def read(self, element: Any) -> dict[str, Any] | None:
        """What an element says that is declared to have this type. Raises ReplyUnreadable, and ValueError for its texts."""
        native: dict[str, Any] = {}
        fields, said = self._fields or self.fields(), element.get(_XSI_TYPE)
        if said is not None:
            actual = self._named(element, said)
            if actual is not None and actual is not self:
                fields = actual.fields()
                if actual.name is not None and actual.name != self.name:
                    native["xsi_type"] = actual.name
        elif not len(element) and not element.attrib:
            return None
        if not fields:
            return None
        for child in element:
            field = fields.get(child.tag)
            if field is None:
                raise ReplyUnreadable(f"{self.name} has no field {child.tag}")
            name, several, read = field
            value = read(child)
            if several:
                native.setdefault(name, []).append(value)
            elif name in native:
                raise ReplyUnreadable(f"{self.name} has {name} twice")
            elif value is not None:
                native[name] = value
        return native


def _is_compound(kind: Any) -> bool:
    from zeep.xsd import ComplexType

    return isinstance(kind, ComplexType)


def _simple(kind: Any) -> Reader:
    convert = kind.pythonvalue

    def read(element: Any) -> Any:
        text = element.text
        if len(element):
            raise ReplyUnreadable(f"{element.tag} is no text")
        return None if text is None else convert(text)

    return read
