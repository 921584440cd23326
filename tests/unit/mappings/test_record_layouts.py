"""A record without some of a mapping's fields is read as one that names them and has nothing there."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice, permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mappings.layouts import LAYOUTS_COUNTED, LAYOUTS_KEPT, WRITTEN_AFTER, Layouts
from mappings.mapping import Mapping as CompiledMapping
from mappings.registry import Refused
from oms_schema.base import Canonical

READS = ("salesforce.party", "salesforce.order", "salesforce.line", "gam.line_observation", "gam.order_observation")


def outcome(mapping: CompiledMapping, layouts: Layouts, native: dict[str, Any], *, known: bool) -> Canonical | None:
    """The entity, None where the record is refused; read by a function for its layout, or by the one for any."""
    read = layouts._written(tuple(native)) if known else layouts._for_any()
    try:
        return mapping.plan.entity.model_validate(read(native, "crm"))
    except ValidationError:
        return None
    except Exception:  # the reference names the reason, see test_mapping_reference
        return None


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("hostile", [False, True])
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_field_that_is_not_named_is_a_field_without_a_value(
    name: str, hostile: bool, data: st.DataObject, shipped: Mapping[str, CompiledMapping], records: Any
) -> None:
    mapping = shipped[name]
    native = data.draw(records(mapping, hostile=hostile))
    named = data.draw(st.sets(st.sampled_from(sorted(native)))) if native and data.draw(st.booleans()) else set(native)
    lacking = {field: value for field, value in native.items() if field in named}
    layouts, any_layout = Layouts(mapping.plan), Layouts(mapping.plan)
    every = dict.fromkeys((path.partition(".")[0] for path in mapping.native_fields), None)

    with_all = outcome(mapping, layouts, {**every, **lacking}, known=True)

    assert outcome(mapping, layouts, lacking, known=True) == with_all
    assert outcome(mapping, any_layout, lacking, known=False) == with_all


def test_a_required_field_that_is_not_named_is_missed(shipped: Mapping[str, CompiledMapping]) -> None:
    """Also where the canonical model could do without: an order without its advertiser."""
    mapping = shipped["salesforce.order"]
    native = {"Id": "1", "Name": "n", "IsClosed": True, "IsWon": True, "CurrencyIsoCode": "USD", "AccountId": "2"}
    mapping.to_canonical(native, "crm")

    for field in native:
        read = Layouts(mapping.plan)._written(tuple(name for name in native if name != field))
        with pytest.raises((Refused, ValidationError)):
            mapping.plan.entity.model_validate(read({name: native[name] for name in native if name != field}, "crm"))


def orders(count: int) -> list[dict[str, Any]]:
    """One order in so many layouts."""
    native = {"Id": "1", "Name": "n", "IsClosed": True, "IsWon": True, "CurrencyIsoCode": "USD", "AccountId": "2"}
    return [{name: native[name] for name in names} for names in islice(permutations(native), count)]


def test_functions_are_written_for_a_few_layouts_and_any_other_is_read_too(
    shipped: Mapping[str, CompiledMapping],
) -> None:
    """A source that names other fields in each record costs neither time nor memory without end."""
    layouts = Layouts(shipped["salesforce.order"].plan)

    found = [layouts(native, "crm") for native in orders(LAYOUTS_KEPT + 2) for _ in range(WRITTEN_AFTER)]

    assert all(each == found[0] for each in found)
    assert len(layouts._readers) == LAYOUTS_KEPT


def test_records_of_a_rare_layout_take_no_place_from_a_common_one(shipped: Mapping[str, CompiledMapping]) -> None:
    layouts = Layouts(shipped["salesforce.order"].plan)
    common, *rare = orders(LAYOUTS_KEPT + 3)

    for native in (*rare, *[common] * WRITTEN_AFTER):
        layouts(native, "crm")

    assert list(layouts._readers) == [tuple(common)]


def test_layouts_are_counted_within_bounds(shipped: Mapping[str, CompiledMapping]) -> None:
    layouts = Layouts(shipped["salesforce.order"].plan)

    for native in orders(LAYOUTS_COUNTED + 2):
        layouts(native, "crm")

    assert len(layouts._seen) <= LAYOUTS_COUNTED
    assert not layouts._readers


def test_what_readers_of_layouts_keep_is_forgotten_too(shipped: Mapping[str, CompiledMapping]) -> None:
    mapping = shipped["salesforce.line"]
    native = {
        "Id": "1",
        "OpportunityId": "2",
        "Name": "n",
        "Flight_Start__c": "2020-01-01T00:00:00.000+0000",
        "CPM__c": 1,
        "CurrencyIsoCode": "USD",
        "Goal_Impressions__c": 1,
        "Geo_Countries__c": "canada",
    }
    mapping.to_canonical(native, "crm")
    layouts = mapping._layouts
    assert layouts is not None
    assert any(part.kept for part in layouts.parts)

    mapping.forget()

    assert not any(part.kept for part in layouts.parts)
