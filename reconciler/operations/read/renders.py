"""What the account shows of renders and links that the state does not know: another copy of the state may have made them.

No GET tells who rendered a video or in which quality, only when its address was made: it expires after a day.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.adapters.api.client import ApiClient
from reconciler.model import contract
from reconciler.model.live import Link, LiveProject
from reconciler.model.state import Entry
from reconciler.model.times import instant
from reconciler.model.values import Value
from reconciler.operations.read.conversation import read_window
from reconciler.planning.knowledge import agrees


def mark(url: str | None) -> str | None:
    """What tells one video from another: its URL without the signature, which may change with every look."""
    return url.partition("?")[0] if url else None


def made_at(live: LiveProject) -> datetime | None:
    """When the video was made, if its status tells."""
    expires = instant(live.assembled_url_expires_at)
    return None if expires is None else expires - timedelta(hours=contract.current().limits.video_hours)


async def may_be_rendered(api: ApiClient, live: LiveProject, entry: Entry, *, costs: bool) -> bool:
    """Whether the video of an idle project may have been rendered since the state's last message, though the state does not
    know it: the state is an old copy, or a person rendered.

    * No video, or the one that the state saw when the agent was idle: it was not.
    * Another video than that, made no earlier than the last words of the conversation: it was. Where the state saw none: if
      it was made after them, since an agent ends with its words.
    * Where nothing tells: only what ``costs`` is worth a person's question.

    Raises:
        ApiError: the conversation can't be read.

    """
    url, known = mark(live.assembled_url), entry.outputs
    seen = mark(known.assembled_url) if known.status == contract.Status.IDLE else None
    if url is None or (url == seen and known.assembled_url_expires_at in (None, live.assembled_url_expires_at)):
        return False
    if seen is None and entry.rendered is not None and not entry.rendered.outdated:
        return costs  # its video may be that of the last render, which the state did not see end
    another = seen is not None and url != seen
    window = await read_window(api, live.id, entry.cursor, sure=True)
    said = [time for message in window.messages if (time := instant(message.created_at)) is not None]
    made = made_at(live)
    if made is None or not said or len(said) < len(window.messages):
        return costs or another
    if another:
        return made >= max(said)
    return made > max(said) and (costs or window.messages[-1].role != "user")


def may_show(link: Link, live: LiveProject, title: Value) -> bool:
    """Whether a link may show a project's video: it was made since that was, with the ``title`` that was asked for."""
    made, shared = made_at(live), instant(link.created_at)
    return made is not None and shared is not None and shared >= made and has_title(link, live, title)


def has_title(link: Link, live: LiveProject, title: Value) -> bool:
    """Whether a link has the ``title`` that was asked for, or else the project's. Any, where neither is known."""
    wanted = live.settings.get("title") if title is None else title
    return wanted is None or agrees(wanted, link.title)
