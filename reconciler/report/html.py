"""Plans as self-contained pages that work on phones and with screen readers, in light and dark."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Plan, Step, describe, least_credits
from reconciler.model.step_kinds import KINDS
from reconciler.model.values import shown
from reconciler.report.diagnostics import by_weight
from reconciler.report.group_html import group_html
from reconciler.report.groups import group_projects
from reconciler.report.heading import Where, heading
from reconciler.report.page import Html, anchor, chip, el, filter_bar, folded, joined, link, page, prose, web_url
from reconciler.report.safe_text import clean
from reconciler.report.step_html import badge, run_html, step_html, value_text
from reconciler.report.summary import (
    LIFECYCLES,
    WEIGHTS,
    behind_finding,
    by_importance,
    claim_line,
    cost_line,
    count_line,
    counted,
    download_line,
    error_line,
    mode_line,
    origin_line,
    policy_line,
    replacement_line,
    upload_line,
)
from reconciler.report.worddiff import excerpt, word_diff
from reconciler.report.words import lifecycle_text, steps_outcome

URGENT: Final = "_urgent"
"""The id of the section with errors and what needs attention."""
_ENDING: Final = 8
"""How many projects that are stopped or replaced are listed first."""
_FINDINGS: Final = 5
"""How many findings of a section are not folded."""


def plan_html(plan: Plan, *, digest: str | None = None, where: Where | None = None) -> str:
    """The page of a plan. ``digest`` is that of a saved plan; ``where`` stands first."""
    urgent = [d for d in by_weight(plan.diagnostics) if d.severity == "error" or d.attention]
    rest = [d for d in by_weight(plan.diagnostics) if d not in urgent]
    groups = by_importance(plan)
    main = el(
        "main",
        _ending(plan),
        findings("Errors and attention", urgent, id_=URGENT),
        folded_findings("Warnings and notes", rest),
        *(_group(WEIGHTS[name], projects, plan) for name, projects in groups.items() if projects),
        _lifecycles(plan),
        id="_main",
    )
    name = f"Plan for {plan.workspace}"
    return page(
        name,
        joined(_header(name, plan, where), _filter(plan), main, _footer(plan, digest)),
        scripts=("filter.js",) if plan.steps else (),
    )


def _header(name: str, plan: Plan, where: Where | None) -> Html:
    errors = joined(error_line(plan), " ", el("a", "Show the errors.", href=f"#{URGENT}")) if plan.errors else ""
    boxes = [(cost_line(plan), "box money"), (errors, "box error")]
    extra = [
        line
        for line in (
            claim_line(plan.claim),
            mode_line(plan),
            policy_line(plan),
            upload_line(plan, clean),
            download_line(plan, clean),
        )
        if line
    ]
    return el(
        "header",
        el("h1", name),
        el("p", heading(where, str), class_="where") if where is not None else "",
        *warning_box(behind_finding(plan), url=plan.claim.url if plan.claim is not None else None),
        *warning_box(plan.lost),
        _facts(plan),
        el("p", count_line(plan), class_="count"),
        *(el("p", line) for line in extra),
        *(el("p", line, class_=kind) for line, kind in boxes if line),
    )


def _facts(plan: Plan) -> Html:
    """The figures that decide."""
    least, balance = least_credits(plan.steps), plan.credit_balance
    facts = {
        "Environment": plan.environment,
        "Spends at least": f"{least:,} {'credit' if least == 1 else 'credits'}" if least else "nothing",
        "Balance": None if balance is None else f"{balance:,} credits",
        "Projects to change": len(plan.by_address()),
        "Unchanged": plan.unchanged,
        "Errors": len(plan.errors) or None,
        "Need attention": plan.summary["attention"] or None,
    }
    lacks = balance is not None and balance < plan.credits_needed
    return facts_html(facts, alarms={"Errors", "Need attention", *(["Balance"] if lacks else [])})


def facts_html(facts: Mapping[str, str | int | None], alarms: Collection[str]) -> Html:
    """A row of figures, those of ``alarms`` in red; what is ``None`` is left out."""
    told = [
        el(
            "div",
            el("dt", name),
            el("dd", f"{value:,}" if isinstance(value, int) else value),
            class_="alarm" if name in alarms else None,
        )
        for name, value in facts.items()
        if value is not None
    ]
    return el("dl", *told, class_="facts")


def warning_box(found: Diagnostic | None, *, url: str | None = None) -> tuple[Html, ...]:
    """A warning that comes before everything else, and a link to what it is about."""
    if found is None:
        return ()
    more = joined(" ", link(url, "Open it")) if web_url(url) else ""
    said = prose(f"{found.summary}. {found.detail}")
    return (el("p", el("strong", "warning: "), said, more, class_="box warning"),)


def _footer(plan: Plan, digest: str | None) -> Html:
    needs = f"; apply needs at least {plan.requests_needed}" if plan.steps else ""
    origin = origin_line(plan, str)
    return el(
        "footer",
        el("p", f"{origin} Requests: {plan.requests_used} used{needs}."),
        el("p", "Digest: ", el("code", digest)) if digest is not None else "",
        class_="soft",
    )


def _lifecycles(plan: Plan) -> Html:
    """The lifecycles that apply writes to the state."""
    if not plan.lifecycles:
        return Html("")
    items = [el("li", el("code", address), f": {lifecycle_text(kept)}") for address, kept in plan.lifecycles.items()]
    return el("section", el("h2", f"{LIFECYCLES} ({len(items)})"), el("ul", *items))


def _filter(plan: Plan) -> Html:
    """The filter by kind of step, what ends a project first."""
    counts = {kind: sum(step.action == kind for step in plan.steps) for kind in KINDS}
    kinds = sorted(
        (k for k, count in counts.items() if count), key=lambda k: (KINDS[k].effect != "ends", -KINDS[k].cost)
    )
    if not kinds:
        return Html("")
    chips = [chip("kind", kind, f"{KINDS[kind].words.symbol} {kind} ({counts[kind]})") for kind in kinds]
    return filter_bar(chips, "Filter the plan", el("button", "Unfold all", type="button", id="_fold"))


def findings(heading: str, diagnostics: list[Diagnostic], *, id_: str | None = None) -> Html:
    """A section of diagnostics, those after the first few folded; empty where there are none. ``id_`` is for links."""
    if not diagnostics:
        return Html("")
    first, more = diagnostics[:_FINDINGS], diagnostics[_FINDINGS:]
    rest = folded(f"{len(more)} more", _findings(more)) if more else ""
    return el("section", el("h2", f"{heading} ({len(diagnostics)})"), _findings(first), rest, id=id_)


def folded_findings(heading: str, diagnostics: list[Diagnostic]) -> Html:
    """Diagnostics that can be read later."""
    if not diagnostics:
        return Html("")
    head = el("h2", f"{heading} ({len(diagnostics)})")
    return el("section", el("details", el("summary", head), _findings(diagnostics)))


def _findings(diagnostics: list[Diagnostic]) -> Html:
    return el("ul", *map(_finding, diagnostics))


def _finding(d: Diagnostic) -> Html:
    place = " · ".join(part for part in (d.address, str(d.location) if d.location else None) if part)
    code = f"[{d.code}]" if d.code else ""
    return el(
        "li",
        el("p", el("strong", f"{d.severity}{code}: "), prose(d.summary)),
        el("p", el("code", place)) if place else "",
        el("p", prose(d.detail.rstrip()), class_="text") if d.detail else "",
        class_=f"box {d.severity}",
    )


def _ending(plan: Plan) -> Html:
    """What a reviewer must not miss, however long the plan: the projects that are stopped, let go or replaced."""
    ending = [step for step in plan.steps if describe(step).effect == "ends"]
    first = {step.address: step for step in sorted(ending, key=lambda step: -describe(step).cost)}
    if not first:
        return Html("")
    more = list(first)[_ENDING:]
    rest = el("p", el("a", f"{len(more)} more below", href=anchor(more[0]))) if more else ""
    head = el("h2", f"Ends or replaces what is there ({len(first)})")
    listed = list(first.values())[:_ENDING]
    advised = next(filter(replacement_line, listed), None)
    items = [_end(step, replacement_line(step) if step is advised else "") for step in listed]
    return el("section", head, el("ul", *items, class_="urgent"), rest)


def _end(step: Step, advice: str) -> Html:
    """A line of the list, with what else can be done about it."""
    forced = [change for change in step.changes if change.forces]
    fields = [change.path for change in forced if change.path not in step.reason]
    why = f" · {', '.join(fields)}" if fields else ""
    line = el("p", el("a", el("code", step.address), href=anchor(step.address)), " ", prose(step.reason), why)
    change = forced[0] if forced and forced[0].before is not None else None
    difference = Html("")
    if change is not None:
        runs = excerpt(word_diff(value_text(shown(change.before)), value_text(shown(change.after))))
        difference = el("div", *(run_html(*run) for run in runs), class_="text")
    return el("li", el("div", badge(step)), line, difference, el("p", prose(advice)) if advice else "")


def _group(heading: str, projects: dict[str, list[Step]], plan: Plan) -> Html:
    steps = [step for each in projects.values() for step in each]
    head = el("h2", heading, el("span", f": {', '.join(counted(steps))}", class_="soft"))
    groups = group_projects(projects, plan.diagnostics)
    cards = [group_html(g) if len(g.addresses) > 1 else _project(g.address, g.steps) for g in groups]
    return el("section", head, *cards)


def _project(address: str, steps: list[Step]) -> Html:
    known = next((step.project_id for step in steps if step.project_id), None)
    project = el("span", " (", el("code", known), ")", class_="soft") if known else ""
    name = clean(address)
    link = el("a", el("code", address), href=anchor(name))
    return el(
        "article",
        el("h3", link, project, f" will be {steps_outcome(steps)}", id=name),
        *map(step_html, steps),
        class_="box one" if len(steps) == 1 else "box",
        aria_labelledby=name,
        data_kinds=" ".join(dict.fromkeys(step.action for step in steps)),
        data_name=name,
    )
