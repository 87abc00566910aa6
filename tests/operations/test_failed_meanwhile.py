"""A project that a lost state had fails while the run waits: its key, which would have bound it, would make another one."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.model.desired import CreateOrigin, Desired, DesiredProject
from reconciler.model.events import StepWaiting
from reconciler.operations.apply.run import Options
from reconciler.operations.apply.workflow import ApplyRequest, apply
from reconciler.planning.planner import Selection
from tests.operations.operations_support import in_world

BRIEF = "A film of the sea."


def specs(**settings):
    return Desired("ws", {"a": DesiredProject(address="a", origin=CreateOrigin({"brief": BRIEF}), settings=settings)})


def creates(world):
    return [effect.project_id for effect in world.store.ledger() if effect.kind == "create"]


async def applied(world, meanwhile, wanted, **selection):
    """An apply that waits for a slot once, and what happens then."""
    done = []

    def emit(event):
        if isinstance(event, StepWaiting) and not done:
            done.append(event)
            meanwhile()

    request = ApplyRequest(
        desired=wanted,
        selection=Selection(**selection),
        options=Options(wait="idle", active_limit=world.active),
        confirm=lambda _: True,
    )
    result = await apply(world.workspace, world.api, request, emit=emit, stop=asyncio.Event())
    return result, bool(done)


@pytest.mark.parametrize("title", [None, "Renamed by a person"])
def test_it_is_not_bought_again(tmp_path, title):
    # Intent: what the run has seen by the time the key leaves counts, not what the plan saw.
    async def go(world):
        await world.apply(specs(title="Sea"), wait="none")
        (made,) = creates(world)
        (tmp_path / "state.json").unlink()

        def meanwhile():
            world.store.set_status(made, "failed")
            if title is not None:
                world.store.person_sets(made, title=title)

        result, waited = await applied(world, meanwhile, specs(title="Sea"))
        assert waited
        (ended,) = (r for r in result.results if r.step.action == "create")
        assert ended.outcome == "failed" and made in ended.error.summary and "apply again" in ended.error.detail.lower()
        assert creates(world) == [made]

        again = await world.apply(specs(title="Sea"))
        assert not again.results and creates(world) == [made]  # as it says: now the plan asks
        await world.apply(specs(title="Sea"), selection=Selection(replace=frozenset({"a"})))
        assert len(creates(world)) == 2

    in_world(go, tmp_path, active=1)


def test_one_of_another_brief_holds_nothing_up(tmp_path):
    async def go(world):
        other = world.project(brief="Something else.", status="working")
        _, waited = await applied(world, lambda: world.store.set_status(other, "failed"), specs())
        assert waited and len(creates(world)) == 1

    in_world(go, tmp_path, active=1)


def test_the_agent_of_what_the_key_may_bind_is_waited_for(tmp_path, monkeypatch):
    """One at work may fail at the very moment that the key is sent; one that has stopped can't."""

    async def go(world):
        await world.apply(specs(title="Sea"), wait="none")
        (made,) = creates(world)
        (tmp_path / "state.json").unlink()
        create = world.api.create

        async def failing(body):
            if world.live(made)["status"] != "idle":
                world.store.set_status(made, "failed")
            return await create(body)

        monkeypatch.setattr(world.api, "create", failing)
        result = await world.apply(specs(title="Sea"), wait="none")
        assert [r.outcome for r in result.results] == ["deferred"] and creates(world) == [made]
        await world.apply(specs(title="Sea"))
        assert world.id("a") == made and creates(world) == [made]

    in_world(go, tmp_path)
