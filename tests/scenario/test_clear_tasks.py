"""Tasks of Airflow cleared at random run again: at rest nothing changes, under way nothing is lost and nothing doubled."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from cli.demo.airflow_api import ENDED, AirflowApi
from cli.demo.control import writes
from cli.demo.engine import SOURCE
from cli.demo.generated_book import generated_book
from cli.demo.journey import Stage, clock_stops, play
from cli.demo.machinery import Machinery, running
from cli.demo.order_book import OrderBook, parse_order_book
from oms_schema.ids import EntityKind, canonical_id

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(1_200)]

ORDERS = 5
CLEARED = 18
FLOWS = (
    "intake__sfdc",
    "push__gam-main",
    "settle__gam-main",
    "mirror__sfdc",
    "observe__gam-main",
    "delivery__gam-main",
    "census__gam-main",
    "census__sfdc",
)
CLEARABLE = frozenset({"running", "success", "failed", "skipped"})
WEEKLY = ("census__gam-main", "census__sfdc")
"""Flows that nothing started in a demo of minutes."""
ROUNDS, CLEARED_EACH_ROUND, EDITED = 3, 4, 4
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
        api = airflow(machinery)
        for flow in WEEKLY:
            assert api.wait_for_run(flow, api.trigger(flow)) == "success"
        api.wait_until_at_rest()
        api.close()
        yield machinery


def airflow(machinery: Machinery) -> AirflowApi:
    """The running Airflow, for its administrator."""
    assert machinery.url is not None
    assert machinery.password is not None
    return AirflowApi(machinery.url, "admin", machinery.password)


def test_tasks_cleared_at_random_change_nothing(at_rest: Machinery) -> None:
    api = airflow(at_rest)
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


def test_tasks_cleared_while_work_is_under_way_lose_nothing_and_double_nothing(at_rest: Machinery) -> None:
    api = airflow(at_rest)
    dice = random.Random(20260106)
    natives = placed(at_rest)
    objects = {name: len(at_rest.people.ad_server.objects(name)) for name in TYPES}
    wanted: dict[str, int] = {}
    cleared: Counter[str] = Counter()
    for _ in range(ROUNDS):
        edits = {mark: dice.randrange(1_000, 9_000) * 1_000 for mark in dice.sample(sorted(natives), EDITED)}
        saved = at_rest.crm.update(
            "OpportunityLineItem",
            [{"Id": natives[mark], "Goal_Impressions__c": goal} for mark, goal in edits.items()],
        )
        assert all(one.id for one in saved)
        wanted.update(edits)
        api.trigger("intake__sfdc")
        for _ in range(CLEARED_EACH_ROUND):
            for state in cleared_under_way(api, dice):
                cleared[state] += 1
    api.wait_until_at_rest()
    api.close()
    at_rest.engine.travel()
    assert cleared["running"] > 0, f"tasks were cleared while they ran, else nothing is proven: {dict(cleared)}"
    goals = {str(line["externalId"]): int(line["primaryGoal"]["units"]) for line in lines_there(at_rest)}
    assert {mark: goals[mark] for mark in wanted} == wanted
    assert {name: len(at_rest.people.ad_server.objects(name)) for name in TYPES} == objects
    vendors = (at_rest.people.ad_server, at_rest.people.crm)
    for vendor in vendors:
        vendor.reset_calls()
    at_rest.engine.travel()
    assert writes([call for vendor in vendors for call in vendor.calls()]) == 0, "everything was told already"


def lines_there(machinery: Machinery) -> list[dict[str, Any]]:
    """The ad server's lines."""
    return machinery.people.ad_server.objects("LineItem")


def placed(machinery: Machinery) -> dict[str, str]:
    """The CRM's id, by mark, of each line whose goal stands at the ad server as it was sold."""
    goals = {str(line["externalId"]): int(line["primaryGoal"]["units"]) for line in lines_there(machinery)}
    sold = {
        canonical_id(EntityKind.LINE, SOURCE, str(line["Id"])): line
        for line in machinery.people.crm.objects("OpportunityLineItem")
    }
    return {
        mark: str(line["Id"])
        for mark, line in sold.items()
        if int(line.get("Goal_Impressions__c") or 0) == goals.get(mark)
    }


def cleared_under_way(api: AirflowApi, dice: random.Random) -> list[str]:
    """Clear one task of a run that is under way, or of the newest of a flow where none is; the states they had."""
    under_way = [(run["dag_id"], str(run["dag_run_id"])) for run in api.runs(state="running")]
    flow = dice.choice(FLOWS)
    runs = under_way or [(flow, str(run["dag_run_id"])) for run in api.runs(flow, limit=1)]
    dag, run_id = dice.choice(runs)
    states = {task: state for task, state in api.task_instances(dag, run_id).items() if state in CLEARABLE}
    if not states:
        return []
    task = dice.choice(sorted(states))
    return [str(states[task]) for _ in api.clear(dag, run_id, [task])]


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
