"""Plans and the results of applies as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from reconciler.model.plan import Change, Message, Plan, Share, Step, describe
from reconciler.model.values import Value, masked
from reconciler.report.diagnostics import by_weight, diagnostic_text
from reconciler.report.fields import changes_lines, literally, prose, shortened, value_text
from reconciler.report.groups import LEAST, Group, group_projects
from reconciler.report.safe_text import clean, columns, pad
from reconciler.report.short_values import with_short_values
from reconciler.report.shortening import fitting_widths, shortened_apart
from reconciler.report.style import Color, Style
from reconciler.report.summary import (
    LIFECYCLES,
    apply_line,
    behind_finding,
    by_importance,
    claim_line,
    continue_line,
    cost_line,
    count_line,
    download_line,
    error_line,
    is_whole,
    mode_line,
    named,
    origin_line,
    other_findings,
    policy_line,
    replacement_line,
    upload_line,
    working_line,
)
from reconciler.report.words import lifecycle_text, reason_text, step_name, step_title, steps_outcome, wait_text
from reconciler.report.wrapping import wrapped

if TYPE_CHECKING:
    from reconciler.model.events import ApplyResult, OutcomeKind, StepResult

_OUTCOMES: Final[dict[OutcomeKind, Color]] = {
    "failed": "red",
    "unknown": "red",
    "skipped": "yellow",
    "deferred": "yellow",
    "done": "green",
}
_SEPARATE: Final = 3
"""So many steps that were not done for one reason have a line each."""
_MARGIN: Final = " " * 6
"""Before what belongs to a step."""
_GAP: Final = "  "


# The plan


def plan_text(
    plan: Plan,
    *,
    style: Style,
    verbose: bool = False,
    summary: bool = False,
    digest: str | None = None,
    requests: bool = True,
) -> str:
    """The whole plan, ending in the line that counts its steps.

    ``verbose`` shows every project by itself and long texts in full, ``summary`` one line for each project; ``digest`` is
    that of a saved plan. Without ``requests`` they are not counted, as where apply counts them at its end.
    """
    parts = [diagnostic_text(found, style=style) for found in (behind_finding(plan), plan.lost) if found]
    parts += [claim_line(plan.claim), mode_line(plan)]
    if summary:
        parts.append("\n".join(_summary_lines(plan, style)))
    else:
        groups = _grouped(plan, style, verbose)
        advised = next((s for group in groups for s in group.steps if replacement_line(s)), None)
        parts.append(_legend(plan, style))
        for alike in _ending_alike(groups, style, verbose):
            many = len(alike) >= LEAST
            parts += [_ends(alike, style)] if many else [_group(group, style, verbose, advised) for group in alike]
    kept = [f"  {address}: {clean(lifecycle_text(kept))}" for address, kept in plan.lifecycles.items()]
    parts.append("\n".join([f"{LIFECYCLES}:", *kept]) if kept else "")
    parts += [
        diagnostic_text(diagnostic, style=style)
        for diagnostic in by_weight(plan.diagnostics)
        if diagnostic != plan.lost
    ]
    parts.append("\n".join(_closing(plan, style, digest, requests=requests)))
    return wrapped("\n\n".join(part for part in parts if part) + "\n", style.columns)


def _summary_lines(plan: Plan, style: Style) -> list[str]:
    """One line for each project, the most important first: its gravest step's symbol, and what happens to it."""
    projects = {address: steps for group in by_importance(plan).values() for address, steps in group.items()}
    width = max((columns(clean(address)) for address in projects), default=0)
    lines = []
    for address, steps in projects.items():
        words = describe(max(steps, key=lambda step: describe(step).cost)).words
        fields = dict.fromkeys(
            clean(c.path.removeprefix("settings.")) for s in steps for c in s.changes if _tells(s, c)
        )
        what = f"will be {steps_outcome(steps)}" + (f" ({', '.join(fields)})" if fields else "")
        lines.append(f"{style.paint(f'{words.symbol:>3}', words.color)} {pad(clean(address), width)}  {what}")
    return lines


def _tells(step: Step, change: Change) -> bool:
    """Whether a field says why the step is there: it changes, or forces a replacement."""
    return change.forces is not None or describe(step).effect == "changes"


def _legend(plan: Plan, style: Style) -> str:
    if not plan.steps:
        return ""
    kinds = {step.action: describe(step) for step in sorted(plan.steps, key=lambda step: describe(step).cost)}
    kinds = {step.action: kinds[step.action] for step in plan.steps}
    lines = [f"{style.paint(f'{k.words.symbol:>3}', k.words.color)}  {k.legend}" for k in kinds.values()]
    if any(diagnostic.attention for diagnostic in plan.diagnostics):
        lines.append(f"{style.paint('  !', 'yellow')}  needs your attention; no step can fix it")
    return "\n".join(["Symbols in this plan:", *lines])


def _grouped(plan: Plan, style: Style, verbose: bool) -> list[Group]:
    if not verbose:
        shown = plan if style.columns is None else with_short_values(plan)  # files have it whole
        return group_projects(shown.by_address(), plan.diagnostics)
    projects = plan.by_address()
    return [Group(address=address, steps=steps, addresses=(address,)) for address, steps in projects.items()]


def _group(group: Group, style: Style, verbose: bool, advised: Step | None) -> str:
    """A project, or several with what differs among them. The ``advised`` step is followed by what else one can do."""
    known = next((step.project_id for step in group.steps if step.project_id), None)
    project = f"{group.address} ({known})" if known else group.address
    will = f": {len(group.addresses)} projects will each be" if len(group.addresses) > 1 else " will be"
    ends: list[Color] = ["red"] if any(describe(step).effect == "ends" for step in group.steps) else []
    lines = [style.paint(f"# {clean(project)}{will} {steps_outcome(group.steps)}", "bold", *ends)]
    inner = replace(style, width=style.width - len(_MARGIN))
    for step in group.steps:
        lines.append(_step_line(step, style))
        lines += [f"{_MARGIN}{line}".rstrip() for line in step_details(step, inner, verbose)]
        if step is advised:
            lines += [f"{_MARGIN}{style.paint(line, 'yellow')}" for line in prose(replacement_line(step), inner.width)]
    return "\n".join([*lines, *group_lines(group, style)])


def _step_line(step: Step, style: Style) -> str:
    """What a step does, why, and what it waits for."""
    words = describe(step).words
    reason = f": {clean(step.reason)}" if step.reason else ""
    waits = f"  {clean(wait_text(step))}".rstrip()
    return f"{style.paint(f'{words.symbol:>3}', words.color)} {step_title(step)}{reason}{waits}"


def _ending_alike(groups: Iterable[Group], style: Style, verbose: bool) -> Iterable[list[Group]]:
    """The groups in their order; together those that end in the same way, with nothing more to say about one of them."""
    alike: dict[object, list[Group]] = {}
    for group in groups:
        last = group.steps[0]
        plain = len(group.steps) == 1 and describe(last).effect == "ends" and not wait_text(last)
        together = plain and not verbose and not step_details(last, style, verbose) and not replacement_line(last)
        alike.setdefault((last.action, last.reason) if together else group.address, []).append(group)
    return alike.values()


def _ends(groups: list[Group], style: Style) -> str:
    """Projects that end in the same way: each has its line, what happens to them is said once."""
    steps = [step for group in groups for step in group.steps]
    title = f"# {len(groups)} projects will each be {steps_outcome(steps[:1])}"
    named = [clean(f"{step.address} ({step.project_id})" if step.project_id else step.address) for step in steps]
    return "\n".join(
        [style.paint(title, "bold", "red"), _step_line(steps[0], style), *(f"{_MARGIN}{name}" for name in named)]
    )


def group_lines(group: Group, style: Style) -> list[str]:
    """The table of what differs among several projects; without differences, their addresses. Clean and indented."""
    if len(group.addresses) == 1:
        return []
    if not group.columns:
        width = style.width - len(_MARGIN)
        return [f"{_MARGIN}{line}" for line in prose(f"for {', '.join(group.addresses)}", width)]
    table = [(group.address, *group.columns), *((a, *row) for a, row in zip(group.addresses, group.rows, strict=True))]
    parts = [list(map(clean, part)) for part in zip(*table, strict=True)]
    widths = [max(map(columns, part)) for part in parts]
    if style.columns is not None:
        widths = fitting_widths(widths, style.columns - len(_MARGIN) - len(_GAP) * (len(widths) - 1))
        parts = [shortened_apart(part, width) for part, width in zip(parts, widths, strict=True)]
        widths = [max(map(columns, part)) for part in parts]
    rows = (_GAP.join(map(pad, row, widths)).rstrip() for row in zip(*parts, strict=True))
    return [f"{_MARGIN}{style.paint(row, 'dim') if number == 0 else row}" for number, row in enumerate(rows)]


def step_details(step: Step, style: Style, verbose: bool, *, flush: bool = False) -> list[str]:
    """The message that a step sends and the fields that it changes, not indented."""
    fresh = describe(step).begins == "project"
    lines = changes_lines(step.changes, style=style, verbose=verbose, fresh=fresh, flush=flush)
    match step:
        case Message():
            return [*_message(step, style, verbose), *lines]
        case Share():
            return [*_fields(step.body), *lines]
        case _:
            return lines


def _message(step: Message, style: Style, verbose: bool) -> list[str]:
    """The text in quotes, then the other fields."""
    sent = dict(step.message.body)
    text = sent.pop("message", "")
    lines = shortened(prose(f'"{masked(text)}"{literally(text)}', style.width), verbose=verbose)
    return [*lines, *_fields(sent)]


def _fields(sent: Mapping[str, Value]) -> list[str]:
    """The fields of a request, one on each line."""
    return [f"{clean(key)} = {value_text(masked(value))}{literally(value)}" for key, value in sent.items()]


def _closing(plan: Plan, style: Style, digest: str | None, *, requests: bool) -> list[str]:
    needs = f"; apply needs at least {plan.requests_needed}" if plan.steps else ""
    lines = [f"Requests: {plan.requests_used} used for this plan{needs}."] if requests else []
    lines += [line for line in (upload_line(plan, clean), download_line(plan, clean)) if line]
    lines += [style.paint(line, "yellow") for line in (cost_line(plan), policy_line(plan)) if line]
    lines += [style.paint(line, "red") for line in (error_line(plan),) if line]
    if digest is not None:
        lines += [origin_line(plan, clean), f"Digest: {digest}"]
    return [*lines, style.paint(count_line(plan), "bold")]


# The result of an apply


def apply_text(result: ApplyResult, *, style: Style, lost_downloads: int = 0) -> str:
    """What was not done and why, other findings, and how to continue. ``lost_downloads``: how many failed after it."""
    open_steps = [r for r in result.results if r.outcome != "done"]
    parts = ["\n".join(_open_lines(open_steps, style))]
    parts += [diagnostic_text(diagnostic, style=style) for diagnostic in by_weight(other_findings(result))]
    parts.append("\n".join(_apply_closing(result, style, lost_downloads)))
    return wrapped("\n\n".join(part for part in parts if part) + "\n", style.columns)


def _open_lines(results: list[StepResult], style: Style) -> list[str]:
    """What was not done: many steps of a kind that wait for the same, or follow what was not done, share a line."""
    alike: dict[object, list[StepResult]] = {}
    for result in results:
        shares = result.error is None and result.outcome in ("deferred", "skipped")
        key = (result.outcome, result.step.action, reason_text(result)) if shares else id(result)
        alike.setdefault(key, []).append(result)
    lines = []
    for found in alike.values():
        if len(found) > _SEPARATE:
            first, count = found[0], len(found)
            label = style.paint(f"{first.outcome}:", "bold", _OUTCOMES[first.outcome])
            names = named(r.step.address for r in found)
            lines.append(f"{label} {describe(first.step).words.steps(count)}: {reason_text(first)}: {names}")
        else:
            lines += [_open_line(result, style) for result in found]
    return lines


def _open_line(result: StepResult, style: Style) -> str:
    """A step that was not done and why; with an error, also its place and details, which say what to do."""
    code = f"[{clean(result.error.code)}]" if result.error and result.error.code else ""
    label = style.paint(f"{result.outcome}{code}:", "bold", _OUTCOMES[result.outcome])
    reason = reason_text(result)
    line = f"{label} {clean(result.step.address)}: {step_name(result.step)}" + (f": {reason}" if reason else "")
    if result.error is None:
        return line
    details = diagnostic_text(replace(result.error, address=None), style=style).split("\n")
    return "\n".join([line, *(f"  {detail}" for detail in (details if result.note else details[1:]))])


def _apply_closing(result: ApplyResult, style: Style, lost_downloads: int) -> list[str]:
    whole = is_whole(result, lost_downloads)
    lines = [f"Requests: {result.requests} used."]
    if result.working:
        lines.append(working_line(result))
    if not whole:
        lines.append(continue_line(result))
    return [*lines, style.paint(apply_line(result, lost_downloads), "bold", "green" if whole else "yellow")]
