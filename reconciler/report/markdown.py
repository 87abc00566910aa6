"""Plans and the results of applies as Markdown, for pull request comments and job summaries.

A table of what matters comes first, then what spends credits. Untrusted text appears only in code spans, fenced blocks and
``<code>``, where no service follows links, mentions or markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from msgspec.structs import replace

from reconciler.model.desired import Lifecycle
from reconciler.model.errors import Diagnostic
from reconciler.model.events import ApplyResult, OutcomeKind, StepResult
from reconciler.model.plan import Message, Plan, Share, Step, least_credits
from reconciler.model.step_kinds import KINDS, StepKind
from reconciler.model.values import Json
from reconciler.report.comment import LIMIT, Item, Section, code, document, fenced, page_link
from reconciler.report.diagnostics import diagnostic_text
from reconciler.report.groups import Group, group_projects
from reconciler.report.heading import Where, heading, place_text
from reconciler.report.safe_text import clean
from reconciler.report.style import Style
from reconciler.report.summary import (
    LIFECYCLES,
    WEIGHTS,
    apply_line,
    behind_finding,
    by_importance,
    claim_line,
    continue_line,
    cost_line,
    count_line,
    counted,
    download_line,
    error_line,
    is_whole,
    mode_line,
    origin_line,
    other_findings,
    policy_line,
    replacement_line,
    upload_line,
)
from reconciler.report.text import group_lines, step_details
from reconciler.report.words import (
    joined,
    lifecycle_text,
    reason_text,
    step_done,
    step_name,
    step_title,
    steps_outcome,
    wait_text,
)

_START: Final = 500
"""Characters of a shortened finding."""
_NAMED: Final = 4
"""How many addresses a row of the table names."""
_LOG: Final = "The log of the run has all of it."
_PLAIN: Final = Style(color=False)
_OUTCOMES: Final[tuple[tuple[OutcomeKind, str], ...]] = (
    ("failed", "Failed"),
    ("unknown", "Outcome unknown"),
    ("skipped", "Skipped"),
    ("deferred", "Deferred"),
    ("done", "Done"),
)


def marker(*owner: str) -> str:
    """An invisible first line by which a workflow finds its comment again to update it.

    ``owner`` is the path of the workspace's folder in its repository, and what else tells two comments apart. Two
    owners never share a marker: all but lower-case letters, digits, ``.``, ``_`` and ``-`` is percent-encoded.
    """
    return f"<!-- reconciler: {' '.join(map(_encoded, owner))} -->"


def _marker(owner: str | None, environment: str | None) -> str:
    return marker(*(part for part in (owner, environment) if part is not None)) if owner else ""


def _place(where: Where | None) -> str:
    return "" if where is None else place_text(where, code)


def _encoded(name: str) -> str:
    def percent(found: re.Match[str]) -> str:
        return "".join(f"%{byte:02x}" for byte in found[0].encode(errors="surrogatepass"))

    return re.sub(r"[^a-z0-9._-]", percent, name)


def plan_markdown(
    plan: Plan,
    *,
    owner: str | None = None,
    digest: str | None = None,
    where: Where | None = None,
    run: str | None = None,
) -> str:
    """The plan for a reviewer, in at most ``LIMIT`` characters.

    ``owner`` adds the marker; ``digest`` is that of a saved plan; ``where`` is told with the workspace.
    ``run`` is the address of the CI run that has the log and artifacts.
    """
    cost, errors, lost, behind = cost_line(plan), error_line(plan), plan.lost, behind_finding(plan)
    head = [
        _marker(owner, plan.environment),
        f"### Plan for {code(plan.workspace)}{_place(where)}",
        f"**This plan is behind another pull request.**\n\n{_diagnostic(behind)}" if behind else "",
        page_link(plan.claim.url, "Open that pull request") if behind and plan.claim is not None else "",
        claim_line(plan.claim, code),
        f"**The state may be lost.**\n\n{_diagnostic(lost)}" if lost else "",
        mode_line(plan),
        f"**{count_line(plan)}**",
        f"**{cost}**" if cost else "",
        policy_line(plan),
        f"**{errors}**" if errors else "",
        _table(plan),
        _advice(plan),
        upload_line(plan, code),
        download_line(plan, code),
        f"Digest: `{digest}`" if digest is not None else "",
    ]
    needs = f"; apply needs at least {plan.requests_needed}" if plan.steps else ""
    foot = f"{origin_line(plan, code)} Requests: {plan.requests_used} used{needs}."
    kept = f" [This run]({run}) has the log and the artifacts." if run is not None else ""
    whole = f"`reconciler show` prints the whole plan, and its digest covers all of it.{kept}"
    return document(head, list(_plan_sections(plan)), foot, whole=whole)


def apply_markdown(
    result: ApplyResult, *, where: Where | None = None, lost_downloads: Sequence[Diagnostic] = ()
) -> str:
    """What was done and why the rest was not, in at most ``LIMIT`` characters. ``lost_downloads``: why some failed after
    it.
    """
    head = [
        heading(where, code) if where is not None else "",
        f"### Apply in {code(result.plan.workspace)}",
        f"**{apply_line(result, len(lost_downloads))}**",
        claim_line(result.claim, code),
    ]
    if not is_whole(result, len(lost_downloads)):
        head.append(continue_line(result))
    bad, rest = ([_outcome(result, kind) for kind in kinds] for kinds in (_OUTCOMES[:2], _OUTCOMES[2:]))
    return document(
        head,
        [*bad, *_diagnostics((*lost_downloads, *other_findings(result))), *rest],
        f"Requests: {result.requests} used.",
        whole=_LOG,
    )


def failure_markdown(
    diagnostics: tuple[Diagnostic, ...],
    *,
    workspace: str | None,
    owner: str | None = None,
    environment: str | None = None,
) -> str:
    """Why there is no plan, with the workspace and environment if they are known. ``owner`` adds the marker."""
    name = f" for {code(workspace)}" if workspace is not None else ""
    name += f", environment {code(environment)}" if environment is not None else ""
    head = [_marker(owner, environment), f"### No plan{name}"]
    return document(head, list(_diagnostics(diagnostics)), "", whole=_LOG)


# Untrusted text, made inert


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


# Sections


def _table(plan: Plan) -> str:
    """What there is to know before anything is read: what ends projects and what was found first, then what it costs."""
    steps: dict[str, list[Step]] = {}
    for step in plan.steps:
        steps.setdefault(step.action, []).append(step)
    rows = [(_gravity(kind), _kind_row(kind, steps[action])) for action, kind in KINDS.items() if action in steps]
    attention = [d for d in plan.diagnostics if d.attention and d.severity != "error"]
    for name, found in (("errors: it can't be applied", plan.errors), ("need attention", attention)):
        if found:
            rows.append(((1, 0), _row(f"**{name}**", len(found), 0, [d.address for d in found if d.address])))
    if not rows:
        return ""
    head = ["| What | Projects | How many | Credits, at least |", "|:--|:--|--:|--:|"]  # a phone shows the first two
    return "\n".join([*head, *(row for _, row in sorted(rows, key=lambda item: item[0]))])


def _advice(plan: Plan) -> str:
    """What else can be done about what is replaced, marked as its row is."""
    told = next(filter(None, map(replacement_line, plan.steps)), "")
    return f"{code(KINDS['replace'].words.symbol)} {told}" if told else ""


def _gravity(kind: StepKind) -> tuple[int, int]:
    """What ends a project comes before what was found, and that before the rest; among them, the dearest first."""
    return (0 if kind.effect == "ends" else 2, -kind.cost)


def _kind_row(kind: StepKind, steps: list[Step]) -> str:
    ends = "**" if kind.effect == "ends" else ""
    what = f"{code(kind.words.symbol)} {ends}{kind.words.legend}{ends}"
    return _row(what, len(steps), least_credits(steps), [step.address for step in steps])


def _row(what: str, count: int, credits_: int, addresses: Iterable[str]) -> str:
    names = list(dict.fromkeys(addresses))
    shown = [code(name).replace("|", "\\|") for name in names[:_NAMED]]
    if more := names[_NAMED:]:
        shown.append(f"{len(more):,} more")
    return f"| {what} | {joined(shown)} | {count:,} | {f'{credits_:,}' if credits_ else ''} |"


def _plan_sections(plan: Plan) -> Iterator[Section]:
    groups = by_importance(plan)
    found = list(_diagnostics(plan.diagnostics))
    for name, projects in groups.items():
        steps = [step for steps in projects.values() for step in steps]
        heading = f"{WEIGHTS[name]}: {', '.join(counted(steps))}"
        yield Section(heading, tuple(map(_project, group_projects(projects, plan.diagnostics))))
        if name == "costs":
            yield from (section for section in found if section.urgent)
    kept = tuple(_kept(address, lifecycle) for address, lifecycle in plan.lifecycles.items())
    yield Section(f"{LIFECYCLES}: {len(kept)}", kept)
    yield from (section for section in found if not section.urgent)


def _diagnostics(diagnostics: Sequence[Diagnostic]) -> Iterator[Section]:
    errors = [d for d in diagnostics if d.severity == "error"]
    attention = [d for d in diagnostics if d.attention and d.severity != "error"]
    rest = [d for d in diagnostics if not d.attention and d.severity != "error"]
    yield Section(f"Errors: {len(errors)}", tuple(map(_finding, errors)), urgent=True)
    yield Section(f"Needs attention: {len(attention)}", tuple(map(_finding, attention)), urgent=True)
    yield Section(f"Warnings and notes: {len(rest)}", tuple(map(_finding, rest)))


def _finding(diagnostic: Diagnostic) -> Item:
    def render(full: bool) -> str:
        brief = replace(diagnostic, summary=_start(diagnostic.summary), detail=_start(diagnostic.detail))
        return _diagnostic(diagnostic if full else brief)

    return Item(render, code(diagnostic.address or diagnostic.summary))


def _diagnostic(diagnostic: Diagnostic) -> str:
    return fenced(diagnostic_text(diagnostic, style=_PLAIN).split("\n"), "text")


def _kept(address: str, lifecycle: Lifecycle) -> Item:
    return Item(lambda _: f"- {code(address)}: {code(lifecycle_text(lifecycle))}", code(address))


def _start(text: str) -> str:
    return text if len(text) <= _START else f"{text[:_START]}…"


def _project(group: Group) -> Item:
    """A project, or several of one ``for_each`` with the table of what differs."""
    known = next((step.project_id for step in group.steps if step.project_id), None)
    project = f" (<code>{_html(known)}</code>)" if known else ""
    count = len(group.addresses)
    will = f": {count} projects will each be" if count > 1 else " will be"
    summary = f"<code>{_html(group.address)}</code>{project}{will} {steps_outcome(group.steps)}"

    def render(full: bool) -> str:
        lines = chain.from_iterable(_step(step, verbose=full) for step in group.steps)
        return _folded(summary, fenced(chain(lines, group_lines(group, _PLAIN)), "diff"))

    return Item(render, f"{code(group.address)} ({count} projects)" if count > 1 else code(group.address), count)


def _step(step: Step, *, verbose: bool) -> Iterator[str]:
    """Lines that diff highlighting colors: ``@@`` for the step, ``+``, ``-`` and ``!`` for what changes."""
    reason = f": {clean(step.reason)}" if step.reason else ""
    waits = f" {clean(wait_text(step))}".rstrip()
    yield f"@@ {step_title(step)}{reason}{waits} @@"
    margin = "  " if isinstance(step, Message | Share) else ""
    changes = tuple(replace(c, before=_clipped(c.before), after=_clipped(c.after)) for c in step.changes)
    for line in step_details(replace(step, changes=changes), _PLAIN, verbose, flush=True):
        yield margin + re.sub(r"^~(?= )", "!", line)


def _clipped(value: Json) -> Json:
    """The value; a longer text would not fit anyway."""
    return value[:LIMIT] if isinstance(value, str) else value


def _outcome(result: ApplyResult, kind: tuple[OutcomeKind, str]) -> Section:
    found = tuple(_result(r) for r in result.results if r.outcome == kind[0])
    return Section(f"{kind[1]}: {len(found)}", found)


def _result(result: StepResult) -> Item:
    """A list item; with an error, a block that has its place and details too."""
    step, reason = result.step, reason_text(result)
    line = f"{step.address}: {step_done(step) if result.outcome == 'done' else step_name(step)}"
    line = f"{line}: {reason}" if reason else line

    def render(full: bool) -> str:
        if result.error is None or not full:
            return f"- {code(line)}"
        details = diagnostic_text(replace(result.error, address=None), style=_PLAIN).split("\n")
        return fenced([clean(line), *details], "text")

    return Item(render, code(step.address))


def _html(text: str) -> str:
    return html.escape(clean(text))
