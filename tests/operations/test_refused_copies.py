"""A proxy sends a call twice: the first copy acts, the second is one request too many, and that is the answer."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from reconciler.model.desired import CreateOrigin, Deliver, Desired, DesiredMessage, DesiredProject
from reconciler.model.events import Recovered
from reconciler.sandbox.store import Fault
from tests.operations.operations_support import in_world

SPECS = Desired(
    "ws",
    {
        "a": DesiredProject(
            address="a",
            origin=CreateOrigin({"brief": "A film of the sea."}),
            settings={"title": "Sea"},
            messages=(DesiredMessage("1", {"message": "Softer."}),),
            deliver=Deliver(render="1080p", share={"title": "Sea"}),
        )
    },
)
UNTITLED = Desired("ws", {"a": DesiredProject(address="a", origin=CreateOrigin({"brief": "A film of the sea."}))})
CALLS = {"create": "^/projects$", "message": "/messages$", "render": "/render$", "share": "/share$"}


def refused(path, when, **more):
    return Fault(
        method="POST", path=path, kind="status", status=429, code="rate_limited", retry_after="30", when=when, **more
    )


def counts(world):
    kinds = [effect.kind for effect in world.store.ledger()]
    return {kind: kinds.count(kind) for kind in CALLS}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_it_is_done_once_whether_the_first_copy_came_or_not(tmp_path, call, when):
    async def go(world):
        world.store.add_fault(refused(CALLS[call], when))
        result = await world.apply(SPECS)
        assert {step.outcome for step in result.results} == {"done"}, result.results
        assert counts(world) == dict.fromkeys(CALLS, 1)
        assert not (await world.plan(SPECS)).steps and not world.state().pending

    in_world(go, tmp_path)


@pytest.mark.parametrize("wanted", [SPECS, UNTITLED], ids=["titled", "untitled"])
def test_a_project_that_fails_before_its_key_is_sent_again_is_not_bought_twice(tmp_path, monkeypatch, wanted):
    """A failed project frees its key."""

    async def go(world):
        async def failing(body):
            try:
                return await create(body)
            finally:
                for made in world.store.projects():
                    world.store.set_status(made["id"], "failed")

        create = world.api.create
        monkeypatch.setattr(world.api, "create", failing)
        world.store.add_fault(refused(CALLS["create"], "after"))
        await world.apply(wanted)
        assert counts(world)["create"] == 1
        assert world.state().projects["a"].project_id == world.store.projects()[0]["id"]
        assert not world.state().pending

    in_world(go, tmp_path)


def test_a_project_of_a_lost_state_that_fails_before_its_key_is_sent_again_is_not_bought_twice(tmp_path, monkeypatch):
    async def go(world):
        await world.apply(UNTITLED)
        made = world.id("a")
        (tmp_path / "state.json").unlink()
        create = world.api.create

        async def failing(body):
            try:
                return await create(body)
            finally:
                world.store.set_status(made, "failed")

        monkeypatch.setattr(world.api, "create", failing)
        world.store.add_fault(refused(CALLS["create"], "before"))
        result = await world.apply(UNTITLED)
        assert counts(world)["create"] == 1
        assert made in result.results[0].error.summary and not world.state().pending

    in_world(go, tmp_path)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_where_the_time_is_up_before_the_look_the_next_run_looks(tmp_path, call, when):
    async def go(world):
        world.store.add_fault(refused(CALLS[call], when))
        while not any(row.status == 429 for row in world.store.requests()):
            result = await world.apply(SPECS, seconds=20)
        assert not {"done", "failed"} & {r.outcome for r in result.results if r.step.action == call}
        assert [intent.kind for intent in world.state().pending.values()] == [call]
        await world.apply(SPECS)
        await world.apply(SPECS)
        assert counts(world) == dict.fromkeys(CALLS, 1)
        assert not (await world.plan(SPECS)).steps and not world.state().pending

    in_world(go, tmp_path)


def test_where_the_server_never_has_room_the_call_is_given_up_and_nothing_is_open(tmp_path):
    async def go(world):
        world.store.add_fault(refused(CALLS["create"], "before", times=0))
        result = await world.apply(UNTITLED)
        assert [step.outcome for step in result.results] == ["failed"] and not world.state().pending
        assert "429" in str(result.results[0].error) or "rate" in str(result.results[0].error).lower()
        world.store.clear_faults()
        await world.apply(UNTITLED)
        assert counts(world)["create"] == 1

    in_world(go, tmp_path)


def test_one_look_is_enough(tmp_path):
    """Requests are rationed: a create that was refused once takes two requests more."""

    async def go(world):
        world.store.add_fault(refused(CALLS["create"], "before"))
        await world.apply(UNTITLED, wait="none")
        first = world.calls().index(("POST", "/projects"))
        assert world.calls()[first:] == [("POST", "/projects"), ("GET", "/projects"), ("POST", "/projects")]

    in_world(go, tmp_path)


def test_a_cancel_that_comes_after_its_run_has_died_is_waited_for(tmp_path):
    """Intent: what is on its way has come by the time its project is planned for."""

    async def go(world):
        await world.apply(UNTITLED)
        made = world.id("a")
        world.store.add_fault(Fault(method="POST", path="/cancel$", kind="reset", when="before"))
        world.store.add_fault(Fault(method="GET", path=f"/{made}$", kind="reset", times=0))
        stopped = Desired("ws", {"a": replace(UNTITLED.projects["a"], cancelled=True)})
        await world.apply(stopped)
        (intent,) = world.state().pending.values()
        assert intent.kind == "cancel"
        world.store.clear_faults()

        async def later():
            await asyncio.sleep(5)
            world.store.set_status(made, "cancelled")

        comes = asyncio.create_task(later())
        await world.apply(stopped)
        await comes
        told = [event for event in world.events if isinstance(event, Recovered)]
        assert [event.result for event in told] == ["done"]
        assert "cancel" not in [effect.kind for effect in world.store.ledger()]

    in_world(go, tmp_path)
