"""What the oracle and the watch ask the store: planted wrongs are found on a real PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from chaos import oracle
from chaos.watch import Watch
from cli.demo.engine import AD_SERVER
from cli.demo.figures import AdServerImage
from hub import Hub, open_hub
from hub.store import attempts, lanes

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
OLD, NEW = UUID(int=1), UUID(int=2)


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Iterator[Hub]:
    """A hub without connections on a migrated, empty store."""
    path = tmp_path / "orderhub.yaml"
    path.write_text(yaml.safe_dump({"store": {"url": database_url}}), encoding="utf-8")
    with open_hub(path) as opened:
        opened.migrate()
        yield opened


def add_lane(hub: Hub, line_id: str = "lin_1") -> None:
    with hub.session.database.transaction() as cur:
        lanes.want(
            cur,
            connection=AD_SERVER,
            kind="party",
            entity_id=line_id,
            facet="",
            order_id="ord_1",
            order_facet="1",
            stage=0,
            version=1,
            desired_hash=OLD,
            now=NOW,
        )


def claim(hub: Hub, lease: timedelta = timedelta(seconds=60)) -> lanes.Lane:
    with hub.session.database.transaction() as cur:
        (lane,) = lanes.claim(cur, AD_SERVER, "party", 10, NOW, NOW + lease, updates=False)
    return lane


def invoke(hub: Hub, lane: lanes.Lane, at: datetime) -> int:
    with hub.session.database.transaction() as cur:
        send = attempts.Send(lane.id, f"k{at}", "Company", "create", None, 1, OLD, b"{}", None, lane.fence)
        (number,) = attempts.invoke_all(cur, [send], at)
        return number


def finish(hub: Hub, attempt: int, at: datetime, outcome: str = "created") -> None:
    with hub.session.database.transaction() as cur:
        attempts.finish(cur, attempt, outcome, at, vendor_id="5")


def test_lanes_and_attempts_without_an_end_are_under_way(hub: Hub) -> None:
    add_lane(hub)
    assert oracle.still_under_way(hub) == []
    lane = claim(hub)
    attempt = invoke(hub, lane, NOW)
    assert len(oracle.still_under_way(hub)) == 2
    finish(hub, attempt, NOW)
    with hub.session.database.transaction() as cur:
        lanes.acknowledge(cur, lane, b"{}", OLD, 1, NOW)
    assert oracle.still_under_way(hub) == []


def test_attempts_that_overlap_are_found(hub: Hub) -> None:
    add_lane(hub)
    lane = claim(hub)
    first = invoke(hub, lane, NOW)
    finish(hub, first, NOW + timedelta(seconds=10))
    second = invoke(hub, lane, NOW + timedelta(seconds=10))
    finish(hub, second, NOW + timedelta(seconds=11))
    assert oracle.broken_history(hub) == []
    third = invoke(hub, lane, NOW + timedelta(seconds=10, milliseconds=500))
    finish(hub, third, NOW + timedelta(seconds=12))
    assert len(oracle.broken_history(hub)) == 1


def test_an_attempt_in_doubt_that_a_later_look_up_explains_overlaps_with_none(hub: Hub) -> None:
    add_lane(hub)
    lane = claim(hub)
    now = datetime.now(UTC)
    first = invoke(hub, lane, now)
    finish(hub, first, now, "in_doubt")
    second = invoke(hub, lane, now + timedelta(hours=1))
    finish(hub, second, now + timedelta(hours=1), "retry")
    finish(hub, first, now + timedelta(hours=2))
    assert oracle.broken_history(hub) == []


def test_references_must_point_to_living_objects_of_their_own(hub: Hub) -> None:
    def refer(entity_id: str, vendor_id: str) -> None:
        with hub.session.database.transaction() as cur:
            attempts.put_reference(
                cur,
                connection=AD_SERVER,
                kind="line",
                entity_id=entity_id,
                facet="1",
                record="LineItem",
                vendor_id=vendor_id,
                account="",
                attempt_id=None,
                now=NOW,
            )

    lines = {"7": {"externalId": "lin_a"}, "8": {"externalId": "lin_b"}, "9": {"externalId": "lin_c"}}
    refer("lin_a", "7")
    refer("lin_b", "8")
    refer("lin_c", "9")
    assert oracle.wrong_references(hub, AdServerImage({}, {}, lines)) == []
    assert oracle.wrong_references(hub, AdServerImage({}, {}, {**lines, "8": {"externalId": "lin_x"}}))
    assert oracle.wrong_references(hub, AdServerImage({}, {}, {"7": lines["7"], "8": lines["8"]}))
    twice = {**lines, "10": {"externalId": "lin_a"}}
    assert oracle.wrong_references(hub, AdServerImage({}, {}, twice)) == [
        "reference: nothing refers to LineItem 10 of lin_a"
    ]


def test_the_watch_knows_what_a_dead_worker_held_until_it_is_settled(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(hub)
    watch.begin()
    add_lane(hub)
    killed_at = datetime.now(UTC)
    monkeypatch.setenv("PGAPPNAME", "push-1.1")
    with open_hub(hub.session.configuration.path) as worker:
        lane = claim(worker)
        invoke(worker, lane, NOW)
        assert watch.holders(["push-1.1", "push-2.2"]) == ["push-1.1"]
        assert watch.senders_since(0, ["push-1.1"]) == ["push-1.1"]
        assert watch.senders_since(watch.newest_attempt(), ["push-1.1"]) == []
        assert watch.wait_for(lambda: watch.holders(["push-1.1"]), random.Random(1), 60.0) == "push-1.1"
    held = watch.left_behind("push-1.1")
    assert held == (lane.id,)
    assert not watch.settled(held, killed_at)
    with hub.session.database.transaction() as cur:
        lanes.acknowledge(cur, lane, b"{}", OLD, 1, datetime.now(UTC))
    assert watch.settled(held, killed_at)
    assert watch.left_behind("push-1.1") == ()
