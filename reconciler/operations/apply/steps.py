"""Steps that are more, or less, than one call (those that are one stand in ``operations/calls``)."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.journal import Bind, Drop, Rename
from reconciler.model.plan import Forget, Import, Move, Release, Replace, Update
from reconciler.operations.apply.dependencies import wire_body
from reconciler.operations.apply.entries import bound_entry
from reconciler.operations.apply.exactly_once import Done
from reconciler.operations.apply.polling import OVER, Monitor, finished
from reconciler.operations.apply.run import Run
from reconciler.operations.calls.cancel import cancel_project
from reconciler.operations.calls.create import create
from reconciler.operations.calls.settings import patch


async def replace_project(run: Run, monitor: Monitor, step: Replace, number: int) -> Done:
    """Cancel the old project where its status allows, then create its successor.

    Nothing is cancelled for a create that the API would refuse because it speaks another version: where the list tells that
    it does, this raises VersionError; where nothing tells yet, one replacement goes first.
    """
    wire = await wire_body(run, monitor, step.body, step.address)
    live = monitor.projects.get(run.draft.projects[step.address].project_id)
    ends = live is None or live.status not in OVER
    if ends and run.api.doubts(wire):
        async with run.proving:
            if run.api.doubts(wire):
                run.api.check_version()
                run.api.check_create(wire)
                return await _replace_project(run, monitor, step, number)
    return await _replace_project(run, monitor, step, number)


async def _replace_project(run: Run, monitor: Monitor, step: Replace, number: int) -> Done:
    """Cancel and create.

    A project that is idle is cancelled only once there is a slot for its successor, so that a create that is not
    possible now does not cost the old one; a project at work has that slot itself.
    """
    old = run.draft.projects[step.address]
    make_room = partial(cancel_project, run, monitor, step, old.project_id, number, generation=step.generation)
    live = monitor.projects.get(old.project_id)
    if live is not None and contract.is_active(live.status):
        await make_room()
    return await create(run, monitor, step, number, old=old, make_room=make_room)


async def update(run: Run, monitor: Monitor, step: Update, number: int) -> Done:
    await patch(run, monitor, step, step.body, number)
    return Done()


async def release(run: Run, monitor: Monitor, step: Release, number: int) -> Done:
    await patch(run, monitor, step, {"mode": contract.MODE_RELEASED}, number, kind="release")
    return Done()


async def import_project(run: Run, monitor: Monitor, step: Import, number: int) -> Done:
    """Bind an existing project; no call but a GET where it was not read yet."""
    assert step.project_id is not None
    live = monitor.projects.get(step.project_id) or await monitor.look(step.project_id)
    entry = replace(bound_entry(run, live, origin="imported"), studio_id=live.source_project_id)
    if live.assembled_url is None:  # it has no video that could be what the spec asks for
        entry = replace(entry, rendered=None)
    monitor.names[live.id] = step.address
    await run.record_step(step.address, number, Bind(address=step.address, entry=entry))
    return Done()


async def move(run: Run, step: Move, number: int) -> Done:
    await run.record_step(step.address, number, Rename(from_address=step.from_address, to_address=step.address))
    return Done()


async def forget(run: Run, monitor: Monitor, step: Forget, number: int) -> Done:
    if step.waits_for is not None and step.project_id is not None:
        await monitor.until(step.project_id, finished, step.waits_for, step)
    await run.record_step(step.address, number, Drop(address=step.address))
    return Done()
