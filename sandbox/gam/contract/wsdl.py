"""Writes WSDLs and XML schemas from the contract table: document/literal, one port per service, as the vendor's."""

from __future__ import annotations

from lxml import etree

from sandbox.gam.contract.table import Contract, Field, Service

_XSD = "http://www.w3.org/2001/XMLSchema"
_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
_HEADERS = {
    "RequestHeader": "SoapRequestHeader",
    "ResponseHeader": "SoapResponseHeader",
    "ApiExceptionFault": "ApiException",
}


def _node(space: str, tag: str, /, *children: etree._Element, **attributes: str) -> etree._Element:
    node = etree.Element(f"{{{space}}}{tag}", attributes)
    node.extend(children)
    return node


def namespace(version: str) -> str:
    """The XML namespace of an API version."""
    return f"https://www.google.com/apis/ads/publisher/{version}"


def render_schema(contract: Contract, service: Service) -> etree._Element:
    """The XML schema of one service: its types, its operations' wrappers, the headers and the fault."""
    space = namespace(contract.version)
    schema = etree.Element(
        f"{{{_XSD}}}schema",
        {"targetNamespace": space, "elementFormDefault": "qualified"},
        nsmap={None: _XSD, "xsd": _XSD, "tns": space},  # type: ignore[dict-item]  # lxml takes None as the default prefix
    )
    for name in service.type_names:
        if name in contract.enums:
            values = [_node(_XSD, "enumeration", value=value) for value in contract.enums[name]]
            schema.append(_node(_XSD, "simpleType", _node(_XSD, "restriction", *values, base="xsd:string"), name=name))
            continue
        facts = contract.types[name]
        sequence = _node(_XSD, "sequence", *(_element(contract, field) for field in facts.fields))
        content = (
            _node(_XSD, "complexContent", _node(_XSD, "extension", sequence, base=f"tns:{facts.base}"))
            if facts.base
            else sequence
        )
        abstract = {"abstract": "true"} if facts.abstract else {}
        schema.append(_node(_XSD, "complexType", content, name=name, **abstract))
    for name, type_name in _HEADERS.items():
        schema.append(_node(_XSD, "element", name=name, type=f"tns:{type_name}"))
    for operation in service.operations.values():
        for name, fields in (
            (operation.name, operation.parameters),
            (f"{operation.name}Response", (operation.result,)),
        ):
            sequence = _node(_XSD, "sequence", *(_element(contract, field) for field in fields))
            schema.append(_node(_XSD, "element", _node(_XSD, "complexType", sequence), name=name))
    return schema


def render_wsdl(contract: Contract, service_name: str, address: str) -> bytes:
    """The WSDL of one service whose calls go to `address`."""
    service = contract.services[service_name]
    space = namespace(contract.version)
    nsmap = {"tns": space, "wsdl": _WSDL, "wsdlsoap": _SOAP, "xsd": _XSD}
    root = etree.Element(f"{{{_WSDL}}}definitions", {"targetNamespace": space}, nsmap=nsmap)
    root.append(_node(_WSDL, "types", render_schema(contract, service)))
    messages = {
        "RequestHeader": ("RequestHeader", "RequestHeader"),
        "ResponseHeader": ("ResponseHeader", "ResponseHeader"),
        "ApiException": ("ApiExceptionFault", "ApiException"),
    }
    for name in service.operations:
        messages[f"{name}Request"] = (name, "parameters")
        messages[f"{name}Response"] = (f"{name}Response", "parameters")
    for message, (element, part) in messages.items():
        root.append(_node(_WSDL, "message", _node(_WSDL, "part", element=f"tns:{element}", name=part), name=message))
    port_type = _node(_WSDL, "portType", name=f"{service_name}Interface")
    binding = _node(
        _WSDL,
        "binding",
        _node(_SOAP, "binding", style="document", transport="http://schemas.xmlsoap.org/soap/http"),
        name=f"{service_name}SoapBinding",
        type=f"tns:{service_name}Interface",
    )
    for name in service.operations:
        port_type.append(
            _node(
                _WSDL,
                "operation",
                _node(_WSDL, "input", message=f"tns:{name}Request", name=f"{name}Request"),
                _node(_WSDL, "output", message=f"tns:{name}Response", name=f"{name}Response"),
                _node(_WSDL, "fault", message="tns:ApiException", name="ApiException"),
                name=name,
            )
        )
        binding.append(
            _node(
                _WSDL,
                "operation",
                _node(_SOAP, "operation", soapAction=""),
                _node(
                    _WSDL, "input", _header("RequestHeader"), _node(_SOAP, "body", use="literal"), name=f"{name}Request"
                ),
                _node(
                    _WSDL,
                    "output",
                    _header("ResponseHeader"),
                    _node(_SOAP, "body", use="literal"),
                    name=f"{name}Response",
                ),
                _node(_WSDL, "fault", _node(_SOAP, "fault", name="ApiException", use="literal"), name="ApiException"),
                name=name,
            )
        )
    root.extend([port_type, binding])
    port = _node(
        _WSDL,
        "port",
        _node(_SOAP, "address", location=address),
        binding=f"tns:{service_name}SoapBinding",
        name=f"{service_name}InterfacePort",
    )
    root.append(_node(_WSDL, "service", port, name=service_name))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _header(name: str) -> etree._Element:
    return _node(_SOAP, "header", message=f"tns:{name}", part=name, use="literal")


def _element(contract: Contract, field: Field) -> etree._Element:
    prefix = "tns" if field.type in contract.types or field.type in contract.enums else "xsd"
    return _node(
        _XSD,
        "element",
        maxOccurs="unbounded" if field.most is None else str(field.most),
        minOccurs=str(field.least),
        name=field.name,
        type=f"{prefix}:{field.type}",
    )
