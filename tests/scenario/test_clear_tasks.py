"""Tasks of Airflow that ended are cleared at random and run again: no vendor is written to, and nothing changes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from cli.demo.airflow_api import ENDED, AirflowApi
from cli.demo.control import writes
from cli.demo.generated_book import generated_book
from cli.demo.journey import Stage, clock_stops, play
from cli.demo.machinery import Machinery, running
from cli.demo.order_book import OrderBook, parse_order_book

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(1_200)]

ORDERS = 5
CLEARED = 16
FLOWS = (
    "intake__sfdc",
    "push__gam-main",
    "settle__gam-main",
    "mirror__sfdc",
    "observe__gam-main",
    "delivery__gam-main",
)
TYPES = ("Company", "Order", "LineItem")
CRM_TYPES = ("Account", "Opportunity", "OpportunityLineItem")


@pytest.fixture(scope="module")
def book() -> OrderBook:
    """A few invented orders, untidy ones among them."""
    return parse_order_book(generated_book(ORDERS), source="generated book")


@pytest.fixture(scope="module")
def at_rest(book: OrderBook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machinery]:
    """The demo with Airflow after the whole book has travelled and come back, vendors' clocks held."""
    state = tmp_path_factory.mktemp("cleared")
    with running(state, clock_stops(book)[0], with_airflow=True, heard=lambda _: None) as machinery:
        stage = Stage(book, machinery.hub, machinery.engine, machinery.people, machinery.crm)
        outcome = play(stage)
        assert outcome.held, [check for check in outcome.checks if not check.held]
        yield machinery


def test_tasks_cleared_at_random_change_nothing(at_rest: Machinery) -> None:
    assert at_rest.url is not None
    assert at_rest.password is not None
    api = AirflowApi(at_rest.url, "admin", at_rest.password)
    dice = random.Random(20260105)
    vendors = (at_rest.people.ad_server, at_rest.people.crm)
    before = everything(at_rest)
    for vendor in vendors:
        vendor.reset_calls()
    cleared: list[tuple[str, str, str]] = []
    for flow, run_id, task_id in chosen_tasks(api, dice):
        api.wait_until_at_rest(calm=0.0)
        assert task_id in api.clear(flow, run_id, [task_id])
        cleared.append((flow, run_id, task_id))
    api.wait_until_at_rest()
    api.close()
    assert len(cleared) == CLEARED
    assert {flow for flow, _, _ in cleared} == set(FLOWS), "every flow had a task that ran again"
    calls = [call for vendor in vendors for call in vendor.calls()]
    assert sum(call.calls for call in calls) > 0, "they did run: they looked at the vendors"
    assert writes(calls) == 0
    assert everything(at_rest) == before


def chosen_tasks(api: AirflowApi, dice: random.Random) -> list[tuple[str, str, str]]:
    """(flow, run, task) of ended tasks: at least one of each flow, the others at random; some come up twice."""
    ended = {
        flow: [
            (flow, str(run["dag_run_id"]), task)
            for run in api.runs(flow)
            if run["state"] in ENDED
            for task in api.task_instances(flow, str(run["dag_run_id"]))
        ]
        for flow in FLOWS
    }
    chosen = [dice.choice(ended[flow]) for flow in FLOWS]
    everyone = [one for tasks in ended.values() for one in tasks]
    chosen += dice.choices(everyone, k=CLEARED - len(chosen))
    dice.shuffle(chosen)
    return chosen


def everything(machinery: Machinery) -> dict[str, Any]:
    """The true state of both vendors, and what the hub knows apart from times."""
    people, status = machinery.people, machinery.hub.status()
    return {
        **{name: people.ad_server.objects(name) for name in TYPES},
        **{name: people.crm.objects(name) for name in CRM_TYPES},
        "delivered": status.delivered,
        "orders": dict(status.orders),
        "lines": dict(status.lines),
        "lanes": {each.name: dict(each.lanes) for each in status.connections},
        "parked": sorted((item.entity_id, item.code) for item in machinery.hub.parked()),
    }
