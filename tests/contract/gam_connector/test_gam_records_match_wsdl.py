"""The connector's facts against the vendor's own WSDLs under ORDERHUB_SPECS."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.gam import GamConnector
from connectors.gam import records as gam_records
from connectors.gam.faults import Fate, actions, verdict
from connectors.gam.objects import PLACES

REPOSITORY = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("ORDERHUB_SPECS", REPOSITORY / "../shared/specs")) / "gam" / "v202608-derived"
XSD = "{http://www.w3.org/2001/XMLSchema}"

pytestmark = [
    pytest.mark.specs,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="absent: GAM v202608 WSDLs under ORDERHUB_SPECS"),
]

_SCALARS = {"string": "string", "int": "integer", "long": "integer", "double": "decimal", "boolean": "boolean"}
_FACTS = json.loads((Path(gam_records.__file__).parent / "facts" / "records.json").read_text("utf-8"))
_READ_ONLY = re.compile(
    r"read-?\s?only|assigned by Google|populated by Google|last modified|null} for line items created", re.I
)


class Wsdl:
    """Types and enums of one service's WSDL."""

    def __init__(self, service: str) -> None:
        tree = etree.parse(FOLDER / f"{service}.wsdl")
        self.enums = {
            node.get("name"): [value.get("value") for value in node.iter(f"{XSD}enumeration")]
            for node in tree.iter(f"{XSD}simpleType")
            if node.get("name")
        }
        self.types: dict[str, Any] = {n.get("name"): n for n in tree.iter(f"{XSD}complexType") if n.get("name")}

    def fields(self, name: str) -> dict[str, tuple[str, bool, str]]:
        """Type, whether it repeats, and documentation of each field; the base's first."""
        node = self.types[name]
        base = next((e.get("base").split(":")[-1] for e in node.iter(f"{XSD}extension")), None)
        found = self.fields(base) if base else {}
        for element in node.iter(f"{XSD}element"):
            words = " ".join(" ".join("".join(d.itertext()) for d in element.iter(f"{XSD}documentation")).split())
            kind = element.get("type").split(":")[-1]
            found[element.get("name")] = (kind, element.get("maxOccurs") == "unbounded", words)
        return found

    def extending(self, base: str) -> set[str]:
        return {
            name
            for name, node in self.types.items()
            if any(e.get("base") == f"tns:{base}" for e in node.iter(f"{XSD}extension"))
        }


@cache
def wsdl(service: str) -> Wsdl:
    return Wsdl(service)


def vendor_facts(record: str) -> Mapping[str, tuple[str, bool, str]]:
    """Every path of our table that the WSDL has, with the WSDL's own type, repetition and words."""
    contract = wsdl(PLACES[record].service)
    found: dict[str, tuple[str, bool, str]] = {}
    for path in _FACTS[record]:
        at = record
        for step in path.split("."):
            fields = contract.fields(at)
            if step not in fields:
                break
            found_here = fields[step]
            at = found_here[0]
        else:
            found[path] = found_here
    return found


RECORDS = ("Company", "Order", "LineItem", "LineItemCreativeAssociation")


@pytest.mark.parametrize("record", RECORDS)
def test_every_field_of_the_vendor_is_in_the_table_and_no_other(record: str) -> None:
    contract = wsdl(PLACES[record].service)
    assert set(vendor_facts(record)) == set(_FACTS[record])
    assert set(contract.fields(record)) == {path for path in _FACTS[record] if "." not in path}


@pytest.mark.parametrize("record", RECORDS)
def test_types_and_enum_values_are_those_of_the_vendor(record: str) -> None:
    contract = wsdl(PLACES[record].service)
    for path, (kind, repeats, _) in vendor_facts(record).items():
        fact = _FACTS[record][path]
        if kind in contract.enums:
            assert fact["values"].split() == contract.enums[kind], path
        else:
            assert "values" not in fact, path
        if repeats:
            expected = {"list"}
        elif kind in contract.enums:
            expected = {"enum"}
        elif kind == "DateTime":
            expected = {"datetime"}
        elif kind == "Date":
            expected = {"date"}
        elif kind == "long":
            expected = {"integer", "id"}
        else:
            expected = {_SCALARS.get(kind, "object")}
        assert fact["type"] in expected, path


@pytest.mark.parametrize("record", RECORDS)
def test_lengths_are_those_of_the_vendors_words(record: str) -> None:
    for path, (_, _, words) in vendor_facts(record).items():
        named = re.search(r"maximum length of ([\d,]+)", words)
        expected = int(named.group(1).replace(",", "")) if named else None
        assert _FACTS[record][path].get("length") == expected, path


@pytest.mark.parametrize("record", ["Company", "Order", "LineItem"])
def test_read_only_fields_are_those_the_vendor_calls_so(record: str) -> None:
    for path, (_, _, words) in vendor_facts(record).items():
        if "." in path or path in ("id", "dealInfo", "isMissingCreatives"):
            continue  # computed, though the vendor's words do not call them so
        says_so = bool(_READ_ONLY.search(words.split("currency code is read")[0]))
        assert (_FACTS[record][path].get("write") == "never") == says_so, f"{path}: {words}"


@pytest.mark.parametrize("record", ["Company", "Order", "LineItem"])
def test_required_fields_are_called_required(record: str) -> None:
    for path, (_, _, words) in vendor_facts(record).items():
        if _FACTS[record][path].get("required") and path.count(".") == 0 and path != "primaryGoal":
            assert "required" in words, path


@pytest.mark.parametrize("record", ["Order", "LineItem"])
def test_actions_and_their_arguments_are_the_vendors(record: str) -> None:
    contract = wsdl(PLACES[record].service)
    base = f"{record}Action"
    known: set[str] = set()
    layer = {base}
    while layer:
        layer = set().union(*(contract.extending(name) for name in layer))
        known |= layer
    assert set(actions(record)) == known
    for name, facts in actions(record).items():
        assert set(facts.get("takes", ())) == set(contract.fields(name)), name
        statuses = {*facts.get("status", ()), *facts.get("lines", ()), *facts.get("lines_left", ())}
        enums = wsdl("LineItemService").enums["ComputedStatus"] + wsdl("OrderService").enums["OrderStatus"]
        assert statuses <= set(enums), name


SERVICES = sorted({place.service for place in PLACES.values()} | {"ForecastService", "ReportService", "NetworkService"})


@pytest.mark.parametrize("service", SERVICES)
def test_every_error_type_of_the_services_we_call_is_judged(service: str) -> None:
    contract = wsdl(service)
    read_only_service = service not in ("CompanyService", "OrderService", "LineItemService")
    for kind in contract.extending("ApiError"):
        reasons = contract.enums.get(f"{kind}.Reason", ["ANY"])
        judged = [verdict(f"{kind}.{reason}").fate for reason in reasons if reason != "UNKNOWN"]
        if read_only_service and Fate.UNKNOWN in judged:
            continue  # an unknown error of a read is tried again, which needs no row
        assert Fate.UNKNOWN not in judged or kind in ("ForecastError",), kind


def test_success_is_the_only_forecast_reason_without_a_row() -> None:
    reasons = wsdl("OrderService").enums["ForecastError.Reason"]
    unjudged = [r for r in reasons if verdict(f"ForecastError.{r}").fate is Fate.UNKNOWN]
    assert unjudged == ["SUCCESS", "UNKNOWN"]


def test_every_error_of_the_table_exists_at_the_vendor() -> None:
    from connectors.gam.faults import _table

    reasons: dict[str, set[str]] = {}
    for file in FOLDER.glob("*.wsdl"):
        contract = wsdl(file.stem)
        for kind in contract.extending("ApiError"):
            reasons.setdefault(kind, set()).update(contract.enums.get(f"{kind}.Reason", ()))
    for code, _ in _table():
        kind, _, reason = code.partition(".")
        assert kind in reasons, code
        assert reason in ("", "*") or reason in reasons[kind], code


def test_record_types_are_declared() -> None:
    assert set(GamConnector.record_schemas()) == set(RECORDS)
