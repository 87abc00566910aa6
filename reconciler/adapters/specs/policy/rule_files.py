"""Files of rules: each rule is a line ``// deny NAME: MESSAGE`` and, below it, a CEL expression that must hold.

::

    // deny budget: a plan costs at most 5,000 credits
    plan.cost <= 5000

    // approve(finance) large: ten projects at once
    plan.summary.create <= 10

    // warn titled: a project has a title
    step.action != "create" || has(step.body.title)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, get_args

from reconciler.adapters.specs.validation.codes import Code, error
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.policy import Effect, Rule

NAME: Final = r"[a-z0-9][a-z0-9_-]{0,62}"
GROUP: Final = r"[A-Za-z0-9][A-Za-z0-9._/@-]{0,99}"
_MESSAGE_MAX: Final = 300
_EFFECTS: Final = "|".join(get_args(Effect))
_BEGINS: Final = re.compile(rf"\s*//\s*(?P<effect>{_EFFECTS})\b")
_HEAD: Final = re.compile(
    rf"\s*//\s*(?P<effect>{_EFFECTS})(?:\((?P<group>{GROUP})\))?\s+(?P<name>{NAME})\s*:\s+(?P<message>\S.*?)\s*"
)
_FORM: Final = (
    "A rule begins with `// deny NAME: MESSAGE`, `// warn NAME: MESSAGE` or `// approve(GROUP) NAME: MESSAGE`"
)


def parse_rules(text: str, file: str) -> tuple[list[Rule], list[Diagnostic]]:
    """The rules of a file, not compiled yet, and what is wrong with the form of the file.

    The place of a rule is that of its first line; its expression begins on the next one.
    """
    rules: list[Rule] = []
    found: list[Diagnostic] = []
    for start, head, lines in _parts(text):
        at = Location(file, start, 1)
        if not _has_expression(lines):
            found += [
                _wrong(f"the rule {head.strip()!r} has no expression", "write below it what must hold", at)
            ] * bool(head)
        elif not head:
            first = next(number for number, line in enumerate(lines, start) if _has_expression([line]))
            found.append(_wrong("an expression before the first rule", _FORM, Location(file, first, 1)))
        elif problem := _head_problem(head):
            found.append(_wrong(*problem, at))
        elif match := _HEAD.fullmatch(head):
            rules.append(
                Rule(
                    name=match["name"],
                    effect=match["effect"],  # type: ignore[arg-type]  # one of them, as the pattern says
                    group=match["group"],
                    message=match["message"],
                    expression="\n".join(lines),
                    location=at,
                )
            )
    return rules, found


def _parts(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """For each rule its line, its first line, and the lines below that; first what stands before all rules."""
    start, head, lines = 1, "", list[str]()
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if _BEGINS.match(line):
            yield start, head, lines
            start, head, lines = number, line, []
        else:
            lines.append(line)
    yield start, head, lines


def _has_expression(lines: list[str]) -> bool:
    return any(line.strip() and not line.strip().startswith("//") for line in lines)


def _head_problem(head: str) -> tuple[str, str] | None:
    match = _HEAD.fullmatch(head)
    if match is None:
        return f"{head.strip()[:100]!r} is not the first line of a rule", _FORM
    if (match["group"] is not None) != (match["effect"] == "approve"):
        what = "needs a group" if match["group"] is None else "has a group, which only `approve` has"
        return f"the rule `{match['name']}` {what}", _FORM
    if len(match["message"]) > _MESSAGE_MAX or not match["message"].isprintable():
        return f"the message of the rule `{match['name']}` is not a line of at most {_MESSAGE_MAX} characters", ""
    return None


def _wrong(summary: str, detail: str, at: Location) -> Diagnostic:
    return error(Code.POLICY_RULE, summary, detail, location=at)
