"""Clearing up a call whose fate is unknown: after a crash and within a run, through the same code.

Each intent becomes *done* (with what it did), *not done*, or stays *unknown*. Nothing that costs is repeated on a guess:

* create: looked for in the account. Alive or cancelled → its key is sent again, which binds it (contract: 200). Failed,
  begun so long ago that the key may be forgotten, or with references to projects, whose URLs make another body each time
  → bound by what the list shows, since the key could make a second one, or be refused;
  where another project could be meant just as well (equal briefs), it stays unknown. Not there → not done; the create
  that is planned next uses the same key, so even a late arrival is bound and not doubled.
* adopt: repeated; the contract makes that harmless (200).
* update, release: what it changed is no longer held for known, so the planner sees to it again.
* cancel: the status tells.
* message: the conversation tells, after the settle time; it is not done only if the project is idle by then. A message
  that reads nearly like it leaves it unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, assert_never

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.errors import (
    ApiError,
    CreditsError,
    NotFoundError,
    ProjectLimitError,
    RateLimitedError,
    ReconcilerError,
    RefusedError,
    UnauthorizedError,
)
from reconciler.model.journal import Bind, Effect, End, Learn, Log
from reconciler.model.likeness import has_one_form
from reconciler.model.live import LiveMessage, LiveProject
from reconciler.model.references import projects_in
from reconciler.model.state import Entry, Intent, SentMessage
from reconciler.model.times import instant
from reconciler.model.values import Json, Value, from_portable, masked
from reconciler.operations.apply.dependencies import wire_body
from reconciler.operations.apply.entries import bound_entry, created_entry
from reconciler.operations.apply.polling import Monitor, finished
from reconciler.operations.apply.run import Deferred, Run, note_of
from reconciler.operations.read.conversation import claim, read_window
from reconciler.operations.read.refresh import filtered
from reconciler.planning.knowledge import brief_matches, title_matches
from reconciler.planning.message_log import content_digest, message_digest, read_digest

LONGEST_FLIGHT = 900.0
"""Seconds from an intent after which its request can't be under way any more, waiting for the rate limit included."""
OVER = frozenset({contract.Status.FAILED, contract.Status.CANCELLED})
"""Statuses from which no project comes back."""
KEY_LIVES = timedelta(hours=23)
"""How long an idempotency key is surely known: elsewhere the shortest is a day (Stripe); this contract does not say."""
CLOCK_SKEW = timedelta(hours=1)
"""How far the account's clock may be off when it says when a project was created."""


class Resolution(Struct, frozen=True):
    result: Literal["done", "not_done", "unknown"]
    note: str
    effects: tuple[Effect, ...] = ()
    near: tuple[str, ...] = ()


async def resolve(run: Run, monitor: Monitor, intent: Intent) -> Resolution:
    """Find out what became of an intent, and record it.

    Raises:
        ApiError: the account can't be asked just now; the intent stays pending as it is.
        ReconcilerError: the environment lacks what a create's secret needs.

    """
    match intent.kind:
        case "create":
            resolution = await _create(run, monitor, intent)
        case "adopt":
            resolution = await _adopt(run, intent)
        case "update" | "release":
            unknown = dict.fromkeys(intent.body)
            learn = Learn(address=intent.address, settings=unknown)
            resolution = Resolution("not_done", "its settings are planned anew", (learn,))
        case "cancel":
            resolution = await _cancel(monitor, intent)
        case "message":
            resolution = await _message(run, monitor, intent)
        case _:
            assert_never(intent.kind)
    done = resolution.result == "done"
    begun = done or bool(resolution.effects)  # what it took from the knowledge must not make its own plan stale
    await run.record(
        End(
            op=intent.op,
            result=resolution.result,
            effects=resolution.effects,
            address=intent.address if begun and intent.plan else None,
            plan=intent.plan if begun else None,
            done=intent.step + (done and intent.final),
            note=resolution.note,
            near=resolution.near,
        )
    )
    return resolution


# ── create and adopt ────────────────────────────────────────────────────────────────────────────────────────────────


async def _create(run: Run, monitor: Monitor, intent: Intent) -> Resolution:
    body = run.filled(from_portable(dict(intent.body)), intent.address)
    plain = run.reveal(body, intent.address)
    matches = await _matches(run, intent, plain)
    alive = [p for p in matches if p.status != contract.Status.FAILED]
    certain = len(matches) == 1 and not _has_rival(run, intent)
    key_may_double = len(alive) < len(matches) or _is_forgotten(run, intent)
    if matches and key_may_double and not certain:
        ids = ", ".join(f"`{p.id}`" for p in matches)
        return Resolution("unknown", f"it could be any of {ids}, and its key sent again could make another")
    old = run.draft.projects.get(intent.address)
    if matches and certain and (key_may_double or projects_in(body)):  # videos' URLs make another body each time
        found = matches[0]
        entry = replace(
            bound_entry(run, found, origin="created", old=old, settings=body),
            generation=intent.generation,
            creation=created_entry(run, intent, body, None, old).creation,
        )
        note = f"it had been done, and the project is {found.status}: `{found.id}`"
        return Resolution("done", note, (Bind(address=intent.address, entry=entry),))
    if alive:
        return await _by_key(run, monitor, intent, body, alive)
    return Resolution("not_done", "the account has no such project")


async def _by_key(
    run: Run, monitor: Monitor, intent: Intent, body: dict[str, Value], alive: list[LiveProject]
) -> Resolution:
    """Send the key again. What the same key gives with another body is not for the contract to say: a refusal decides
    nothing.
    """
    try:
        created = await run.api.create(await wire_body(run, monitor, body, intent.address))
    except (CreditsError, ProjectLimitError, NotFoundError) as error:
        return Resolution("not_done", note_of(error))  # the key, sent again by the plan, still binds it
    except (UnauthorizedError, RateLimitedError):
        raise
    except RefusedError as error:
        ids = ", ".join(f"`{p.id}`" for p in alive)
        return Resolution("unknown", f"it could be {ids}, but its key sent again was refused: {note_of(error)}")
    except ApiError:
        raise
    except Deferred as why:
        return Resolution("not_done", f"its key can't be sent again yet: that waits for {why}")
    except ReconcilerError as error:  # a project that it refers to is over
        return Resolution("not_done", note_of(error))
    entry = created_entry(run, intent, body, created, run.draft.projects.get(intent.address))
    if created.existing and all(p.id != created.id for p in alive):  # another project than the one that looks like it
        entry = replace(entry, creation={})
    return Resolution("done", f"it had been done: `{created.id}`", (Bind(address=intent.address, entry=entry),))


def _is_forgotten(run: Run, intent: Intent) -> bool:
    """Whether the key may be so old that the API no longer knows it: the contract does not say how long it lives."""
    now, begun = instant(run.now()), instant(intent.at)
    return now is None or begun is None or now - begun > KEY_LIVES


def _has_rival(run: Run, intent: Intent) -> bool:
    """Whether another create of unknown fate would look the same in the list."""
    look = [intent.body.get(name) for name in ("brief", "title")]
    return any(
        other.kind == "create" and other.op != intent.op and look == [other.body.get(n) for n in ("brief", "title")]
        for other in run.draft.pending.values()
    )


async def _matches(run: Run, intent: Intent, body: dict[str, Json]) -> list[LiveProject]:
    """Projects that the intent may have created: same brief and title, of that time, standing for nothing else."""
    taken = {entry.project_id for entry in run.draft.projects.values()}
    taken.update(old for entry in run.draft.projects.values() for old in entry.retired)
    taken.add(intent.project_id or "")
    begun = instant(intent.at)
    title = body.get("title")

    async def among(wanted: Json) -> list[LiveProject]:
        return [
            project
            for project in await filtered(run.api, title=wanted)
            if project.id not in taken
            and brief_matches(body["brief"], project)
            and title_matches(title, project)
            and not _is_older(project, begun)
        ]

    found = await among(title)
    if found or title is None or has_one_form(title):
        return found
    return await among(None)  # the account may keep the title in a form of its own, which no search for it finds


def _is_older(project: LiveProject, begun: datetime | None) -> bool:
    """Whether the account says that a project was there before an intent; one that does not say so may be the intent's."""
    made = instant(project.created_at)
    return made is not None and begun is not None and made < begun - CLOCK_SKEW


async def _adopt(run: Run, intent: Intent) -> Resolution:
    body = run.reveal(from_portable(dict(intent.body)), intent.address)
    try:
        adopted = await run.api.adopt(body)
    except NotFoundError:
        return Resolution("not_done", "the studio has no such project")
    entry = Entry(
        project_id=adopted.id,
        origin="adopted",
        studio_id=body["project_id"],
        settings=run.known({"mode": adopted.mode} if adopted.mode else {}, "status"),
    )
    return Resolution("done", f"it is adopted: `{adopted.id}`", (Bind(address=intent.address, entry=entry),))


# ── cancel ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _cancel(monitor: Monitor, intent: Intent) -> Resolution:
    assert intent.project_id is not None
    try:
        live = await monitor.look(intent.project_id)
    except NotFoundError:
        return Resolution("done", "the project is gone")
    if live.status in OVER:
        effects = (Learn(address=intent.address, replacing=True),) if not intent.final else ()
        return Resolution("done", f"the project is {live.status}", effects)
    return Resolution("not_done", f"the project is {live.status}")


# ── message ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _message(run: Run, monitor: Monitor, intent: Intent) -> Resolution:
    try:
        for attempt in ("now", "settled", "idle"):
            if attempt == "settled":
                await settle(run, intent)
            elif attempt == "idle":
                assert intent.project_id is not None
                live = await monitor.look(intent.project_id)
                if live.status == contract.Status.IDLE:
                    break
                await monitor.until(intent.project_id, finished, "the agent to stop, to see whether the message came")
            found = await find_message(run, intent)
            if found.effects and not found.near:
                return Resolution("done", f"message `{intent.message_id}` had been sent", found.effects)
            if found.near and (attempt != "now" or intent.undecided):
                ids = tuple(m.id for m in found.near)
                return Resolution("unknown", nearly(found.near), found.effects, near=ids)
    except NotFoundError:
        assert intent.project_id is not None
        try:
            await monitor.look(intent.project_id)
        except NotFoundError:
            return Resolution("not_done", "the project is gone")
        return Resolution("unknown", "the project is there, but its conversation can't be read")
    except Deferred:
        return Resolution("unknown", "the agent is at work, and the message is not in the conversation yet")
    return Resolution("not_done", f"message `{intent.message_id}` is not in the conversation")


def nearly(messages: tuple[LiveMessage, ...]) -> str:
    """What to say of messages that may be the one asked for."""
    ids = ", ".join(f"`{message.id}`" for message in messages)
    return f"the conversation has {ids}, which may be it in another form"


async def settle(run: Run, intent: Intent) -> None:
    """Wait until a message of unknown fate can't appear any more (settled reading 1). Raises HaltedError."""
    now, begun = instant(run.now()), instant(intent.at)
    age = (now - begun).total_seconds() if now and begun else 0.0
    left = min(run.options.settle, LONGEST_FLIGHT - age)
    if left > 0:
        async with run.api.halt.waiting():
            await asyncio.sleep(left)


class Found(Struct, frozen=True):
    """What a look into the conversation means for the state; without ``near`` and effects: the message is not there."""

    effects: tuple[Effect, ...] = ()
    near: tuple[LiveMessage, ...] = ()


async def find_message(run: Run, intent: Intent) -> Found:
    """Look for an intent's message in the conversation."""
    assert intent.project_id is not None
    assert intent.message_id is not None
    body = run.filled(from_portable(dict(intent.body)), intent.address)
    text = run.reveal({"message": body["message"]}, intent.address)["message"]
    entry = run.draft.projects.get(intent.address)
    if entry is not None and entry.project_id != intent.project_id:
        entry = None  # the address stands for another project by now
    window = await read_window(run.api, intent.project_id, entry.cursor if entry else intent.cursor, sure=True)
    claims = claim(
        window,
        entry.messages if entry else (),
        text=text,
        lineage=run.draft.lineage,
        env=run.env,
        brief=brief_of(entry) if window.whole else None,
        after=intent.cursor,
        others=entry.not_ours if entry else (),
    )
    known = tuple(Log(address=intent.address, message=m) for m in claims.known)
    if claims.match is None:
        return Found(known if claims.near else (), claims.near)
    message = logged_message(intent.message_id, body, lineage=run.draft.lineage, at=run.now())
    found = replace(message, message_id=claims.match.id)
    return Found((*known, Log(address=intent.address, message=found, cursor=claims.match.id)))


def logged_message(message_id: str, body: Mapping[str, Value], *, lineage: str, at: str) -> SentMessage:
    """The log's entry for a message that the agent has now; the body has its secrets' values."""
    return SentMessage(
        id=message_id,
        digest=message_digest(body),
        projects=projects_in(body),
        text=str(masked(body["message"])),
        content=content_digest(lineage, body["message"]),
        at=at,
        reads=read_digest(body),
    )


def brief_of(entry: Entry | None) -> Json:
    """The brief, perhaps sealed, to know it in the conversation."""
    return entry.creation.get("brief") if entry else None
