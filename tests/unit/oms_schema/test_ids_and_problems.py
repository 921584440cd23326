"""Ids and keys never change their recipe; canonical values are closed, frozen and known by bytes; problems read well."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from oms_schema.ids import EntityKind, canonical_id, idempotency_key
from oms_schema.money import Money
from oms_schema.order import Order
from oms_schema.party import ID, PartyInRole, PartyRole
from oms_schema.problems import Problem, Problems, Reason, shown

TEXT = st.text(max_size=12)
PROBLEM = Problem(
    "CODE", Reason.LENGTH, "name", "x", "It is too long.", "It is not sent.", "Sales shortens it.", "Sales"
)


def test_the_recipe_of_ids_and_keys_is_fixed() -> None:
    """Stored ids and open attempts depend on these values; if this fails, change the code back, not the test."""
    assert canonical_id(EntityKind.ORDER, "sfdc", "006A") == "ord_nhcfuwr2z77tiexx3xoommjw"
    assert idempotency_key("gam-main", EntityKind.LINE, "lin_a", "", 7) == "5fmsqu5xmpumvzo2avghm74u"


@given(st.sampled_from(EntityKind), TEXT, TEXT)
def test_an_id_has_its_form_whatever_the_source_calls_the_record(
    kind: EntityKind, connection: str, native: str
) -> None:
    made = canonical_id(kind, connection, native)
    assert TypeAdapter(ID).validate_python(made) == made
    assert canonical_id(kind, connection, native) == made


@given(
    st.lists(
        st.tuples(st.sampled_from(EntityKind), st.sampled_from("ab"), st.sampled_from(["1", "2", "12"])), unique=True
    )
)
def test_different_records_have_different_ids(records: list[tuple[EntityKind, str, str]]) -> None:
    assert len({canonical_id(*record) for record in records}) == len(records)


def test_a_key_depends_on_everything_it_names() -> None:
    keys = {
        idempotency_key("a", EntityKind.LINE, "l", "", 1),
        idempotency_key("b", EntityKind.LINE, "l", "", 1),
        idempotency_key("a", EntityKind.ORDER, "l", "", 1),
        idempotency_key("a", EntityKind.LINE, "m", "", 1),
        idempotency_key("a", EntityKind.LINE, "l", "1", 1),
        idempotency_key("a", EntityKind.LINE, "l", "", 11),
    }
    assert len(keys) == 6
    assert all(re.fullmatch(r"[a-z2-7]{24}", key) for key in keys)


def test_a_canonical_value_is_closed_and_frozen() -> None:
    money = Money(micros=1, currency="USD")
    with pytest.raises(ValidationError, match="Extra inputs"):
        Money.model_validate({"micros": 1, "currency": "USD", "cents": 1})
    with pytest.raises(ValidationError, match="frozen"):
        money.micros = 2
    assert len({money, Money(micros=1, currency="USD")}) == 1


def test_equal_values_have_equal_bytes_and_absent_fields_are_left_out() -> None:
    values = {"id": canonical_id(EntityKind.ORDER, "a", "1"), "name": "n", "currency": "USD"}
    plain, spelled_out = Order.model_validate(values), Order.model_validate({**values, "number": None, "notes": ""})
    assert plain.canonical_bytes() == spelled_out.canonical_bytes()
    assert b"number" not in plain.canonical_bytes()
    assert re.fullmatch(r"[0-9a-f]{32}", plain.content_hash())
    assert plain.content_hash() != Order.model_validate({**values, "number": "1"}).content_hash()


def test_an_order_tells_who_plays_a_role() -> None:
    party = canonical_id(EntityKind.PARTY, "a", "1")
    order = Order(
        id=canonical_id(EntityKind.ORDER, "a", "1"),
        name="n",
        currency="USD",
        parties=(PartyInRole(role=PartyRole.BILL_TO, party_id=party),),
    )
    assert order.party(PartyRole.BILL_TO) == party
    assert order.party(PartyRole.AGENCY) is None


def test_a_problem_is_a_sentence_in_three_parts() -> None:
    assert PROBLEM.sentence == "It is too long. It is not sent. Sales shortens it."
    assert str(Problems([PROBLEM, PROBLEM])) == f"{PROBLEM.sentence}; {PROBLEM.sentence}"
    with pytest.raises(ValueError, match="at least one"):
        Problems([])


@given(st.text(max_size=200), st.integers(2, 90))
def test_a_shown_value_is_one_printable_line_within_its_limit(text: str, limit: int) -> None:
    line = shown(text, limit)
    assert line.isprintable()
    assert len(line) <= limit


def test_invisible_characters_become_visible() -> None:
    assert shown("a\u200bb\n") == "a\\u200bb\\u000a"
    assert shown(None) == "None"
