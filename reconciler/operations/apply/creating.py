"""Creating a project under a key, and binding what the key had made before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from shlex import quote
from typing import Final

from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.errors import (
    ReconcilerError,
    RefusedError,
)
from reconciler.model.journal import Bind, Effect, Spend
from reconciler.model.live import Created, LiveProject
from reconciler.model.plan import (
    Create,
    Replace,
    idempotency_key,
)
from reconciler.model.state import Entry, Intent
from reconciler.model.values import Json
from reconciler.operations.apply.dependencies import wire_body
from reconciler.operations.apply.entries import bound_entry, created_entry
from reconciler.operations.apply.exactly_once import Already, Overtaken, commit, spending
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import Run
from reconciler.operations.apply.settings import converge
from reconciler.operations.read.refresh import filtered
from reconciler.operations.recovery.open_calls import OVER
from reconciler.planning.knowledge import brief_matches

KEY_CONFLICT: Final = 409
"""How servers refuse an idempotency key that came with another request before; the contract does not say."""
GENERATIONS: Final = 50
"""How many used-up generations of a key are passed over."""


async def create(
    run: Run,
    monitor: Monitor,
    step: Create | Replace,
    number: int,
    *,
    old: Entry | None = None,
    first: Callable[[], Awaitable[None]] | None = None,
) -> str:
    """Create under the first generation of the key that is not used up. ``first`` is done once a slot is free."""
    generation = step.generation

    async def once() -> str | None:
        if first is not None:
            await first()
        try:
            return await _create_once(run, monitor, step, number, generation=generation, old=old)
        except RefusedError as error:
            if error.status != KEY_CONFLICT or error.path != "/projects":
                raise
            key = idempotency_key(run.workspace, step.address, generation)
            raise _used_key(step, key, monitor, error) from error

    for _ in range(GENERATIONS):
        outcome = await spending(run, monitor, step, once)
        if outcome is not None:
            return outcome
        generation += 1
    raise ReconcilerError(f"{GENERATIONS} generations of the key of `{step.address}` are used up")


async def _create_once(
    run: Run, monitor: Monitor, step: Create | Replace, number: int, *, generation: int, old: Entry | None
) -> str | None:
    """One create; ``None``: this generation belongs to a project that is over."""
    key = idempotency_key(run.workspace, step.address, generation)
    body = {**step.body, "idempotency_key": key}
    sent = await wire_body(run, monitor, body, step.address)
    found: LiveProject | None = None
    spent = False

    async def effects(created: Created, intent: Intent) -> tuple[Effect, ...]:
        nonlocal found, spent
        entry = created_entry(run, intent, step.body, created, old)
        if created.existing:
            found = await _find(run, created, sent.get("title"))
            spent = _is_spent(run, monitor, step, found, old)
            if spent:
                return (Spend(address=step.address, generation=generation),)
            entry = _entry_of_existing(run, step, found, entry, old)
        _note_new(monitor, step.address, created, found)
        return (Bind(address=step.address, entry=entry),)

    def intent() -> Intent:
        more = {"generation": generation, "project_id": old.project_id if old else None}
        return run.intent("create", step.address, step=number, body=body, **more)

    created = await commit(run, monitor, intent, lambda: run.api.create(sent), effects)
    if spent:
        return None
    entry = run.draft.projects[step.address]
    if created is None:  # the answer was lost; the project was found
        live = await monitor.look(entry.project_id)
        monitor.names[entry.project_id] = step.address
        return "its answer was lost; it was found" if live.status not in OVER else _over(live)
    if found is None:
        return ""
    if found.status in OVER:
        return _over(found)
    if found.brief is not None and not brief_matches(step.body["brief"], found):
        raise Overtaken(f"bound to `{found.id}`, which its key had made from another brief; plan again")
    await converge(
        run, monitor, step, {k: v for k, v in step.body.items() if k in contract.SETTINGS}, found, number + 1
    )
    return Already(f"bound to `{found.id}`, which its key had made before")


def _used_key(step: Create | Replace, key: str, monitor: Monitor, error: RefusedError) -> ReconcilerError:
    """What a refusal of the key means and what helps: the same create would be refused again and again."""
    alike = [p for p in monitor.projects.values() if p.brief is not None and brief_matches(step.body["brief"], p)]
    one = alike[0].id if len(alike) == 1 else "PROJECT_ID"
    ids = ", ".join(f"`{p.id}`" for p in alike)
    return ReconcilerError(
        f"the key `{key}` has been used for another request",
        f"{error.diagnostics[0].summary}: {error.diagnostics[0].detail}\n"
        "Either the state was lost and the spec has changed since, or another workspace has the same name. "
        f"{f'This brief has {ids}. ' if alike else ''}If the project is yours, bind it with "
        f"`reconciler state recover` or `reconciler import {quote(step.address)} {one}`, and apply again. "
        "If not, give this workspace a name of its own.",
        address=step.address,
    )


def _over(live: LiveProject) -> str:
    raise Overtaken(f"bound to `{live.id}`, which its key had made before and which is {live.status}")


def _note_new(monitor: Monitor, address: str, created: Created, found: LiveProject | None) -> None:
    monitor.names[created.id] = address
    if found is not None:
        monitor.note(found)
    else:
        monitor.set_status(created.id, created.status)


async def _find(run: Run, created: Created, title: Json) -> LiveProject:
    """A project that the key had made before, as list and status show it."""
    for wanted in (title, None) if title else (None,):
        for project in await filtered(run.api, title=wanted):
            if project.id == created.id:
                return project
    return await run.api.project(created.id)


def _is_spent(run: Run, monitor: Monitor, step: Create | Replace, found: LiveProject, old: Entry | None) -> bool:
    """Whether the key's project is a predecessor, so that the wish is for the next generation.

    A project that stands elsewhere, or is the one to be replaced, is; so is a cancelled one, unless it is just what the
    spec describes and nothing newer is to be seen: then a person cancelled it, and no new one is made for that.
    """
    elsewhere = {entry.project_id for address, entry in run.draft.projects.items() if address != step.address}
    if found.id in elsewhere or (old is not None and found.id in {old.project_id, *old.retired}):
        return True
    if found.status not in OVER:
        return False
    if old is not None or step.generation > 1 or not brief_matches(step.body["brief"], found):
        return True
    managed = {entry.project_id for entry in run.draft.projects.values()}
    return any(
        p.id not in managed and p.status not in OVER and brief_matches(step.body["brief"], p)
        for p in monitor.projects.values()
    )


def _entry_of_existing(run: Run, step: Create | Replace, found: LiveProject, sent: Entry, old: Entry | None) -> Entry:
    """The entry of a project that the key had made before: perhaps from another brief, surely with settings of its own."""
    agrees_so_far = found.brief is None or brief_matches(step.body["brief"], found)
    return replace(
        bound_entry(run, found, origin="created", old=old, settings=step.body),
        generation=sent.generation,
        creation=sent.creation if agrees_so_far else {"brief": run.redact.value(found.brief)},
    )
