"""Refresh: few requests, and nothing that was not read counts as absent."""

import httpx
import pytest

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.model.errors import ApiError, ReconcilerError
from reconciler.model.live import LiveProject
from reconciler.model.state import Entry, Outputs, State
from reconciler.operations.read.refresh import list_filtered, merge, refresh
from reconciler.planning.knowledge import remembered_projects
from reconciler.sandbox.faults import Fault
from tests.operations.operations_support import Capped, in_world
from tests.virtual_time import run

AT = "2026-01-01T00:00:00Z"


def refreshed(world, wanted, **more):
    world.store.clear_requests()
    return refresh(world.api, frozenset(wanted), at=AT, **more)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize(
    ("total", "managed"), [(1, 1), (99, 99), (100, 100), (101, 101), (101, 1), (250, 2), (250, 200), (430, 3), (430, 5)]
)
def test_a_refresh_takes_pages_or_single_looks_whichever_are_fewer(order, total, managed):
    async def test(world):
        everybody = world.projects(total)
        for wanted in (everybody[:managed], everybody[-managed:]):
            seen = await refreshed(world, wanted)

            calls = world.calls()
            assert len(calls) == seen.requests
            assert len(calls) <= min(-(-total // 100) + 2, managed + 1)
            assert set(wanted) <= set(seen.projects)
            assert seen.missing == frozenset() and seen.total == total and seen.at == AT

    in_world(test, list_order=order, brief_is_message=False)


def test_a_look_at_an_empty_account_takes_one_request_and_knows_all():
    async def test(world):
        seen = await refreshed(world, [])

        assert (seen.requests, seen.complete, seen.total, seen.active) == (1, True, 0, 0)

    in_world(test)


def test_wanted_projects_on_the_first_page_cost_nothing_more():
    async def test(world):
        everybody = world.projects(250)
        seen = await refreshed(world, everybody[-50:])

        assert seen.requests == 1 and not seen.complete and seen.active is None

    in_world(test, brief_is_message=False)


def test_all_is_read_where_all_is_asked_for():
    async def test(world):
        everybody = world.projects(205)
        busy = world.project(status="running")
        seen = await refreshed(world, [], everything=True)

        assert seen.requests == 3 and seen.complete and set(seen.projects) == {*everybody, busy}
        assert seen.active == 1

    in_world(test, brief_is_message=False)


def test_an_unknown_status_counts_as_active():
    async def test(world):
        world.store.set_status(world.project(), "dreaming")
        for status in ("queued", "rendering", "idle", "failed", "cancelled"):
            world.project(status=status)

        assert (await refreshed(world, [])).active == 3

    in_world(test)


def test_only_a_404_says_that_a_project_is_not_there():
    async def test(world):
        there = world.project()
        seen = await refreshed(world, [there, "proj_gone"])

        assert seen.missing == {"proj_gone"} and there in seen.projects
        assert world.calls() == [("GET", "/projects"), ("GET", "/projects/proj_gone")]

    in_world(test)


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 403}, {"kind": "status", "status": 400}])
def test_another_refusal_of_one_project_fails_the_refresh(fault):
    async def test(world):
        world.store.add_fault(Fault(path="proj_", **fault))
        with pytest.raises(ApiError):
            await refreshed(world, ["proj_gone"])

    in_world(test)


def test_a_later_page_that_fails_fails_the_refresh():
    async def test(world):
        everybody = world.projects(250)
        world.store.add_fault(Fault(kind="status", status=403, path="^/projects$", skip=1))
        with pytest.raises(ApiError):
            await refreshed(world, everybody)

    in_world(test, brief_is_message=False)


def test_passing_faults_are_ridden_out():
    async def test(world):
        everybody = world.projects(150)
        world.store.add_fault(Fault(kind="status", status=500, path="^/projects$", skip=1, times=2))
        seen = await refreshed(world, everybody)

        assert seen.complete and set(seen.projects) == set(everybody) and seen.requests == len(world.calls()) == 4

    in_world(test, brief_is_message=False)


def test_a_list_that_shifts_is_read_again_until_it_holds_still():
    async def test(world):
        everybody = world.projects(250)
        world.store.add_fault(Fault(kind="shift", method="GET", path="^/projects$", skip=1, times=2))
        seen = await refreshed(world, everybody)

        assert seen.complete and set(everybody) < set(seen.projects) and len(seen.projects) == 252
        assert seen.requests == 6

    in_world(test, brief_is_message=False)


def test_a_list_that_never_holds_still_is_an_error_and_no_absence():
    async def test(world):
        everybody = world.projects(150)
        world.store.add_fault(Fault(kind="shift", method="GET", path="^/projects$", times=0))
        with pytest.raises(ReconcilerError, match="kept changing while it was read"):
            await refreshed(world, everybody)
        with pytest.raises(ReconcilerError, match="kept changing while it was read"):
            await list_filtered(world.api, status="idle")

    in_world(test, brief_is_message=False)


class Pages:
    """A server whose list answers are scripted: each a total and ids."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.paths = []

    def __call__(self, request):
        self.paths.append(request.url.raw_path.decode())
        if request.url.path != "/api/v1/projects":
            return httpx.Response(200, json={"id": request.url.path.split("/")[-1], "status": "idle"})
        total, ids = self.answers.pop(0)
        shown = [{"id": i, "status": "idle", "brief": "b"} for i in ids]
        return httpx.Response(200, json={"projects": shown, "total": total, "limit": 100, "offset": 0})

    def run(self, work):
        async def main():
            transport = httpx.MockTransport(self)
            async with ApiClient("http://sandbox/api/v1", "k", limiter=RateLimiter(10_000), transport=transport) as api:
                return await work(api)

        return run(main())


@pytest.mark.parametrize(
    "bad",
    [
        [(3, ["a", "b"]), (3, ["b"])],  # one twice
        [(3, ["a", "b"]), (4, ["c"])],  # the total moved
        [(3, ["a", "b"]), (3, [])],  # one lacking
        [(3, ["a", "b"]), (3, ["c", "d"])],  # one too many
    ],
)
def test_pages_that_do_not_fit_together_are_not_believed(bad):
    server = Pages(*bad, (3, ["a", "b"]), (3, ["c"]))

    seen = server.run(lambda api: refresh(api, frozenset({"c"}), everything=True, at=AT))

    assert set(seen.projects) == {"a", "b", "c"} and seen.complete and seen.requests == 4
    assert server.paths[1].endswith("limit=100&offset=2") and server.paths[2].endswith("offset=0")


def test_a_list_that_turns_empty_though_it_counts_some_is_an_error():
    server = Pages((3, ["a", "b"]), (3, []), (3, []))

    with pytest.raises(ReconcilerError, match="kept changing"):
        server.run(lambda api: refresh(api, frozenset({"c"}), everything=True, at=AT))


def test_a_list_that_shows_more_than_it_counts_is_not_taken_for_whole():
    server = Pages((1, ["a", "b"]))

    seen = server.run(lambda api: refresh(api, frozenset({"a"}), at=AT))

    assert not seen.complete and seen.active is None


def test_why_projects_failed_is_asked_for_two_of_them_at_most():
    async def test(world):
        failed = [world.project() for _ in range(4)]
        for number, project_id in enumerate(failed):
            world.store.set_status(project_id, "failed", error_message=f"why {number}")
        others = world.project(status="failed")
        seen = await refreshed(world, failed)

        assert seen.requests == 3
        told = [seen.projects[i] for i in failed if seen.projects[i].error_message]
        assert len(told) == 2 and all(p.error_message.startswith("why ") for p in told)
        assert all(p.brief and p.source == "list" and "title" in p.settings for p in told)
        assert seen.projects[others].error_message is None

    in_world(test)


def test_failed_projects_that_were_looked_at_one_by_one_are_not_asked_again():
    async def test(world):
        failed = world.project()
        world.store.set_status(failed, "failed", error_message="why")
        world.projects(100)
        world.projects(100)
        seen = await refreshed(world, [failed])

        assert seen.requests == 2 and seen.projects[failed].error_message == "why"

    in_world(test, brief_is_message=False)


def test_why_is_not_asked_where_looking_at_each_would_have_been_cheaper():
    async def test(world):
        failed = world.projects(2, status="failed")
        world.projects(100)

        assert (await refreshed(world, failed)).requests == 3
        assert (await refreshed(world, failed[:1])).requests == 2

    in_world(test, brief_is_message=False)


def test_all_failed_projects_of_a_large_account_are_found_where_asked_for():
    async def test(world):
        failed = world.projects(2, status="failed")
        world.projects(150)
        seen = await refreshed(world, [], failed=True)
        without = await refreshed(world, [])

        assert set(failed) <= set(seen.projects) and seen.requests == 2
        assert seen.projects[failed[0]].status == "failed" and not seen.complete
        assert not set(failed) & set(without.projects)

    in_world(test, brief_is_message=False)


def test_a_whole_list_needs_no_search_for_failed_ones():
    async def test(world):
        world.project(status="failed")

        assert (await refreshed(world, [], failed=True)).requests == 1

    in_world(test)


def test_filters_reach_every_page():
    async def test(world):
        idle = world.projects(120)
        world.projects(130, status="failed")
        found = await list_filtered(world.api, status="idle")

        assert {p.id for p in found} == set(idle)
        assert [row.query.get("status") for row in world.store.requests()] == ["idle", "idle"]
        assert [p.id for p in await list_filtered(world.api, title="none such")] == []

    in_world(test, brief_is_message=False)


def test_list_and_status_together_keep_the_best_of_both():
    listed = LiveProject(
        id="p", status="idle", source="list", settings={"title": "T", "mode": "none"}, brief="b", source_project_id="s"
    )
    status = LiveProject(id="p", status="running", source="status", settings={"mode": "autonomous"}, agent_message="hi")

    both = merge(listed, status)

    assert (both.status, both.settings) == ("running", {"title": "T", "mode": "autonomous"})
    assert (both.brief, both.source_project_id, both.agent_message, both.source) == ("b", "s", "hi", "list")


def test_without_a_refresh_the_state_is_taken_for_true():
    entries = {
        "a": Entry(project_id="p1", origin="created", outputs=Outputs(status="failed")),
        "b": Entry(project_id="p2", origin="created"),
    }

    remembered = remembered_projects(State(lineage="l", workspace="w", api_url="u", projects=entries))

    assert {i: (p.status, p.source) for i, p in remembered.items()} == {
        "p1": ("failed", "status"),
        "p2": ("idle", "status"),
    }


def test_a_renamed_project_is_noticed_in_a_large_account_without_reading_all_of_it():
    async def test(world):
        mine = world.store.person_creates(brief="Mine", title="My own title")
        world.projects(430)
        seen = await refreshed(world, [mine], titles={mine: "My own title"})
        assert (seen.requests, seen.projects[mine].settings["title"]) == (2, "My own title")

        world.store.person_sets(mine, title="Renamed")
        seen = await refreshed(world, [mine], titles={mine: "My own title"})
        assert (seen.requests, seen.projects[mine].differing) == (3, {"title"})

    in_world(test)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("says", [True, False], ids=["says so", "silent"])
@pytest.mark.parametrize(("caps", "calls"), [((50,), 5), ((1,), 240), ((99,), 3), ((60, 10, 100, 3), 12)])
def test_a_server_that_caps_its_pages_is_read_by_what_came(caps, calls, says):
    async def test(world):
        everybody = world.projects(240)
        server = Capped(world, *caps, says=says)
        async with server.client() as api:
            seen = await refresh(api, frozenset(everybody), everything=True, at=AT)
            idle = await list_filtered(api, status="idle")

        assert set(seen.projects) == set(everybody) and seen.complete and not seen.missing
        assert seen.requests <= calls
        assert {project.id for project in idle} == set(everybody)

    in_world(test, brief_is_message=False)


def test_pages_that_were_capped_are_counted_as_what_they_cost():
    async def test(world):
        everybody = world.projects(240)
        async with Capped(world, 20, says=True).client() as api:
            seen = await refresh(api, frozenset(everybody[:8]), at=AT)

        assert set(everybody[:8]) <= set(seen.projects) and seen.requests == 9  # eleven pages would be left

    in_world(test, brief_is_message=False)


def test_a_list_in_too_many_pages_is_not_read():
    async def test(world):
        world.projects(1002)
        async with Capped(world, 1, says=True).client() as api:
            with pytest.raises(ReconcilerError, match="too long to be read whole"):
                await list_filtered(api, status="idle")
            assert api.requests == 1

    in_world(test, brief_is_message=False)
