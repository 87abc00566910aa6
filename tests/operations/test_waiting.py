"""Waiting: few calls however many wait, at the advised intervals, never past the deadline, never in vain."""

import asyncio
import itertools
from types import SimpleNamespace

import pytest

from reconciler.model.errors import ApiError, ProjectLimitError
from reconciler.model.events import StatusChanged, StepWaiting
from reconciler.model.journal import Draft
from reconciler.model.live import Snapshot
from reconciler.model.plan import Create
from reconciler.model.state import State
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import Deferred, Interrupted, Options, Run
from reconciler.operations.apply.workflow import ApplyRequest, apply
from reconciler.operations.read.refresh import refresh
from reconciler.planning.planner import Selection
from reconciler.sandbox.faults import Fault
from tests.operations.operations_support import START, Capped, in_world
from tests.planning.planning_support import desired

STEP = Create(address="a", reason="", body={}, generation=1, key="k")


def full_account(retry_after=None):
    return ProjectLimitError("full", method="POST", path="/projects", status=429, retry_after=retry_after)


def is_idle(live):
    return live.status == "idle"


def run_of(world, *, deadline=None, **options):
    run = Run(
        api=world.api,
        journal=SimpleNamespace(check=lambda: None),
        draft=Draft(State(lineage="l", workspace="ws", api_url="u")),
        emit=world.events.append,
        workspace="ws",
        options=Options(**options),
        slots=asyncio.Semaphore(1),
        media=None,
    )
    if deadline is not None:
        run.api.halt.set(deadline, "time ran out")
    return run


async def monitor_of(world, *wanted, deadline=None, **options):
    """A monitor that knows what a refresh has just seen; requests are counted from here on."""
    live = await refresh(world.api, frozenset(wanted), at="")
    world.store.clear_requests()
    return Monitor(run_of(world, deadline=deadline, **options), live)


def ticks(world):
    """When calls were made, in seconds, and of what."""
    return [
        (row.at - START, row.path.replace("/projects", ""), row.query.get("status")) for row in world.store.requests()
    ]


async def changes(world, *events):
    """``(at, project, status)``: what the agents do, in virtual time."""
    for at, project, status in events:
        await asyncio.sleep(at - world.time())
        world.store.set_status(project, status)


async def together(*coroutines):
    return await asyncio.gather(*coroutines)


def test_what_is_ready_is_not_waited_for():
    async def test(world):
        project = world.project()
        monitor = await monitor_of(world, project)

        assert (await monitor.until(project, is_idle, "it")).id == project
        assert not world.calls() and world.time() == 0

    in_world(test)


def test_what_was_not_seen_yet_is_looked_at_first():
    async def test(world):
        project = world.project()
        monitor = Monitor(run_of(world), Snapshot())

        assert (await monitor.until(project, is_idle, "it")).status == "idle"
        assert world.calls() == [("GET", f"/projects/{project}")]

    in_world(test)


@pytest.mark.parametrize(
    ("status", "options", "interval"),
    [
        ("queued", {}, 5),
        ("running", {}, 30),
        ("generating", {}, 30),
        ("rendering", {}, 30),
        ("dreaming", {}, 30),
        ("running", {"poll_scale": 0.1}, 3),
        ("running", {"poll_interval": 7.0, "poll_scale": 0.1}, 7),
    ],
)
def test_one_project_is_asked_for_at_the_interval_of_its_status(status, options, interval):
    async def test(world):
        project = world.project(status=status)
        monitor = await monitor_of(world, project, **options)
        await together(monitor.until(project, is_idle, "it"), changes(world, (2.5 * interval, project, "idle")))

        assert ticks(world) == [(n * interval, f"/{project}", None) for n in (1, 2, 3)]

    in_world(test)


def test_the_interval_follows_the_status():
    async def test(world):
        project = world.project(status="queued")
        monitor = await monitor_of(world, project)
        await together(
            monitor.until(project, is_idle, "it"), changes(world, (7, project, "running"), (11, project, "idle"))
        )

        assert [at for at, _, _ in ticks(world)] == [5, 10, 40]

    in_world(test)


# ── soon after an agent stops ──


async def listen(world, api, *projects):
    """Look at the projects through a client of its own pace."""
    world.api = api
    world.monitor = await monitor_of(world, *projects)


def hasty(world, *projects):
    """Waits for these, as steps do that go on then."""
    return [asyncio.ensure_future(world.monitor.until(project, is_idle, "it", STEP)) for project in projects]


async def stop(world, waiting, *projects):
    for project in projects:
        world.store.set_status(project, "idle")
    await together(*waiting)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("per_minute", "count", "others", "seconds"),
    [
        (1_000_000, 1, 0, 1),
        (120, 1, 0, 1),
        (60, 1, 0, 2),
        (30, 1, 0, 4),
        (120, 6, 0, 1),  # a list call for all
        (120, 3, 150, 3),  # each by itself
        (120, 6, 150, 1),  # a list call for those at work
        (30, 3, 150, 12),
        (4, 1, 0, 30),  # the advised interval, where the limit leaves less
    ],
)
def test_a_step_goes_on_soon_after_the_agent_stops_and_half_of_the_requests_are_left_to_others(
    per_minute, count, others, seconds
):
    async def test(world):
        busy = world.projects(count, status="running")
        world.projects(others)
        async with world.client(per_minute) as api:
            await listen(world, api, *busy)
            waiting = hasty(world, *busy)
            await asyncio.sleep(200)
            made = [at for at, _, _ in ticks(world)]
            await stop(world, waiting, *busy)

        first, second = sorted({round(at, 1) for at in made})[1:3]
        assert second - first == pytest.approx(seconds, abs=0.1)
        assert all(sum(at <= one < at + 60 for one in made) <= max(2, per_minute / 2 + count) for at in made)

    in_world(test, brief_is_message=False)


@pytest.mark.parametrize("wait", ["a step", "nothing"])
def test_only_a_step_is_in_a_hurry(wait):
    async def test(world):
        project = world.project(status="running")
        monitor = await monitor_of(world, project)
        waiting = monitor.until(project, is_idle, "it", STEP if wait == "a step" else None)
        await together(waiting, changes(world, (44.5, project, "idle")))

        assert world.time() == (45 if wait == "a step" else 60)

    in_world(test)


def test_who_asks_for_an_interval_gets_it():
    async def test(world):
        project = world.project(status="running")
        monitor = await monitor_of(world, project, poll_interval=20.0)
        await together(monitor.until(project, is_idle, "it", STEP), changes(world, (21, project, "idle")))

        assert [at for at, _, _ in ticks(world)] == [20, 40]

    in_world(test)


def test_who_is_in_a_hurry_does_not_wait_for_the_reads_of_others():
    async def test(world):
        slow, project = world.projects(2, status="running")
        world.projects(150)
        world.monitor = monitor = await monitor_of(world, slow, project)
        patient = asyncio.ensure_future(monitor.until(slow, is_idle, "it"))
        await asyncio.sleep(10)
        (waiting,) = hasty(world, project)
        await changes(world, (15.5, project, "idle"))
        await waiting

        assert world.time() == pytest.approx(16, abs=0.6)
        assert {path for _, path, _ in ticks(world)} == {f"/{project}"}
        await stop(world, [patient], slow)

    in_world(test, brief_is_message=False)


def test_a_project_that_has_stopped_already_is_looked_at_at_leisure():
    async def test(world):
        project = world.project()
        monitor = await monitor_of(world, project)
        waiting = asyncio.ensure_future(monitor.until(project, lambda p: p.status == "cancelled", "it", STEP))
        await asyncio.sleep(100)

        assert [at for at, _, _ in ticks(world)] == [30, 60, 90]
        world.store.set_status(project, "cancelled")
        await waiting

    in_world(test)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 1),
        ({"x-ratelimit-remaining": "100", "x-ratelimit-reset": "60"}, 1),
        ({"x-ratelimit-remaining": "20", "x-ratelimit-reset": "60"}, 3),
        ({"x-ratelimit-remaining": "20", "x-ratelimit-reset": "1"}, 3),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "60"}, 30),
        ({"x-ratelimit-limit": "30"}, 4),
    ],
)
def test_what_others_use_up_is_not_asked_for(headers, seconds):
    # Intent: a second run, or CI, on the same account gets its share: the server says what is left for all.
    async def test(world):
        project = world.project(status="running")
        async with world.client(120) as api:
            await listen(world, api, project)
            observe = api._limiter.observe
            api._limiter.observe = lambda told: observe({**told, **headers})
            observe(headers)
            waiting = hasty(world, project)
            await asyncio.sleep(100)
            made = [at for at, _, _ in ticks(world)]
            await stop(world, waiting, project)

        assert made[2] - made[1] == pytest.approx(seconds, abs=0.3)

    in_world(test)


def test_after_a_refusal_for_the_rate_limit_a_minute_is_waited_at_leisure():
    async def test(world):
        project = world.project(status="running")
        async with world.client(120) as api:
            await listen(world, api, project)
            api._limiter.pause(1)
            waiting = hasty(world, project)
            await asyncio.sleep(95)
            made = [at for at, _, _ in ticks(world)]
            await stop(world, waiting, project)

        assert made[:5] == [30, 60, 90, 91, 92]

    in_world(test)


@pytest.mark.sweep
def test_two_runs_of_an_account_leave_room_for_a_third(tmp_path):
    # Intent: with one limit for all keys, two that wait don't starve a plan in CI.
    async def test(world):
        first, second = (world.project(status="running") for _ in range(2))
        async with world.client(120) as one, world.client(120) as other, world.client(120) as ci:
            waiting = []
            for api, project in ((one, first), (other, second)):
                await listen(world, api, project)
                waiting += hasty(world, project)
            for _ in range(60):
                await asyncio.sleep(10)
                await ci.list_projects()
            refused = sum(row.status == 429 for row in world.store.requests())
            await stop(world, waiting, first, second)

        assert refused == 0

    in_world(test, requests_per_minute=120)


def test_several_in_a_small_account_cost_one_list_call_a_tick():
    async def test(world):
        busy = [world.project(status="running") for _ in range(6)]
        monitor = await monitor_of(world, *busy)
        waiting = (monitor.until(project, is_idle, "it") for project in busy)
        await together(*waiting, changes(world, *((40, project, "idle") for project in busy)))

        assert ticks(world) == [(30, "", None), (60, "", None)]

    in_world(test)


@pytest.mark.parametrize(("count", "calls"), [(1, 1), (2, 2), (3, 3), (4, 1), (9, 1)])
def test_in_a_large_account_up_to_three_are_asked_for_and_more_through_one_list_call(count, calls):
    async def test(world):
        busy = world.projects(count, status="running")
        world.projects(150)
        monitor = await monitor_of(world, *busy)
        waiting = [asyncio.ensure_future(monitor.until(project, is_idle, "it")) for project in busy]
        await asyncio.sleep(31)

        expected = {("", "running")} if count > 3 else {(f"/{project}", None) for project in busy}
        assert {(path, status) for _, path, status in ticks(world)} == expected
        assert len(ticks(world)) == calls
        for project in busy:
            world.store.set_status(project, "idle")
        await together(*waiting)

    in_world(test, brief_is_message=False)


def test_who_left_the_filtered_list_is_looked_at():
    async def test(world):
        busy = world.projects(5, status="running")
        world.projects(150)
        monitor = await monitor_of(world, *busy)
        waiting = [asyncio.ensure_future(monitor.until(project, is_idle, "it")) for project in busy]
        await changes(world, (10, busy[0], "idle"))
        await asyncio.sleep(25)

        assert waiting[0].done() and not waiting[1].done()
        assert [(path, status) for _, path, status in ticks(world)] == [("", "running"), (f"/{busy[0]}", None)]
        for project in busy[1:]:
            world.store.set_status(project, "idle")
        await together(*waiting)

    in_world(test, brief_is_message=False)


def test_an_account_that_grows_past_a_page_is_not_read_by_its_first_page():
    async def test(world):
        busy = world.projects(2, status="running")
        monitor = await monitor_of(world, *busy)
        world.projects(150)
        waiting = (monitor.until(project, is_idle, "it") for project in busy)
        await together(*waiting, changes(world, *((40, project, "idle") for project in busy)))

        assert [at for at, _, _ in ticks(world)] == [30, 30, 30, 60, 60]
        assert [path for _, path, _ in ticks(world)].count("") == 1

    in_world(test, brief_is_message=False)


def test_a_project_that_is_gone_counts_as_over():
    async def test(world):
        project = world.project(status="running")
        monitor = await monitor_of(world, project)
        world.store.add_fault(Fault(kind="status", status=404, path=project))
        live = await monitor.until(project, lambda p: p.status == "cancelled", "it")

        assert live.status == "cancelled" and world.time() == 30

    in_world(test)


def test_a_poll_that_fails_for_good_is_told_to_all_who_wait():
    async def test(world):
        busy = [world.project(status="running") for _ in range(3)]
        monitor = await monitor_of(world, *busy)
        world.store.add_fault(Fault(kind="status", status=403))
        waiting = (monitor.until(project, is_idle, "it") for project in busy)

        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(r, ApiError) for r in results] == [True] * 3
        assert len(world.calls()) == 1
        world.store.set_status(busy[0], "idle")
        assert (await monitor.until(busy[0], is_idle, "it")).status == "idle"

    in_world(test)


# ── not waiting, or not any longer ──


def test_who_does_not_wait_defers_without_a_call():
    async def test(world):
        project = world.project(status="running")
        monitor = await monitor_of(world, project, wait="none")
        with pytest.raises(Deferred, match="the agent"):
            await monitor.until(project, is_idle, "the agent")

        assert not world.calls() and world.time() == 0

    in_world(test)


def test_at_the_deadline_all_are_deferred_at_once():
    async def test(world):
        busy = [world.project(status="running") for _ in range(2)]
        monitor = await monitor_of(world, *busy, deadline=45.0)
        waiting = (monitor.until(project, is_idle, f"agent {n}") for n, project in enumerate(busy))

        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [(type(r), str(r)) for r in results] == [(Deferred, "agent 0"), (Deferred, "agent 1")]
        assert world.time() == 45 and [at for at, _, _ in ticks(world)] == [30]
        with pytest.raises(Deferred):
            await monitor.until(busy[0], is_idle, "it")
        assert world.time() == 45

    in_world(test)


def test_an_interrupt_ends_the_waiting_at_once():
    async def test(world):
        project = world.project(status="running")
        monitor = await monitor_of(world, project)
        interrupt = asyncio.get_running_loop().call_later
        interrupt(12, monitor._run.stop.set)
        interrupt(12, world.api.halt.set, 12, "interrupted")
        with pytest.raises(Interrupted):
            await monitor.until(project, is_idle, "it")

        assert world.time() == 12 and not world.calls()
        with pytest.raises(Interrupted):
            monitor.check_may_wait("it")

    in_world(test)


# ── slots ──


async def take(world, monitor, log, name, seconds):
    """Take a slot, work so many seconds in it, give it back."""
    await monitor.slot(STEP)
    log.append((name, world.time()))
    project = world.project(status="running")
    monitor.set_status(project, "running")
    monitor.release()
    await asyncio.sleep(seconds)
    world.store.set_status(project, "idle")


def test_a_free_slot_is_taken_at_once_and_a_full_account_is_waited_for():
    async def test(world):
        monitor = await monitor_of(world, active_limit=2)
        log = []
        await together(*(take(world, monitor, log, name, 10) for name in "abc"))

        assert log == [("a", 0), ("b", 0), ("c", 30)]
        assert len(world.calls()) == 1

    in_world(test)


def test_reserved_slots_count_before_the_project_is_known():
    async def test(world):
        monitor = await monitor_of(world, active_limit=1, wait="none")
        await monitor.slot(STEP)
        with pytest.raises(Deferred, match=r"a free slot \(1 projects may be active at once\)"):
            await monitor.slot(STEP)
        monitor.release()
        await monitor.slot(STEP)

    in_world(test)


def test_what_others_have_at_work_takes_slots_too():
    async def test(world):
        others = world.projects(2, status="running")
        world.projects(150)
        monitor = await monitor_of(world, active_limit=2)
        waiting = asyncio.ensure_future(monitor.slot(STEP))
        await asyncio.sleep(0.1)

        assert not waiting.done()
        searched = {status for _, path, status in ticks(world) if path == ""}
        assert searched == {"queued", "running", "generating", "rendering"}
        world.store.set_status(others[0], "idle")
        await waiting
        assert world.time() == 30

    in_world(test, brief_is_message=False)


def test_a_refusal_for_want_of_a_slot_is_believed_though_the_count_says_otherwise():
    async def test(world):
        monitor = await monitor_of(world, active_limit=5)
        await monitor.slot(STEP)
        monitor.release(full_account())
        await monitor.slot(STEP)

        assert world.time() == 5 and not world.calls()
        monitor.release()
        await monitor.slot(STEP)
        assert world.time() == 5

    in_world(test)


@pytest.mark.parametrize(("retry_after", "poll_interval", "seconds"), [(17, None, 17), (None, 0.05, 1), (0.2, 3, 1)])
def test_one_asks_for_all_that_wait_for_a_slot_at_the_pace_that_the_account_names(retry_after, poll_interval, seconds):
    async def test(world):
        monitor = await monitor_of(world, active_limit=1000, poll_interval=poll_interval)
        asked = []

        async def step(number):
            while True:
                await monitor.slot(STEP)
                asked.append((world.time(), number))
                await asyncio.sleep(0.1)
                refused = world.time() < 3 * seconds
                monitor.release(full_account(retry_after) if refused else None)
                if not refused:
                    return

        await asyncio.gather(*(step(n) for n in range(4)))

        first = [at for at, _ in asked if at == 0]
        again = [at for at, _ in asked if 0 < at <= 3 * seconds]
        assert len(first) == 4, "nobody knew before the first refusal"
        assert len(again) <= 3, asked
        assert all(later - earlier >= seconds for earlier, later in itertools.pairwise(again))

    in_world(test)


def test_the_number_of_slots_is_learned_from_what_the_account_refuses():
    async def test(world):
        busy = [world.project(status="running") for _ in range(5)]
        monitor = await monitor_of(world, active_limit=1000)
        await monitor.slot(STEP)
        monitor.release(full_account())
        waiting = asyncio.create_task(monitor.slot(STEP))
        await changes(world, (65, busy[0], "idle"))
        await waiting

        told = [event.waits_for for event in world.events if isinstance(event, StepWaiting)]
        assert told == ["a free slot (5 projects may be active at once)"]

    in_world(test)


# ── events ──


def test_waiting_is_told_once_and_every_change_of_a_known_address():
    async def test(world):
        project, stranger = world.project(status="queued"), world.project(status="queued")
        monitor = await monitor_of(world, project)
        monitor.names[project] = "a"
        await together(
            monitor.until(project, is_idle, "it", STEP),
            changes(world, (7, project, "running"), (12, stranger, "running"), (15, project, "idle")),
        )

        assert world.events == [
            StepWaiting(step=STEP, waits_for="it", seconds=1.0),
            StatusChanged(address="a", project_id=project, status="running"),
            StatusChanged(address="a", project_id=project, status="idle"),
        ]

    in_world(test)


def test_what_only_the_list_shows_is_kept_when_the_status_is_looked_at():
    async def test(world):
        project = world.project(title="T")
        monitor = await monitor_of(world, project)
        live = await monitor.look(project)

        assert live.settings["title"] == "T" and live.brief == "A person's film."
        monitor.set_status(project, "running")
        assert project in monitor.active and monitor.projects[project].settings["title"] == "T"
        monitor.set_status(project, "failed")
        assert project not in monitor.active

    in_world(test)


def test_a_server_that_caps_its_pages_is_not_asked_for_the_list_again_and_again():
    async def test(world):
        projects = world.projects(60, status="running")
        async with Capped(world, 20).client() as api:
            live = await refresh(api, frozenset(projects), everything=True, at="")
            run = run_of(world)
            run.api = api
            monitor = Monitor(run, live)
            world.store.clear_requests()
            waiting = together(*(monitor.until(i, is_idle, "it") for i in projects[:2]))
            await together(waiting, changes(world, *((100, i, "idle") for i in projects[:2])))

        lists = [row for row in world.store.requests() if row.path.endswith("/projects")]
        assert len(lists) == 1

    in_world(test, brief_is_message=False)


def test_a_run_that_is_to_stop_does_not_begin_to_wait_for_the_lock(tmp_path):
    async def test(world):
        stop = asyncio.Event()
        stop.set()
        request = ApplyRequest(
            desired=desired(), saved=None, selection=Selection(), options=Options(), confirm=lambda _: True
        )
        with world.states.lock("another run", 0), pytest.raises(Interrupted):
            await apply(world.workspace, world.api, request, emit=world.events.append, stop=stop)

    in_world(test, tmp_path)
