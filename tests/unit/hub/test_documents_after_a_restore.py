"""A store from a backup has forgotten what was posted since: no document is posted a second time, however late it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.base import CreateProtocol
from hub.ops.correspondence import mismatches
from oms_schema.ids import EntityKind, canonical_id

if TYPE_CHECKING:
    from conftest import World

KEYED = (CreateProtocol.NATIVE_KEY,)
KEYED_SHORTLY = (CreateProtocol.NATIVE_KEY, "number", 300.0)
KEYED_BLIND = (CreateProtocol.NATIVE_KEY, None)
UNIQUE = (CreateProtocol.UNIQUE_FIELD,)
PROBED = (CreateProtocol.PROBE,)
BLIND = (CreateProtocol.NONE, None)
WEEK = 7 * 86_400.0

pytestmark = pytest.mark.usefixtures("sound_audit")


def recovered(world: World) -> None:
    """The operator says that the store comes from a backup, and waits until the census agreed."""
    assert not world.hub.recover("gam-main", by="Lee").ended
    world.machine.advance(66)
    assert world.hub.recover("gam-main", by="Lee").ended


@pytest.mark.parametrize("erp_world", [PROBED, KEYED_SHORTLY], indirect=True)
def test_a_restored_store_that_nobody_told_of_it_posts_again(erp_world: World) -> None:
    """The fault that this is for."""
    erp_world.invoice()
    kept = erp_world.backup()
    erp_world.rest()
    erp_world.restore(kept)
    erp_world.machine.advance(WEEK)
    erp_world.rest()
    assert len(erp_world.invoices()) == 2


@pytest.mark.parametrize("erp_world", [PROBED, KEYED, KEYED_SHORTLY, UNIQUE], indirect=True)
@pytest.mark.parametrize("wanted_before", [True, False])
def test_what_was_posted_after_the_backup_is_found_and_adopted(erp_world: World, wanted_before: bool) -> None:
    erp_world.invoice("INV-0")
    erp_world.rest()
    if wanted_before:
        erp_world.invoice()
    kept = erp_world.backup()
    if not wanted_before:
        erp_world.invoice()
    erp_world.rest()
    erp_world.restore(kept)
    recovered(erp_world)
    erp_world.machine.advance(WEEK)
    assert erp_world.invoice() is not wanted_before
    erp_world.rest()
    assert sorted(each["number"] for each in erp_world.invoices()) == ["INV-0", "INV-1"]
    assert erp_world.hub.parked() == []
    assert mismatches(erp_world.hub.session) == []
    held = erp_world.hub.session.database.rows("SELECT vendor_id FROM reference WHERE kind = 'document' ORDER BY 1")
    assert [row[0] for row in held] == sorted(each["id"] for each in erp_world.invoices())
    erp_world.invoice("INV-2")
    erp_world.rest()
    assert len(erp_world.invoices()) == 3, "and what was never posted is posted"
    assert erp_world.hub.parked() == []


@pytest.mark.parametrize("erp_world", [PROBED, KEYED], indirect=True)
def test_nothing_is_posted_while_the_recovery_lasts(erp_world: World) -> None:
    erp_world.hub.recover("gam-main", by="Lee")
    erp_world.invoice()
    assert erp_world.hub.push("gam-main").calls == 0
    erp_world.machine.advance(66)
    erp_world.rest()
    assert len(erp_world.invoices()) == 1


@pytest.mark.parametrize("erp_world", [PROBED, KEYED], indirect=True)
def test_without_a_restore_nothing_is_looked_up_before_it_is_posted(erp_world: World) -> None:
    erp_world.invoice()
    erp_world.rest()
    assert (len(erp_world.invoices()), erp_world.ads.finds) == (1, 0)


@pytest.mark.parametrize("erp_world", [PROBED], indirect=True)
def test_a_document_in_doubt_is_looked_up_once_more_only_when_it_was_not_found(erp_world: World) -> None:
    recovered(erp_world)
    erp_world.invoice()
    erp_world.rest()
    looks = erp_world.ads.finds
    assert (len(erp_world.invoices()), looks) == (1, 2), "twice not there, then posted"
    erp_world.rest()
    assert erp_world.ads.finds == looks


@pytest.mark.parametrize("erp_world", [BLIND, KEYED_BLIND], indirect=True)
@pytest.mark.parametrize("there", [True, False])
def test_where_no_look_up_can_tell_a_person_is_asked_before_it_is_posted(erp_world: World, there: bool) -> None:
    erp_world.invoice()
    kept = erp_world.backup()
    if there:
        erp_world.rest()
    erp_world.restore(kept)
    recovered(erp_world)
    erp_world.rest()
    (item,) = erp_world.hub.parked()
    assert item.reason == "ambiguous"
    assert "The database was restored, and whether" in item.sentence
    assert len(erp_world.invoices()) == there
    if there:
        (posted,) = erp_world.invoices()
        erp_world.hub.adopt("doc_INV-1", posted["id"], connection="gam-main", by="Dana", note="in the ledger")
    else:
        erp_world.hub.declare_absent("doc_INV-1", connection="gam-main", by="Dana", note="looked in the ledger")
    erp_world.rest()
    assert (erp_world.hub.parked(), len(erp_world.invoices())) == ([], 1)


@pytest.mark.parametrize("erp_world", [PROBED], indirect=True)
def test_a_second_recovery_makes_what_was_not_sent_since_suspect_again(erp_world: World) -> None:
    recovered(erp_world)
    erp_world.invoice()
    kept = erp_world.backup()
    erp_world.rest()
    erp_world.restore(kept)
    recovered(erp_world)
    erp_world.rest()
    assert len(erp_world.invoices()) == 1


@pytest.mark.parametrize("erp_world", [PROBED, KEYED, UNIQUE], indirect=True)
def test_a_push_that_has_something_counted_again_posts_nothing_more(erp_world: World) -> None:
    erp_world.crm.account("001A", "Acme")
    kept = erp_world.backup()
    erp_world.book(lines=1)
    erp_world.invoice()
    erp_world.travel()
    erp_world.restore(kept)
    erp_world.machine.advance(3600)
    erp_world.crm.put("Opportunity", "006A", StageName="Negotiation/Review", IsWon=False, IsClosed=False)
    recovered(erp_world)
    erp_world.crm.put("Opportunity", "006A", StageName="Closed Won", IsWon=True, IsClosed=True)
    erp_world.hub.intake("sfdc")
    erp_world.invoice()
    erp_world.hub.push("gam-main")
    assert len(erp_world.invoices()) == 1
    erp_world.machine.advance(66)
    erp_world.rest()
    assert (len(erp_world.invoices()), erp_world.hub.parked()) == (1, [])


@pytest.mark.parametrize("erp_world", [PROBED], indirect=True)
def test_a_document_that_nobody_knows_any_more_is_shown_to_finance_until_it_is_prepared_again(erp_world: World) -> None:
    forgotten = canonical_id(EntityKind.DOCUMENT, "billing", "invoice|ord|2026-01")
    erp_world.invoice("INV-0")
    erp_world.rest()
    kept = erp_world.backup()
    erp_world.invoice(forgotten)
    erp_world.rest()
    erp_world.restore(kept)
    recovered(erp_world)
    (item,) = erp_world.hub.parked()
    assert (item.owner, item.code) == ("Finance", "MARKED-FOR-NOBODY")
    assert forgotten in item.sentence
    erp_world.invoice(forgotten)
    erp_world.rest()
    erp_world.hub.census("gam-main")
    assert (erp_world.hub.parked(), len(erp_world.invoices())) == ([], 2)
