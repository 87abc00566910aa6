"""What a plan and an apply come to: the lines that count, and the order in which reviewers want to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from reconciler.model.errors import Diagnostic
from reconciler.model.events import ApplyResult
from reconciler.model.plan import Plan, Step, describe
from reconciler.model.step_kinds import KINDS, StepKind, Weight
from reconciler.report.words import joined, plural

WEIGHTS: Final[dict[Weight, str]] = {
    "costs": "Spends credits",
    "ends": "Cancelled or let go",
    "changes": "Settings changed",
    "binds": "Taken over or moved",
}
"""The groups of a plan's steps, in the order in which reviewers read them, with their headings."""

KEEPING: Final = "Lifecycles that the state learns"
"""What counts once a project fails, changes or leaves the specs."""
_FILES: Final = 5
"""How many files to upload are named."""


def by_importance(plan: Plan) -> dict[Weight, dict[str, list[Step]]]:
    """Each address once, in the group of its weightiest step; the dearest first, then in the plan's order."""
    order = list(WEIGHTS)
    groups: dict[Weight, dict[str, list[Step]]] = {weight: {} for weight in order}
    for address, steps in plan.by_address().items():
        groups[min((describe(step).weight for step in steps), key=order.index)][address] = steps
    groups["costs"] = dict(sorted(groups["costs"].items(), key=lambda item: -max(describe(s).cost for s in item[1])))
    return groups


def counted(steps: Iterable[Step]) -> list[str]:
    """``1 to create``, ``2 messages to send``: the kinds that there are, in a fixed order."""
    return [f"{kind.words.subjects(count)} to {kind.words.verb}" for kind, count in _kinds(steps)]


def counted_done(steps: Iterable[Step]) -> list[str]:
    """``1 created``, ``2 messages sent``: the same of steps that are done."""
    return [f"{kind.words.subjects(count)} {kind.words.done}" for kind, count in _kinds(steps)]


def _kinds(steps: Iterable[Step]) -> list[tuple[StepKind, int]]:
    counts = Counter(step.action for step in steps)
    return [(kind, counts[action]) for action, kind in KINDS.items() if counts[action]]


def opening(plan: Plan) -> str:
    """What kind of plan it is, where it is not the usual one."""
    destroy = "Destroy: every managed project is taken as removed from the specs."
    refresh = "Refresh only: apply updates the state and nothing else."
    return " ".join(line for line, told in ((destroy, plan.destroy), (refresh, plan.refresh_only)) if told)


def spending(steps: Iterable[Step]) -> str:
    """What costs money; empty if nothing does."""
    costly = [(kind.words, count) for kind, count in _kinds(steps) if kind.spends_credits]
    projects_first = sorted(costly, key=lambda item: item[0].repeats)
    what = joined([words.steps(count) for words, count in projects_first])
    one = sum(count for _, count in costly) == 1
    return f"{what} {'spends' if one else 'spend'} credits and can't be undone." if costly else ""


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
    done = counted_done(r.step for r in result.results if r.outcome == "done" and not r.already)
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
