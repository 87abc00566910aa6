"""Summaries of plans and applies: the lines that count steps, and the order in which reviewers read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from reconciler.model.claim import PlanClaim, behind
from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Plan, Replace, Step, describe, least_credits
from reconciler.model.policy import Verdict
from reconciler.model.step_kinds import KINDS, StepKind, Weight
from reconciler.report.safe_text import clean
from reconciler.report.words import joined, plural

if TYPE_CHECKING:
    from reconciler.model.events import ApplyResult

WEIGHTS: Final[dict[Weight, str]] = {
    "costs": "Spends credits",
    "ends": "Cancelled or let go",
    "changes": "Settings changed",
    "delivers": "Rendered and shared",
    "binds": "Taken over or moved",
}
"""The groups of a plan's steps, in the order in which reviewers read them, with their headings."""

LIFECYCLES: Final = "Lifecycle changes to save"
"""The heading of the lifecycles that apply writes to the state."""
CONTINUE: Final = "To continue, run the same command again: completed steps are not repeated."
STALE: Final = "To continue, make a new plan: what is stale stays so. Completed steps are not repeated."
DECIDE: Final = "To continue, decide what is unknown: `reconciler plan` says how. Completed steps are not repeated."
_NAMED: Final = 3
"""How many addresses a line lists."""
_FILES: Final = 5
"""How many of the files to upload are listed by name."""


def by_importance(plan: Plan) -> dict[Weight, dict[str, list[Step]]]:
    """Each address once, in the first group that one of its steps belongs to; the most expensive come first, then the
    plan's order.
    """
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


def mode_line(plan: Plan) -> str:
    """The special mode of the plan; empty for a normal one."""
    destroy = "Destroy: every managed project is treated as removed from the specs."
    refresh = "Refresh only: apply updates the state and nothing else."
    return " ".join(line for line, applies in ((destroy, plan.destroy), (refresh, plan.refresh_only)) if applies)


def cost_line(plan: Plan) -> str:
    """What spends credits, at most where the state may be lost, and how many are left and needed if that is known; empty
    if nothing does.
    """
    costly = [(kind.words, n) for kind, n in _kinds(s for s in plan.steps if describe(s).spends_credits)]
    if not costly:
        return ""
    projects_first = sorted(costly, key=lambda item: item[0].repeats)
    what = joined([words.steps(count) for words, count in projects_first])
    one = sum(count for _, count in costly) == 1
    left = ""
    if plan.credit_balance is not None:
        left = f" The balance is {plan.credit_balance:,} credits."
        if not plan.lost:  # what is there already needs nothing
            left += f" This plan needs at least {plan.credits_needed:,}."
    if plan.lost:
        return (
            f"At most {what} spend credits, and less if the account has some of it already. It can't be undone.{left}"
        )
    return f"{what} {'spends' if one else 'spend'} credits and can't be undone.{left}"


def replacement_line(step: Step) -> str:
    """What else there is to do about a change that replaces a project; empty for every other step."""
    if not isinstance(step, Replace) or not any(change.forces for change in step.changes):
        return ""
    return (
        "This spends credits again. To direct the agent of the old project instead, undo the change and append a message. "
        "`lifecycle.on_immutable_change: ignore` keeps the old project, `error` refuses such changes."
    )


def approval_line(plan: Plan) -> str:
    """What apply will do, before it asks: ``This will create 3 projects, send 2 messages and cancel 1. …``."""
    parts: list[str] = []
    named = False
    for kind, count in _kinds(plan.steps):
        what = kind.words.subjects(count)
        if not kind.words.repeats and not named:
            what, named = plural(count, "project"), True
        parts.append(f"{kind.words.verb} {what}")
    costly = [step for step in plan.steps if describe(step).spends_credits]
    least = f"at least {least_credits(costly):,} credits" if not plan.lost else "credits"
    cost = f" It spends {least}, and that can't be undone." if costly else " It spends no credits."
    calls = f" It makes at least {plural(plan.requests_needed, 'request')}." if plan.requests_needed else ""
    return f"This will {joined(parts)}.{cost}{calls}"


def upload_line(plan: Plan, quote: Callable[[str], str]) -> str:
    """The files that apply uploads before the steps that use them; empty if there are none."""
    names = [quote(upload.file) for upload in plan.uploads[:_FILES]]
    more = [f"{len(plan.uploads) - _FILES} more"] if len(plan.uploads) > _FILES else []
    return f"Uploads {joined([*names, *more])} first." if names else ""


def download_line(plan: Plan, quote: Callable[[str], str]) -> str:
    """The videos that apply downloads once their steps are done; empty if there are none."""
    if not plan.downloads:
        return ""
    names = [quote(address) for address in list(plan.downloads)[:_FILES]]
    more = [f"{len(plan.downloads) - _FILES} more"] if len(plan.downloads) > _FILES else []
    folders = [quote(folder) for folder in sorted(set(plan.downloads.values()))]
    more_folders = [f"{len(folders) - _FILES} more"] if len(folders) > _FILES else []
    into = joined([*folders[:_FILES], *more_folders])
    return f"Downloads the video of {joined([*names, *more])} into {into}, unless it is there."


def origin_line(plan: Plan, quote: Callable[[str], str]) -> str:
    """When, by which version and from what the plan was made: what tells a reviewer where a saved plan belongs."""
    return (
        f"Created {quote(plan.created_at)} by reconciler {quote(plan.reconciler_version)} for {quote(plan.workspace)} from "
        f"state {plan.serial} of {quote(plan.api_url)}, which has {plural(plan.managed, 'managed project')}."
    )


def policy_line(plan: Plan) -> str:
    """What a policy says in short, with the costs by its prices; empty if none was given."""
    if plan.policy is None:
        return ""
    report = plan.policy
    counts = Counter(finding.verdict for finding in report.findings)
    words: dict[Verdict, tuple[str, str]] = {
        "denied": ("denies this plan", "deny this plan"),
        "waits": ("needs an approval", "need an approval"),
        "approved": ("is approved", "are approved"),
        "waived": ("is waived", "are waived"),
        "warned": ("warns", "warn"),
    }
    said = [
        f"{counts[verdict]} {one if counts[verdict] == 1 else many}"
        for verdict, (one, many) in words.items()
        if counts[verdict]
    ]
    cost = f"The plan costs {report.cost:,} credits by its prices."
    return f"Policy: {plural(report.rules, 'rule')}, {joined(said) if said else 'and all of them hold'}. {cost}"


def claim_line(claim: PlanClaim | None, quote: Callable[[str], str] = clean) -> str:
    """That the plan's own pull request has claimed the workspace; empty if it has not."""
    if claim is None or not claim.mine:
        return ""
    return f"Claimed by this pull request, {quote(claim.pull_request)}, since {quote(claim.since)}."


def behind_finding(plan: Plan) -> Diagnostic | None:
    """That another pull request has claimed the workspace, which comes before everything else; ``None`` if none has."""
    return None if plan.claim is None or plan.claim.mine else behind(plan.claim, plan.environment)


def error_line(plan: Plan) -> str:
    """That errors keep the plan from being applied; empty if there are none."""
    return f"This plan has {plural(len(plan.errors), 'error')} and can't be applied." if plan.errors else ""


def count_line(plan: Plan) -> str:
    """The line that ends a plan: ``Plan: 3 to create, 5 unchanged.``."""
    attention = plan.summary["attention"]
    needs = f"{attention} {'needs' if attention == 1 else 'need'} attention" if attention else ""
    if plan.steps:
        rest = [f"{plan.unchanged} unchanged", *([needs] if needs else [])]
        return f"Plan: {'at most ' if plan.lost else ''}{', '.join([*counted(plan.steps), *rest])}."
    if plan.errors:
        return "No plan: fix the errors first."  # not "No changes": that is not known
    if plan.refresh_only:
        return f"No steps: apply only records in the state what changed{f'; {needs}' if needs else ''}."
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


def is_whole(result: ApplyResult, lost_downloads: int = 0) -> bool:
    """Whether every step is done, none waits for a decision, and no download failed after them."""
    return not (result.interrupted or result.undecided or lost_downloads) and set(result.counts) <= {"done"}


def working_line(result: ApplyResult) -> str:
    """Whose agents are still at work, and how to follow them; the apply has agents that are."""
    verb = "agent is" if len(result.working) == 1 else "agents are"
    return (
        f"{len(result.working)} {verb} still at work: {named(result.working)}. Follow with `reconciler status --watch`, "
        "or wait with `reconciler apply --wait idle`."
    )


def named(addresses: Iterable[str]) -> str:
    """The first few different addresses, and how many more there are."""
    different = list(dict.fromkeys(addresses))
    more = [f"{len(different) - _NAMED} more"] if len(different) > _NAMED else []
    return joined([*(f"`{clean(address)}`" for address in different[:_NAMED]), *more])


def continue_line(result: ApplyResult) -> str:
    """How to do what is left: a plan that is stale needs a new one, and what is undecided a decision."""
    if result.undecided and not result.interrupted and not result.counts["deferred"] + result.counts["failed"]:
        return DECIDE
    return STALE if any(r.error is not None and r.error.kind == "stale" for r in result.results) else CONTINUE


def apply_line(result: ApplyResult, lost_downloads: int = 0) -> str:
    """The line that ends an apply: ``Apply complete: 3 created. 0 deferred, 0 failed.``. With ``lost_downloads``, also how
    many downloads failed.
    """
    counts = result.counts
    done = counted_done(r.step for r in result.results if r.outcome == "done" and not r.already)
    already = sum(r.already for r in result.results)
    done += [f"{already} already done"] if already else []
    incomplete = "Apply interrupted" if result.interrupted else "Apply incomplete"
    rest = [f"{counts.get('deferred', 0)} deferred", f"{counts.get('failed', 0)} failed"]
    decisions = len(result.undecided)
    unknown = sum(r.outcome == "unknown" and (r.error is None or r.error.kind != "undecided") for r in result.results)
    rest += [f"{count} {kind}" for kind, count in (("skipped", counts["skipped"]), ("unknown", unknown)) if count]
    rest += [f"{decisions} {'needs' if decisions == 1 else 'need'} a decision"] if decisions else []
    rest += [f"{plural(lost_downloads, 'download')} failed"] if lost_downloads else []
    what = ", ".join(done) or ("no step done" if result.results else "nothing to do")
    return f"{'Apply complete' if is_whole(result, lost_downloads) else incomplete}: {what}. {', '.join(rest)}."


def other_findings(result: ApplyResult) -> tuple[Diagnostic, ...]:
    """The findings of the plan and of the apply, each once, except the errors that are shown with their steps."""
    found = dict.fromkeys([*result.plan.with_policy_findings().diagnostics, *result.diagnostics])
    errors = [r.error for r in result.results]
    return tuple(diagnostic for diagnostic in found if diagnostic not in errors)
