"""Reads the vendor's own WSDL files into the form of the contract table. The files stay where they are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lxml import etree

from sandbox.gam.contract.table import ComplexType, Contract, Field, Operation, Service

_XSD = "{http://www.w3.org/2001/XMLSchema}"
_WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
_FILTER_ROW = re.compile(r"<tr>(.*?)</tr>", re.DOTALL)
_FILTER = re.compile(r"<td>\s*\{@code (\w+)\}.*?\{@link\s+[\w.]+#(\w+)", re.DOTALL)


def read_vendor(folder: Path, version: str, services: Iterable[str]) -> Contract:
    """Read the WSDLs of the named services from a folder, for instance `ORDERHUB_SPECS`/gam/v202608-derived.

    Raises:
        OSError: a file is missing.
        ValueError: two services define one type differently in a way the table cannot hold.
    """
    types: dict[str, ComplexType] = {}
    enums: dict[str, tuple[str, ...]] = {}
    found: dict[str, Service] = {}
    for service in services:
        root = etree.parse(str(folder / f"{service}.wsdl")).getroot()
        schema = root.find(f"{_WSDL}types/{_XSD}schema")
        if schema is None:
            raise ValueError(f"{service}.wsdl holds no schema")
        names = []
        for element in schema.iterchildren(f"{_XSD}complexType"):
            complex_type = _complex_type(element)
            if types.setdefault(complex_type.name, complex_type) != complex_type:
                raise ValueError(f"type {complex_type.name} of {service} differs from that of another service")
            names.append(complex_type.name)
        for element in schema.iterchildren(f"{_XSD}simpleType"):
            name = element.get("name", "")
            values = tuple(value.get("value", "") for value in element.iter(f"{_XSD}enumeration"))
            # The derived files give NullError.Reason to some services with fewer values: the table holds the union.
            enums[name] = tuple(dict.fromkeys((*enums.get(name, ()), *values)))
            names.append(name)
        found[service] = Service(service, _operations(root, schema), tuple(sorted(names)))
    return Contract(version, types, enums, found)


def _complex_type(element: etree._Element) -> ComplexType:
    extension = element.find(f"{_XSD}complexContent/{_XSD}extension")
    base = None if extension is None else _local(extension.get("base", ""))
    holder = element if extension is None else extension
    fields = tuple(_field(field) for field in holder.iterfind(f"{_XSD}sequence/{_XSD}element"))
    return ComplexType(element.get("name", ""), base, element.get("abstract") == "true", fields)


def _field(element: etree._Element) -> Field:
    most = element.get("maxOccurs", "1")
    return Field(
        element.get("name", ""),
        _local(element.get("type", "")),
        int(element.get("minOccurs", "1")),
        None if most == "unbounded" else int(most),
    )


def _operations(root: etree._Element, schema: etree._Element) -> dict[str, Operation]:
    wrappers = {
        element.get("name", ""): tuple(
            _field(field) for field in element.iter(f"{_XSD}element") if field is not element
        )
        for element in schema.iterchildren(f"{_XSD}element")
    }
    operations = {}
    for element in root.iterfind(f"{_WSDL}portType/{_WSDL}operation"):
        name = element.get("name", "")
        (result,) = wrappers[f"{name}Response"] or (None,)
        if result is None:
            continue
        documentation = element.findtext(f"{_WSDL}documentation") or ""
        filters = {
            match[1]: match[2] for row in _FILTER_ROW.findall(documentation) for match in [_FILTER.search(row)] if match
        }
        operations[name] = Operation(name, wrappers[name], result, filters)
    return operations


def _local(qualified: str) -> str:
    return qualified.rpartition(":")[2]
