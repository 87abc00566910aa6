"""A page with the status, output, settings and conversation of every managed project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from textwrap import shorten
from typing import Final

from reconciler.model import contract
from reconciler.model.fleet import Fleet, Member
from reconciler.report.heading import Where, heading
from reconciler.report.html import facts_html, findings, lost_box
from reconciler.report.member_html import card, marks, status_of, when, word
from reconciler.report.page import Html, anchor, chip, el, filter_bar, folded, joined, page, prose
from reconciler.report.safe_text import clean
from reconciler.report.tables import NONE_MANAGED, status_color, urgency
from reconciler.report.words import plural

_POLICY: Final = (
    "; img-src https: http://127.0.0.1:* http://localhost:*; media-src https: http://127.0.0.1:* http://localhost:*"
)
_LATEST: Final = 30
"""How many lines the timeline has at most."""
_FEW: Final = 4
"""With fewer projects, their cards share the whole width."""
_WIDTH: Final = 1_000
"""Units of a chart's width."""


def fleet_html(fleet: Fleet, where: Where | None = None) -> str:
    """The page of ``reconciler report``; ``where`` stands first. What needs a person comes first."""
    name = f"Projects of {fleet.workspace}"
    members = sorted(fleet.members, key=_urgency)
    few = " few" if len(members) < _FEW else ""
    cards = el("section", el("h2", "Projects", class_="sr"), el("div", *map(card, members), class_=f"cards{few}"))
    none = el("p", prose(NONE_MANAGED), class_="text") if fleet.lost is None else ""
    main = el(
        "main", findings("Findings", list(fleet.findings)), cards if members else none, _timeline(fleet), id="_main"
    )
    return page(
        name,
        joined(_header(name, fleet, where), _filter(fleet), main),
        scripts=("filter.js", "fleet.js") if fleet.members else (),
        styles=("fleet.css",),
        policy=_POLICY,
    )


def _urgency(member: Member) -> tuple[int, bool, str]:
    return urgency(status_of(member)), not marks(member), member.address


def _header(name: str, fleet: Fleet, where: Where | None) -> Html:
    counts = Counter(map(status_of, fleet.members))
    ranked = sorted(counts.items(), key=lambda item: urgency(item[0]))
    by_status = ", ".join(f"{count} {status}" for status, count in ranked)
    sent = sum(len(member.entry.messages) for member in fleet.members)
    drifted = sum(bool(member.drift) for member in fleet.members)
    totals = f"{plural(len(fleet.members), 'project')}{f': {by_status}' if by_status else ''}. {plural(sent, 'message')} sent."
    drift = f" {plural(drifted, 'project')} changed outside the specs." if drifted else ""
    warned = next((m.live.credits_warning for m in fleet.members if m.live and m.live.credits_warning), None)
    spent = _spent(fleet)
    total = sum(spent.values())
    facts = {
        "Environment": where.environment if where is not None else None,
        "Projects": len(fleet.members),
        "Messages sent": sent,
        "Credits spent, at least": total or None,
        "Failed or gone": sum(count for status, count in ranked if status_color(status) == "red") or None,
        "Drifted": drifted or None,
    }
    statuses = {status: (count, status_color(status)) for status, count in ranked}
    credits_ = {what: (count, color) for (what, color), count in spent.items()}
    return el(
        "header",
        el("h1", name),
        el("p", heading(where, str), class_="where") if where is not None else "",
        *lost_box(fleet.lost),
        facts_html(facts, alarms={"Failed or gone", "Drifted"}),
        el("div", _chart("Statuses", statuses), _chart("Credits spent, at least", credits_), class_="charts"),
        el("p", totals, drift, " As of ", when(fleet.at), ".", class_="soft count"),
        el("p", warned, class_="box money") if warned else "",
    )


def _spent(fleet: Fleet) -> Mapping[tuple[str, str], int]:
    """The credits that are known to be spent, by the minimums that the vendor publishes: most cost more."""
    api = contract.current()
    created = sum(1 + len(m.entry.retired) for m in fleet.members if m.entry.origin == "created")
    sent = sum(len(m.entry.messages) for m in fleet.members)
    rendered = sum(api.renders.get(m.entry.rendered.quality or "", 0) for m in fleet.members if m.entry.rendered)
    spent = {
        ("creates", "green"): created * api.limits.create_credits,
        ("messages", "cyan"): sent * api.limits.message_credits,
        ("renders", "yellow"): rendered,
    }
    return {what: credits_ for what, credits_ in spent.items() if credits_}


def _chart(name: str, parts: Mapping[str, tuple[int, str]]) -> Html:
    """A bar in parts, and what they stand for."""
    total = sum(count for count, _ in parts.values())
    if len(parts) < 2:  # one color tells nothing
        return Html("")
    bars, at = [], 0.0
    for count, color in parts.values():
        width = _WIDTH * count / total
        bars.append(el("rect", x=f"{at:.1f}", width=f"{width:.1f}", height="8", class_=color))
        at += width
    told = [el("li", el("span", class_=f"dot {color}"), f" {what} {count:,}") for what, (count, color) in parts.items()]
    picture = el("svg", *bars, viewBox=f"0 0 {_WIDTH} 8", preserveAspectRatio="none", aria_hidden="true")
    return el("figure", el("figcaption", name), picture, el("ul", *told, class_="legend"))


def _filter(fleet: Fleet) -> Html:
    if not fleet.members:
        return Html("")
    groups = {
        "mark": Counter(mark for member in fleet.members for mark in marks(member)),
        "kind": Counter(word(status) for status in sorted(map(status_of, fleet.members), key=urgency)),
        "tag": Counter(clean(tag) for member in fleet.members for tag in dict.fromkeys(member.tags)),
    }
    chips = [
        chip(group, value, f"{'#' if group == 'tag' else ''}{value} ({count})")
        for group, counts in groups.items()
        for value, count in (counts.items() if group == "kind" else counts.most_common())
    ]
    view = el("button", "Table", type="button", id="_view", aria_pressed="false")
    return filter_bar(chips, "Filter the projects", view)


def _timeline(fleet: Fleet) -> Html:
    """The latest events of all projects, newest first, also where times are equal."""
    events = sorted((e for member in fleet.members for e in _events(member)), key=lambda e: e[0])[::-1]
    if not events:
        return Html("")
    items = [
        el("li", el("span", when(at), class_="soft"), " ", el("a", address, href=anchor(clean(address))), " ", what)
        for at, address, what in events[:_LATEST]
    ]
    first, more = items[:8], items[8:]
    rest = folded(f"{len(more)} earlier", el("ul", *more)) if more else ""
    return el("section", el("h2", "Timeline"), el("ul", *first), rest)


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
