"""Plans as self-contained pages that work on phones and with screen readers, in light and dark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Change, Message, Plan, Share, Step, describe
from reconciler.model.values import Json, Value, masked, shown
from reconciler.report.diagnostics import by_weight
from reconciler.report.fields import before_note, is_set, literally
from reconciler.report.heading import Where, heading
from reconciler.report.page import Html, el, filter_bar, folded, joined, page
from reconciler.report.safe_text import clean
from reconciler.report.summary import (
    LIFECYCLES,
    WEIGHTS,
    by_importance,
    cost_line,
    count_line,
    counted,
    download_line,
    error_line,
    mode_line,
    origin_line,
    upload_line,
)
from reconciler.report.worddiff import excerpt, word_diff
from reconciler.report.words import lifecycle_text, plural, step_title, steps_outcome, wait_text

_LONG: Final = 280
"""Longer texts (in characters) are folded."""
_LONG_LINES: Final = 5
_FIRST: Final = 90
URGENT: Final = "urgent"
"""The id of the section with errors and what needs attention."""


def plan_html(plan: Plan, *, digest: str | None = None, where: Where | None = None) -> str:
    """The page of a plan. ``digest`` is that of a saved plan; ``where`` stands first."""
    groups = by_importance(plan)
    sections = [_group(WEIGHTS[name], projects) for name, projects in groups.items() if projects]
    urgent = [d for d in by_weight(plan.diagnostics) if d.severity == "error" or d.attention]
    rest = [d for d in by_weight(plan.diagnostics) if d not in urgent]
    sections.insert(1 if groups["costs"] else 0, findings("Errors and attention", urgent, id_=URGENT))
    main = el("main", *sections, _lifecycles(plan), findings("Warnings and notes", rest), id="main")
    name = f"Plan for {plan.workspace}"
    return page(
        name,
        joined(_header(name, plan, digest, where), _filter(plan), main, _footer(plan)),
        script="filter.js" if plan.steps else None,
    )


def _header(name: str, plan: Plan, digest: str | None, where: Where | None) -> Html:
    errors = joined(error_line(plan), " ", el("a", "Show the errors.", href=f"#{URGENT}")) if plan.errors else ""
    boxes = [(cost_line(plan), "box money"), (errors, "box error")]
    extra = [line for line in (mode_line(plan), upload_line(plan, clean), download_line(plan, clean)) if line]
    return el(
        "header",
        el("p", heading(where, str), class_="where") if where is not None else "",
        el("h1", name),
        *lost_box(plan.lost),
        el("p", count_line(plan), class_="count"),
        *(el("p", line) for line in extra),
        el("p", "Digest: ", el("code", digest)) if digest is not None else "",
        *(el("p", line, class_=kind) for line, kind in boxes if line),
    )


def lost_box(lost: Diagnostic | None) -> tuple[Html, ...]:
    """The warning that the state may be lost, which comes before everything else."""
    if lost is None:
        return ()
    return (el("p", el("strong", "warning: "), f"{lost.summary}. {lost.detail}", class_="box warning"),)


def _footer(plan: Plan) -> Html:
    needs = f"; apply needs at least {plan.requests_needed}" if plan.steps else ""
    origin = origin_line(plan, str)
    return el("footer", el("p", f"{origin} Requests: {plan.requests_used} used{needs}.", class_="soft"))


def _lifecycles(plan: Plan) -> Html:
    """The lifecycles that apply writes to the state."""
    if not plan.lifecycles:
        return Html("")
    items = [el("li", el("code", address), f": {lifecycle_text(kept)}") for address, kept in plan.lifecycles.items()]
    return el("section", el("h2", f"{LIFECYCLES} ({len(items)})"), el("ul", *items, class_="plain"))


def _filter(plan: Plan) -> Html:
    """The filter by kind of step."""
    kinds = {step.action: describe(step).words.symbol for step in plan.steps}
    if not kinds:
        return Html("")
    boxes = [
        el("label", el("input", type="checkbox", checked=True, value=kind), f"{symbol} {kind} ({_count(plan, kind)})")
        for kind, symbol in kinds.items()
    ]
    return filter_bar(boxes, "Filter the plan")


def _count(plan: Plan, kind: str) -> int:
    return sum(step.action == kind for step in plan.steps)


def findings(heading: str, diagnostics: list[Diagnostic], *, id_: str | None = None) -> Html:
    """A section of diagnostics; empty where there are none. ``id_`` is for links to it."""
    if not diagnostics:
        return Html("")
    items = []
    for d in diagnostics:
        place = " · ".join(part for part in (d.address, str(d.location) if d.location else None) if part)
        detail = el("p", d.detail.rstrip(), class_="text") if d.detail else Html("")
        code = f"[{d.code}]" if d.code else ""
        head = el("p", el("strong", f"{d.severity}{code}: "), d.summary)
        items.append(
            el("li", head, el("p", el("code", place)) if place else Html(""), detail, class_=f"box {d.severity}")
        )
    return el("section", el("h2", f"{heading} ({len(items)})"), el("ul", *items, class_="plain"), id=id_)


def _group(heading: str, projects: dict[str, list[Step]]) -> Html:
    steps = [step for each in projects.values() for step in each]
    head = el("h2", heading, el("span", f": {', '.join(counted(steps))}", class_="soft"))
    return el("section", head, *(_project(address, each) for address, each in projects.items()))


def _project(address: str, steps: list[Step]) -> Html:
    known = next((step.project_id for step in steps if step.project_id), None)
    project = el("span", " (", el("code", known), ")", class_="soft") if known else ""
    name = clean(address)
    return el(
        "article",
        el("h3", el("code", address), project, f" will be {steps_outcome(steps)}", id=f"project-{name}"),
        *map(_step, steps),
        class_="box",
        aria_labelledby=f"project-{name}",
        data_kinds=" ".join(dict.fromkeys(step.action for step in steps)),
        data_name=name,
    )


def _step(step: Step) -> Html:
    words = describe(step).words
    reason = f" {step.reason}" if step.reason else ""
    wait = wait_text(step)
    waits = el("span", f" {wait}", class_="soft") if wait else ""
    badge = el("span", f"{words.symbol} {step_title(step)}", class_=f"badge {words.color}")
    return el("div", el("p", badge, reason, waits), _details(step), class_="step")


def _details(step: Step) -> Html:
    fresh = describe(step).begins == "project"
    sent: Html | str = _message(step) if isinstance(step, Message) else ""
    if isinstance(step, Share):
        sent = _fields(step.body)
    return joined(sent, _changes(step.changes, fresh=fresh))


def _message(step: Message) -> Html:
    sent = dict(step.message.body)
    text = sent.pop("message", "")
    return joined(long_text("Message", _shown(masked(text)) + literally(text)), _fields(sent))


def _fields(sent: Mapping[str, Value]) -> Html:
    """The fields of a request."""
    items = [
        el("li", el("span", key, class_="field"), " = ", el("code", _shown(masked(value))), literally(value))
        for key, value in sent.items()
    ]
    return el("ul", *items, class_="plain") if items else Html("")


def _changes(changes: tuple[Change, ...], *, fresh: bool) -> Html:
    return el("ul", *(_change(change, fresh=fresh) for change in changes), class_="plain") if changes else Html("")


def _change(change: Change, *, fresh: bool) -> Html:
    name = el("span", change.path.removeprefix("settings."), class_="field")
    notes = [] if fresh else [before_note(change)]
    notes += ["drift: changed outside the reconciler"] if change.drift else []
    notes += [f"forces replacement: {change.forces}"] if change.forces else []
    notes += [] if change.sensitive else [literally(change.after).strip(" ()")]
    remarks = el("span", f" ({'; '.join(note for note in notes if note)})", class_="soft") if any(notes) else ""
    return el("li", name, remarks, ": ", _values(change, fresh=fresh))


def _values(change: Change, *, fresh: bool) -> Html:
    after = "null (cleared)" if change.after is None and not fresh else _shown(change.after)
    unknown = change.before is None and change.before_source == "none"
    if fresh or change.before is None:
        value = long_text(change.path, after) if "\n" in after or is_long(after) else el("code", after)
        return value if fresh or not unknown else joined(el("span", "not known → ", class_="soft"), value)
    if is_set(change.before) and is_set(change.after):
        return _items(change.before, change.after)
    before = _shown(change.before)
    if change.after is None:
        return joined(el("del", before), f" → {after}")
    if before == after:
        return joined(el("code", after), " (another secret)" if change.sensitive else "")
    runs = word_diff(before, after)
    cut = excerpt(runs)
    diff = el("div", *(_run(kind, part) for kind, part in cut), class_="text")
    if is_long(after) or cut != runs:
        return joined(diff, folded(f"Whole text ({plural(len(after), 'character')})", el("div", after, class_="text")))
    return diff


def _items(before: Json, after: Json) -> Html:
    """The names of a list that come, stay and go."""
    old, new = _names(before), _names(after)
    gone = [el("li", el("del", name)) for name in old if name not in new]
    return el("ul", *gone, *(el("li", name if name in old else el("ins", name)) for name in new))


def _names(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _run(kind: str, part: str) -> Html:
    return el("del", part) if kind == "gone" else el("ins", part) if kind == "new" else joined(part)


def is_long(value: str) -> bool:
    return len(value) > _LONG or value.rstrip("\n").count("\n") >= _LONG_LINES


def long_text(label: str, value: str) -> Html:
    """A text as written; a long one is folded under its first words."""
    block = el("div", value, class_="text")
    if not is_long(value):
        return block
    first = " ".join(value[: _FIRST * 2].split())[:_FIRST]
    name = el("span", f"{label.removeprefix('settings.')}: ", class_="sr")
    return folded(joined(name, f"{first}… ", el("span", f"({plural(len(value), 'character')})", class_="soft")), block)


def _shown(value: Json) -> str:
    value = shown(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
