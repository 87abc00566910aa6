"""Reading a conversation: what came after a cursor, and which of it is ours.

The contract leaves open which page comes without a cursor and at which end a page after a cursor begins, so neither is
relied on: a window is read on with ``after`` until nothing newer comes, and back with ``before`` where a page said that
there is more.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model.live import LiveMessage, MessagePage
from reconciler.model.state import SentMessage
from reconciler.model.values import secret_digest


def content_digest(lineage: str, text: str) -> str:
    """Knows a text again, whatever the server does to its white space."""
    return secret_digest(lineage, " ".join(text.split()))


class Window(Struct, frozen=True):
    """Messages after a cursor, oldest first. ``newest`` is the newest id there is (the cursor, if nothing came)."""

    messages: tuple[LiveMessage, ...]
    newest: str | None


async def read_window(api: ApiClient, project_id: str, cursor: str | None) -> Window:
    """Every message newer than ``cursor`` (``None``: all). One call where one page holds them."""
    found: dict[str, LiveMessage] = {}
    first = await api.messages(project_id, after=cursor)
    _add(found, first, cursor)
    if first.has_more:
        await _back(api, project_id, found, cursor)
        await _on(api, project_id, found)
    ordered = tuple(found.values())
    return Window(ordered, ordered[-1].id if ordered else cursor)


def _oldest_first(page: MessagePage) -> list[LiveMessage]:
    messages = list(page.messages)
    first, last = (messages[0].created_at, messages[-1].created_at) if messages else (None, None)
    return messages[::-1] if first and last and first > last else messages


def _add(found: dict[str, LiveMessage], page: MessagePage, cursor: str | None, *, front: bool = False) -> bool:
    """Merge a page; whether it brought anything new. What is at or before the cursor is left out."""
    messages = _oldest_first(page)
    ids = [m.id for m in messages]
    if cursor in ids:
        messages = messages[ids.index(cursor) + 1 :]
    new = {m.id: m for m in messages if m.id not in found}
    if front:
        old = dict(found)
        found.clear()
        found.update({**new, **old})
    else:
        found.update(new)
    return bool(new)


async def _back(api: ApiClient, project_id: str, found: dict[str, LiveMessage], cursor: str | None) -> None:
    while found:
        page = await api.messages(project_id, before=next(iter(found)))
        reached = cursor in {m.id for m in page.messages}
        if not _add(found, page, cursor, front=True) or reached:
            return


async def _on(api: ApiClient, project_id: str, found: dict[str, LiveMessage]) -> None:
    while found:
        newest = next(reversed(found))
        if not _add(found, await api.messages(project_id, after=newest), newest):
            return


class Claims(Struct, frozen=True):
    """Which messages of a window are ours. ``known``: logged ones whose id is now known; ``match``: the one asked for."""

    known: tuple[SentMessage, ...]
    match: LiveMessage | None


def claim(
    window: Window,
    log: Iterable[SentMessage],
    *,
    content: str,
    lineage: str,
    brief: str | None = None,
    after: str | None = None,
) -> Claims:
    """Find a message by its content digest among those that no logged message stands for.

    A logged message without an id takes the first equal one, so the window must begin before all of these: at the log's
    cursor. The match stands behind the message ``after``, where the window has that. ``brief`` is the brief's digest where
    the window begins with the conversation: its first user message is the brief if it reads like it. The same words typed
    by a person count as the message: the agent has them, and sending them again would only cost.
    """
    logged = list(log)
    taken = {m.message_id for m in logged if m.message_id}
    waiting = [m for m in logged if m.message_id is None]
    known: list[SentMessage] = []
    first_user = True
    ids = [message.id for message in window.messages]
    begin = ids.index(after) + 1 if after in ids else 0
    for number, message in enumerate(window.messages):
        if message.role != "user":
            continue
        text = content_digest(lineage, message.content)
        is_brief = first_user and brief == text
        first_user = False
        if is_brief or message.id in taken:
            continue
        ours = next((m for m in waiting if m.content == text), None)
        if ours is not None:
            waiting.remove(ours)
            known.append(replace(ours, message_id=message.id))
        elif text == content and number >= begin:
            return Claims(tuple(known), message)
    return Claims(tuple(known), None)
