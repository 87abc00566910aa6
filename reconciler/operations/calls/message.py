"""``POST /projects/:id/messages``: telling an agent something once. There is no idempotency key: the conversation tells.

It is read before a message is sent, and again where the answer was lost. A message that reads nearly like ours leaves
the decision to the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model import contract
from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import NotFoundError, ReconcilerError
from reconciler.model.journal import Log
from reconciler.model.likeness import begins
from reconciler.model.live import LiveMessage, LiveProject
from reconciler.model.plan import Message
from reconciler.model.references import projects_in
from reconciler.model.state import Entry, Intent, SentMessage
from reconciler.model.values import Json, Revealed, Value, WireBody, filled, from_portable, masked_text
from reconciler.operations.apply.dependencies import wire_body
from reconciler.operations.apply.exactly_once import (
    Done,
    Resolution,
    commit,
    in_slot,
    retry_status,
    settle,
    settle_found,
)
from reconciler.operations.apply.polling import Monitor, finished
from reconciler.operations.apply.run import Deferred, Run
from reconciler.operations.calls.own_messages import Claims, claim
from reconciler.operations.read.conversation import Window, read_window
from reconciler.planning.knowledge import plain_text
from reconciler.planning.message_log import content_digest, message_digest, read_digest


class MessageCall(Struct):
    """``sent`` is the log's entry for the message; ``known`` are earlier ones that were found in the conversation, up to
    ``cursor``.
    """

    run: Run
    monitor: Monitor
    step: Message
    number: int
    project_id: str
    body: Mapping[str, Value]
    sent: SentMessage
    known: tuple[Log, ...]
    cursor: str | None
    wire: WireBody = WireBody({})

    def intent(self) -> Intent:
        return self.run.intent(
            "message",
            self.step.address,
            step=self.number,
            body=self.body,
            project_id=self.project_id,
            cursor=self.cursor,
            message_id=self.step.message.id,
        )

    async def send(self) -> str:
        return await self.run.api.send_message(self.project_id, self.wire)

    async def effects(self, status: str, intent: Intent) -> tuple[Log, ...]:
        self.monitor.set_status(self.project_id, status)
        return (*self.known, Log(address=intent.address, message=self.sent, cursor=self.cursor))

    async def may_have_acted(self, intent: Intent) -> bool:
        """Whether the conversation has the message, or one that reads nearly like it."""
        found = await find_message(self.run, self.monitor, intent)
        return bool(found.effects or found.near)

    @staticmethod
    async def recover(run: Run, monitor: Monitor, intent: Intent, /) -> Resolution:
        """Look for it in the conversation: now, once it can't be under way any more, and once the agent is idle. Only
        then it is known not to be there.
        """
        assert intent.project_id is not None
        try:
            for attempt in ("now", "settled", "idle"):
                if attempt == "settled":
                    await settle(run, intent)
                elif attempt == "idle":
                    live = await monitor.look(intent.project_id)
                    if live.status == contract.Status.IDLE:
                        break
                    await monitor.until(
                        intent.project_id, finished, "the agent to stop, to see whether the message came"
                    )
                found = await find_message(run, monitor, intent)
                if found.effects and not found.near:
                    return Resolution("done", f"message `{intent.message_id}` was sent", found.effects)
                if found.near and (attempt != "now" or intent.undecided):
                    return Resolution("unknown", _nearly(found.near), found.effects, near=_ids(found.near))
        except NotFoundError:
            try:
                await monitor.look(intent.project_id)
            except NotFoundError:
                return Resolution("not_done", "the project is gone")
            return Resolution("unknown", "the project is there, but its conversation can't be read")
        except Deferred:
            return Resolution("unknown", "the agent is working, and the message is not in the conversation yet")
        return Resolution("not_done", f"message `{intent.message_id}` is not in the conversation")


# ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def send_message(run: Run, monitor: Monitor, step: Message, number: int) -> Done:
    """Send a message once: read the conversation from the cursor on, write the intent, send, write the outcome."""
    project_id = run.draft.projects[step.address].project_id

    async def attempt() -> Done:
        live = await monitor.until(project_id, finished, "the agent to become idle", step)
        if live.status not in (contract.Status.IDLE, step.resumes):
            raise ReconcilerError(
                f"the project is {live.status} and takes no messages",
                live.error_message or "`reconciler plan` shows what you can do.",
            )
        return await _send_unless_there(run, monitor, step, number)

    return await retry_status(monitor, project_id, attempt)


async def _send_unless_there(run: Run, monitor: Monitor, step: Message, number: int) -> Done:
    await settle_found(run, step.address)
    entry = run.draft.projects[step.address]
    body = run.fill(step.message.body, step.address)
    sent = logged_message(step.message.id, body, lineage=run.draft.lineage, at=run.now())
    window, claims = await look_before_sending(run, monitor, step.address, plain_text(body["message"]))
    known = tuple(Log(address=step.address, message=message) for message in claims.known)
    if claims.match is not None:
        found = replace(sent, message_id=claims.match.id, how="found")
        log = Log(address=step.address, message=found, cursor=claims.match.id)
        await run.record_step(step.address, number, *known, log)
        return Done(f"it is in the conversation already (`{claims.match.id}`): not sent again", already=True)
    call = MessageCall(run, monitor, step, number, entry.project_id, body, sent, known, window.newest)
    if claims.near:  # an earlier run may have sent it, and its state be lost
        call.cursor = entry.cursor
        await run.leave_undecided(call.intent(), _nearly(claims.near), *known, near=_ids(claims.near))
    return await in_slot(run, monitor, step, partial(_send, call))


async def _send(call: MessageCall) -> Done:
    call.wire = await wire_body(call.run, call.monitor, call.body, call.step.address)
    if await commit(call.run, call.monitor, call, call.may_have_acted) is None:
        await call.monitor.look(call.project_id)
        return Done("its answer was lost; the conversation has it")
    return Done()


# ── looking into the conversation ───────────────────────────────────────────────────────────────────────────────────


async def look_before_sending(run: Run, monitor: Monitor, address: str, text: Revealed) -> tuple[Window, Claims]:
    """What came since the log's cursor, and which of it is the message already."""
    entry = run.draft.projects[address]
    fresh = address in run.worked and address not in run.found
    window = await read_window(run.api, entry.project_id, entry.cursor, sure=not fresh)
    return window, _claims(run, monitor, window, entry, text, may_be_first=not fresh)


class Found(Struct, frozen=True):
    """What a look into the conversation means for the state; without ``near`` and effects: the message is not there."""

    effects: tuple[Log, ...] = ()
    near: tuple[LiveMessage, ...] = ()


async def find_message(run: Run, monitor: Monitor, intent: Intent) -> Found:
    """Look for an intent's message in the conversation."""
    assert intent.project_id is not None
    assert intent.message_id is not None
    body = run.fill(from_portable(intent.body), intent.address)
    entry = run.draft.projects.get(intent.address)
    if entry is not None and entry.project_id != intent.project_id:
        entry = None  # the address stands for another project by now
    text = plain_text(body["message"])
    window = await read_window(run.api, intent.project_id, entry.cursor if entry else intent.cursor, sure=True)
    was_empty = intent.cursor is None and not intent.undecided
    claims = _claims(run, monitor, window, entry, text, after=intent.cursor, may_be_first=True, has_brief=not was_empty)
    known = tuple(Log(address=intent.address, message=message) for message in claims.known)
    if claims.match is None:
        return Found(known if claims.near else (), claims.near)
    message = logged_message(intent.message_id, body, lineage=run.draft.lineage, at=run.now())
    found = replace(message, message_id=claims.match.id)
    return Found((*known, Log(address=intent.address, message=found, cursor=claims.match.id)))


def _claims(
    run: Run,
    monitor: Monitor,
    window: Window,
    entry: Entry | None,
    text: Revealed,
    *,
    may_be_first: bool,
    after: str | None = None,
    has_brief: bool = True,
) -> Claims:
    """``may_be_first``: whether the conversation may begin with a message of ours, since the state may not know all that came
    before; ``has_brief``: whether it may begin with the brief. Where both may be, and nothing tells the brief, it is open.
    """
    live = monitor.projects.get(entry.project_id) if entry else None
    brief = brief_of(entry, live, window) if entry and window.whole and has_brief else None
    claims = claim(
        window,
        entry.messages if entry else (),
        text=text,
        lineage=run.draft.lineage,
        env=run.env,
        brief=brief,
        may_be_first=may_be_first,
        after=after,
        others=entry.not_ours if entry else (),
    )
    first = window.messages[0] if window.whole and has_brief and brief is None and window.messages else None
    if claims.match is not None and claims.match is first:
        return Claims(claims.known, None, (first,))
    return claims


def brief_of(entry: Entry, live: LiveProject | None, window: Window) -> Json:
    """The brief, perhaps sealed, to know it in the conversation; of a project that was made elsewhere, as the list has it."""
    made = entry.creation.get("brief")
    return _in_full(live.brief, window) if made is None and live is not None and live.brief is not None else made


def _in_full(listed: str, window: Window) -> str:
    """A brief of which the list may show only the beginning, as it begins the conversation, if it does."""
    first = next((message.content for message in window.messages if message.role == "user"), "")
    return first if begins(first, listed, contract.current().limits.list_brief) else listed


def _ids(messages: Iterable[LiveMessage]) -> tuple[str, ...]:
    return tuple(message.id for message in messages)


def _nearly(messages: Iterable[LiveMessage]) -> str:
    ids = ", ".join(f"`{message.id}`" for message in messages)
    return f"the conversation has {ids}, which may be this message in another form"


# ── the log ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def logged_message(
    message_id: str,
    body: Mapping[str, Value],
    *,
    lineage: str,
    at: str,
    how: Literal["sent", "found", "declared"] = "sent",
) -> SentMessage:
    """The log's entry for a message that the agent has now; the body has its secrets' values."""
    return SentMessage(
        id=message_id,
        digest=message_digest(body),
        projects=projects_in(body),
        text=masked_text(body["message"]),
        content=content_digest(lineage, body["message"]),
        at=at,
        how=how,
        reads=read_digest(body),
    )


def declared_sent(intent: Intent, env: Mapping[str, str], *, lineage: str, at: str) -> Log:
    """The log of a message of unknown fate that the user declares sent. One that the conversation shows may have been
    rendered since, as where it was found. Raises as :func:`filled`.
    """
    assert intent.message_id is not None
    body = filled(from_portable(intent.body), env, lineage)
    found = intent.near[0] if len(intent.near) == 1 else None
    how: Literal["found", "declared"] = "found" if intent.near else "declared"
    message = replace(logged_message(intent.message_id, body, lineage=lineage, at=at, how=how), message_id=found)
    return Log(address=intent.address, message=message, cursor=found or intent.cursor)


async def rebuild_log(
    api: ApiClient,
    messages: Iterable[DesiredMessage],
    entry: Entry,
    brief: Value,
    *,
    env: Mapping[str, str],
    lineage: str,
    now: Callable[[], str],
) -> tuple[Entry, list[tuple[str, str]]]:
    """The log as the conversation shows it: the spec's messages in order, as far as they are there. Beside it, which of
    them are taken for which messages of the conversation that only read nearly like them. ``brief`` is the spec's, or what
    the list shows.
    """
    window = await read_window(api, entry.project_id, None)
    text_of_brief = None if brief is None else plain_text(_in_full(brief, window) if isinstance(brief, str) else brief)
    cursor = None
    log: list[SentMessage] = []
    doubtful: list[tuple[str, str]] = []
    for message in messages:
        text = plain_text(message.body["message"])
        claims = claim(window, log, text=text, lineage=lineage, env=env, brief=text_of_brief)
        match = claims.match or (claims.near[0] if claims.near else None)
        if match is None:
            break
        if claims.match is None:
            doubtful.append((message.id, match.id))
        found = logged_message(message.id, message.body, lineage=lineage, at=match.created_at or now(), how="found")
        log.append(replace(found, message_id=match.id))
        cursor = match.id
    return replace(entry, messages=tuple(log), cursor=cursor), doubtful
