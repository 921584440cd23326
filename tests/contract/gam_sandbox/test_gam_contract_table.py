"""The sandbox's contract table against the vendor's WSDL files, read where ORDERHUB_SPECS points."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
import zeep

from sandbox.gam.contract import (
    ComplexType,
    Contract,
    Field,
    deviations,
    known_versions,
    left_out,
    load_contract,
    read_vendor,
    render_wsdl,
)
from sandbox.gam.contract.extract import KEPT, select
from sandbox.gam.contract.table import store_contract

REPOSITORY = Path(__file__).parents[3]
SPECS = Path(os.environ.get("ORDERHUB_SPECS", REPOSITORY / "../shared/specs"))
VERSION = "v202608"


@pytest.fixture(scope="module")
def vendor() -> Contract:
    folder = SPECS / "gam" / f"{VERSION}-derived"
    if not folder.is_dir():
        pytest.skip(f"absent: GAM {VERSION} WSDLs under ORDERHUB_SPECS")
    return read_vendor(folder, VERSION, KEPT)


@pytest.fixture(scope="module")
def ours() -> Contract:
    return load_contract(VERSION)


@pytest.mark.specs
def test_every_fact_of_the_table_is_the_vendors(
    ours: Contract, vendor: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [str(deviation) for deviation in deviations(ours, vendor)] == []
    missing = left_out(ours, vendor)
    with capsys.disabled():
        print(f"\nrun: GAM {VERSION} contract table equals the vendor's WSDLs; left out on purpose:")
        for service, names in missing.items():
            print(f"  {service}: {', '.join(names) or 'nothing'}")


@pytest.mark.specs
def test_the_services_an_order_is_booked_with_are_whole(ours: Contract, vendor: Contract) -> None:
    missing = left_out(ours, vendor)
    assert missing["OrderService"] == missing["LineItemService"] == []


@pytest.mark.specs
def test_every_error_type_of_the_vendor_is_kept(ours: Contract, vendor: Contract) -> None:
    for service, theirs in vendor.services.items():
        errors = {name for name in theirs.type_names if vendor.is_a(name, "ApiError")}
        assert errors <= set(ours.services[service].type_names), service


@pytest.mark.specs
def test_the_table_is_what_the_extractor_makes(vendor: Contract, tmp_path: Path) -> None:
    store_contract(select(vendor), tmp_path)
    for part in ("types", "enums", "services"):
        kept = REPOSITORY / "sandbox/gam/contract" / VERSION / f"{part}.json"
        assert (tmp_path / f"{part}.json").read_text() == kept.read_text()


def swap_fields(facts: ComplexType) -> ComplexType:
    first, second, *rest = facts.fields
    return replace(facts, fields=(second, first, *rest))


@pytest.mark.specs
@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("Order", swap_fields),
        ("Order", lambda facts: replace(facts, fields=(*facts.fields, Field("budget", "Money")))),
        ("Order", lambda facts: replace(facts, fields=(Field("id", "int"), *facts.fields[1:]))),
        ("Money", lambda facts: replace(facts, fields=(Field("currencyCode", "string", 1, 1), *facts.fields[1:]))),
        ("LineItem", lambda facts: replace(facts, base=None)),
        ("ApiError", lambda facts: replace(facts, abstract=False)),
    ],
)
def test_a_planted_wrong_type_is_found(ours: Contract, vendor: Contract, name: str, planted: object) -> None:
    assert callable(planted)
    wrong = replace(ours, types={**ours.types, name: planted(ours.types[name])})
    assert [deviation.what for deviation in deviations(wrong, vendor)] == [f"type {name}"]


@pytest.mark.specs
def test_a_planted_enum_value_type_and_operation_are_found(ours: Contract, vendor: Contract) -> None:
    wrong = replace(
        ours,
        types={**ours.types, "OrderBudget": ComplexType("OrderBudget")},
        enums={**ours.enums, "OrderStatus": (*ours.enums["OrderStatus"], "BOOKED")},
    )
    assert {deviation.what for deviation in deviations(wrong, vendor)} == {"type OrderBudget", "enum OrderStatus"}
    orders = ours.services["OrderService"]
    extra = replace(orders.operations["createOrders"], name="deleteOrders")
    wrong = replace(
        ours,
        services={
            **ours.services,
            "OrderService": replace(orders, operations={**orders.operations, extra.name: extra}),
        },
    )
    assert any("deleteOrders" in deviation.what for deviation in deviations(wrong, vendor))


@pytest.mark.parametrize("version", known_versions())
@pytest.mark.parametrize("service", KEPT)
def test_a_generated_wsdl_loads_with_its_operations(version: str, service: str) -> None:
    contract = load_contract(version)
    client = zeep.Client(io.BytesIO(render_wsdl(contract, service, "http://127.0.0.1:9/here")))
    (port,) = client.wsdl.services[service].ports.values()
    assert set(port.binding._operations) == set(contract.services[service].operations)
    assert port.binding_options["address"] == "http://127.0.0.1:9/here"


def test_the_notation_reads_back_what_it_writes(ours: Contract) -> None:
    for name, facts in ours.types.items():
        assert ComplexType.parse(name, str(facts)) == facts


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match="v199901"):
        load_contract("v199901")
