"""A message of a run that was killed right before, and whose state is gone, may still be under way."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.model.desired import AdoptOrigin, CreateOrigin, Desired, DesiredMessage, DesiredProject
from reconciler.model.values import WireBody
from tests.operations.operations_support import in_world

STUDIO = "51d10000-0000-4000-8000-000000000001"
ORIGINS = {"create": CreateOrigin({"brief": "A film."}), "adopt": AdoptOrigin(STUDIO)}


def specs(origin, *messages):
    told = tuple(DesiredMessage(str(n), {"message": text}) for n, text in enumerate(messages, 1))
    return Desired("ws", {"teaser": DesiredProject(address="teaser", origin=ORIGINS[origin], messages=told)})


def sent(world):
    return [e.detail["message"] for e in world.store.ledger() if e.kind == "message"]


@pytest.mark.parametrize("seconds", [0.5, 9.0])
@pytest.mark.parametrize("origin", ORIGINS)
def test_a_message_of_a_run_whose_state_is_lost_is_waited_for(tmp_path, origin, seconds):
    # Intent: a CI job that is killed and run again without its state pays for no message twice.
    async def go(world):
        await world.apply(specs(origin))
        project_id = world.id("teaser")
        (tmp_path / "state.json").unlink()

        async def arrive():
            await asyncio.sleep(seconds)
            await world.api.send_message(project_id, WireBody({"message": "Softer."}))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(arrive())
            result = await world.apply(specs(origin, "Softer.", "Louder."))
        assert {r.outcome for r in result.results} == {"done"}
        assert world.id("teaser") == project_id
        assert sent(world) == ["Softer.", "Louder."]

    in_world(go, tmp_path)


@pytest.mark.parametrize("origin", ORIGINS)
def test_nothing_is_waited_for_where_the_project_is_new(tmp_path, origin):
    # Intent: the usual course is not held up.
    async def go(world):
        await world.apply(specs(origin))
        began = world.time()
        world.store.finish_all()
        await world.apply(specs(origin, "Softer."), wait="steps")
        assert sent(world) == ["Softer."]
        assert world.time() - began < 5.0

    in_world(go, tmp_path)
