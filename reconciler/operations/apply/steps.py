"""What each kind of step does: one function each, all calls write-ahead, all unknown fates through ``resolve``."""

from __future__ import annotations

from msgspec.structs import asdict, replace

from reconciler.model import contract
from reconciler.model.errors import (
    NotFoundError,
    ReconcilerError,
    WrongStatusError,
)
from reconciler.model.events import Noted
from reconciler.model.journal import Bind, Drop, Effect, End, Learn, Log, Rename
from reconciler.model.live import Created, LiveProject
from reconciler.model.plan import (
    Adopt,
    Cancel,
    Forget,
    Import,
    Message,
    Move,
    Release,
    Replace,
    Step,
    Update,
)
from reconciler.model.state import Entry, Intent, Known, Outputs
from reconciler.model.values import is_sealed
from reconciler.operations.apply.creating import create
from reconciler.operations.apply.dependencies import wire_body
from reconciler.operations.apply.entries import bound_entry
from reconciler.operations.apply.exactly_once import Already, commit, spending
from reconciler.operations.apply.polling import Monitor, finished
from reconciler.operations.apply.run import Run
from reconciler.operations.apply.settings import converge, patch
from reconciler.operations.read.conversation import claim, read_window
from reconciler.operations.recovery.open_calls import OVER, brief_of, logged_message, nearly
from reconciler.planning.findings import keeps
from reconciler.planning.kept_values import seen_first


async def replace_project(run: Run, monitor: Monitor, step: Replace, number: int) -> str:
    """Cancel the old one where its status allows, then create anew.

    What can't be made now must not cost the old one: one that rests is cancelled only once there is a slot for the new
    one; one at work has that slot.
    """
    old = run.draft.projects[step.address]
    await wire_body(run, monitor, step.body, step.address)

    async def make_room() -> None:
        await cancel_project(run, monitor, step, old.project_id, number, generation=step.generation)

    live = monitor.projects.get(old.project_id)
    if live is not None and contract.is_active(live.status):
        await make_room()
    return await create(run, monitor, step, number, old=old, first=make_room)


async def update(run: Run, monitor: Monitor, step: Update, number: int) -> str:
    await patch(run, monitor, step, step.body, number)
    return ""


async def release(run: Run, monitor: Monitor, step: Release, number: int) -> str:
    await patch(run, monitor, step, {"mode": contract.MODE_RELEASED}, number, kind="release")
    return ""


# ── adopt, import, move, forget ─────────────────────────────────────────────────────────────────────────────────────


async def adopt(run: Run, monitor: Monitor, step: Adopt, number: int) -> str:
    """Adopt a studio project; harmless to repeat (contract: 200 where it is adopted already)."""
    wire = run.reveal(step.body, step.address)

    async def effects(adopted: Created, intent: Intent) -> tuple[Effect, ...]:
        mode = {"mode": adopted.mode} if adopted.mode else {}
        entry = Entry(
            project_id=adopted.id,
            origin="adopted",
            studio_id=wire["project_id"],
            settings=run.known(mode, "status"),
            outputs=Outputs(status=adopted.status, project_url=adopted.project_url),
        )
        monitor.names[adopted.id] = step.address
        monitor.note(
            LiveProject(
                id=adopted.id,
                status=adopted.status,
                source="status",
                settings=mode,
                project_url=adopted.project_url,
            )
        )
        return (Bind(address=intent.address, entry=entry),)

    await commit(
        run,
        monitor,
        lambda: run.intent("adopt", step.address, step=number, body=step.body),
        lambda: run.api.adopt(wire),
        effects,
    )
    entry = run.draft.projects[step.address]
    mode = entry.settings.get("mode")
    if "mode" in step.body and (mode is None or mode.value != step.body["mode"]):
        live = monitor.projects.get(entry.project_id) or await monitor.look(entry.project_id)
        await converge(run, monitor, step, {"mode": step.body["mode"]}, live, number + 1)
    return ""


async def take_over(run: Run, monitor: Monitor, step: Import, number: int) -> str:
    """Bind an existing project; no call but a look where it was not read yet."""
    assert step.project_id is not None
    live = monitor.projects.get(step.project_id) or await monitor.look(step.project_id)
    entry = replace(bound_entry(run, live, origin="imported"), studio_id=live.source_project_id)
    monitor.names[live.id] = step.address
    await run.noted(step.address, number, Bind(address=step.address, entry=entry))
    return ""


async def move(run: Run, step: Move, number: int) -> str:
    await run.noted(step.address, number, Rename(from_address=step.from_address, to_address=step.address))
    return ""


async def forget(run: Run, monitor: Monitor, step: Forget, number: int) -> str:
    if step.waits_for is not None and step.project_id is not None:
        await monitor.until(step.project_id, finished, step.waits_for, step)
    await run.noted(step.address, number, Drop(address=step.address))
    return ""


# ── messages ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def message(run: Run, monitor: Monitor, step: Message, number: int) -> str:
    """Send a message once: read the conversation from the cursor on, write the intent, send, write the outcome."""
    project_id = run.draft.projects[step.address].project_id
    for last in (False, False, True):
        live = await monitor.until(project_id, finished, "the agent to become idle", step)
        if live.status != contract.Status.IDLE:
            raise ReconcilerError(
                f"the project is {live.status} and takes no messages",
                live.error_message or "`reconciler plan` shows the ways out.",
            )
        try:
            return await _send(run, monitor, step, number, project_id)
        except WrongStatusError:
            if last:
                raise
            await monitor.look(project_id)
    raise AssertionError


async def _send(run: Run, monitor: Monitor, step: Message, number: int, project_id: str) -> str:
    body = run.filled(step.message.body, step.address)
    text = run.reveal({"message": body["message"]}, step.address)["message"]
    entry = run.draft.projects[step.address]
    logged = logged_message(step.message.id, body, lineage=run.draft.lineage, at=run.now())
    window = await read_window(run.api, project_id, entry.cursor)
    claims = claim(
        window,
        entry.messages,
        text=text,
        lineage=run.draft.lineage,
        env=run.env,
        brief=brief_of(entry) if window.whole else None,
        others=entry.not_ours,
    )
    known = tuple(Log(address=step.address, message=m) for m in claims.known)
    if claims.match is not None:
        found = replace(logged, message_id=claims.match.id, how="found")
        log = Log(address=step.address, message=found, cursor=claims.match.id)
        await run.noted(step.address, number, *known, log)
        return Already(f"it is in the conversation already (`{claims.match.id}`): not sent again")

    def intent(cursor: str | None = window.newest) -> Intent:
        return run.intent(
            "message",
            step.address,
            step=number,
            body=body,
            project_id=project_id,
            cursor=cursor,
            message_id=step.message.id,
        )

    if claims.near:  # an earlier run may have sent it, and its state be lost
        await run.undecided(intent(entry.cursor), nearly(claims.near), *known, near=tuple(m.id for m in claims.near))

    async def effects(status: str, intent: Intent) -> tuple[Effect, ...]:
        monitor.set_status(project_id, status)
        return (*known, Log(address=intent.address, message=logged, cursor=window.newest))

    async def send() -> str:
        sent = await wire_body(run, monitor, body, step.address)
        status = await commit(run, monitor, intent, lambda: run.api.send_message(project_id, sent), effects)
        if status is None:
            await monitor.look(project_id)
            return "its answer was lost; the conversation has it"
        return ""

    return await spending(run, monitor, step, send)


# ── cancel ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def cancel(run: Run, monitor: Monitor, step: Cancel, number: int) -> str:
    project_id = run.draft.projects[step.address].project_id
    note = await cancel_project(run, monitor, step, project_id, number)
    if note:
        await run.noted(step.address, number)
    return note


async def cancel_project(
    run: Run, monitor: Monitor, step: Step, project_id: str, number: int, *, generation: int = 0
) -> str:
    """Cancel unless it is over; the answer says if so. ``generation``: for the sake of this successor."""

    async def effects(status: str, intent: Intent) -> tuple[Effect, ...]:
        monitor.set_status(project_id, status)
        return (Learn(address=intent.address, replacing=True),) if generation else ()

    def intent() -> Intent:
        more = {"project_id": project_id, "generation": generation, "final": not generation}
        return run.intent("cancel", step.address, step=number, body={}, **more)

    for last in (False, False, True):
        try:
            live = await monitor.until(project_id, _stoppable, "the project to be cancellable", step)
            if live.status in OVER:
                return Already(f"it is {live.status} already")
            await commit(run, monitor, intent, lambda: run.api.cancel(project_id), effects)
        except NotFoundError:
            try:
                await monitor.look(project_id)
            except NotFoundError:
                return Already("it is gone already")
            raise  # it is there: the answer was wrong
        except WrongStatusError:
            if last:
                raise
            await monitor.look(project_id)
        else:
            return ""
    raise AssertionError


def _stoppable(live: LiveProject) -> bool:
    return live.status in contract.CANCELLABLE or live.status in OVER


# ── what was seen on the way ────────────────────────────────────────────────────────────────────────────────────────


def learn(run: Run, address: str, live: LiveProject, *, drift: bool, since: str) -> None:
    """Fold what was seen of a project into the working state; it needs no journal: it can be read again.

    A setting that is known stays as it is, unless ``drift`` is to be taken over. A form of its own in which the account
    keeps one that was asked for is told, unless the plan (of an account read at ``since``) could tell it.
    """
    entry = run.draft.projects[address]
    first = run.redact.value(seen_first(entry, live))
    fresh = {
        name: known
        for name, known in run.known(live.settings, live.source).items()
        if name not in entry.settings or (drift and name not in first and _is_other(entry.settings[name], known))
    }
    for name, form in first.items():
        asked = entry.settings[name]
        fresh[name] = replace(asked, kept=form)
        if asked.at >= since and asked.value != form:
            run.emit(Noted(diagnostic=keeps(address, name, asked.value, form)))
    seen = run.outputs(live)
    kept = entry.outputs if live.status == entry.outputs.status else replace(entry.outputs, error_message=None)
    outputs = replace(kept, **{k: v for k, v in asdict(seen).items() if v is not None})
    if fresh or outputs != entry.outputs:
        run.draft.fold(End(effects=(Learn(address=address, settings=fresh, outputs=outputs),)))


def _is_other(asked: Known, known: Known) -> bool:
    """Whether the account shows another value than is known, and not just the form that it keeps that in."""
    return not is_sealed(asked.value) and known.value not in (asked.value, asked.kept)
