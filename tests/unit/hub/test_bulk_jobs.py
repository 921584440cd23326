"""Bulk jobs: many due records go as one job, few as calls, and nothing is sent again while a job may be at work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from connectors.base import Capabilities, JobCapability, JobState, Operation, Outcome, PushItem, PushResult
from connectors.errors import AuthFailed, OutcomeUnknown, RetryLater

from .conftest import Call, FakeCrm, HandClock, World, make_world

ABOVE = 5


class JobCrm(FakeCrm):
    """A CRM that works jobs off when it is asked about them for the `questions`th time."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__(clock)
        self.jobs: list[Call] = []
        self.questions = 2
        self.asked = 0
        self.loses_start = False
        self.refuses_questions: Exception | None = None
        self.most = 100
        self.size = 1_000_000

    @property
    def capabilities(self) -> Capabilities:
        known = super().capabilities
        jobs = JobCapability(ABOVE, self.most, self.size)
        records = {name: replace(each, batch=2, max_in_flight=600, jobs=jobs) for name, each in known.records.items()}
        return replace(known, records=records)

    def start_bulk(self, record: str, operation: Operation, items: Sequence[PushItem]) -> str:
        self.jobs.append(Call(record, operation, list(items)))
        if self.loses_start:
            raise OutcomeUnknown("TIMEOUT", "no answer")
        return f"job-{len(self.jobs)}"

    def bulk_state(self, job: str) -> JobState:
        self.asked += 1
        if self.refuses_questions is not None:
            raise self.refuses_questions
        return JobState.RUNNING if self.asked < self.questions else JobState.READY

    def bulk_results(
        self, record: str, operation: Operation, items: Sequence[PushItem], job: str
    ) -> Sequence[PushResult]:
        for item in items[:-1]:
            self.mirror.setdefault(str(item.vendor_id), {}).update(item.payload)
        done = [PushResult(item.key, Outcome.UPDATED, item.vendor_id) for item in items[:-1]]
        return [
            *done,
            PushResult(items[-1].key, Outcome.REJECTED, code="TOO_LONG", message="too long", reason="length"),
        ]


@pytest.fixture
def town(database_url: str) -> Iterator[tuple[World, JobCrm]]:
    world = make_world(database_url)
    crm = JobCrm(world.business)
    world.crm = crm
    world.hub.session.connect = lambda name, _: crm if name == "sfdc" else world.ads
    with world.hub:
        yield world, crm


def due(world: World, lines: int) -> None:
    """Lines whose mirror is due and nothing else is."""
    world.book(lines)
    world.hub.intake("sfdc")
    for _ in range(4):
        world.hub.push("gam-main")


def job_lines(crm: JobCrm) -> list[int]:
    return [len(call.items) for call in crm.jobs if call.record == "OpportunityLineItem"]


def call_lines(crm: JobCrm) -> list[int]:
    return [len(call.items) for call in crm.calls if call.record == "OpportunityLineItem"]


def test_more_than_the_declared_number_due_is_one_job_with_a_result_per_record(town: tuple[World, JobCrm]) -> None:
    world, crm = town
    due(world, ABOVE + 1)
    pushed = world.hub.push("sfdc")
    assert (job_lines(crm), call_lines(crm)) == ([ABOVE + 1], [])
    assert pushed.outcomes["rejected"] == 1
    assert pushed.outcomes["updated"] == ABOVE + 1  # the lines but one, and the order
    (parked,) = world.hub.parked()
    assert (parked.reason, parked.code) == ("length", "TOO_LONG")
    assert world.hub.push("sfdc").calls == 0


def test_no_more_than_the_declared_number_due_goes_in_calls(town: tuple[World, JobCrm]) -> None:
    world, crm = town
    due(world, ABOVE)
    world.hub.push("sfdc")
    assert (job_lines(crm), sorted(call_lines(crm))) == ([], [1, 2, 2])


@pytest.mark.parametrize(("most", "size"), [(6, 1_000_000), (100, 1_500)])
def test_a_job_never_holds_more_than_was_declared(town: tuple[World, JobCrm], most: int, size: int) -> None:
    world, crm = town
    crm.most, crm.size = most, size
    due(world, 14)
    world.hub.push("sfdc")
    assert job_lines(crm)
    assert sum(job_lines(crm)) + sum(call_lines(crm)) == 14
    assert max(job_lines(crm)) <= most
    if size < 1_000_000:
        assert max(job_lines(crm)) < 14


def test_a_job_that_takes_longer_than_a_lease_is_not_taken_over(town: tuple[World, JobCrm]) -> None:
    world, crm = town
    world.hub.session.configuration = replace(
        world.hub.session.configuration,
        hub=world.hub.session.configuration.hub.model_copy(update={"lease_seconds": 20.0}),
    )
    crm.questions = 12
    due(world, 8)
    taken: list[int] = []
    with world.second_worker() as second:
        sleep = world.hub.session.sleep

        def meanwhile(seconds: float) -> None:
            sleep(seconds)
            taken.append(second.settle("sfdc").examined)

        world.hub.session.sleep = meanwhile
        pushed = world.hub.push("sfdc")
    assert sum(world.slept) > 60
    assert set(taken) == {0}
    assert (pushed.outcomes["updated"], pushed.outcomes.get("in_doubt", 0)) == (8, 0)


@pytest.mark.parametrize("refusal", [None, RetryLater("503", "busy", 1.0), AuthFailed("401", "who are you")])
def test_what_a_job_has_not_told_is_in_doubt_and_asked_about_before_it_is_sent_again(
    town: tuple[World, JobCrm], refusal: Exception | None
) -> None:
    world, crm = town
    crm.questions, crm.refuses_questions = 10**6, refusal
    due(world, 8)
    pushed = world.hub.push("sfdc")
    assert pushed.outcomes["in_doubt"] == 8
    crm.refuses_questions = None
    for _ in range(3):
        world.machine.advance(700)
        settled = world.hub.settle("sfdc")
        assert (settled.waiting, settled.resent) == (8, 0)
        world.hub.push("sfdc")
        assert job_lines(crm) == [8]
    crm.questions = 0
    world.machine.advance(700)
    assert world.hub.settle("sfdc").resent == 8
    assert world.hub.push("sfdc").outcomes["updated"] == 7
    assert job_lines(crm) == [8, 8]


def test_a_lost_reply_to_the_start_is_in_doubt_until_nothing_can_be_under_way(town: tuple[World, JobCrm]) -> None:
    world, crm = town
    crm.loses_start = True
    due(world, 8)
    assert world.hub.push("sfdc").outcomes["in_doubt"] == 8
    crm.loses_start = False
    world.machine.advance(599)
    assert (world.hub.settle("sfdc").resent, job_lines(crm)) == (0, [8])
    world.machine.advance(2)
    assert world.hub.settle("sfdc").resent == 8
    world.hub.push("sfdc")
    assert job_lines(crm) == [8, 8]
