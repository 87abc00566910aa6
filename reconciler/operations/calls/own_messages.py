"""Telling which messages of a conversation are ours, in whatever form the server shows them. Pure: nothing is read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.likeness import Likeness, classify
from reconciler.model.live import LiveMessage
from reconciler.model.state import SentMessage
from reconciler.model.values import Json, Revealed, Secret, env_parts, expand_env, is_sealed, seals
from reconciler.operations.read.conversation import Window
from reconciler.planning.message_log import content_digest


class Claims(Struct, frozen=True):
    """Which messages of a window are ours. ``known``: logged ones whose id is now known; ``match``: the one searched for.
    ``near``: where there is no match, those that may be it in another form; only the user can tell.
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
    text: Revealed,
    lineage: str,
    env: Mapping[str, str],
    brief: Json | Revealed = None,
    may_be_first: bool = False,
    after: str | None = None,
    others: Collection[str] = (),
) -> Claims:
    """Find a message among those that are not in the log, in whatever form the server shows it.

    A logged message without an id claims the first that reads like it, so the window must begin before all of these: at
    the log's cursor. So does one whose id is gone from a window without its cursor; where that claims a message which
    reads like the one searched for, only the user can tell, unless the window has ``after``. The match comes after the
    message ``after``, where the window has that. ``brief`` is the brief, perhaps sealed, where the window begins with the
    conversation: its first user message is the brief if it reads like it and is not after ``after``. Where something else
    was said before, or a message of ours ``may_be_first``, it may as well be ours with the words of the brief: only the
    user can tell. The same words typed by a person count as the message: the agent has them, and sending them again would
    only cost. ``others`` are ids of messages that the user declared not ours.
    """
    asked = text.expose()
    logged = list(log)
    ids = [message.id for message in window.messages]
    waiting = [
        _Waiting(m, _plain_text(m, env, lineage))
        for m in logged
        if m.message_id is None or (window.forgotten and m.message_id not in ids)
    ]
    taken = {*others, *(m.message_id for m in logged)}
    since = set(ids[ids.index(after) + 1 :] if after in ids else ids)
    users = [message for message in window.messages if message.role == "user"]
    texts = [asked, *(mine.text for mine in waiting if mine.text)]
    begin = [message for message in users[:1] if after not in ids or message.id not in since]
    said = _brief_among(begin, _brief_text(brief, users, env, lineage), texts)
    known: list[SentMessage] = []
    left: list[LiveMessage] = []
    open_ = since - taken - (set() if may_be_first else {*ids[:1]})
    rather = [said] if said and said.id in open_ and classify(asked, said.content) == "same" else []

    def take(mine: _Waiting, message: LiveMessage) -> None:
        waiting.remove(mine)
        known.append(replace(mine.message, message_id=message.id))
        if mine.message.message_id and after not in (None, *ids) and classify(asked, message.content) == "same":
            rather.append(message)

    for message in users:
        if message.id in taken or message is said:
            continue
        ours = next((mine for mine in waiting if mine.like(message.content, lineage) == "same"), None)
        if ours is not None:
            take(ours, message)
        elif message.id in since and classify(asked, message.content) == "same":
            return Claims(tuple(known), message)
        else:
            left.append(message)
    near = [m for m in left if m.id in since and classify(asked, m.content) == "near"]
    rivals = sum(mine.text is not None and classify(asked, mine.text) != "different" for mine in waiting)
    for message in left:
        ours = next((mine for mine in waiting if mine.like(message.content, lineage) == "near"), None)
        if ours is not None:
            take(ours, message)
    return Claims(tuple(known), None, (*near[rivals:], *rather))


def _brief_among(users: list[LiveMessage], brief: str | None, texts: Iterable[str]) -> LiveMessage | None:
    """The users' message that is the brief, or reads like it and is none of the ``texts``: the first one, if any."""
    if not users or brief is None:
        return None
    first = users[0].content
    how = classify(brief, first)
    is_brief = how == "same" or (how == "near" and all(classify(text, first) != "same" for text in texts))
    return users[0] if is_brief else None


def _brief_text(brief: Json | Revealed, users: list[LiveMessage], env: Mapping[str, str], lineage: str) -> str | None:
    """The text of a brief; of a sealed one only where the conversation begins with it."""
    if isinstance(brief, Revealed):
        return brief.expose()
    if not is_sealed(brief):
        return brief if isinstance(brief, str) else None
    first = users[0].content if users else ""
    return first if seals(brief, first, env, lineage) else None


def _plain_text(message: SentMessage, env: Mapping[str, str], lineage: str) -> str | None:
    """The text of a logged message, with its secrets; ``None`` where the environment lacks them."""
    if "${" not in message.text:
        return message.text
    if content_digest(lineage, message.text) == message.content:
        return message.text
    parts = env_parts(message.text, env)
    if not parts:
        return None
    value = expand_env(message.text, env)
    text = value.expose()
    made = (content_digest(lineage, text), content_digest(lineage, Secret(message.text, "", value, parts)))
    return text if message.content in made else None
