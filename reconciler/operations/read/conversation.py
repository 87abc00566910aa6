"""Reading a conversation: everything that came after a cursor.

The contract leaves open which page comes without a cursor and at which end a page after a cursor begins. So a window is
read forward with ``after`` until nothing newer comes, and back with ``before`` where a page says that there is more.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from reconciler.adapters.api.client import ApiClient
from reconciler.model.errors import AnswerError, Fate, RefusedError
from reconciler.model.live import LiveMessage, MessagePage

MESSAGES_MAX: Final = 10_000
"""Messages of one conversation that are read at most, far more than an agent writes."""
PAGES_MAX: Final = 250
"""Pages that are read at most, two minutes at the published rate; 200 would hold that many messages."""
CHARACTERS_MAX: Final = 4_000_000
"""Characters that are read at most: 400 messages of the greatest length that the contract allows."""
_NO_SUCH_CURSOR: Final = frozenset({400, 404, 410, 422})
"""How a server may refuse a cursor that it does not know; the contract does not say."""


class Window(Struct, frozen=True):
    """Messages after a cursor, oldest first. ``newest`` is the newest id there is (the cursor, if nothing came).
    ``whole``: it begins with the conversation; ``forgotten``: because the server no longer knows the cursor.
    """

    messages: tuple[LiveMessage, ...]
    newest: str | None
    whole: bool = False
    forgotten: bool = False


class _Reader(Struct):
    """Reads one conversation's pages, up to a limit."""

    api: ApiClient
    project_id: str
    cursor: str | None
    found: dict[str, LiveMessage] = field(default_factory=dict)
    pages: int = 0
    characters: int = 0

    async def page(self, *, after: str | None = None, before: str | None = None) -> MessagePage:
        if self.pages == PAGES_MAX or len(self.found) > MESSAGES_MAX or self.characters > CHARACTERS_MAX:
            raise self._too_long()
        self.pages += 1
        return await self.api.messages(self.project_id, after=after, before=before)

    def _too_long(self) -> AnswerError:
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
        """Merge a page, without what is at or before the cursor. Returns whether it brought anything new."""
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
    """Read every message newer than ``cursor`` (``None``: all). One call where one page holds them.

    Where the server no longer knows the cursor, all are read: that tells it from a project that is gone. ``sure``: a
    server may answer to such a cursor with no messages; so where nothing came, one more call checks that it still has
    the cursor.

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
