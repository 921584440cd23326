"""The wire: the schema is enforced, the login is needed, and our codec reads and writes what zeep does."""

from __future__ import annotations

import io
import time
from typing import Any

import jwt
import pytest
import requests
import zeep
from lxml import etree

from sandbox.gam.contract import load_contract, namespace, render_wsdl
from sandbox.gam.soap import ApiError, ApiFaultError, Codec, Door, MalformedRequestError

VERSION = "v202608"
SPACE = namespace(VERSION)
TOKEN = {"Authorization": "Bearer sandbox-token"}


def envelope(body: str, header: str = "<networkCode>123456</networkCode><applicationName>t</applicationName>") -> str:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>'
        f'<RequestHeader xmlns="{SPACE}">{header}</RequestHeader></s:Header><s:Body>{body}</s:Body></s:Envelope>'
    )


def post(gam: Any, service: str, message: str, headers: dict[str, str] | None = None) -> requests.Response:
    url = f"{gam.url}/apis/ads/publisher/{VERSION}/{service}"
    return requests.post(url, data=message.encode(), headers=TOKEN if headers is None else headers, timeout=60)


def orders(*fields: str) -> str:
    return (
        f'<createOrders xmlns="{SPACE}">' + "".join(f"<orders>{each}</orders>" for each in fields) + "</createOrders>"
    )


@pytest.mark.parametrize(
    "body",
    [
        orders("<name>A</name><externalOrderId>abc</externalOrderId>"),
        orders("<advertiserId>1</advertiserId><name>A</name>"),
        orders("<status>BOOKED</status>"),
        orders("<budget>5</budget>"),
        orders("<name>A</name><name>B</name>"),
        orders("<externalOrderId>2147483648</externalOrderId>"),
        f'<createOrders xmlns="{SPACE}"><order/></createOrders>',
        f'<burnOrders xmlns="{SPACE}"/>',
        '<createOrders xmlns="https://elsewhere.example"/>',
        "",
    ],
    ids=["type", "order", "enum", "unknown", "twice", "range", "wrapper", "operation", "namespace", "empty"],
)
def test_a_breach_of_the_schema_is_an_unmarshalling_error(gam: Any, body: str) -> None:
    reply = post(gam, "OrderService", envelope(body))
    fault = etree.fromstring(reply.content).find(".//{http://schemas.xmlsoap.org/soap/envelope/}Fault")
    assert reply.status_code == 500
    assert fault is not None
    assert fault.findtext("faultcode") == "soap:Client"
    assert (fault.findtext("faultstring") or "").startswith("Unmarshalling Error: ")
    assert fault.find("detail") is None
    assert gam.get("state?type=Order") == []


def test_an_abstract_type_is_refused(gam: Any) -> None:
    body = f'<performOrderAction xmlns="{SPACE}"><orderAction/><filterStatement/></performOrderAction>'
    assert b"Unmarshalling Error" in post(gam, "OrderService", envelope(body)).content


def test_what_is_no_xml_and_what_hides_entities_is_refused(gam: Any) -> None:
    assert b"Unmarshalling Error" in post(gam, "OrderService", "not xml").content
    bomb = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + envelope(orders("<name>&e;</name>"))
    reply = post(gam, "OrderService", bomb)
    assert reply.status_code == 500
    assert b"root:" not in reply.content


def test_a_malformed_request_is_counted_as_the_call_it_meant(gam: Any) -> None:
    gam.post("calls/reset")
    post(gam, "OrderService", envelope(orders("<budget>5</budget>")))
    assert gam.get("calls")["operations"]["createOrders"] == {"calls": 1, "records": 0, "kind": "create"}


@pytest.mark.parametrize(
    ("headers", "header", "reason"),
    [
        ({}, "<networkCode>123456</networkCode>", "MISSING_AUTHENTICATION_HTTP_HEADER"),
        ({"Authorization": "Bearer stranger"}, "<networkCode>123456</networkCode>", "AUTHENTICATION_FAILED"),
        (TOKEN, "<networkCode>777</networkCode>", "NETWORK_NOT_FOUND"),
    ],
)
def test_a_stranger_is_not_let_in(gam: Any, headers: dict[str, str], header: str, reason: str) -> None:
    body = f'<getOrdersByStatement xmlns="{SPACE}"><filterStatement/></getOrdersByStatement>'
    reply = post(gam, "OrderService", envelope(body, header), headers)
    assert f"AuthenticationError.{reason}" in reply.text


def assertion(key: dict[str, str], **changes: Any) -> dict[str, str]:
    claims = {
        "iss": key["client_email"],
        "scope": "https://www.googleapis.com/auth/dfp",
        "aud": key["token_uri"],
        "iat": int(time.time()),
        "exp": int(time.time()) + 60,
        **changes,
    }
    token = jwt.encode(claims, key["private_key"], algorithm="RS256")
    return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": token}


def test_a_token_needs_a_valid_assertion_of_a_known_account(gam: Any) -> None:
    key = gam.post("service_account", token_uri=f"{gam.url}/token")
    other = gam.post("service_account", token_uri=f"{gam.url}/token")  # the first key is void now
    for form, error in (
        (assertion(other), None),
        (assertion(key), "invalid_grant"),
        (assertion(other, exp=int(time.time()) - 10, iat=int(time.time()) - 20), "invalid_grant"),
        (assertion(other, aud="https://elsewhere.example"), "invalid_grant"),
        (assertion(other, iss="nobody@sandbox.example"), "invalid_grant"),
        (assertion(other, sub="nobody@sandbox.example"), "invalid_grant"),
        (assertion(other, scope="https://www.googleapis.com/auth/drive"), "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ):
        reply = requests.post(f"{gam.url}/token", data=form, timeout=60)
        assert reply.json().get("error") == error
        assert (reply.status_code == 200) is (error is None)


# --- our codec and zeep

CONTRACT = load_contract(VERSION)


def zeep_client(service: str) -> zeep.Client:
    return zeep.Client(io.BytesIO(render_wsdl(CONTRACT, service, "http://127.0.0.1:9/")))


def plain(value: Any) -> Any:
    """A value of zeep as our codec shows it: absent fields gone, empty lists gone."""
    if isinstance(value, zeep.xsd.CompoundValue):
        return {name: plain(value[name]) for name in value if value[name] is not None and value[name] != []}
    return [plain(each) for each in value] if isinstance(value, list) else value


def untyped(value: Any) -> Any:
    """Our value without its `@type` marks and empty lists."""
    if isinstance(value, dict):
        return {name: untyped(each) for name, each in value.items() if name != "@type" and each != []}
    return [untyped(each) for each in value] if isinstance(value, list) else value


def sample_line(client: zeep.Client) -> dict[str, Any]:
    def made(name: str, **fields: Any) -> Any:
        return client.get_type(f"{{{SPACE}}}{name}")(**fields)

    leaf = made("CustomCriteria", keyId=1, valueIds=[2, 3], operator="IS")
    return {
        "orderId": 7,
        "name": "Ünïcode \u200b\U0001f600 & <tags>",
        "unlimitedEndDateTime": False,
        "discount": 12.5,
        "startDateTime": {"date": {"year": 2019, "month": 10, "day": 1}, "hour": 0, "timeZoneId": "UTC"},
        "costPerUnit": {"currencyCode": "USD", "microAmount": 2_500_000},
        "creativePlaceholders": [{"size": {"width": 300, "height": 250}}, {"size": {"width": 1, "height": 1}}],
        "customFieldValues": [
            made("CustomFieldValue", customFieldId=1, value=made("TextValue", value="x")),
            made("DropDownCustomFieldValue", customFieldId=2, customFieldOptionId=3),
        ],
        "targeting": {
            "geoTargeting": {"targetedLocations": [{"id": number} for number in range(9_010_000, 9_010_040)]},
            "customTargeting": made("CustomCriteriaSet", logicalOperator="AND", children=[leaf]),
        },
    }


def test_our_codec_reads_what_zeep_reads() -> None:
    client = zeep_client("LineItemService")
    message = client.create_message(
        client.service,
        "createLineItems",
        [sample_line(client), sample_line(client)],
        _soapheaders={"RequestHeader": {"networkCode": "1", "applicationName": "t"}},
    )
    ours = Door(CONTRACT, Codec(CONTRACT), "LineItemService").read(etree.tostring(message))
    binding = next(iter(client.wsdl.bindings.values()))
    body = message.find("{http://schemas.xmlsoap.org/soap/envelope/}Body")
    theirs = binding.get("createLineItems").input.body.parse(body[0], client.wsdl.types)
    assert untyped(ours.arguments) == plain(theirs)
    first = ours.arguments["lineItems"][0]
    assert first["customFieldValues"][1]["@type"] == "DropDownCustomFieldValue"
    assert first["targeting"]["customTargeting"]["children"][0]["@type"] == "CustomCriteria"
    assert (ours.network_code, ours.application) == ("1", "t")


def canonical(element: Any) -> bytes:
    """An element without its prefixes: names, texts and xsi types alone."""
    lines = []
    for each in element.iter():
        kind = each.get("{http://www.w3.org/2001/XMLSchema-instance}type")
        lines.append(f"{each.tag}|{(each.text or '').strip()}|{kind and kind.rpartition(':')[2]}")
    return "\n".join(lines).encode()


def test_our_codec_writes_what_zeep_writes() -> None:
    client = zeep_client("LineItemService")
    door = Door(CONTRACT, Codec(CONTRACT), "LineItemService")
    operation = door.service.operations["createLineItems"]
    message = client.create_message(client.service, "createLineItems", [sample_line(client)])
    value = door.read(etree.tostring(message)).arguments["lineItems"]
    reply = etree.fromstring(door.reply(operation, value, "r", 1))
    ours = reply.find(f".//{{{SPACE}}}createLineItemsResponse")
    typed = client.get_element(f"{{{SPACE}}}createLineItemsResponse")
    theirs = etree.Element("root")
    typed.render(theirs, typed(rval=[sample_line(client)]))
    assert ours is not None
    assert canonical(ours) == canonical(theirs[0])


def test_zeep_reads_our_reply_and_our_schema_accepts_it() -> None:
    client = zeep_client("OrderService")
    door = Door(CONTRACT, Codec(CONTRACT), "OrderService")
    orders_out = [{"id": 1, "name": "A", "isArchived": False, "totalBudget": {"currencyCode": "USD", "microAmount": 5}}]
    reply = etree.fromstring(door.reply(door.service.operations["createOrders"], orders_out, "r", 1))
    element = reply.find(f".//{{{SPACE}}}createOrdersResponse")
    assert element is not None
    door._schema.assertValid(element)
    parsed = client.get_element(f"{{{SPACE}}}createOrdersResponse").parse(element, client.wsdl.types)
    assert plain(parsed["rval"]) == orders_out


def test_a_fault_is_valid_and_complete() -> None:
    door = Door(CONTRACT, Codec(CONTRACT), "OrderService")
    errors = (
        ApiError("OrderActionError", "IS_ARCHIVED", "id", "5"),
        ApiError("UniqueError", None, "lineItem[3].name", "A"),
    )
    fault = etree.fromstring(door.fault(ApiFaultError(*errors), "r", 1))
    detail = fault.find(f".//{{{SPACE}}}ApiExceptionFault")
    assert detail is not None
    door._schema.assertValid(detail)
    text = "[OrderActionError.IS_ARCHIVED @ id; trigger:'5'], [UniqueError.NOT_UNIQUE @ lineItem[3].name; trigger:'A']"
    assert fault.findtext(".//faultstring") == detail.findtext(f"{{{SPACE}}}message") == text
    elements = detail.findall(f".//{{{SPACE}}}fieldPathElements")
    assert [[child.text for child in element] for element in elements] == [["id"], ["lineItem", "3"], ["name"]]


def test_an_error_that_the_vendor_does_not_know_is_never_sent() -> None:
    door = Door(CONTRACT, Codec(CONTRACT), "OrderService")
    for error in (ApiError("CompanyError", "INVALID_COMPANY_TYPE"), ApiError("OrderError", "NO_SUCH_REASON")):
        with pytest.raises(LookupError):
            door.fault(ApiFaultError(error), "r", 1)


def test_a_reply_passes_the_schema_for_every_read(gam: Any) -> None:
    gam.live_line()
    door = gam.server.app.vendor._door("LineItemService")
    body = f'<getLineItemsByStatement xmlns="{SPACE}"><filterStatement/></getLineItemsByStatement>'
    reply = etree.fromstring(post(gam, "LineItemService", envelope(body)).content)
    door._schema.assertValid(reply.find(f".//{{{SPACE}}}getLineItemsByStatementResponse"))


def test_a_request_of_another_service_is_refused() -> None:
    door = Door(CONTRACT, Codec(CONTRACT), "CompanyService")
    with pytest.raises(MalformedRequestError, match="unexpected element"):
        door.read(envelope(orders("<name>A</name>")).encode())


def test_fifty_lines_are_created_by_one_request_and_answered_in_their_order(gam: Any) -> None:
    order = gam.order()
    client = gam.service("LineItemService").zeep_client
    lines = [gam.line_fields(order["id"], f"L{number}") for number in range(50)]
    header = {"RequestHeader": {"networkCode": "123456", "applicationName": "t"}}
    message = etree.tostring(client.create_message(client.service, "createLineItems", lines, _soapheaders=header))
    reply = post(gam, "LineItemService", message.decode())
    assert reply.status_code == 200
    answered = etree.fromstring(reply.content).iterfind(f".//{{{SPACE}}}rval/{{{SPACE}}}name")
    assert [name.text for name in answered] == [f"Line L{number}" for number in range(50)]
