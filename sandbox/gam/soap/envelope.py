"""One service's door: reads and checks SOAP requests against the schema, writes replies and faults."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from lxml import etree

from sandbox.gam.contract import Contract, namespace
from sandbox.gam.contract.table import Operation
from sandbox.gam.contract.wsdl import render_schema
from sandbox.gam.soap.codec import Codec, Native
from sandbox.gam.soap.errors import ApiError, ApiFaultError

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


class MalformedRequestError(Exception):
    """The request is no XML, no SOAP or breaks the schema. Answered as the vendor's stack (Apache CXF) does:

    a fault `soap:Client` "Unmarshalling Error: ..." without detail (googleads-php-lib#34, google-ad-manager-api#26).
    The words after the colon are libxml2's here and Xerces' at the vendor; nobody should read them. `operation` is the
    operation that was meant, if that much could be read.
    """

    def __init__(self, breach: str, operation: str | None = None) -> None:
        super().__init__(breach)
        self.operation = operation

    def __str__(self) -> str:
        return f"Unmarshalling Error: {super().__str__()}"


@dataclass(frozen=True)
class Request:
    """A request that keeps to the schema."""

    operation: Operation
    arguments: Native
    network_code: str | None
    application: str | None


class Door:
    """Reads and writes the messages of one service. Thread-safe."""

    def __init__(self, contract: Contract, codec: Codec, service_name: str) -> None:
        self.service = contract.services[service_name]
        self._codec = codec
        self._contract = contract
        self._version = contract.version
        self._space = namespace(contract.version)
        self._schema = etree.XMLSchema(render_schema(contract, self.service))
        # A compiled schema keeps the log of its last check, so checks take turns; one takes milliseconds.
        self._checking = threading.Lock()

    def read(self, body: bytes) -> Request:
        """Read a request.

        Raises:
            MalformedRequestError: no XML, no SOAP, an unknown operation, or a breach of the schema.
        """
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)
        try:
            envelope = etree.fromstring(body, parser)
        except etree.XMLSyntaxError as error:
            raise MalformedRequestError(f"Error reading XMLStreamReader: {error}") from error
        payload = envelope.find(f"{{{_SOAP}}}Body/*")
        if envelope.tag != f"{{{_SOAP}}}Envelope" or payload is None:
            raise MalformedRequestError("no SOAP body")
        name = etree.QName(payload)
        operation = self.service.operations.get(name.localname)
        if operation is None or name.namespace != self._space:
            raise MalformedRequestError(f'unexpected element (uri:"{name.namespace}", local:"{name.localname}")')
        header = envelope.find(f"{{{_SOAP}}}Header/{{{self._space}}}RequestHeader")
        for element in filter(lambda each: each is not None, (header, payload)):
            self._check(element, operation.name)
        facts = {} if header is None else self._codec.read_fields(header, "SoapRequestHeader")
        return Request(
            operation,
            self._codec.read_parameters(payload, operation.parameters),
            facts.get("networkCode"),
            facts.get("applicationName"),
        )

    def _check(self, element: Any, operation: str) -> None:
        with self._checking:
            try:
                self._schema.assertValid(element)
            except etree.DocumentInvalid as error:
                raise MalformedRequestError(str(error).rpartition(", line ")[0] or str(error), operation) from None

    def reply(self, operation: Operation, value: object, request_id: str, milliseconds: int) -> bytes:
        """The envelope of a successful call."""
        envelope, body = self._envelope(request_id, milliseconds)
        response = etree.SubElement(body, f"{{{self._space}}}{operation.name}Response")
        self._codec.write(response, operation.result, value)
        return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")

    def fault(self, fault: ApiFaultError, request_id: str, milliseconds: int) -> bytes:
        """The envelope of a refused call: soap:Server with an ApiExceptionFault that holds the typed errors."""
        envelope, body = self._envelope(request_id, milliseconds)
        element = self._fault(body, "soap:Server", str(fault))
        detail = etree.SubElement(etree.SubElement(element, "detail"), f"{{{self._space}}}ApiExceptionFault")
        exception: Native = {"message": str(fault), "errors": [self._native(error) for error in fault.errors]}
        self._codec.write_fields(detail, "ApiException", exception)
        return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")

    def malformed(self, error: MalformedRequestError) -> bytes:
        """The envelope for a request that breaks the schema."""
        envelope, body = self._envelope(None, 0)
        self._fault(body, "soap:Client", str(error))
        return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")

    def _native(self, error: ApiError) -> Native:
        if error.type not in self.service.type_names:
            raise LookupError(f"{self.service.name} knows no {error.type}; the rule that raised {error} is wrong")
        native: Native = {
            "@type": error.type,
            "fieldPath": error.path,
            "fieldPathElements": error.path_elements(),
            "errorString": error.error_string,
        }
        if error.trigger is not None:
            native["trigger"] = error.trigger
        if error.reason is not None:
            reasons = self._contract.fields(error.type)["reason"].type
            if error.reason not in self._contract.enums[reasons]:
                raise LookupError(f"{error.type} has no reason {error.reason}")
            native["reason"] = error.reason
        return native

    def _envelope(self, request_id: str | None, milliseconds: int) -> tuple[etree._Element, etree._Element]:
        envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"soap": _SOAP, "xsi": _XSI, "ns": self._space})
        if request_id is not None:
            header = etree.SubElement(
                etree.SubElement(envelope, f"{{{_SOAP}}}Header"), f"{{{self._space}}}ResponseHeader"
            )
            self._codec.write_fields(
                header, "SoapResponseHeader", {"requestId": request_id, "responseTime": milliseconds}
            )
        return envelope, etree.SubElement(envelope, f"{{{_SOAP}}}Body")

    def _fault(self, body: etree._Element, code: str, text: str) -> etree._Element:
        element = etree.SubElement(body, f"{{{_SOAP}}}Fault")
        etree.SubElement(element, "faultcode").text = code
        # Control characters of a hostile value cannot stand in XML; the request itself could not carry them either.
        etree.SubElement(element, "faultstring").text = text
        return element
