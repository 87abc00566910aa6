"""Reading a conversation: what came after a cursor, and which of it is ours.

The contract leaves open which page comes without a cursor and at which end a page after a cursor begins, so neither is
relied on: a window is read on with ``after`` until nothing newer comes, and back with ``before`` where a page said that
there is more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model.errors import AnswerError, Fate, RefusedError
from reconciler.model.likeness import Likeness, classify
from reconciler.model.live import LiveMessage, MessagePage
from reconciler.model.state import SentMessage
from reconciler.model.values import Json, Secret, env_parts, expand_env, is_sealed, seals
from reconciler.planning.message_log import content_digest

MESSAGES_MAX: Final = 10_000
"""Messages of one conversation that are read, far more than an agent's work comes to."""
PAGES_MAX: Final = 250
"""Pages that are read for them, two minutes at the published rate; the fewest that would do are 200."""
CHARACTERS_MAX: Final = 4_000_000
"""Characters of their texts: 400 messages of the greatest length that the contract allows."""
_NO_SUCH_CURSOR: Final = frozenset({400, 404, 410, 422})
"""How a server may answer to a cursor that it does not know; the contract does not say."""


class Window(Struct, frozen=True):
    """Messages after a cursor, oldest first. ``newest`` is the newest id there is (the cursor, if nothing came).
    ``whole``: it begins with the conversation; ``forgotten``: because the server no longer knows the cursor.
    """

    messages: tuple[LiveMessage, ...]
    newest: str | None
    whole: bool = False
    forgotten: bool = False


class _Reader(Struct):
    """Reads one conversation's pages, as long as there is an end to them."""

    api: ApiClient
    project_id: str
    cursor: str | None
    found: dict[str, LiveMessage] = field(default_factory=dict)
    pages: int = 0
    characters: int = 0

    async def page(self, *, after: str | None = None, before: str | None = None) -> MessagePage:
        if self.pages == PAGES_MAX or len(self.found) > MESSAGES_MAX or self.characters > CHARACTERS_MAX:
            raise self._endless()
        self.pages += 1
        return await self.api.messages(self.project_id, after=after, before=before)

    def _endless(self) -> AnswerError:
        error = AnswerError(
            "the conversation has no end",
            f"{len(self.found)} messages of {self.characters} characters came on {self.pages} pages, and there are more. "
            f"Up to {MESSAGES_MAX} messages of {CHARACTERS_MAX} characters are read.",
            method="GET",
            path=f"/projects/{self.project_id}/messages",
        )
        error.fate = Fate.NOT_DONE
        return error

    def add(self, page: MessagePage, cursor: str | None, *, front: bool = False) -> bool:
        """Merge a page; whether it brought anything new. What is at or before the cursor is left out."""
        messages = _oldest_first(page)
        ids = [m.id for m in messages]
        if cursor in ids:
            messages = messages[ids.index(cursor) + 1 :]
        new = {m.id: m for m in messages if m.id not in self.found}
        if front:
            self.found = {**new, **self.found}
        else:
            self.found.update(new)
        self.characters += sum(len(m.content) for m in new.values())
        return bool(new)

    async def back(self) -> None:
        while self.found:
            page = await self.page(before=next(iter(self.found)))
            reached = self.cursor in {m.id for m in page.messages}
            if not self.add(page, self.cursor, front=True) or reached:
                return

    async def on(self) -> None:
        while self.found:
            newest = next(reversed(self.found))
            if not self.add(await self.page(after=newest), newest):
                return


async def read_window(api: ApiClient, project_id: str, cursor: str | None, *, sure: bool = False) -> Window:
    """Every message newer than ``cursor`` (``None``: all). One call where one page holds them.

    All there are, too, where the server no longer knows the cursor: reading without it tells that from a project that is
    gone. ``sure``: a server may answer to such a cursor with no messages, so where nothing came, one more call sees
    whether it still has the cursor.

    Raises:
        ApiError: a call failed for good, or the conversation has no end.

    """
    reader = _Reader(api, project_id, cursor)
    forgotten = False
    try:
        first = await reader.page(after=cursor)
    except RefusedError as error:
        if cursor is None or error.status not in _NO_SUCH_CURSOR:
            raise
        forgotten, cursor, reader.cursor = True, None, None
        first = await reader.page()
    if sure and cursor is not None and not first.messages:
        end = await reader.page()
        if cursor not in {message.id for message in end.messages}:
            forgotten, cursor, reader.cursor, first = True, None, None, end
    reader.add(first, cursor)
    if first.has_more:
        await reader.back()
        await reader.on()
    ordered = tuple(reader.found.values())
    return Window(ordered, ordered[-1].id if ordered else cursor, whole=cursor is None, forgotten=forgotten)


def _oldest_first(page: MessagePage) -> list[LiveMessage]:
    messages = list(page.messages)
    first, last = (messages[0].created_at, messages[-1].created_at) if messages else (None, None)
    return messages[::-1] if first and last and first > last else messages


class Claims(Struct, frozen=True):
    """Which messages of a window are ours. ``known``: logged ones whose id is now known; ``match``: the one asked for.
    ``near``: where there is no match, those that may be it all the same; only the user can tell.
    """

    known: tuple[SentMessage, ...]
    match: LiveMessage | None
    near: tuple[LiveMessage, ...] = ()


class _Waiting(Struct, frozen=True):
    """A logged message whose id is not known; ``text`` is ``None`` where the environment lacks what it needs."""

    message: SentMessage
    text: str | None

    def like(self, seen: str, lineage: str) -> Likeness:
        if self.text is not None:
            return classify(self.text, seen)
        return "same" if self.message.content == content_digest(lineage, seen) else "different"


def claim(
    window: Window,
    log: Iterable[SentMessage],
    *,
    text: str,
    lineage: str,
    env: Mapping[str, str],
    brief: Json = None,
    after: str | None = None,
    others: Collection[str] = (),
) -> Claims:
    """Find a message among those that no logged message stands for, in whatever form the server shows it.

    A logged message without an id takes the first that is its own, so the window must begin before all of these: at the
    log's cursor. So does one whose id is gone from a window without its cursor; where that took a message which reads like
    the one asked for, only the user can tell, unless the window has ``after``. The match stands behind the message
    ``after``, where the window has that. ``brief`` is the brief, perhaps sealed, where the window begins with the
    conversation: its first user message is the brief if it reads like it. The same words
    typed by a person count as the message: the agent has them, and sending them again would only cost. ``others`` are
    ids of messages that the user said are not ours.
    """
    logged = list(log)
    ids = [message.id for message in window.messages]
    waiting = [
        _Waiting(m, _plain(m, env, lineage))
        for m in logged
        if m.message_id is None or (window.forgotten and m.message_id not in ids)
    ]
    taken = {*others, *(m.message_id for m in logged)}
    known: list[SentMessage] = []
    rather: list[LiveMessage] = []

    def take(mine: _Waiting, message: LiveMessage) -> None:
        waiting.remove(mine)
        known.append(replace(mine.message, message_id=message.id))
        if mine.message.message_id and after not in (None, *ids) and classify(text, message.content) == "same":
            rather.append(message)

    since = set(ids[ids.index(after) + 1 :] if after in ids else ids)
    left: list[LiveMessage] = []
    for message in _users(
        window, _known(brief, window, env, lineage), [text, *(mine.text for mine in waiting if mine.text)]
    ):
        if message.id in taken:
            continue
        ours = next((mine for mine in waiting if mine.like(message.content, lineage) == "same"), None)
        if ours is not None:
            take(ours, message)
        elif message.id in since and classify(text, message.content) == "same":
            return Claims(tuple(known), message)
        else:
            left.append(message)
    near = [m for m in left if m.id in since and classify(text, m.content) == "near"]
    rivals = sum(mine.text is not None and classify(text, mine.text) != "different" for mine in waiting)
    for message in left:
        ours = next((mine for mine in waiting if mine.like(message.content, lineage) == "near"), None)
        if ours is not None:
            take(ours, message)
    return Claims(tuple(known), None, (*near[rivals:], *rather))


def _users(window: Window, brief: str | None, texts: Iterable[str]) -> list[LiveMessage]:
    """The users' messages but the brief."""
    users = [message for message in window.messages if message.role == "user"]
    if users and brief is not None:
        first = users[0].content
        how = classify(brief, first)
        if how == "same" or (how == "near" and all(classify(text, first) != "same" for text in texts)):
            return users[1:]
    return users


def _known(brief: Json, window: Window, env: Mapping[str, str], lineage: str) -> str | None:
    """The text of a brief; of a sealed one, where the conversation begins with that."""
    if not is_sealed(brief):
        return brief if isinstance(brief, str) else None
    first = next((message.content for message in window.messages if message.role == "user"), "")
    return first if seals(brief, first, env, lineage) else None


def _plain(message: SentMessage, env: Mapping[str, str], lineage: str) -> str | None:
    """The text of a logged message: as it is kept, but for what the environment must give."""
    if "${" not in message.text:
        return message.text
    if content_digest(lineage, message.text) == message.content:
        return message.text
    parts = env_parts(message.text, env)
    if not parts:
        return None
    text = expand_env(message.text, env)
    made = (content_digest(lineage, text), content_digest(lineage, Secret(message.text, "", text, parts)))
    return text if message.content in made else None
