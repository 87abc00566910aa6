"""A page with the status, output, settings and conversation of every managed project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from operator import itemgetter
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.claim import Claim, claimed_place
from reconciler.model.errors import Diagnostic
from reconciler.model.fleet import Fleet, Member
from reconciler.report.heading import Where, heading
from reconciler.report.html import facts_html, findings, warning_box
from reconciler.report.member_html import card, marks, opening, place_of, status_of, when, word
from reconciler.report.page import Html, anchor, chip, el, filter_bar, folded, joined, link, page, prose
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


class Part(Struct, frozen=True, kw_only=True):
    """What was read of one environment, or of a workspace without environments."""

    fleet: Fleet
    where: Where | None = None
    claim: Claim | None = None


class _Report(Struct, frozen=True, kw_only=True):
    parts: Sequence[Part]
    unread: Sequence[Diagnostic]
    """Why some environments are not among the parts."""
    across: bool
    """Whether environments are told apart."""

    @property
    def members(self) -> list[tuple[Member, str | None]]:
        """Every project, with its environment where those are told apart."""
        return [(member, self.named(part)) for part in self.parts for member in part.fleet.members]

    def named(self, part: Part) -> str | None:
        return part.where.environment if self.across and part.where is not None else None

    def told(self, part: Part, finding: Diagnostic) -> Diagnostic:
        """A finding about no project, with its environment."""
        name = self.named(part)
        return finding if name is None else replace(finding, summary=f"environment `{name}`: {finding.summary}")


def fleet_html(fleet: Fleet, where: Where | None = None) -> str:
    """The page of ``reconciler report``; ``where`` stands first. What needs a person comes first."""
    return fleets_html((Part(fleet=fleet, where=where),))


def fleets_html(parts: Sequence[Part], unread: Sequence[Diagnostic] = (), *, across: bool = False) -> str:
    """The same for several environments: with ``across``, projects show theirs, and can be filtered by it."""
    report = _Report(parts=parts, unread=unread, across=across)
    name = f"Projects of {parts[0].fleet.workspace}"
    members = sorted(report.members, key=_urgency)
    few = " few" if len(members) < _FEW else ""
    cards = el("section", el("h2", "Projects", class_="sr"), el("div", *starmap(card, members), class_=f"cards{few}"))
    found = [report.told(part, finding) for part in parts for finding in part.fleet.findings]
    lost = any(part.fleet.lost for part in parts)
    none = el("p", prose(NONE_MANAGED), class_="text") if not lost else ""
    main = el("main", findings("Findings", found), cards if members else none, _timeline(members), id="_main")
    return page(
        name,
        joined(_header(name, report), _filter(members), main),
        scripts=("filter.js", "fleet.js") if members else (),
        styles=("fleet.css",),
        policy=_POLICY,
    )


def _urgency(placed: tuple[Member, str | None]) -> tuple[int, bool, str, str]:
    member, environment = placed
    return urgency(status_of(member)), not marks(member), member.address, environment or ""


def _header(name: str, report: _Report) -> Html:
    parts, members = report.parts, [member for member, _ in report.members]
    counts = Counter(map(status_of, members))
    ranked = sorted(counts.items(), key=lambda item: urgency(item[0]))
    by_status = ", ".join(f"{count} {status}" for status, count in ranked)
    sent = sum(len(member.entry.messages) for member in members)
    drifted = sum(bool(member.drift) for member in members)
    totals = (
        f"{plural(len(members), 'project')}{f': {by_status}' if by_status else ''}. {plural(sent, 'message')} sent."
    )
    drift = f" {plural(drifted, 'project')} changed outside the specs." if drifted else ""
    warnings = (_credits_warning(part.fleet) for part in parts)
    spent = _spent([part.fleet for part in parts])
    total = sum(spent.values())
    environments = [part.where.environment for part in parts if part.where is not None and part.where.environment]
    facts = {
        "Environments" if report.across else "Environment": ", ".join(environments) or None,
        "Projects": len(members),
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
        *(el("p", heading(part.where, str), class_="where") for part in parts if part.where is not None),
        *(_claimed(part.claim, part.where) for part in parts if part.claim is not None),
        *(el("p", prose(f"{d.summary}. {d.detail}".rstrip()), class_="box error") for d in report.unread),
        *(box for part in parts if part.fleet.lost for box in warning_box(report.told(part, part.fleet.lost))),
        facts_html(facts, alarms={"Failed or gone", "Drifted"}),
        el("div", _chart("Statuses", statuses), _chart("Credits spent, at least", credits_), class_="charts"),
        el("p", totals, drift, " As of ", when(min(part.fleet.at for part in parts)), ".", class_="soft count"),
        *(el("p", warned, class_="box money") for warned in dict.fromkeys(warnings) if warned),
    )


def _claimed(claim: Claim, where: Where | None) -> Html:
    """Who has claimed what is shown. The file may be a branch's: only a page of https is linked."""
    name = link(claim.url, claim.pull_request) if claim.url and claim.url.startswith("https://") else claim.pull_request
    place = prose(claimed_place(where.environment if where is not None else None))
    by = f" by {claim.actor}" if claim.actor else ""
    return el("p", name, " has claimed ", place, by, " since ", when(claim.since), ".", class_="box")


def _credits_warning(fleet: Fleet) -> str | None:
    """What the account says about its credits."""
    return next((m.live.credits_warning for m in fleet.members if m.live and m.live.credits_warning), None)


def _spent(fleets: Iterable[Fleet]) -> Mapping[tuple[str, str], int]:
    """The credits that are known to be spent, by the minimums that the vendor publishes: most cost more."""
    spent = Counter[tuple[str, str]]()
    for fleet in fleets:
        api = contract.named(fleet.version)
        created = sum(1 + len(m.entry.retired) for m in fleet.members if m.entry.origin == "created")
        sent = sum(len(m.entry.messages) for m in fleet.members)
        rendered = sum(api.renders.get(m.entry.rendered.quality or "", 0) for m in fleet.members if m.entry.rendered)
        spent["creates", "green"] += created * api.limits.create_credits
        spent["messages", "cyan"] += sent * api.limits.message_credits
        spent["renders", "yellow"] += rendered
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


def _filter(members: Sequence[tuple[Member, str | None]]) -> Html:
    if not members:
        return Html("")
    groups = {
        "environment": Counter(environment for _, environment in members if environment is not None),
        "mark": Counter(mark for member, _ in members for mark in marks(member)),
        "kind": Counter(word(status) for status in sorted((status_of(m) for m, _ in members), key=urgency)),
        "tag": Counter(clean(tag) for member, _ in members for tag in dict.fromkeys(member.tags)),
    }
    chips = [
        chip(group, value, f"{'#' if group == 'tag' else ''}{value} ({count})")
        for group, counts in groups.items()
        for value, count in (counts.items() if group == "kind" else counts.most_common())
    ]
    view = el("button", "Table", type="button", id="_view", aria_pressed="false")
    return filter_bar(chips, "Filter the projects", view)


def _timeline(members: Sequence[tuple[Member, str | None]]) -> Html:
    """The latest events of all projects, newest first, also where times are equal."""
    events = [(at, what, *placed) for placed in sorted(members, key=_place) for at, what in _events(placed[0])]
    events = sorted(events, key=itemgetter(0))[::-1]
    if not events:
        return Html("")
    items = [
        el("li", el("span", when(at), class_="soft"), " ", _linked(member, environment), " ", what)
        for at, what, member, environment in events[:_LATEST]
    ]
    first, more = items[:8], items[8:]
    rest = folded(f"{len(more)} earlier", el("ul", *more)) if more else ""
    return el("section", el("h2", "Timeline"), el("ul", *first), rest)


def _place(placed: tuple[Member, str | None]) -> tuple[str, str]:
    member, environment = placed
    return environment or "", member.address


def _linked(member: Member, environment: str | None) -> Html:
    link = el("a", member.address, href=anchor(place_of(member, environment)))
    return link if environment is None else joined(link, el("span", f" {environment}", class_="soft"))


def _events(member: Member) -> Iterator[tuple[str, str]]:
    live = member.live
    if live is not None and live.created_at:
        yield live.created_at, "created"
    for message in member.messages:
        if message.created_at:
            yield message.created_at, f"{message.role}: {opening(message.content) or '(no text)'}"
    if live is not None and live.updated_at:
        yield live.updated_at, f"is {live.status}"
