"""The exported contract: files that are what the models say, accept what the models write, and only ever grow."""

from __future__ import annotations

import copy
import hashlib
import importlib
import pkgutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

import oms_schema
from oms_schema import export
from oms_schema.base import Canonical
from oms_schema.change import Change, ChangeStatus
from oms_schema.compatibility import incompatibilities
from oms_schema.creative import CreativePlaceholder, UniversalAdId
from oms_schema.deal import Deal, DealId, DealType
from oms_schema.delivery import BillingPeriod, DeliveryFact, LinePeriod, Units
from oms_schema.document import Amounts, BillingDocument, DocumentKind, DocumentLine, Envelope, Signer
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Line, Price, ProductReference
from oms_schema.machine_tables import status_machines_page
from oms_schema.money import Money
from oms_schema.observation import LineObservation, OrderObservation
from oms_schema.order import Order, PurchaseOrder
from oms_schema.party import Address, Party, PartyInRole, PartyRole
from oms_schema.payment import Payment
from oms_schema.projection import LineProjection, OrderBilling, OrderProjection, percent_of_goal
from oms_schema.reference import Reference
from oms_schema.status import DeliveryStatus
from oms_schema.targeting import Criterion, Dimension, Targeting

ORDER, LINE, PARTY, DEAL, DOCUMENT = (
    canonical_id(kind, "sfdc", "1") for kind in ("order", "line", "party", "deal", "document")
)  # type: ignore[arg-type]
NOW = datetime(2020, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
USD_1 = Money.parse("1", "USD")
FLIGHT = Flight(start=datetime(2020, 11, 1, 1, 30, fold=1), end=datetime(2020, 12, 1), zone="America/New_York")  # noqa: DTZ001
MARCH = BillingPeriod.month(2020, 3)
FULL: dict[str, list[Canonical]] = {
    "billing_document": [
        BillingDocument.of_lines(
            DocumentKind.INVOICE,
            id=DOCUMENT,
            order_id=ORDER,
            bill_to=PARTY,
            currency="USD",
            lines=(
                DocumentLine(number=1, amounts=Amounts.of(USD_1), period=MARCH, unit=GoalUnit.CLICKS, line_id=LINE),
            ),
            issued_on=date(2020, 4, 1),
        )
    ],
    "change": [
        Change(
            connection="sfdc",
            stream="Opportunity",
            native_id="006",
            received_at=NOW,
            status=ChangeStatus.ACCEPTED,
            kind=EntityKind.ORDER,
            entity_id=ORDER,
            version=1,
        )
    ],
    "deal": [
        Deal(
            id=DEAL,
            name="PMP",
            type=DealType.PRIVATE_MARKETPLACE,
            floor_rate=USD_1,
            flight=FLIGHT,
            ids=(DealId(connection="magnite", value="D"),),
        )
    ],
    "delivery_fact": [
        DeliveryFact(line_id=LINE, day=date(2020, 3, 1), source="gam", as_of=NOW, units=Units(impressions=2**62))
    ],
    "envelope": [
        Envelope(
            id=DOCUMENT,
            order_id=ORDER,
            order_version=1,
            order_hash="a",
            document_hash="b",
            signers=(Signer(name="Ann", email="ann@example.com"),),
        )
    ],
    "line": [
        Line(
            id=LINE,
            order_id=ORDER,
            name="Homepage é𝄞\u200b",
            external_id="x",
            product=ProductReference(id="p"),
            deal_id=DEAL,
            flight=FLIGHT,
            flights=(FLIGHT,),
            price=Price(method=CostMethod.CPM, rate=3_000_000, currency="USD"),
            goal=Goal(unit=GoalUnit.IMPRESSIONS, quantity=1000),
            targeting=Targeting(criteria=(Criterion(dimension=Dimension.COUNTRY, values=("US",)),)),
            creatives=(
                CreativePlaceholder(width=1, height=1, ad_ids=(UniversalAdId(registry="ad-id.org", value="A"),)),
            ),
            budget=USD_1,
        )
    ],
    "line_observation": [LineObservation(status=DeliveryStatus.READY)],
    "line_period": [
        LinePeriod(
            line_id=LINE,
            order_id=ORDER,
            period=MARCH,
            unit=GoalUnit.IMPRESSIONS,
            currency="USD",
            booked=1,
            billable_amount=USD_1,
        )
    ],
    "line_projection": [
        LineProjection(line_id=LINE, order_id=ORDER, version=1, status="s", sentence="s", delivered=1, goal=1)
    ],
    "money": [USD_1, Money(micros=-(2**63), currency="JPY")],
    "order": [
        Order(
            id=ORDER,
            name="Spring",
            currency="USD",
            parties=(PartyInRole(role=PartyRole.ADVERTISER, party_id=PARTY),),
            purchase_order=PurchaseOrder(number="4711"),
        )
    ],
    "order_observation": [OrderObservation(approved=True)],
    "order_projection": [
        OrderProjection(
            order_id=ORDER,
            version=1,
            status="s",
            sentence="s",
            next_step_owner="Sales",
            last_change_at=NOW,
            delivered=1,
            goal=3,
            delivered_pct=percent_of_goal(1, 3),
            billing=OrderBilling(
                currency="KWD",
                invoice="INV-1",
                invoice_status="Open",
                balance=Decimal("-1.500"),
                invoiced=Decimal("1.500"),
                paid=Decimal("0.000"),
                credited=Decimal("3.000"),
                documents=("INV-1",),
            ),
        )
    ],
    "party": [Party(id=PARTY, name="Acme", address=Address(text="Main St", country="US"))],
    "payment": [
        Payment(connection="erp", native_id="1", document_id=DOCUMENT, amount=USD_1, received_on=date(2020, 5, 1))
    ],
    "reference": [
        Reference(connection="gam", kind=EntityKind.LINE, entity_id=LINE, record="LineItem", vendor_id="7", since=NOW)
    ],
}
FULL["document"] = FULL["billing_document"] + FULL["envelope"]


def validator(name: str) -> Draft202012Validator:
    schema = orjson.loads((export.FOLDER / f"{name}.json").read_bytes())
    cls = validator_for(schema)
    assert cls is Draft202012Validator
    cls.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


# ---------------------------------------------------------------- the files
def test_the_files_are_what_the_models_say() -> None:
    written = {path.name: path.read_bytes() for path in export.FOLDER.iterdir()}
    assert written == export.files(), "run python -m oms_schema.export and look at the difference"


def test_the_page_about_the_machines_is_what_the_tables_say() -> None:
    assert export.PAGE.read_text(encoding="utf-8") == status_machines_page(), "run python -m oms_schema.export --docs"


def test_exporting_twice_gives_the_same_bytes() -> None:
    assert [hashlib.sha256(b).hexdigest() for b in export.files().values()] == [
        hashlib.sha256(b).hexdigest() for b in export.files().values()
    ]


@pytest.mark.parametrize("name", sorted(export.ENTITIES))
def test_what_a_model_writes_its_schema_accepts(name: str) -> None:
    for value in FULL[name]:
        document = orjson.loads(value.canonical_bytes())
        assert [error.message for error in validator(name).iter_errors(document)] == []


@pytest.mark.parametrize("name", sorted(export.ENTITIES))
def test_a_schema_refuses_an_unknown_field_and_a_missing_one(name: str) -> None:
    document = orjson.loads(FULL[name][0].canonical_bytes())
    assert not validator(name).is_valid({**document, "surprise": 1})
    required = validator(name).schema.get("required", ["kind"])
    assert not validator(name).is_valid({k: v for k, v in document.items() if k != required[0]})


@pytest.mark.parametrize(
    ("name", "path", "wrong"),
    [
        ("line", ("flight", "start"), "2020-03-01T00:00:00Z"),
        ("line", ("flight", "start_fold"), 2),
        ("line", ("price", "rate"), 1.5),
        ("line", ("price", "currency"), "usd"),
        ("order", ("id",), "006A"),
        ("order_projection", ("delivered_pct",), 33.33),
        ("order_projection", ("sentence",), "x" * 256),
        ("order_projection", ("billing", "paid"), 1.5),
        ("change", ("status",), "lost"),
    ],
)
def test_a_schema_refuses_what_its_model_refuses(name: str, path: tuple[str, ...], wrong: Any) -> None:
    document = orjson.loads(FULL[name][0].canonical_bytes())
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = wrong
    assert not validator(name).is_valid(document)
    with pytest.raises(ValueError, match=path[-1]):
        type(FULL[name][0]).from_bytes(orjson.dumps(document))


def all_models() -> list[type[Canonical]]:
    for module in pkgutil.walk_packages(oms_schema.__path__, "oms_schema."):
        importlib.import_module(module.name)
    return list(export._models(Canonical))


def test_model_names_are_unique_so_that_descriptions_find_their_model() -> None:
    names = [model.__name__ for model in all_models()]
    assert len(set(names)) == len(names)


def test_a_docstring_under_a_field_becomes_its_description() -> None:
    terms = orjson.loads(export.files()["order.json"])["$defs"]["BillingTerms"]["properties"]
    assert terms["tolerance_ppm"]["description"].startswith("Parts per million")


def test_everything_public_can_be_constructed_in_this_test() -> None:
    assert set(FULL) == set(export.ENTITIES)


# ---------------------------------------------------------------- growing only
Fault = Callable[[dict[str, Any]], object]


def on(*path: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def walk(schema: dict[str, Any]) -> dict[str, Any]:
        place: dict[str, Any] = schema
        for step in path:
            place = place[step]
        return place

    return walk


PRICE, LINE_FIELDS, STATUS = on("$defs", "Price"), on("properties"), on("$defs", "CostMethod")
FAULTS: dict[str, tuple[Fault, str]] = {
    "a field removed": (lambda s: LINE_FIELDS(s).pop("notes"), "notes is gone"),
    "a nested field removed": (lambda s: PRICE(s)["properties"].pop("basis"), "price.basis is gone"),
    "a field made required": (lambda s: s["required"].append("notes"), "notes is now required"),
    "a nested field made required": (lambda s: PRICE(s)["required"].append("basis"), "price.basis is now required"),
    "a type changed": (lambda s: LINE_FIELDS(s)["notes"].update(type="integer"), "notes was string and is now integer"),
    "a type closed": (
        lambda s: LINE_FIELDS(s)["notes"].update(enum=["a"]),
        'notes accepted any value and now only "a"',
    ),
    "null no longer accepted": (
        lambda s: LINE_FIELDS(s).update(brand={"type": "string"}),
        "brand no longer accepts null",
    ),
    "an enum value removed": (lambda s: STATUS(s)["enum"].remove("CPC"), 'price.method no longer accepts "CPC"'),
    "a maximum lowered": (
        lambda s: PRICE(s)["properties"]["commission_ppm"].update(maximum=10),
        "price.commission_ppm has maximum 10, before 1000000",
    ),
    "a minimum raised": (
        lambda s: PRICE(s)["properties"]["rate"].update(minimum=1),
        "price.rate has minimum 1, before 0",
    ),
    "a length limited": (lambda s: LINE_FIELDS(s)["notes"].update(maxLength=9), "notes has maxLength 9, before none"),
    "a length in a union shortened": (
        lambda s: LINE_FIELDS(s)["external_id"]["anyOf"][0].update(maxLength=9),
        "external_id no longer accepts string",
    ),
    "a pattern added": (lambda s: LINE_FIELDS(s)["notes"].update(pattern="^a"), "notes has pattern ^a, before none"),
    "a list emptied of nothing": (lambda s: LINE_FIELDS(s)["flights"].update(minItems=1), "flights has minItems 1"),
    "the elements of a list narrowed": (
        lambda s: on("$defs", "Criterion", "properties", "values", "items")(s).update(maxLength=3),
        "targeting.criteria[].values[] has maxLength 3",
    ),
    "an unknown keyword": (lambda s: LINE_FIELDS(s)["notes"].update(contentEncoding="x"), "changes contentEncoding"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_narrower_schema_is_caught(fault: str) -> None:
    old = export.json_schema("line")
    new = copy.deepcopy(old)
    plant, expected = FAULTS[fault]
    plant(new)
    found = incompatibilities(old, new)
    assert any(expected in sentence for sentence in found), found
    assert all(expected.split(" ")[0].rpartition(".")[2] in sentence for sentence in found), found


@pytest.mark.parametrize("name", sorted(export.ENTITIES))
def test_a_schema_is_compatible_with_itself(name: str) -> None:
    schema = export.json_schema(name)
    assert incompatibilities(schema, copy.deepcopy(schema)) == ()


GROWTH: dict[str, Fault] = {
    "an optional field added": lambda s: LINE_FIELDS(s).update(colour={"type": "string"}),
    "a nested optional field added": lambda s: PRICE(s)["properties"].update(tax={"type": "string"}),
    "an enum value added": lambda s: STATUS(s)["enum"].append("CPH"),
    "a field no longer required": lambda s: s["required"].remove("goal"),
    "a maximum raised": lambda s: PRICE(s)["properties"]["commission_ppm"].update(maximum=2_000_000),
    "null accepted too": lambda s: LINE_FIELDS(s).update(notes={"anyOf": [{"type": "string"}, {"type": "null"}]}),
    "an integer becomes any number": lambda s: PRICE(s)["properties"]["commission_ppm"].update(type="number"),
    "a description reworded": lambda s: s.update(description="Another."),
    "a definition renamed": lambda s: (
        s["$defs"].update(Cost=s["$defs"].pop("CostMethod")),
        PRICE(s)["properties"]["method"].update({"$ref": "#/$defs/Cost"}),
    ),
}


@pytest.mark.parametrize("growth", sorted(GROWTH))
def test_a_wider_schema_is_no_incompatibility(growth: str) -> None:
    old = export.json_schema("line")
    new = copy.deepcopy(old)
    GROWTH[growth](new)
    assert new != old
    assert incompatibilities(old, new) == ()


def test_a_schema_that_points_to_itself_is_compared_to_its_end() -> None:
    def tree(value: dict[str, Any]) -> dict[str, Any]:
        node = {"type": "object", "properties": {"value": value, "below": {"$ref": "#/$defs/Node"}}}
        return {"$ref": "#/$defs/Node", "$defs": {"Node": node}}

    assert incompatibilities(tree({"type": "string"}), tree({"type": "string"})) == ()
    found = incompatibilities(tree({"type": "string"}), tree({"type": "integer"}))
    assert found == ("value was string and is now integer",)


def test_the_writer_refuses_to_shrink_what_is_written(tmp_path: Path) -> None:
    assert export.write_schemas(tmp_path) == ()
    assert {path.name for path in tmp_path.iterdir()} == set(export.files())
    wider = orjson.loads((tmp_path / "money.json").read_bytes())
    wider["properties"]["note"] = {"type": "string"}
    (tmp_path / "money.json").write_bytes(orjson.dumps(wider))
    (tmp_path / "gone.json").write_bytes(b"{}")
    assert export.write_schemas(tmp_path) == ("gone.json is gone", "money.json: note is gone")
    assert orjson.loads((tmp_path / "money.json").read_bytes()) == wider


def test_the_command_writes_and_refuses_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "FOLDER", tmp_path / "v1")
    monkeypatch.setattr(export, "PAGE", tmp_path / "docs" / "page.md")
    assert export.main(["--docs"]) == 0
    assert export.PAGE.read_text(encoding="utf-8") == status_machines_page()
    assert export.main([]) == 0
    (export.FOLDER / "gone.json").write_bytes(b"{}")
    assert export.main([]) == 1
    assert "gone.json is gone" in capsys.readouterr().err
