"""One project of the report: its card, and all that is known about it, which the script shows in a panel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from reconciler.model.contract import is_active
from reconciler.model.fleet import Member
from reconciler.model.live import LiveMessage, LiveProject
from reconciler.model.state import Entry
from reconciler.model.values import Json, shown
from reconciler.report.page import Html, anchor, el, joined, link, prose, web_url
from reconciler.report.safe_text import clean
from reconciler.report.step_html import is_long, long_text
from reconciler.report.tables import status_color
from reconciler.report.words import plural

_VIDEOS: Final = frozenset({".mp4", ".webm", ".mov", ".m4v"})
_IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})
_MESSAGES: Final = 50
_UNFOLDED: Final = 1_200
"""Characters, and lines, of what is said that are not folded."""
_UNFOLDED_LINES: Final = 24
_OPENING: Final = 120
"""Characters of a text in a poster or a timeline."""
TEXT: Final = 4_000
"""How many messages of a conversation, and characters of one, are shown at most."""
_NOW: Final = "read now"
_SOURCES: Final = {"list": "read", "status": "read", "patch": "answered by the API", "sent": "last sent"}


def status_of(member: Member) -> str:
    return member.live.status if member.live is not None else "gone"


def word(status: str) -> str:
    """A status as a word that the filter can ask for."""
    return "-".join(status.split()) or "none"


def opening(text: str) -> str:
    """The first words of a text on one line, also of one that is a single long word."""
    line = " ".join(text.split())
    return line if len(line) <= _OPENING else f"{line[: _OPENING - 1].rstrip()}…"


def marks(member: Member) -> list[str]:
    """What a person may want to see first."""
    attention = any(d.attention or d.severity != "note" for d in member.findings)
    return [*(["drift"] if member.drift else []), *(["attention"] if attention else [])]


def place_of(member: Member, environment: str | None) -> str:
    """A project's id in the page: its address, with its environment where the page shows several."""
    return clean(member.address if environment is None else f"{member.address}@{environment}")


def card(member: Member, environment: str | None = None) -> Html:
    """Poster, address, title, status and, where the page shows several, the environment; the rest is folded."""
    status, name = status_of(member), place_of(member, environment)
    title = setting(member, "title")
    return el(
        "article",
        _poster(member, name),
        el("h3", el("a", member.address, href=anchor(name)), id=name),
        el("p", title if isinstance(title, str) else ""),
        el("p", el("b", status, class_=f"badge {status_color(status)}"), *_meta(member, environment)),
        el("details", el("summary", "Details"), *_body(member)),
        data_kinds=word(status),
        data_tags=" ".join(map(clean, member.tags)) or None,
        data_marks=" ".join(marks(member)) or None,
    )


def _meta(member: Member, environment: str | None) -> Iterator[str]:
    if environment is not None:
        yield " "
        yield el("i", environment)
    if member.drift:
        yield " "
        yield el("b", "drift", class_="badge yellow")
    if member.live is not None and member.live.updated_at:
        yield " "
        yield when(member.live.updated_at)


def _poster(member: Member, place: str) -> Html:
    """The image or video, loaded from the API's URL while that is valid; without one, why there is none."""
    live = member.live
    url = web_url(live.assembled_url) if live is not None else None
    ending = PurePosixPath(urlsplit(url).path).suffix.lower() if url else ""
    name = f"Output of {place}"
    if url and ending in _VIDEOS:
        media = el("video", src=url, controls=True, preload="none", playsinline=True, aria_label=name)
    elif url and ending in _IMAGES:
        media = el("img", src=url, alt=name, loading="lazy")
    else:
        media = _why_none(live)
    return el("div", media, class_="poster")


def _why_none(live: LiveProject | None) -> Html:
    """Why there is nothing to see; empty where it was not rendered, which the style says."""
    if live is None:
        return joined("Not in the account")
    if live.error_message:
        return el("span", opening(live.error_message), class_="red")
    if live.assembled_url:
        return joined("No preview")
    return joined("Not rendered yet" if is_active(live.status) else "")


def _body(member: Member) -> Iterator[Html]:
    live = member.live
    yield from _links(member)
    for found in member.findings:
        yield el("p", prose(found.summary), class_=f"box {'warning' if found.kind == 'drift' else found.severity}")
    if live is not None and live.error_message:
        yield el("p", live.error_message, class_="box error")
    if live is not None and live.agent_message and live.agent_message not in {m.content for m in member.messages}:
        yield el("h4", "Last message of the agent")
        yield _said("Agent", live.agent_message[:TEXT])
    yield from _conversation(member)
    yield from _settings(member)
    yield from _timeline(member)
    yield el("p", el("code", member.entry.project_id), f" {member.entry.origin}", *_times(live))


def _times(live: LiveProject | None) -> Iterator[Html]:
    """When it was created, and what it puts out."""
    if live is not None and live.created_at:
        yield joined(" ", plain_time(live.created_at))
    if live is not None and live.output_type:
        yield joined(f", output {live.output_type}")


def _links(member: Member) -> Iterator[Html]:
    live = member.live
    links = [*_output(live), *_permanent(member.entry)]
    if live is not None and live.project_url:
        links.append(link(live.project_url, "Studio"))
    if links:
        first, *rest = links
        yield el("p", first, *(part for each in rest for part in (" · ", each)))


def _output(live: LiveProject | None) -> Iterator[Html]:
    if live is None or live.assembled_url is None:
        return
    until = live.assembled_url_expires_at
    expires = joined(" (expires ", when(until), ")") if until else ""
    if web_url(live.assembled_url) is None:
        yield el("span", "Rendered; `reconciler output --download` fetches it", expires, ".", class_="soft")
    else:
        yield joined(link(live.assembled_url, "Rendered file"), el("span", expires, class_="soft"))


def _permanent(entry: Entry) -> Iterator[Html]:
    """The permanent link, and whether it shows an earlier video."""
    if entry.shared is not None and entry.shared.share_url is not None:
        url = web_url(entry.shared.share_url)
        earlier = el("span", " (shows an earlier video)", class_="soft") if entry.shared.outdated else ""
        told = link(url, "Permanent link") if url else joined("Permanent link: ", el("code", entry.shared.share_url))
        yield joined(told, earlier)


def when(text: str) -> Html:
    """A time of the API, to the minute; any other text unchanged."""
    plain = plain_time(text)
    return el("time", plain) if plain != joined(text) else plain


def plain_time(text: str) -> Html:
    """The same without markup."""
    found = re.match(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?(\.\d+)?Z$", text)
    return joined(f"{found[1]} {found[2]}Z") if found else joined(text)


# What is known, and from where


def _known(member: Member) -> dict[str, tuple[Json, str]]:
    """Each setting with its value and source; what was just read takes precedence."""
    known = {
        name: (shown(k.value), joined(_SOURCES.get(k.source, k.source), " ", plain_time(k.at).partition(" ")[0]))
        for name, k in member.entry.settings.items()
    }
    live = member.live.settings if member.live is not None else {}
    return {**known, **{name: (value, _NOW) for name, value in live.items()}}


def setting(member: Member, name: str) -> Json:
    return _known(member).get(name, (None, ""))[0]


def _settings(member: Member) -> Iterator[Html]:
    """The settings, and where each is known from if it was not just read."""
    known = _known(member)
    if not known:
        return
    items = [
        joined(el("dt", name), el("dd", _text(name, _value(value)), el("i", source) if source != _NOW else ""))
        for name, (value, source) in known.items()
    ]
    yield el("h4", "Settings")
    yield el("dl", *items)


def _text(name: str, value: str) -> Html:
    return long_text(name, value) if is_long(value) or "\n" in value else joined(value)


def _value(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _timeline(member: Member) -> Iterator[Html]:
    """What happened to the project and is remembered, the newest first."""
    events = sorted(_events(member), key=lambda event: event[0])[::-1]
    if len(events) > 2:  # that it was created and changed is said below
        yield el("h4", "Timeline")
        yield el("ul", *(el("li", plain_time(at), f" {what}") for at, what in events))


def _events(member: Member) -> Iterator[tuple[str, str]]:
    live, entry = member.live, member.entry
    if live is not None and live.created_at:
        yield live.created_at, "created"
    for sent in entry.messages:
        how = "sent" if sent.how == "sent" else f"{sent.how} in the conversation" if sent.how == "found" else sent.how
        yield sent.at, f"message {sent.id} {how}"
    if entry.rendered is not None:
        yield entry.rendered.at, f"rendered{f' in {entry.rendered.quality}' if entry.rendered.quality else ''}"
    if entry.shared is not None:
        yield entry.shared.at, "shared"
    if live is not None and live.updated_at:
        yield live.updated_at, f"is {live.status}"


def _conversation(member: Member) -> Iterator[Html]:
    """The conversation as a chat."""
    if not member.messages:
        return
    last = member.messages[-_MESSAGES:]
    left = len(member.messages) - len(last)
    yield el("h4", f"Conversation ({len(member.messages)})")
    if left:
        yield el("p", f"{plural(left, 'earlier message')} {'is' if left == 1 else 'are'} not shown.", class_="soft")
    yield el("ul", *map(_message, last), class_="chat")


def _said(label: str, text: str) -> Html:
    """What somebody says is read as it stands, unless it is very long."""
    if len(text) <= _UNFOLDED and text.count("\n") < _UNFOLDED_LINES:
        return el("div", text, class_="text")
    return long_text(label, text)


def _message(message: LiveMessage) -> Html:
    time = when(message.created_at) if message.created_at else ""
    rest = f" · {message.source}" if message.source else ""
    head = el("p", el("b", message.role), " ", el("span", time, rest, class_="soft"))
    more = len(message.content) - TEXT
    text = message.content[:TEXT] + (f"… ({more} more characters)" if more > 0 else "")
    said = _said("Message", text) if text else el("p", "(no text)", class_="soft")
    return el("li", head, said, class_="user" if message.role == "user" else None)
