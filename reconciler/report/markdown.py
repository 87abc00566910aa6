"""Plans and the results of applies as Markdown, for pull request comments and job summaries.

Whatever the size of the plan, the text fits in a comment. What spends credits comes first; what does not fit in full is
listed by name, and what does not fit by name is counted. Untrusted text appears only in code spans, fenced blocks and
``<code>``, where no service follows links, mentions or markup; each has more backticks than the text holds.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.desired import Lifecycle
from reconciler.model.errors import Diagnostic
from reconciler.model.events import ApplyResult, OutcomeKind, StepResult
from reconciler.model.plan import Message, Plan, Share, Step
from reconciler.model.values import Json
from reconciler.report.diagnostics import diagnostic_text
from reconciler.report.heading import Where, heading, place_text
from reconciler.report.safe_text import clean
from reconciler.report.style import Style
from reconciler.report.summary import (
    LIFECYCLES,
    WEIGHTS,
    apply_line,
    by_importance,
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
    upload_line,
)
from reconciler.report.text import step_details
from reconciler.report.words import (
    lifecycle_text,
    reason_text,
    step_done,
    step_name,
    step_title,
    steps_outcome,
    wait_text,
)

LIMIT: Final = 60_000
"""Characters. GitHub allows 65,536 in a comment; the rest is for what a workflow puts around this."""

_RESERVE: Final = 2_500
"""Characters that each section gets, however long the sections before it are."""
_NAMES: Final = 0.5
"""Of a section that does not fit: the share that lists the names of what is not shown."""
_SMALLEST: Final = 150
"""With fewer characters left, items are only named."""
_FRAME: Final = 120
"""The most characters that the markup around the names of what is not shown takes."""
_START: Final = 500
"""Characters of a shortened finding."""
_WORD: Final = 200
"""Characters of a text inside a line."""
_CUT: Final = (
    "_This is shortened to fit in a comment. `reconciler show` prints the whole plan, and its digest covers all of it._"
)
_PLAIN: Final = Style(color=False)
_OUTCOMES: Final[tuple[tuple[OutcomeKind, str], ...]] = (
    ("failed", "Failed"),
    ("unknown", "Outcome unknown"),
    ("skipped", "Skipped"),
    ("deferred", "Deferred"),
    ("done", "Done"),
)


class Item(Struct, frozen=True):
    """Something to show in full, shortened or only by name. It is rendered only if there is room."""

    render: Callable[[bool], str]
    name: str


class Section(Struct, frozen=True):
    heading: str
    items: tuple[Item, ...]
    urgent: bool = False
    """Whether it comes right after what spends credits."""


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
    plan: Plan, *, owner: str | None = None, digest: str | None = None, where: Where | None = None
) -> str:
    """The plan for a reviewer, in at most ``LIMIT`` characters.

    ``owner`` adds the marker; ``digest`` is that of a saved plan; ``where`` is told with the workspace.
    """
    cost, errors, lost = cost_line(plan), error_line(plan), plan.lost
    head = [
        _marker(owner, plan.environment),
        f"### Plan for {code(plan.workspace)}{_place(where)}",
        f"**Warning: {lost.summary}.** {lost.detail}" if lost else "",
        mode_line(plan),
        f"**{count_line(plan)}**",
        f"**{cost}**" if cost else "",
        f"**{errors}**" if errors else "",
        upload_line(plan, code),
        download_line(plan, code),
        f"Digest: `{digest}`" if digest is not None else "",
    ]
    needs = f"; apply needs at least {plan.requests_needed}" if plan.steps else ""
    foot = f"{origin_line(plan, code)} Requests: {plan.requests_used} used{needs}."
    return _document(head, list(_plan_sections(plan)), foot)


def apply_markdown(result: ApplyResult, *, where: Where | None = None) -> str:
    """What was done and why the rest was not, in at most ``LIMIT`` characters."""
    head = [
        heading(where, code) if where is not None else "",
        f"### Apply in {code(result.plan.workspace)}",
        f"**{apply_line(result)}**",
    ]
    if not is_whole(result):
        head.append(continue_line(result))
    bad, rest = ([_outcome(result, kind) for kind in kinds] for kinds in (_OUTCOMES[:2], _OUTCOMES[2:]))
    return _document(head, [*bad, *_diagnostics(other_findings(result)), *rest], f"Requests: {result.requests} used.")


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
    return _document([_marker(owner, environment), f"### No plan{name}"], list(_diagnostics(diagnostics)), "")


# Untrusted text, made inert


def code(text: str) -> str:
    """A code span that the text can't end."""
    text = clean(text if len(text) <= _WORD else f"{text[:_WORD]}…") or " "
    ticks = "`" * (_longest_run(text) + 1)
    gap = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{ticks}{gap}{text}{gap}{ticks}"


def fenced(lines: Iterable[str], language: str) -> str:
    """A block of clean lines that none of them can end."""
    text = "\n".join(lines)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


# Sections


def _plan_sections(plan: Plan) -> Iterator[Section]:
    groups = by_importance(plan)
    found = list(_diagnostics(plan.diagnostics))
    for name, projects in groups.items():
        steps = [step for steps in projects.values() for step in steps]
        heading = f"{WEIGHTS[name]}: {', '.join(counted(steps))}"
        yield Section(heading, tuple(_project(address, steps) for address, steps in projects.items()))
        if name == "costs":
            yield from (section for section in found if section.urgent)
    kept = tuple(_kept(address, lifecycle) for address, lifecycle in plan.lifecycles.items())
    yield Section(f"{LIFECYCLES}: {len(kept)}", kept)
    yield from (section for section in found if not section.urgent)


def _diagnostics(diagnostics: tuple[Diagnostic, ...]) -> Iterator[Section]:
    errors = [d for d in diagnostics if d.severity == "error"]
    attention = [d for d in diagnostics if d.attention and d.severity != "error"]
    rest = [d for d in diagnostics if not d.attention and d.severity != "error"]
    yield Section(f"Errors: {len(errors)}", tuple(map(_finding, errors)), urgent=True)
    yield Section(f"Needs attention: {len(attention)}", tuple(map(_finding, attention)), urgent=True)
    yield Section(f"Warnings and notes: {len(rest)}", tuple(map(_finding, rest)))


def _finding(diagnostic: Diagnostic) -> Item:
    def render(full: bool) -> str:
        brief = replace(diagnostic, summary=_start(diagnostic.summary), detail=_start(diagnostic.detail))
        return fenced(diagnostic_text(diagnostic if full else brief, style=_PLAIN).split("\n"), "text")

    return Item(render, code(diagnostic.address or diagnostic.summary))


def _kept(address: str, lifecycle: Lifecycle) -> Item:
    return Item(lambda _: f"- {code(address)}: {code(lifecycle_text(lifecycle))}", code(address))


def _start(text: str) -> str:
    return text if len(text) <= _START else f"{text[:_START]}…"


def _project(address: str, steps: list[Step]) -> Item:
    known = next((step.project_id for step in steps if step.project_id), None)
    project = f" (<code>{_html(known)}</code>)" if known else ""
    summary = f"<code>{_html(address)}</code>{project} will be {steps_outcome(steps)}"

    def render(full: bool) -> str:
        return _folded(summary, fenced((line for step in steps for line in _step(step, verbose=full)), "diff"))

    return Item(render, code(address))


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


# Fitting into the limit


def _document(head: Iterable[str], sections: list[Section], foot: str) -> str:
    sections = [section for section in sections if section.items]
    start = "\n\n".join(part for part in head if part)
    end = f"<sub>{foot}</sub>" if foot else ""
    room = LIMIT - len(start) - len(end) - 10
    body = _whole(sections, room, full=True)
    if body is None:
        room -= len(_CUT) + 2
        body = f"{_CUT}\n\n{_fitted(sections, room)}"
    return "\n\n".join(part for part in (start, body, end) if part) + "\n"


def _whole(sections: list[Section], room: int, *, full: bool) -> str | None:
    """All sections; ``None`` as soon as they do not fit."""
    parts: list[str] = []
    for section in sections:
        for part in chain([f"#### {section.heading}"], (item.render(full) for item in section.items)):
            room -= len(part) + 2
            if room < 0:
                return None
            parts.append(part)
    return "\n\n".join(parts)


def _fitted(sections: list[Section], room: int) -> str:
    """Every section, shortened to the room that the sections after it leave."""
    parts: list[str] = []
    for index, section in enumerate(sections):
        later = sum(_reserve(other) for other in sections[index + 1 :])
        text = _whole([section], room - later, full=False)
        if text is None:
            text = _cut(section, room - later)
        parts.append(text)
        room -= len(text) + 2
    return "\n\n".join(parts)


def _reserve(section: Section) -> int:
    text = _whole([section], _RESERVE, full=False)
    return _RESERVE if text is None else len(text) + 2


def _cut(section: Section, room: int) -> str:
    """As many items as fit beside the names, the names of others, and the number of the rest."""
    wanted = sum(len(item.name) + 2 for item in section.items)
    left = room - len(section.heading) - _FRAME - min(int(room * _NAMES), wanted)
    in_full = False
    shown: list[str] = []
    named: list[str] = []
    for item in section.items:
        text = item.render(in_full) if left >= _SMALLEST else None
        if text is not None and len(text) + 2 <= left:
            shown.append(text)
            left -= len(text) + 2
        else:
            named.append(item.name)
    kept: list[str] = []
    left = room - len("\n\n".join([section.heading, *shown])) - _FRAME
    for name in named:
        left -= len(name) + 2
        if left < 0:
            break
        kept.append(name)
    rest = [f"and {len(named) - len(kept)} more"] if len(named) > len(kept) else []
    names = f"<details><summary>{len(named)} more</summary>\n\n{', '.join([*kept, *rest])}\n\n</details>"
    return "\n\n".join([f"#### {section.heading}", *shown, names])
