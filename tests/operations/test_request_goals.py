"""The request budget: what a plan, an apply and waiting may take of the account's rationed requests."""

import asyncio
import math

import pytest

from reconciler.adapters.state import local
from reconciler.model.desired import AdoptOrigin, CreateOrigin, Desired, DesiredMessage, DesiredProject
from reconciler.operations.read.refresh import refresh
from reconciler.sandbox.faults import Fault
from tests.operations.operations_support import in_world
from tests.operations.test_waiting import is_idle, monitor_of, ticks, together
from tests.sampling import square


def created(count, **more):
    return Desired(
        "ws", {f"p{n:04}": DesiredProject(f"p{n:04}", CreateOrigin({"brief": f"B {n}"}), **more) for n in range(count)}
    )


def is_mutating(row):
    return row.method != "GET"


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("sizes", "order"),
    square(2, [(0, 0), (1, 0), (5, 3), (1, 250), (4, 330), (120, 90), (205, 0)], ["newest", "oldest"]),
)
def test_a_plan_without_changes_takes_the_lists_pages_or_a_look_at_each(tmp_path, order, sizes):
    managed, others = sizes

    async def test(world):
        world.projects(others // 2)
        desired = created(managed, settings={"title": "A title"})
        await world.apply(desired, wait="none")
        world.projects(others - others // 2)
        made = await world.plan(desired)

        assert made.unchanged == managed and not made.steps
        total = managed + others
        assert made.requests_used <= min(math.ceil(total / 100) + 2, max(1, managed + 1))

    in_world(test, tmp_path, active=0, brief_is_message=False, list_order=order)


def test_an_apply_of_creates_takes_its_plan_and_one_call_for_each(tmp_path):
    async def test(world):
        world.projects(130)
        desired = created(25)
        planned = await world.plan(desired)
        result = await world.apply(desired, wait="none")

        rows = world.store.requests()
        assert sum(map(is_mutating, rows)) == planned.requests_needed == 25
        assert result.requests == len(rows) == planned.requests_used + 25

    in_world(test, tmp_path, active=0, brief_is_message=False)


def test_a_message_takes_two_calls_and_waiting_for_its_turn_one_a_tick(tmp_path):
    async def test(world):
        messages = tuple(DesiredMessage(str(n), {"message": f"Change {n}."}) for n in range(3))
        studio = "51d10000-0000-4000-8000-000000000001"
        adopted = {"adopted": DesiredProject("adopted", AdoptOrigin(studio), messages=messages)}
        desired = Desired("ws", {**created(4, messages=messages).projects, **adopted})
        planned = await world.plan(desired)
        result = await world.apply(desired, wait="steps")

        rows = world.store.requests()
        assert set(result.counts) == {"done"} and len(result.results) == 5 + 15
        assert sum(map(is_mutating, rows)) == 5 + 15
        assert sum(row.path.endswith("/messages") for row in rows) <= 2 * 15
        waiting = [row for row in rows[planned.requests_used :] if row.method == "GET" and "/messages" not in row.path]
        assert len({row.at for row in waiting}) == len(waiting), "one call a tick"
        assert result.requests == len(rows) == planned.requests_used + 5 + 2 * 15 + len(waiting)

    in_world(test, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("count", [1, 4])
def test_a_message_goes_out_within_a_second_of_its_agents_turning_idle(tmp_path, count):
    async def test(world):
        messages = tuple(DesiredMessage(str(n), {"message": f"Change {n}."}) for n in range(3))
        working, turned = set(), []

        async def see():
            while True:
                idle = {project["id"] for project in world.store.projects() if project["status"] == "idle"}
                turned.extend((world.clock(), f"/projects/{project}/messages") for project in working & idle)
                working.update(project["id"] for project in world.store.projects())
                working.difference_update(idle)
                await asyncio.sleep(0.05)

        seeing = asyncio.ensure_future(see())
        result = await world.apply(created(count, messages=messages), wait="steps")
        seeing.cancel()

        assert set(result.counts) == {"done"}
        sent = [row for row in world.store.requests() if row.method == "POST" and row.path.endswith("/messages")]
        late = [row.at - max(at for at, path in turned if path == row.path and at <= row.at) for row in sent]
        assert len(late) == 3 * count and max(late) <= 1, late

    in_world(test, tmp_path, speed=0.93)  # agents that stop between the reads


@pytest.mark.parametrize("statuses", [["running"] * 40, ["queued", "running", "generating", "rendering"] * 10])
def test_however_many_are_waited_for_a_tick_takes_a_list_for_each_status(statuses):
    async def test(world):
        busy = [world.projects(1, status=status)[0] for status in statuses]
        world.projects(200)
        monitor = await monitor_of(world, *busy, poll_interval=30.0)
        waiting = [asyncio.ensure_future(monitor.until(project, is_idle, "it")) for project in busy]
        await asyncio.sleep(95)

        seen = ticks(world)
        assert {at for at, _, _ in seen} == {30, 60, 90}
        assert sorted(seen) == sorted((at, "", status) for at in (30, 60, 90) for status in set(statuses))
        for project in busy:
            world.store.set_status(project, "idle")
        await together(*waiting)

    in_world(test, brief_is_message=False)


@pytest.mark.sweep
def test_the_journal_is_synced_once_for_what_is_begun_together_and_grows_by_the_same_for_each(tmp_path, monkeypatch):
    # Intent: an apply's own cost stays linear: no rewriting of the state, and no sync for each of many intents.
    syncs = []
    sync = local.os.fsync
    monkeypatch.setattr(local.os, "fsync", lambda fd: (syncs.append(fd), sync(fd)))
    sizes = []

    async def test(world):
        flush = world.states._write
        monkeypatch.setattr(world.states, "_write", lambda data: (sizes.append(data), flush(data)))
        await world.apply(created(400), wait="none")

    in_world(test, tmp_path, active=0)

    lines = [line for data in sizes for line in data.splitlines()]
    assert len(lines) == 2 * 400, "an intent and an outcome for each create, and nothing else"
    assert len(sizes) <= len(syncs) <= len(sizes) + 6, "one sync for each group, a few for the files as a whole"
    assert len(sizes[0].splitlines()) == 8, "all that may be under way at once begin with one sync"
    intents, outcomes = ({len(line) for line in lines if kind in line} for kind in (b'"begin"', b'"end"'))
    assert max(intents) - min(intents) < 20 and max(outcomes) - min(outcomes) < 20


@pytest.mark.sampled(3)
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_an_account_of_thousands_that_moves_under_its_pages_is_still_read_whole(order):
    # Intent: unread is not absent at size either; a page that shifted costs one more reading and no project.
    async def test(world):
        everybody = world.projects(2_050)
        world.store.add_fault(Fault(kind="shift", method="GET", path="^/projects$", skip=13))
        world.store.clear_requests()
        seen = await refresh(world.api, frozenset(everybody), at="")

        assert set(everybody) <= seen.projects.keys() and not seen.missing and seen.complete
        assert seen.requests == len(world.calls()) == 2 * math.ceil(2_051 / 100)

    in_world(test, brief_is_message=False, list_order=order)
