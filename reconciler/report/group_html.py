"""Projects of one ``for_each`` as one card of a page: what is common, and a table of what differs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from reconciler.model.plan import Step, describe, sent_body
from reconciler.model.values import masked_fields
from reconciler.report.groups import Group
from reconciler.report.page import Html, anchor, el, folded
from reconciler.report.safe_text import clean
from reconciler.report.step_html import long_value, step_html, value_text
from reconciler.report.words import plural, steps_outcome

_ROWS: Final = 30
"""Longer tables are folded."""
_TEXT: Final = re.compile(r">[^<]+(?=<)")
_PLACEHOLDER: Final = re.compile(r"‹\d+›")


def group_html(group: Group) -> Html:
    """The card. The id of each row is the address of its project."""
    name = clean(group.address)
    known = next((step.project_id for step in group.steps if step.project_id), None)
    title = el(
        "h3",
        el("code", group.address),
        el("span", f" {plural(len(group.addresses), 'project')}", class_="soft"),
        f" will each be {steps_outcome(group.steps)}",
        id=f"_{name}",
    )
    told = el("div", el("p", "Project ", el("code", known)) if known else "", *map(step_html, group.steps))
    return el(
        "article",
        title,
        _marked(told),
        _members(group),
        class_="box",
        aria_labelledby=f"_{name}",
        data_kinds=" ".join(dict.fromkeys(step.action for step in group.steps)),
        data_name=name,
    )


def _marked(html: Html) -> Html:
    """The same with its placeholders made visible: only in texts, not in attributes."""
    return Html(_TEXT.sub(lambda text: _PLACEHOLDER.sub(_slot, text[0]), html))


def _slot(found: re.Match[str]) -> str:
    return el("span", found[0], class_="slot")


def _members(group: Group) -> Html:
    """The projects: a table of what differs, or, where their addresses tell it all, a list."""
    if not group.columns:
        return el("ul", *(el("li", _link(a), id=a, data_name=a) for a in group.addresses), class_="keys")
    columns = [
        el("th", el("span", column, class_="slot"), " ", _meaning(column, group.steps), scope="col")
        for column in group.columns
    ]
    rows = [
        el(
            "tr",
            el("th", _link(address), scope="row"),
            *(el("td", long_value("Text", text)) for text in texts),
            id=address,
            data_name=address,
        )
        for address, texts in zip(group.addresses, group.rows, strict=True)
    ]
    head = el("thead", el("tr", el("th", "Project", scope="col"), *columns))
    table = el("div", el("table", head, el("tbody", *rows)), class_="scroll", tabindex="0")
    if len(rows) <= _ROWS:
        return table
    return folded(f"{len(rows)} projects: {', '.join(map(_key, group.addresses[:4]))}, …", table, class_="rows")


def _link(address: str) -> Html:
    return el("a", el("code", _key(address)), href=anchor(address))


def _key(address: str) -> str:
    """What tells a project of a ``for_each`` from the others."""
    return address.partition("[")[2].removesuffix("]")


def _meaning(column: str, steps: Iterable[Step]) -> str:
    """The fields that a placeholder stands in."""
    return ", ".join(dict.fromkeys(name for step in steps for name, text in _texts(step) if column in text))


def _texts(step: Step) -> Iterable[tuple[str, str]]:
    """All that is told about a step, with the names of its fields."""
    yield "project", step.project_id or ""
    yield "reason", step.reason
    yield "waits for", f"{step.waits_for} {step.after}"
    for change in step.changes:
        yield change.path.removeprefix("settings."), f"{value_text(change.before)} {value_text(change.after)}"
    if describe(step).begins != "project":
        yield from ((name, value_text(value)) for name, value in masked_fields(sent_body(step)).items())
