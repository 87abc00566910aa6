"""What a plan and an apply come to: the lines that count, and the order in which reviewers want to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, assert_never

from reconciler.model.errors import Diagnostic
from reconciler.model.events import ApplyResult
from reconciler.model.plan import (
    COSTLY,
    Action,
    Adopt,
    Cancel,
    Create,
    Forget,
    Import,
    Message,
    Move,
    Plan,
    Release,
    Replace,
    Step,
    Update,
)
from reconciler.report.words import joined, plural

Phrases = Mapping[Action, tuple[str, str]]
TO_DO: Final[Phrases] = {
    "create": ("to create", ""),
    "adopt": ("to adopt", ""),
    "import": ("to import", ""),
    "update": ("to update", ""),
    "message": ("message to send", "messages to send"),
    "cancel": ("to cancel", ""),
    "replace": ("to replace", ""),
    "release": ("to release", ""),
    "forget": ("to forget", ""),
    "move": ("to move", ""),
}
DONE: Final[Phrases] = {
    "create": ("created", ""),
    "adopt": ("adopted", ""),
    "import": ("imported", ""),
    "update": ("updated", ""),
    "message": ("message sent", "messages sent"),
    "cancel": ("cancelled", ""),
    "replace": ("replaced", ""),
    "release": ("released", ""),
    "forget": ("forgotten", ""),
    "move": ("moved", ""),
}

Weight = Literal["costs", "parts", "changes", "binds"]
WEIGHTS: Final[dict[Weight, str]] = {
    "costs": "Spends credits",
    "parts": "Cancelled or let go",
    "changes": "Settings changed",
    "binds": "Taken over or moved",
}
"""What reviewers look at first, and what they call it."""

KEEPING: Final = "Lifecycles that the state learns"
"""What counts once a project fails, changes or leaves the specs."""
_FILES: Final = 5
"""How many files to upload are named."""
_DEAREST: Final[tuple[type[Step], ...]] = (Replace, Create, Message)


def weight(step: Step) -> Weight:
    """How much a step matters to whoever approves it."""
    match step:
        case Create() | Replace() | Message():
            return "costs"
        case Cancel() | Release() | Forget():
            return "parts"
        case Update():
            return "changes"
        case Adopt() | Import() | Move():
            return "binds"
        case _:
            assert_never(step)


def by_importance(plan: Plan) -> dict[Weight, dict[str, list[Step]]]:
    """Each address once, under its weightiest step; replacements before creates before messages, then as planned."""
    order = list(WEIGHTS)
    groups: dict[Weight, dict[str, list[Step]]] = {name: {} for name in order}
    for address, steps in plan.by_address().items():
        groups[min((weight(step) for step in steps), key=order.index)][address] = steps
    groups["costs"] = dict(sorted(groups["costs"].items(), key=lambda item: _price(item[1])))
    return groups


def _price(steps: list[Step]) -> int:
    return min(_DEAREST.index(type(step)) for step in steps if isinstance(step, COSTLY))


def counted(steps: Iterable[Step], phrases: Phrases = TO_DO) -> list[str]:
    """``1 to create``, ``2 messages to send``: in a fixed order, what is there."""
    actions = [step.action for step in steps]
    counts = [(actions.count(action), *phrase) for action, phrase in phrases.items()]
    return [plural(count, one, many or one) for count, one, many in counts if count]


def opening(plan: Plan) -> str:
    """What kind of plan it is, where it is not the usual one."""
    destroy = "Destroy: every managed project is taken as removed from the specs."
    refresh = "Refresh only: apply updates the state and nothing else."
    return " ".join(line for line, told in ((destroy, plan.destroy), (refresh, plan.refresh_only)) if told)


def spending(steps: Iterable[Step]) -> str:
    """What costs money; empty if nothing does."""
    costly = [step for step in steps if isinstance(step, COSTLY)]
    if not costly:
        return ""
    kinds = [(Create, "create"), (Replace, "replacement"), (Message, "message")]
    counts = [(sum(isinstance(step, kind) for step in costly), name) for kind, name in kinds]
    what = joined([plural(count, name) for count, name in counts if count])
    return f"{what} {'spends' if len(costly) == 1 else 'spend'} credits and can't be undone."


def uploading(plan: Plan, quote: Callable[[str], str]) -> str:
    """The files that are uploaded before they are referred to; empty if there are none."""
    names = [quote(upload.file) for upload in plan.uploads[:_FILES]]
    more = [f"{len(plan.uploads) - _FILES} more"] if len(plan.uploads) > _FILES else []
    return f"Uploads {joined([*names, *more])} first." if names else ""


def identity(plan: Plan, quote: Callable[[str], str]) -> str:
    """What a saved plan was made of, so that a reviewer sees where it belongs."""
    return (
        f"Made {quote(plan.created_at)} by reconciler {quote(plan.reconciler_version)} for {quote(plan.workspace)}: from "
        f"state {plan.serial} of {quote(plan.api_url)}, which has {plural(plan.managed, 'managed project')}."
    )


def forbidding(plan: Plan) -> str:
    """That the plan can't be applied; empty if it can."""
    return f"This plan has {plural(len(plan.errors), 'error')} and can't be applied." if plan.errors else ""


def count_line(plan: Plan) -> str:
    """``Plan: 3 to create, 5 unchanged.``: the line that counts."""
    attention = plan.summary["attention"]
    needs = f"{attention} {'needs' if attention == 1 else 'need'} attention" if attention else ""
    if plan.steps:
        rest = [f"{plan.unchanged} unchanged", *([needs] if needs else [])]
        return f"Plan: {', '.join([*counted(plan.steps), *rest])}."
    if plan.errors:
        return "No plan: mend the errors first."  # not "No changes": nobody knows
    if plan.refresh_only:
        return f"No steps: only the state would take note of what changed{f'; {needs}' if needs else ''}."
    if plan.destroy:
        return f"No changes. Nothing to destroy{f'; {needs}' if needs else ''}."
    match plan.unchanged:
        case 0 if needs:
            return f"No changes. {needs[0].upper()}{needs[1:]}."
        case 0:
            return "No changes. There are no projects."
        case 1:
            same = "1 project matches its spec"
        case count:
            same = f"{count} projects match their specs"
    return f"No changes. {same}{f'; {needs}' if needs else ''}."


def is_whole(result: ApplyResult) -> bool:
    """Whether nothing is left to do."""
    return not result.interrupted and set(result.counts) <= {"done"}


def apply_line(result: ApplyResult) -> str:
    """``Apply complete: 3 created. 0 deferred, 0 failed.``: the line that counts."""
    counts = result.counts
    done = counted((r.step for r in result.results if r.outcome == "done" and not r.already), DONE)
    already = sum(r.already for r in result.results)
    done += [f"{already} done before"] if already else []
    incomplete = "Apply interrupted" if result.interrupted else "Apply incomplete"
    rest = [f"{counts.get('deferred', 0)} deferred", f"{counts.get('failed', 0)} failed"]
    rest += [f"{counts[kind]} {kind}" for kind in ("skipped", "unknown") if counts.get(kind)]
    what = ", ".join(done) or ("no step done" if result.results else "nothing to do")
    return f"{'Apply complete' if is_whole(result) else incomplete}: {what}. {', '.join(rest)}."


def said(result: ApplyResult) -> tuple[Diagnostic, ...]:
    """The findings of the plan and of the apply, each once, without the errors that stand below their steps."""
    found = dict.fromkeys([*result.plan.diagnostics, *result.diagnostics])
    errors = [r.error for r in result.results]
    return tuple(diagnostic for diagnostic in found if diagnostic not in errors)
