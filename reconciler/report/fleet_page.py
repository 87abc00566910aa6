"""A page with the status, output, settings and conversation of every managed project."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from textwrap import shorten
from typing import Final
from urllib.parse import urlsplit

from reconciler.model.fleet import Fleet, Member
from reconciler.model.live import LiveMessage, LiveProject
from reconciler.model.state import Entry
from reconciler.model.values import Json, shown
from reconciler.report.heading import Where, heading
from reconciler.report.html import findings, lost_box
from reconciler.report.page import Html, anchor, chip, el, filter_bar, folded, joined, link, page, web_url
from reconciler.report.safe_text import clean
from reconciler.report.step_html import long_text
from reconciler.report.tables import status_color
from reconciler.report.words import plural

_POLICY: Final = (
    "; img-src https: http://127.0.0.1:* http://localhost:*; media-src https: http://127.0.0.1:* http://localhost:*"
)
_VIDEOS: Final = frozenset({".mp4", ".webm", ".mov", ".m4v"})
_IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})
_LATEST: Final = 40
"""How many lines the timeline has at most."""
_MESSAGES: Final = 50
_TEXT: Final = 4_000
"""How many messages of a conversation, and characters of one, are shown at most."""
_SOURCES: Final = {"list": "read now", "status": "read now", "patch": "answered by the API", "sent": "last sent"}


def fleet_html(fleet: Fleet, where: Where | None = None) -> str:
    """The page of ``reconciler report``; ``where`` stands first."""
    name = f"Projects of {fleet.workspace}"
    cards = el("section", el("h2", "Projects"), el("div", *map(_card, fleet.members), class_="cards"))
    main = el("main", cards, _timeline(fleet), findings("Findings", list(fleet.findings)), id="_main")
    scripts = ("filter.js",) if fleet.members else ()
    return page(
        name,
        joined(_header(name, fleet, where), _filter(fleet), main),
        scripts=scripts,
        styles=("fleet.css",),
        policy=_POLICY,
    )


def _status(member: Member) -> str:
    return member.live.status if member.live is not None else "gone"


def _header(name: str, fleet: Fleet, where: Where | None) -> Html:
    counts = Counter(map(_status, fleet.members))
    by_status = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    sent = sum(len(member.entry.messages) for member in fleet.members)
    drifted = sum(bool(member.drift) for member in fleet.members)
    totals = f"{plural(len(fleet.members), 'project')}{f': {by_status}' if by_status else ''}. {plural(sent, 'message')} sent."
    drift = el("p", f"{plural(drifted, 'project')} changed outside the specs.", class_="box warning") if drifted else ""
    warned = next((m.live.credits_warning for m in fleet.members if m.live and m.live.credits_warning), None)
    credit = el("p", warned, class_="box money") if warned else ""
    first = el("p", heading(where, str), class_="where") if where is not None else ""
    return el(
        "header",
        first,
        el("h1", name),
        *lost_box(fleet.lost),
        el("p", totals, class_="count"),
        drift,
        credit,
        el("p", "As of ", when(fleet.at)),
    )


def _filter(fleet: Fleet) -> Html:
    if not fleet.members:
        return Html("")
    counts = Counter(map(_status, fleet.members))
    chips = [chip("kind", _kind(status), f"{status} ({count})") for status, count in counts.most_common()]
    return filter_bar(chips, "Filter the projects", el("button", "Unfold all", type="button", id="_fold"))


def _kind(status: str) -> str:
    return "-".join(status.split()) or "none"


def _card(member: Member) -> Html:
    live, name = member.live, clean(member.address)
    status = _status(member)
    title = _setting(member, "title")
    badge = el("span", status, class_=f"badge {status_color(status)}")
    return el(
        "article",
        el("h3", el("code", member.address), " ", badge, id=name),
        el("p", title) if isinstance(title, str) and title else "",
        *(_live(live) if live is not None else ()),
        *(el("p", d.summary, class_=f"box {d.severity}") for d in member.findings),
        el("p", link(member.live.project_url if live and member.live else None, "Open in the studio")),
        *_permanent(member.entry),
        _facts(member),
        _settings(member),
        _conversation(member),
        class_="box",
        aria_labelledby=name,
        data_kinds=_kind(status),
        data_name=name,
    )


def _permanent(entry: Entry) -> Iterator[Html]:
    """The permanent link, and whether it shows an earlier video."""
    if entry.shared is not None and entry.shared.share_url is not None:
        url = web_url(entry.shared.share_url)
        earlier = el("span", " (shows an earlier video)", class_="soft") if entry.shared.outdated else ""
        shown = link(url, "Permanent link") if url else joined("Permanent link: ", el("code", entry.shared.share_url))
        yield el("p", shown, earlier)


def _live(live: LiveProject) -> Iterator[Html]:
    yield _output(live)
    if live.error_message:
        yield el("p", live.error_message, class_="box error")
    if live.agent_message:
        yield joined(el("h4", "Last message of the agent"), long_text("Agent", live.agent_message[:_TEXT]))


def _output(live: LiveProject) -> Html:
    """The image or video with its link, loaded from the API's URL while that is valid."""
    if live.assembled_url is None:
        return Html("")
    url = web_url(live.assembled_url)
    until = live.assembled_url_expires_at
    expires = joined(" (the link expires ", when(until), ")") if until else ""
    if url is None:
        return el("p", "Rendered; `reconciler output --download` fetches it", expires, ".", class_="soft")
    ending = PurePosixPath(urlsplit(url).path).suffix.lower()
    name = f"Output of project {live.id}"
    media = Html("")
    if ending in _VIDEOS:
        media = el("video", src=url, controls=True, preload="none", aria_label=name)
    elif ending in _IMAGES:
        media = el("img", src=url, alt=name, loading="lazy")
    return joined(media, el("p", link(url, "Rendered file"), el("span", expires, class_="soft")))


def _facts(member: Member) -> Html:
    live = member.live
    facts = {
        "Project": member.entry.project_id,
        "Origin": member.entry.origin,
        "Created": live and live.created_at,
        "Changed": live and live.updated_at,
        "Output": live and live.output_type,
    }
    return el("dl", *(joined(el("dt", name), el("dd", when(value))) for name, value in facts.items() if value))


def when(text: str) -> Html:
    """A time of the API, to the minute; any other text unchanged."""
    found = re.match(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?(\.\d+)?Z$", text)
    return el("time", f"{found[1]} {found[2]} UTC", datetime=text) if found else joined(text)


def _known(member: Member) -> dict[str, tuple[Json, str]]:
    """Each setting with its value and source; what was just read takes precedence."""
    known = {
        name: (shown(k.value), joined(_SOURCES.get(k.source, k.source), " ", when(k.at)))
        for name, k in member.entry.settings.items()
    }
    live = member.live.settings if member.live is not None else {}
    return {**known, **{name: (value, "read now") for name, value in live.items()}}


def _setting(member: Member, name: str) -> Json:
    return _known(member).get(name, (None, ""))[0]


def _settings(member: Member) -> Html:
    known = _known(member)
    if not known:
        return Html("")
    items = [
        el(
            "li",
            el("b", name),
            ": ",
            el("code", _value(value)),
            el("span", " (", source, ")", class_="soft"),
        )
        for name, (value, source) in known.items()
    ]
    return folded(f"Settings ({len(known)})", el("ul", *items))


def _value(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _conversation(member: Member) -> Html:
    if not member.messages:
        return Html("")
    last = member.messages[-_MESSAGES:]
    left = len(member.messages) - len(last)
    items = [el("li", *_message(message)) for message in last]
    before = el("p", f"{left} earlier messages are not shown.", class_="soft") if left else ""
    return folded(f"Conversation ({len(member.messages)})", before, el("ul", *items))


def _message(message: LiveMessage) -> tuple[Html, Html]:
    time = when(message.created_at) if message.created_at else ""
    rest = f" · {message.source}" if message.source else ""
    head = el("p", el("strong", message.role), " ", el("span", time, rest, class_="soft"))
    more = len(message.content) - _TEXT
    text = message.content[:_TEXT] + (f"… ({more} more characters)" if more > 0 else "")
    return head, long_text("Message", text) if text else el("p", "(no text)", class_="soft")


def _timeline(fleet: Fleet) -> Html:
    """The latest events of all projects, newest first, also where times are equal."""
    events = sorted((e for member in fleet.members for e in _events(member)), key=lambda e: e[0])[::-1]
    if not events:
        return Html("")
    items = [
        el(
            "li",
            el("span", when(at), class_="soft"),
            " ",
            el("a", address, href=anchor(address)),
            " ",
            what,
        )
        for at, address, what in events[:_LATEST]
    ]
    return el("section", el("h2", "Timeline"), el("ul", *items))


def _events(member: Member) -> Iterator[tuple[str, str, str]]:
    live = member.live
    if live is not None and live.created_at:
        yield live.created_at, member.address, "created"
    for message in member.messages:
        if message.created_at:
            words = shorten(message.content, 120, placeholder=" …") or "(no text)"
            yield message.created_at, member.address, f"{message.role}: {words}"
    if live is not None and live.updated_at:
        yield live.updated_at, member.address, f"is {live.status}"
