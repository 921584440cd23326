"""Deals keep their type and their terms; references never point two ways; a change says what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from oms_schema.change import Change, ChangeStatus
from oms_schema.deal import Deal, DealId, DealType, check_deal_change
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.money import Money
from oms_schema.problems import Reason
from oms_schema.reference import Reference, check_references, references_of

DEAL_ID = canonical_id(EntityKind.DEAL, "sfdc", "1")
ORDER_ID = canonical_id(EntityKind.ORDER, "sfdc", "1")
NOW = datetime(2020, 3, 1, tzinfo=UTC)
FLOOR = Money.parse("4.50", "USD")


def deal(kind: DealType = DealType.PREFERRED, **changes: Any) -> Deal:
    return Deal.model_validate({"id": DEAL_ID, "name": "Spring PMP", "type": kind} | changes)


def reference(vendor_id: str, **changes: Any) -> Reference:
    values = {
        "connection": "gam-main",
        "kind": "order",
        "entity_id": ORDER_ID,
        "record": "Order",
        "vendor_id": vendor_id,
    }
    return Reference.model_validate(values | changes)


def test_a_deal_has_its_ids_per_connection_and_seat() -> None:
    known = deal(
        fixed_rate=FLOOR,
        ids=(
            DealId(connection="magnite", value="D-1"),
            DealId(connection="dv360", value="D-2", seat="9"),
            DealId(connection="dv360", value="D-3", seat="10"),
        ),
    )
    assert (known.id_at("magnite"), known.id_at("dv360", "10"), known.id_at("dv360")) == ("D-1", "D-3", None)
    assert Deal.from_bytes(known.canonical_bytes()) == known


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        (DealType.PREFERRED, {"fixed_rate": FLOOR, "floor_rate": FLOOR}, "not both"),
        (DealType.PREFERRED, {"floor_rate": FLOOR}, "only a private marketplace"),
        (DealType.PRIVATE_MARKETPLACE, {"fixed_rate": FLOOR}, "no fixed rate"),
        (DealType.PRIVATE_MARKETPLACE, {"floor_rate": -FLOOR}, "never negative"),
        (DealType.DIRECT, {"ids": [DealId(connection="a", value=v) for v in "12"]}, "one id per connection"),
    ],
)
def test_terms_that_do_not_fit_the_type_are_refused(kind: DealType, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        deal(kind, **changes)


def test_a_deal_keeps_its_type() -> None:
    before = deal(DealType.PREFERRED)
    assert check_deal_change(before, deal(DealType.PREFERRED, name="other")) == ()
    (problem,) = check_deal_change(before, deal(DealType.PRIVATE_MARKETPLACE))
    assert problem.code == "DEAL-TYPE-FROZEN"


def test_an_order_may_have_several_vendor_objects_in_the_order_of_its_parts() -> None:
    parts = [reference(str(n), facet=str(n)) for n in (10, 2, 1)]
    named = [reference("n", facet="archive"), reference("old", facet="3", superseded_at=NOW)]
    elsewhere = reference("1", connection="gam-other", facet="1")
    found = references_of([*named, *parts, elsewhere], "gam-main", ORDER_ID)
    assert [r.facet for r in found] == ["1", "2", "10", "archive"]
    assert check_references([*parts, *named, elsewhere]) == ()


@pytest.mark.parametrize(
    ("references", "code"),
    [
        ([reference("1"), reference("2")], "REFERENCE-TWICE"),
        ([reference("1"), reference("1", facet="2")], "REFERENCE-SHARED"),
        (
            [reference("1"), reference("1", entity_id=canonical_id(EntityKind.ORDER, "sfdc", "2"))],
            "REFERENCE-SHARED",
        ),
        ([reference("1", account="123"), reference("2", facet="2", account="456")], "REFERENCE-ACCOUNT"),
    ],
)
def test_references_that_contradict_each_other_are_reported(references: list[Reference], code: str) -> None:
    assert [p.code for p in check_references(references)] == [code]
    assert check_references([references[0], references[0]]) == ()
    assert check_references([references[0], references[1].model_copy(update={"superseded_at": NOW})]) == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "accepted"}, "version it became"),
        ({"status": "accepted", "entity_id": ORDER_ID}, "version it became"),
        ({"status": "rejected"}, "has a reason"),
        ({"status": "held"}, "what it waits for"),
    ],
)
def test_a_change_says_what_became_of_it(changes: dict[str, Any], why: str) -> None:
    base = {"connection": "sfdc", "stream": "Opportunity", "native_id": "006A", "received_at": NOW}
    with pytest.raises(ValidationError, match=why):
        Change.model_validate(base | changes)


def test_a_change_reads_back_from_its_bytes() -> None:
    change = Change(
        connection="sfdc",
        stream="Opportunity",
        native_id="006A",
        received_at=NOW,
        status=ChangeStatus.REJECTED,
        reason=Reason.LENGTH,
        sentence="The name is too long.",
    )
    assert Change.from_bytes(change.canonical_bytes()) == change
