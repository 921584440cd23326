"""Replies read by tables of their types say what zeep reads in them; what does not fit the WSDL is unreadable, not guessed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from zeep.xsd import ComplexType

from connectors.gam.replies import Replies, ReplyUnreadable
from sandbox.gam.contract import Contract, load_contract, namespace

from .conftest import VERSION, envelope_of, plain, server_side

SPACE = namespace(VERSION)
XSI = "http://www.w3.org/2001/XMLSchema-instance"
CONTRACT: Contract = load_contract(VERSION)
OPERATIONS = [
    ("LineItemService", "getLineItemsByStatement"),
    ("LineItemService", "createLineItems"),
    ("OrderService", "performOrderAction"),
    ("PublisherQueryLanguageService", "select"),
    ("ReportService", "getReportJobStatus"),
    ("ForecastService", "getAvailabilityForecast"),
]
TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=8)
DEEPEST = 6


@dataclass(frozen=True)
class Reply:
    """As much of an HTTP response as zeep looks at."""

    content: bytes
    status_code: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def read_by_tables(service: str, operation: str, content: bytes) -> Replies:
    """What has read this reply and holds its return value."""
    client, binding = server_side(service)
    replies = Replies(client.wsdl.types)
    client.plugins.append(replies)
    try:
        binding.process_reply(client, binding.get(operation), Reply(content))
    finally:
        client.plugins.remove(replies)
    return replies


def read_by_zeep(service: str, operation: str, content: bytes) -> Any:
    """The return value as zeep reads it, in plain dictionaries."""
    client, binding = server_side(service)
    answer = binding.process_reply(client, binding.get(operation), Reply(content))
    return plain(answer["body"]["rval"], _return_value(service, operation).type.qname.localname)


def _return_value(service: str, operation: str) -> Any:
    _, binding = server_side(service)
    return dict(binding.get(operation).output.body.type.elements)["rval"]


@cache
def _subtypes(service: str, name: str) -> list[Any]:
    """The types of a service below this one that can be on the wire."""
    client, _ = server_side(service)
    known = {kind.qname.localname: kind for kind in client.wsdl.types.types if kind.qname is not None}
    found = []
    for each in CONTRACT.types.values():
        if each.base == name and each.name in known:
            found += [] if each.abstract else [known[each.name]]
            found += _subtypes(service, each.name)
    return found


def _text(draw: st.DrawFn, kind: Any) -> str:
    match kind.qname.localname:
        case "boolean":
            return draw(st.sampled_from(["true", "false", "1", "0", " true "]))
        case "int" | "long":
            return str(draw(st.integers(-(2**31), 2**63 - 1)))
        case "double" | "float":
            return repr(draw(st.floats(allow_nan=False)))
        case "base64Binary":
            return draw(st.sampled_from(["", "aGFsbG8="]))
        case _:
            return draw(TEXTS)


def _fill(draw: st.DrawFn, service: str, element: etree._Element, kind: Any, depth: int) -> None:
    """Write something that the type allows, or one of its subtypes, each time with its name in another spelling."""
    if not isinstance(kind, ComplexType):
        element.text = _text(draw, kind)
        return
    declared = CONTRACT.types.get(kind.qname.localname)
    others = _subtypes(service, kind.qname.localname)
    if others and ((declared is not None and declared.abstract) or draw(st.booleans())):
        kind = draw(st.sampled_from(others))
        prefix = next((each for each, space in element.nsmap.items() if space == SPACE), None)
        element.set(f"{{{XSI}}}type", kind.qname.localname if prefix is None else f"{prefix}:{kind.qname.localname}")
    for _, inner in kind.elements if depth < DEEPEST else ():
        if draw(st.integers(0, 3)):
            continue
        for _ in range(draw(st.integers(1, 3)) if inner.accepts_multiple else 1):
            _fill(draw, service, etree.SubElement(element, inner.qname.text), inner.type, depth + 1)


@st.composite
def replies_of(draw: st.DrawFn, service: str, operation: str) -> bytes:
    value = _return_value(service, operation)
    prefix = draw(st.sampled_from([None, "ns"]))
    whole, body = envelope_of()
    reply = etree.SubElement(body, f"{{{SPACE}}}{operation}Response", nsmap={prefix: SPACE, "xsi": XSI})
    for _ in range(draw(st.integers(0, 3 if value.accepts_multiple else 1))):
        _fill(draw, service, etree.SubElement(reply, value.qname.text), value.type, 0)
    return bytes(etree.tostring(whole))


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_reply_says_what_zeep_reads_in_it(service: str, operation: str, data: st.DataObject) -> None:
    content = data.draw(replies_of(service, operation))
    assert read_by_tables(service, operation, content).take() == read_by_zeep(service, operation, content)


def _page(line: str) -> bytes:
    whole, body = envelope_of()
    reply = etree.fromstring(
        f'<getLineItemsByStatementResponse xmlns="{SPACE}" xmlns:xsi="{XSI}"><rval><totalResultSetSize>1</totalResultSetSize>'
        f"<results>{line}</results></rval></getLineItemsByStatementResponse>"
    )
    body.append(reply)
    return bytes(etree.tostring(whole))


def _read(line: str) -> Any:
    return read_by_tables("LineItemService", "getLineItemsByStatement", _page(line)).take()


@pytest.mark.parametrize(
    "line",
    [
        "<id>seven</id>",
        "<id><deeper/></id>",
        "<id>7</id><id>8</id>",
        "<noFieldOfALine>1</noFieldOfALine>",
        "<primaryGoal><units>many</units></primaryGoal>",
    ],
)
def test_what_does_not_fit_the_wsdl_makes_the_reply_unreadable(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own words for a text that is no number
        _read(line)


def test_a_field_nobody_knows_is_named() -> None:
    with pytest.raises(ReplyUnreadable, match=r"LineItem has no field .*noFieldOfALine"):
        _read("<noFieldOfALine>1</noFieldOfALine>")


def test_order_and_namespaces_of_fields_do_not_matter() -> None:
    expected = {"totalResultSetSize": 1, "results": [{"id": 7, "name": "Spring"}]}
    assert _read("<name>Spring</name><id>7</id>") == expected
    assert _read('<id xmlns="">7</id><name xmlns="">Spring</name>') == expected


def test_one_reply_is_taken_once() -> None:
    replies = read_by_tables("LineItemService", "getLineItemsByStatement", _page("<id>7</id>"))
    assert replies.take() is not None
    assert replies.take() is None
