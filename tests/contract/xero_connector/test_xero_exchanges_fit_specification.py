"""Every request and reply of a month's close, validated against Xero's own OpenAPI file where ORDERHUB_SPECS points.

Each exchange is checked against the component schema of its body and the parameters of its operation. The file itself does
not pass document validation (a string default on a boolean), and validators that resolve its circular schemas lazily accept
anything; so every check here has a planted fault that it must find.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from connectors.base import Operation
from connectors.xero import XeroConnector
from sandbox.xero.contract import TABLES

from .conftest import Exchange, Organisation, credit, invoice

SPECS = Path(os.environ.get("ORDERHUB_SPECS", Path(__file__).parents[4] / "shared" / "specs"))
FILE = SPECS / "xero" / "xero_accounting.yaml"
WEBHOOKS = SPECS / "xero" / "xero-webhooks.yaml"

pytestmark = [
    pytest.mark.specs,
    pytest.mark.skipif(not FILE.is_file(), reason="absent: Xero's OpenAPI file under ORDERHUB_SPECS"),
]
Connect = Callable[..., XeroConnector]
_FORMATS = jsonschema.FormatChecker(formats=["uuid"])


class Specification:
    """The vendor's file: schemas of bodies, strict ones for requests, and the parameters of operations."""

    def __init__(self, file: Path) -> None:
        loaded = yaml.load(file.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.paths: dict[str, Any] = loaded["paths"]
        self.components: dict[str, Any] = loaded["components"]
        strict = copy.deepcopy(self.components)
        for schema in strict["schemas"].values():
            if "properties" in schema:
                schema["additionalProperties"] = False
        self._lenient = {"components": self.components}
        self._strict = {"components": strict}

    def operation(self, exchange: Exchange) -> dict[str, Any]:
        for template, methods in self.paths.items():
            pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
            if re.fullmatch(pattern, exchange.path) and exchange.method.lower() in methods:
                common = methods.get("parameters", [])
                found: dict[str, Any] = methods[exchange.method.lower()]
                return {**found, "parameters": [*common, *found.get("parameters", [])]}
        raise AssertionError(f"the specification has no {exchange.method} {exchange.path}")

    def faults(self, exchange: Exchange) -> list[str]:
        """All that does not fit, request first."""
        operation = self.operation(exchange)
        said = [*self._parameter_faults(exchange, operation)]
        if exchange.method != "GET":
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            said += self.body_faults(exchange.request, schema, strict=True)
        reply = operation["responses"][str(exchange.status)]
        if "$ref" in reply:
            reply = self.components["responses"][reply["$ref"].rpartition("/")[2]]
        return said + self.body_faults(exchange.reply, reply["content"]["application/json"]["schema"], strict=False)

    def body_faults(self, body: Any, schema: dict[str, Any], *, strict: bool) -> list[str]:
        root = self._strict if strict else self._lenient
        validator = jsonschema.Draft202012Validator({**schema, **root}, format_checker=_FORMATS)
        return [f"{error.json_path}: {error.message[:120]}" for error in validator.iter_errors(body)]

    def _parameter_faults(self, exchange: Exchange, operation: dict[str, Any]) -> Iterator[str]:
        declared = {}
        for parameter in operation["parameters"]:
            if "$ref" in parameter:
                parameter = self.components["parameters"][parameter["$ref"].rpartition("/")[2]]
            declared[parameter["in"], parameter["name"].lower()] = parameter
        for name, value in exchange.query.items():
            parameter = declared.get(("query", name.lower()))
            if parameter is None:
                yield f"query: {name} is not a parameter"
            elif parameter["schema"]["type"] == "integer" and not value.isdecimal():
                yield f"query: {name} is no integer"
            elif parameter["schema"]["type"] == "boolean" and value not in ("true", "false"):
                yield f"query: {name} is no boolean"
        for (place, name), parameter in declared.items():
            if place == "header" and parameter.get("required") and name not in exchange.headers:
                yield f"header: {name} is missing"
        for name in ("idempotency-key", "if-modified-since"):
            if name in exchange.headers and ("header", name) not in declared:
                yield f"header: {name} is not a parameter"


@pytest.fixture(scope="module")
def specification() -> Specification:
    return Specification(FILE)


@pytest.fixture
def exchanges(organisation: Organisation, connect: Connect) -> list[Exchange]:
    """A month's close: documents good and bad, payments, credits, reads, look-ups and a check."""
    connector = connect()
    connector.check()
    party = {
        "code": "ADV-2",
        "name": "Two",
        "street": "Main Street 1",
        "city": "Ghent",
        "postal_code": "9000",
        "country": "BE",
    }
    documents = [invoice("INV-1", "100.00", "0.10"), invoice("INV-2", currency="SEK"), invoice("INV-3", party=party)]
    connector.push("Invoice", Operation.CREATE, documents)
    organisation.control("pay", invoice="INV-3", amount="250.00")
    connector.push("CreditMemo", Operation.CREATE, [credit("CM-1", "INV-1", "100.10"), credit("CM-2", "INV-3", "0.01")])
    found = [record.native_id for page in connector.billing(None) for record in page.records]
    for stream in ("Party", "Payment"):
        for _ in connector.read(stream, [], None):
            pass
    next(connector.read("Invoice", [], next(connector.read("Invoice", [], None)).cursor))
    connector.observe("Invoice", found)
    connector.find("CreditMemo", [credit("CM-1", "INV-1", "100.10")])
    for record in ("Party", "Invoice", "CreditMemo"):
        for _ in connector.census(record):
            pass
    return organisation.recorder.exchanges


def test_every_request_and_reply_of_a_close_fits(specification: Specification, exchanges: list[Exchange]) -> None:
    assert {(e.method, e.path.split("/")[1]) for e in exchanges} >= {
        ("PUT", "Contacts"),
        ("PUT", "Invoices"),
        ("POST", "Invoices"),
        ("PUT", "CreditNotes"),
        ("POST", "CreditNotes"),
        ("GET", "Payments"),
        ("GET", "Organisation"),
        ("GET", "Accounts"),
    }
    assert any(e.path.endswith("/Allocations") for e in exchanges)
    assert any(e.headers.get("if-modified-since") for e in exchanges)
    wrong = {f"{e.method} {e.path}": faults for e in exchanges if (faults := specification.faults(e))}
    assert wrong == {}


@pytest.mark.parametrize(
    "plant",
    [
        lambda e: e.request["Invoices"][0].update(Type="SALE"),
        lambda e: e.request["Invoices"][0]["LineItems"][0].update(Quantity="two"),
        lambda e: e.request["Invoices"][0]["Contact"].update(ContactID="ADV-1"),
        lambda e: e.request["Invoices"][0].update(Colour="red"),
        lambda e: e.request["Invoices"][0].update(CurrencyCode="XXQ"),
        lambda e: e.request["Invoices"][0].update(InvoiceNumber="x" * 256),
        lambda e: e.request.update(Invoices={"Type": "ACCREC"}),
        lambda e: e.reply["Invoices"][0].update(Total="100.10"),
        lambda e: e.reply["Invoices"][0].update(Status="POSTED"),
        lambda e: e.reply["Invoices"][0]["LineItems"][0].update(LineItemID=7),
        lambda e: e.query.update(unitdp="four"),
        lambda e: e.query.update(pretty="true"),
        lambda e: e.headers.pop("xero-tenant-id"),
    ],
)
def test_a_planted_fault_is_found(
    specification: Specification, exchanges: list[Exchange], plant: Callable[[Exchange], object]
) -> None:
    bad = copy.deepcopy(next(e for e in exchanges if (e.method, e.path) == ("PUT", "/Invoices")))
    assert specification.faults(bad) == []
    plant(bad)
    assert specification.faults(bad) != []


def test_a_body_that_is_no_object_at_all_is_found(specification: Specification) -> None:
    assert specification.body_faults([1, 2], {"$ref": "#/components/schemas/Invoices"}, strict=True)


def test_a_request_refused_as_a_whole_fits_the_error_schema(
    specification: Specification, organisation: Organisation, connect: Connect
) -> None:
    connect().push("Invoice", Operation.CREATE, [invoice("INV-1")])
    drafted = next(e for e in organisation.recorder.exchanges if (e.method, e.path) == ("PUT", "/Invoices"))
    headers = {n: drafted.headers[n] for n in ("authorization", "xero-tenant-id")}
    organisation.http.put(f"{organisation.url}/api.xro/2.0/Invoices", json=drafted.request, headers=headers, timeout=60)
    refused = organisation.recorder.exchanges[-1]
    assert (refused.status, refused.reply["ErrorNumber"]) == (400, 10)
    assert specification.faults(refused) == []
    refused.reply["Elements"] = "none"
    assert specification.faults(refused) != []


@pytest.mark.parametrize(("table", "schema"), [("ContactReference", "Contact"), ("InvoiceReference", "Invoice")])
def test_references_of_the_sandbox_name_fields_of_the_specification(
    specification: Specification, table: str, schema: str
) -> None:
    assert set(TABLES[table]) <= set(specification.components["schemas"][schema]["properties"])


@pytest.mark.parametrize(
    ("table", "schema"),
    [
        ("Invoices", "Invoice"),
        ("CreditNotes", "CreditNote"),
        ("LineItem", "LineItem"),
        ("Contacts", "Contact"),
        ("Address", "Address"),
        ("Allocations", "Allocation"),
    ],
)
def test_the_contract_table_of_the_sandbox_says_nothing_that_the_specification_denies(
    specification: Specification, table: str, schema: str
) -> None:
    kinds = {"text": "string", "day": "string", "uuid": "string", "enum": "string", "number": "number"}
    properties = specification.components["schemas"][schema]["properties"]
    for name, rule in TABLES[table].items():
        fact = properties[name]
        assert not fact.get("readOnly"), name
        if rule.kind in kinds:
            assert fact["type"] == kinds[rule.kind], name
        if "maxLength" in fact:
            assert rule.longest == fact["maxLength"], name
        if rule.kind == "uuid":
            assert fact["format"] == "uuid"
        values = fact.get("enum") or specification.components["schemas"].get(
            fact.get("$ref", "").rpartition("/")[2], {}
        ).get("enum")
        if rule.kind == "enum":
            assert set(rule.values) <= set(values or ()), name


def test_webhooks_fit_their_own_file(organisation: Organisation, connect: Connect) -> None:
    loaded = yaml.safe_load(WEBHOOKS.read_text("utf-8"))
    connect().push("Invoice", Operation.CREATE, [invoice("INV-1"), credit("CM-1", "INV-1", "1.00")])
    body = json.loads(organisation.control("webhook", key="k")["body"])
    schema = {"$ref": "#/components/schemas/WebhookEvent", "components": loaded["components"]}
    validator = jsonschema.Draft202012Validator(schema, format_checker=_FORMATS)
    assert list(validator.iter_errors(body)) == []
    body["events"][0]["eventType"] = "DELETE"
    assert list(validator.iter_errors(body)) != []
