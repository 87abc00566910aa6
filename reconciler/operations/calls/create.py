"""``POST /projects``: creating a project under a key, and binding what the key made before."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from shlex import quote
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.contract_conversions import fits
from reconciler.model.errors import (
    ApiError,
    CreditsError,
    Diagnostic,
    IdentityError,
    NotFoundError,
    ProjectLimitError,
    RateLimitedError,
    ReconcilerError,
    RefusedError,
    UnauthorizedError,
    VersionError,
)
from reconciler.model.identity import Elsewhere
from reconciler.model.journal import Bind, Disputed, End, Spend
from reconciler.model.live import Created, LiveProject
from reconciler.model.plan import Create, Replace, idempotency_key
from reconciler.model.references import projects_in
from reconciler.model.state import Dispute, Entry, Intent
from reconciler.model.times import instant
from reconciler.model.values import Json, Value, WireBody, exposed, from_portable
from reconciler.operations.apply.dependencies import wire_body
from reconciler.operations.apply.entries import bound_entry, created_entry, found_before
from reconciler.operations.apply.exactly_once import Done, Overtaken, Resolution, commit, in_slot, settle
from reconciler.operations.apply.polling import OVER, Monitor, finished
from reconciler.operations.apply.run import Deferred, Run, summary_of
from reconciler.operations.calls.settings import converge
from reconciler.operations.read.refresh import list_filtered
from reconciler.planning.findings import ALIKE_CODE, DISPUTED_CODE, another_project, held_elsewhere
from reconciler.planning.knowledge import brief_matches, is_as_asked, title_matches
from reconciler.planning.matching import KEY_SECONDS

KEY_CONFLICT: Final = 409
"""How servers refuse an idempotency key that was used for another request; the contract does not say."""
GENERATIONS: Final = 50
"""How many used-up generations of a key are skipped."""
SEEN: Final = 20
"""How many projects like the one to create an intent names that were there before."""
KEY_LIVES: Final = timedelta(seconds=KEY_SECONDS)
CLOCK_SKEW: Final = timedelta(hours=1)
"""How far the account's clock may be off when it says when a project was created."""


class CreateCall(Struct):
    """A create under one generation of the address's key; ``old`` is the entry of the project that it replaces.

    ``existing`` is the project that the key made before, if its answer says so; ``used_up``: that is a predecessor, and
    the step wants the next generation.
    """

    run: Run
    monitor: Monitor
    step: Create | Replace
    number: int
    generation: int
    old: Entry | None
    body: Mapping[str, Value]
    wire: WireBody
    existing: LiveProject | None = None
    used_up: bool = False

    def intent(self) -> Intent:
        """Raises ReconcilerError: what the key may bind has failed meanwhile."""
        if self.old is None and self.generation == 1:
            _require_alive(self.run, self.monitor, self.step)
        before = self.monitor.unmanaged_before.like({"brief": self.body["brief"]}).all  # whatever its title was
        return self.run.intent(
            "create",
            self.step.address,
            step=self.number,
            body=self.body,
            generation=self.generation,
            project_id=self.old.project_id if self.old else None,
            seen=tuple(project.id for project in before[:SEEN]),
        )

    async def send(self) -> Created:
        return await self.run.api.create(self.wire)

    async def effects(self, created: Created, intent: Intent) -> tuple[Bind | Spend]:
        """Raises IdentityError: the key belongs to a project that is not the one asked for."""
        run, address, body = self.run, self.step.address, self.step.body
        key = str(self.body["idempotency_key"])
        if holder := run.elsewhere().holder_of(created.id):
            said = held_elsewhere(address, key, created.id, holder)
            raise IdentityError(created.id, _disputed(self.step, *said))
        entry = created_entry(run, intent, body, created, self.old)
        if created.existing:
            found = self.existing = await _find(run, created, self.wire.expose().get("title"))
            self.used_up = _is_predecessor(run, self.monitor, self.step, found, self.old)
            if self.used_up:
                return (Spend(address=address, generation=self.generation),)
            if found.status not in OVER and not is_as_asked(self.step.body, found):
                raise _another_project(self.step, key, found)
            entry = _entry_of_existing(run, self.step, found, entry, self.old)
        self.monitor.names[created.id] = address
        if self.existing is not None:
            self.monitor.note(self.existing)
        else:
            self.monitor.set_status(created.id, created.status)
        return (Bind(address=address, entry=entry),)

    async def may_have_acted(self, intent: Intent) -> bool:
        """Whether the account has a project that was not there before, and that the call may have made: nobody has given it
        another title yet.
        """
        body = self.run.fill(from_portable(intent.body), intent.address)
        found, _ = await _alike(self.run, intent, body, exposed(body.get("title")))
        for project in found:
            self.monitor.note(project)
        return any(project.id not in intent.seen and title_matches(body.get("title"), project) for project in found)

    @staticmethod
    async def recover(run: Run, monitor: Monitor, intent: Intent, /) -> Resolution:
        """Look for the project in the account.

        * Cancelled, or its agent has stopped: its key is sent again, which binds it (contract: 200).
        * At work: its agent is waited for. If it failed between the look and the key, the key would make another.
        * Failed, begun so long ago that the key may be forgotten, or with references to projects, whose URLs make another
          body each time: it is bound by what the list shows, since the key could make a second one, or be refused; where
          another project could be meant just as well (equal briefs), it stays unknown. The same where its fields are of
          another version of the API.
        * Failed or so old, and perhaps made by another environment, whose state was lost or can't be read: it stays unknown,
          unless the key is from before there were environments.
        * Under another title, which people may have given it: the same, but for the list, which then settles nothing.
        * There before this call, as the intent says: the key tells whether it is the address's own. Then it is bound by what
          the list shows, since its settings, render and messages are not those of this call; under another title it is
          disputed, as where the answer to its first key says so.
        * Not there, nor once the request can't be under way any more: not done. (If it came after its key's next project
          had failed, it would make another.)
        """
        body = run.fill(from_portable(intent.body), intent.address)
        try:
            matches, elsewhere = await _stopped_matches(run, monitor, intent, body)
            if not matches:
                await settle(run, intent)
                matches, elsewhere = await _stopped_matches(run, monitor, intent, body)
        except Deferred as what:
            return Resolution(
                "unknown", f"it may have been done, but its key can't be sent again yet: it waits for {what}"
            )
        alive = [p for p in matches if p.status != contract.Status.FAILED]
        renamed = any(not title_matches(body.get("title"), p) for p in matches)
        certain = len(matches) == 1 and not renamed and not _has_rival(run, intent, elsewhere)
        key_may_double = len(alive) < len(matches) or _is_forgotten(run, intent)
        unsure = elsewhere.incomplete and str(body["idempotency_key"]).startswith(f"{run.identity}/")
        if matches and key_may_double and (unsure or not certain):
            ids = ", ".join(f"`{p.id}`" for p in matches)
            could = f"it could be {ids}, or that is another environment's" if certain else f"it could be any of {ids}"
            return Resolution("unknown", f"{could}, and sending its key again could create another")
        foreign = not _is_sayable(body)
        another = foreign or projects_in(body)  # videos' URLs make another body each time
        if matches and certain and (key_may_double or another):
            return _bind_by_list(run, intent, body, matches[0])
        if alive and foreign:
            ids = ", ".join(f"`{p.id}`" for p in alive)
            return Resolution(
                "unknown", f"it could be {ids}, and this version of the API can't be asked with its fields"
            )
        if alive:
            return await _bind_by_key(run, monitor, intent, body, alive)
        return Resolution("not_done", "the account has no such project")


async def create(
    run: Run,
    monitor: Monitor,
    step: Create | Replace,
    number: int,
    *,
    old: Entry | None = None,
    make_room: Callable[[], Awaitable[object]] | None = None,
) -> Done:
    """Create under the first generation of the key that is not used up. ``make_room`` is called once a slot is free."""
    if old is None and step.generation == 1:
        await _until_stopped(run, monitor, step)
    for generation in range(step.generation, step.generation + GENERATIONS):
        attempt = partial(_attempt, run, monitor, step, number, generation=generation, old=old, make_room=make_room)
        done = await in_slot(run, monitor, step, attempt)
        if done is not None:
            return done
    raise ReconcilerError(f"{GENERATIONS} generations of the key of `{step.address}` are used up")


async def _attempt(
    run: Run,
    monitor: Monitor,
    step: Create | Replace,
    number: int,
    *,
    generation: int,
    old: Entry | None,
    make_room: Callable[[], Awaitable[object]] | None,
) -> Done | None:
    """Create under one generation of the key; ``None``: it is used up."""
    if make_room is not None:
        await make_room()
    key = idempotency_key(run.identity, step.address, generation)
    body = {**step.body, "idempotency_key": key}
    try:
        wire = await wire_body(run, monitor, body, step.address)
        call = CreateCall(run, monitor, step, number, generation, old, body, wire)
        created = await commit(run, monitor, call, call.may_have_acted)
        return None if call.used_up else await _finish(call, created)
    except RefusedError as error:
        if error.status != KEY_CONFLICT or error.path != "/projects":
            raise
        disputed = Disputed(address=step.address, dispute=Dispute(generation))
        await run.record(End(effects=(disputed,)))
        others = [p for p in monitor.projects.values() if not run.elsewhere().holder_of(p.id)]
        raise _used_key_error(step, key, others, error) from error


def _may_be_bound(run: Run, monitor: Monitor, step: Create | Replace) -> list[LiveProject]:
    """What the first key may bind, as this run has seen it last: alive as it was planned, whatever its title is."""
    taken = _taken(run)
    alive = monitor.unmanaged_before.like({"brief": step.body["brief"]}).alive
    return [monitor.projects[before.id] for before in alive if before.id not in taken]


async def _until_stopped(run: Run, monitor: Monitor, step: Create | Replace) -> None:
    """Wait for the agents of what the first key may bind. If one failed between the look and the key, the key would make
    another project. Raises as :meth:`Monitor.until`.
    """
    for live in _may_be_bound(run, monitor, step):
        if not finished(live):
            with contextlib.suppress(NotFoundError):
                await monitor.until(live.id, finished, f"the agent of `{live.id}` to stop", step)


def _require_alive(run: Run, monitor: Monitor, step: Create | Replace) -> None:
    """Check that what the first key may bind has not failed since it was planned: the key would make another one.

    Raises:
        ReconcilerError: it has, as far as this run has seen.

    """
    for before in _may_be_bound(run, monitor, step):
        if before.status == contract.Status.FAILED:
            summary = f"`{step.address}` may exist already: `{before.id}` has failed since the plan was made"
            detail = "It has this brief, and the key of a failed project makes another one. Apply again: the new plan says more."
            raise ReconcilerError((_identity(step, summary, detail, ALIKE_CODE),))


async def _finish(call: CreateCall, created: Created | None) -> Done:
    """What is left to do once the address is bound: a project that was there before may be over, or need settings.

    Raises:
        Overtaken: the address's further steps have no project to act on, or not the one that was planned.

    """
    monitor, step, found = call.monitor, call.step, call.existing
    if created is None:  # the answer was lost; the project was found
        project_id = call.run.draft.projects[step.address].project_id
        live = await monitor.look(project_id)
        monitor.names[project_id] = step.address
        if live.status in OVER:
            raise _overtaken(live)
        return Done("its answer was lost; it was found")
    if found is None:
        return Done()
    call.run.found[step.address] = call.run.now()
    if found.status in OVER:
        raise _overtaken(found)
    settings = {name: value for name, value in step.body.items() if name in contract.current().settings}
    await converge(call.run, monitor, step, settings, found, call.number + 1)
    return Done(f"bound to `{found.id}`, which its key had made before", already=True)


def _overtaken(live: LiveProject) -> Overtaken:
    return Overtaken(f"bound to `{live.id}`, which its key had made before and which is {live.status}")


def _another_project(step: Create | Replace, key: str, found: LiveProject) -> IdentityError:
    summary, detail = another_project(step.address, key, step.body, found)
    return IdentityError(found.id, _disputed(step, summary, detail))


def _used_key_error(
    step: Create | Replace, key: str, projects: list[LiveProject], error: RefusedError
) -> ReconcilerError:
    """The error for a refused key: the same create would be refused again and again. ``projects`` may be what it made."""
    alike = [p for p in projects if p.brief is not None and brief_matches(step.body["brief"], p)]
    one = alike[0].id if len(alike) == 1 else "PROJECT_ID"
    ids = ", ".join(f"`{p.id}`" for p in alike)
    detail = (
        f"{error.diagnostics[0].summary}: {error.diagnostics[0].detail}\n"
        "Either the state was lost and the spec has changed since, or another workspace has the same name. "
        f"{f'This brief has {ids}. ' if alike else ''}If the project is yours, bind it with "
        f"`reconciler state recover` or `reconciler import {quote(step.address)} {one}`, and apply again. "
        "If not, give this workspace a name of its own, or create a second project with "
        f"`--replace {quote(step.address)}`."
    )
    return ReconcilerError((_disputed(step, f"the key `{key}` has been used for another request", detail),))


def _disputed(step: Create | Replace, summary: str, detail: str) -> Diagnostic:
    return _identity(step, summary, detail, DISPUTED_CODE)


def _identity(step: Create | Replace, summary: str, detail: str, code: str) -> Diagnostic:
    return Diagnostic(
        severity="error", address=step.address, summary=summary, detail=detail, code=code, kind="identity"
    )


def _taken(run: Run) -> set[str]:
    """The projects that other environments have, or an address of this one."""
    return {*run.elsewhere().taken, *(entry.project_id for entry in run.draft.projects.values())}


# ── what the key made before ────────────────────────────────────────────────────────────────────────────────────────


async def _find(run: Run, created: Created, title: Json) -> LiveProject:
    """A project that the key made before, as list and status show it."""
    for wanted in (title, None) if isinstance(title, str) and title else (None,):
        for project in await list_filtered(run.api, title=wanted):
            if project.id == created.id:
                return project
    return await run.api.project(created.id)


def _is_predecessor(run: Run, monitor: Monitor, step: Create | Replace, found: LiveProject, old: Entry | None) -> bool:
    """Whether the key's project is a predecessor, so that the step wants the next generation.

    A project that is bound elsewhere, or is the one to be replaced, is; so is a cancelled one, unless it is just what the
    spec describes and nothing newer is to be seen: then a person cancelled it, and no new one is made for that.
    """
    elsewhere = {entry.project_id for address, entry in run.draft.projects.items() if address != step.address}
    if found.id in elsewhere or (old is not None and found.id in {old.project_id, *old.retired}):
        return True
    if found.status not in OVER:
        return False
    if old is not None or step.generation > 1 or not brief_matches(step.body["brief"], found):
        return True
    known = _taken(run) | {found.id}  # the list may show it still alive
    return any(
        p.id not in known and p.status not in OVER and brief_matches(step.body["brief"], p)
        for p in monitor.projects.values()
    )


def _entry_of_existing(run: Run, step: Create | Replace, found: LiveProject, sent: Entry, old: Entry | None) -> Entry:
    """The entry of a project that the key made before: from the same brief, with settings of its own."""
    return replace(
        bound_entry(run, found, origin="created", old=old, settings=step.body),
        generation=sent.generation,
        creation=sent.creation,
    )


# ── recovery ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _bind_by_list(run: Run, intent: Intent, body: dict[str, Value], found: LiveProject) -> Resolution:
    old = run.draft.projects.get(intent.address)
    entry = replace(
        bound_entry(run, found, origin="created", old=old, settings=body),
        generation=intent.generation,
        creation=created_entry(run, intent, body, None, old).creation,
        rendered=found_before(run, intent.address, found.status) if found.id in intent.seen else None,
    )
    note = f"it was done, and the project is {found.status}: `{found.id}`"
    return Resolution("done", note, (Bind(address=intent.address, entry=entry),))


async def _bind_by_key(
    run: Run, monitor: Monitor, intent: Intent, body: dict[str, Value], alive: list[LiveProject]
) -> Resolution:
    """Send the key again. The contract does not say what the same key gives with another body: a refusal decides nothing."""
    try:
        created = await run.api.create(await wire_body(run, monitor, body, intent.address))
    except (CreditsError, ProjectLimitError, NotFoundError) as error:
        return Resolution("not_done", summary_of(error))  # the key, sent again by the plan, still binds it
    except (UnauthorizedError, RateLimitedError, VersionError):
        raise
    except RefusedError as error:
        ids = ", ".join(f"`{p.id}`" for p in alive)
        return Resolution("unknown", f"it could be {ids}, but sending its key again was refused: {summary_of(error)}")
    except ApiError:
        raise
    except Deferred as why:
        return Resolution("not_done", f"its key can't be sent again yet: it waits for {why}")
    except ReconcilerError as error:  # a project that it refers to is over
        return Resolution("not_done", summary_of(error))
    return _made_by_key(run, intent, body, created, alive)


def _made_by_key(
    run: Run, intent: Intent, body: dict[str, Value], created: Created, alive: list[LiveProject]
) -> Resolution:
    """What the answer to the key means: its project is the intent's own, was there before it, or is another's."""
    found = next((p for p in alive if p.id == created.id), None)
    if run.elsewhere().holder_of(created.id) or (created.existing and found is None):
        return Resolution("not_done", f"its key belongs to `{created.id}`, which is not the project asked for")
    renamed = found is not None and "title" in body and not title_matches(body["title"], found)
    if created.id in intent.seen:
        if found is None or renamed:
            disputed = Disputed(address=intent.address, dispute=Dispute(intent.generation, created.id))
            return Resolution("not_done", f"its key had made `{created.id}` before", (disputed,))
        return _bind_by_list(run, intent, body, found)
    entry = created_entry(run, intent, body, created, run.draft.projects.get(intent.address))
    if found is not None and renamed:  # since it was made
        shown = run.as_known({"title": found.settings.get("title")}, found.source)
        entry = replace(entry, settings={**entry.settings, **shown})
    return Resolution("done", f"it was done: `{created.id}`", (Bind(address=intent.address, entry=entry),))


def _is_sayable(body: Mapping[str, Value]) -> bool:
    """Whether the version in force has the fields and values of a create that another one may have begun."""
    api = contract.current()
    fields = {field.name: field for field in api.fields_of("create")}
    return all(name in fields and fits(fields[name], exposed(value)) for name, value in body.items())


def _is_forgotten(run: Run, intent: Intent) -> bool:
    """Whether the key may be so old that the API no longer knows it: the contract does not say how long it lives."""
    now, begun = instant(run.now()), instant(intent.at)
    return now is None or begun is None or now - begun > KEY_LIVES


def _has_rival(run: Run, intent: Intent, elsewhere: Elsewhere) -> bool:
    """Whether another create of unknown fate would look the same in the list, here or in another environment."""
    own = [other.body for other in run.draft.pending.values() if other.kind == "create" and other.op != intent.op]
    look = [intent.body.get(name) for name in ("brief", "title")]
    return any(look == [body.get(name) for name in ("brief", "title")] for body in (*own, *elsewhere.creates))


async def _stopped_matches(
    run: Run, monitor: Monitor, intent: Intent, body: Mapping[str, Value]
) -> tuple[list[LiveProject], Elsewhere]:
    """As :func:`_matches`, once none of the projects is at work. Raises Deferred, Interrupted."""
    while True:
        matches, elsewhere = await _matches(run, intent, body)
        working = next((project for project in matches if not finished(project)), None)
        if working is None:
            return matches, elsewhere
        monitor.note(working)
        with contextlib.suppress(NotFoundError):
            await monitor.until(working.id, finished, f"the agent of `{working.id}` to stop")


async def _matches(run: Run, intent: Intent, body: Mapping[str, Value]) -> tuple[list[LiveProject], Elsewhere]:
    """Projects that the intent may have created: same brief and title, of that time, bound nowhere else. If there is none,
    or it could be another environment's, those that people may have given another title. And what other environments say.
    """
    title = exposed(body.get("title"))
    found, elsewhere = await _alike(run, intent, body, title)
    titled = [project for project in found if title_matches(body.get("title"), project)]
    if titled and not elsewhere.incomplete:
        return titled, elsewhere
    if isinstance(title, str):  # no search finds it under another title, nor one that the account keeps in its own form
        found, elsewhere = await _alike(run, intent, body, None)
        titled = [project for project in found if title_matches(body.get("title"), project)]
    if titled and not elsewhere.incomplete:
        return titled, elsewhere
    return titled + [project for project in _perhaps_renamed(found) if project not in titled], elsewhere


async def _alike(
    run: Run, intent: Intent, body: Mapping[str, Value], title: Json
) -> tuple[list[LiveProject], Elsewhere]:
    """Projects of the same brief, of that time, bound nowhere else: those with a title, or all. And what other environments
    say after the list was read: what one of them makes is in its journal before it is in the account.
    """
    listed = await list_filtered(run.api, title=title if isinstance(title, str) else None)
    elsewhere = run.elsewhere_now()
    taken = _taken(run) | elsewhere.not_ours | {intent.project_id or "", *run.draft.forgotten}
    taken.update(old for entry in run.draft.projects.values() for old in entry.retired)
    begun = instant(intent.at)
    return [
        project
        for project in listed
        if project.id not in taken and brief_matches(body["brief"], project) and not _is_older(project, begun)
    ], elsewhere


def _perhaps_renamed(found: list[LiveProject]) -> list[LiveProject]:
    """Those that are known to have been created since, whatever their title is by now."""
    return [project for project in found if instant(project.created_at) is not None]


def _is_older(project: LiveProject, begun: datetime | None) -> bool:
    """Whether the account says that a project was there before an intent; one that does not say so may be the intent's."""
    made = instant(project.created_at)
    return made is not None and begun is not None and made < begun - CLOCK_SKEW
