"""Turns XML elements into plain values and back, by the contract table.

An object is a `Native`: a dict of its fields, a missing field absent, a repeated one a list. Where the element said
`xsi:type` other than declared, the key `@type` holds it. Faster than zeep by an order of magnitude (no model classes);
`tests/contract/gam_sandbox` proves both give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lxml import etree

from sandbox.gam.contract import Contract, Field, namespace

Native = dict[str, Any]

_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


def _read_boolean(text: str) -> bool:
    return text.strip() in ("true", "1")


def _read_text(text: str) -> str:
    return text


_READERS: dict[str, Callable[[str], Any]] = {
    "long": int,
    "int": int,
    "double": float,
    "float": float,
    "boolean": _read_boolean,
}


def _write(value: object) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    return value if isinstance(value, str) else str(value)


class Codec:
    """Reads and writes the values of one API version."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._space = f"{{{namespace(contract.version)}}}"
        self._readers: dict[str, Mapping[str, tuple[str, str, bool]]] = {}
        self._writers: dict[str, list[tuple[str, str, Field]]] = {}

    def read(self, element: etree._Element, type_name: str) -> Any:
        """The value of an element of a declared type. The element has passed the schema."""
        if type_name not in self.contract.types:
            return _READERS.get(type_name, _read_text)(element.text or "")
        declared = type_name
        if (given := element.get(_XSI_TYPE)) is not None:
            type_name = given.rpartition(":")[2]
        value = self.read_fields(element, type_name)
        if type_name != declared:
            value["@type"] = type_name
        return value

    def read_fields(self, element: etree._Element, type_name: str) -> Native:
        """The fields of an element whose type is known."""
        plan = self._readers.get(type_name)
        if plan is None:
            plan = self._plan(list(self.contract.fields(type_name).values()))
            self._readers[type_name] = plan
        return self._read(element, plan)

    def read_parameters(self, element: etree._Element, parameters: tuple[Field, ...]) -> Native:
        """The arguments of an operation, by parameter name."""
        return self._read(element, self._plan(list(parameters)))

    def _plan(self, fields: list[Field]) -> Mapping[str, tuple[str, str, bool]]:
        return {self._space + field.name: (field.name, field.type, field.most is None) for field in fields}

    def _read(self, element: etree._Element, plan: Mapping[str, tuple[str, str, bool]]) -> Native:
        value: Native = {}
        for child in element:
            if not isinstance(child.tag, str):
                continue  # a comment
            name, type_name, repeated = plan[child.tag]
            item = self.read(child, type_name)
            if repeated:
                value.setdefault(name, []).append(item)
            else:
                value[name] = item
        return value

    def write(self, parent: etree._Element, field: Field, value: Any) -> None:
        """Append a field's value to an element; None writes nothing, a repeated field takes a list."""
        if value is None:
            return
        tag = self._space + field.name
        for item in value if field.most is None else (value,):
            self._write_one(parent, tag, field.type, item)

    def _write_one(self, parent: etree._Element, tag: str, type_name: str, value: Any) -> None:
        element = etree.SubElement(parent, tag)
        if type_name not in self.contract.types:
            element.text = _write(value)
            return
        actual = value.get("@type", type_name)
        if actual != type_name:
            element.set(_XSI_TYPE, f"{parent.prefix}:{actual}" if parent.prefix else actual)
        self.write_fields(element, actual, value)

    def write_fields(self, element: etree._Element, type_name: str, value: Native) -> None:
        """Append the fields of an object of a known type in the contract's order."""
        plan = self._writers.get(type_name)
        if plan is None:
            plan = [(field.name, self._space + field.name, field) for field in self.contract.fields(type_name).values()]
            self._writers[type_name] = plan
        types = self.contract.types
        for name, tag, field in plan:
            item = value.get(name)
            if item is None:
                continue
            if field.most is None:
                for each in item:
                    self._write_one(element, tag, field.type, each)
            elif field.type in types:
                self._write_one(element, tag, field.type, item)
            else:
                etree.SubElement(element, tag).text = _write(item)
