"""An apply that waited for the lock: what it had read may be out of date."""

import asyncio

import pytest

from reconciler.model.errors import ReconcilerError
from reconciler.operations.apply import workflow
from tests.operations.operations_support import in_world
from tests.operations.test_deliver import project, specs


async def applied(world, reread):
    request = workflow.ApplyRequest(desired=specs(project()), reread=reread, confirm=lambda _: True)
    return await workflow.apply(world.workspace, world.api, request, emit=lambda _: None, stop=asyncio.Event())


@pytest.fixture
def waited(monkeypatch):
    monkeypatch.setattr(workflow, "LONG_WAIT", 0.0)


@pytest.mark.usefixtures("waited")
def test_specs_that_changed_meanwhile_stop_it_before_any_call(tmp_path):
    # Intent: the run before has applied the new specs; the old ones would undo that, and pay twice.
    async def go(world):
        with pytest.raises(ReconcilerError, match="the specs changed while this run waited for the lock"):
            await applied(world, lambda: specs(project("another")))
        assert not world.calls()

    in_world(go, tmp_path)


@pytest.mark.usefixtures("waited")
def test_specs_that_are_the_same_are_applied(tmp_path):
    async def go(world):
        assert (await applied(world, lambda: specs(project()))).plan.steps

    in_world(go, tmp_path)


def test_who_did_not_wait_reads_once(tmp_path):
    async def go(world):
        assert (await applied(world, lambda: pytest.fail("read again"))).plan.steps

    in_world(go, tmp_path)
