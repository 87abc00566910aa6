"""What a run found that people want to hear of: see :mod:`reconciler.model.facts`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.failures import TOO_FEW_CREDITS
from reconciler.model import contract
from reconciler.model.errors import CreditsError, Diagnostic, ReconcilerError
from reconciler.model.events import ApplyResult
from reconciler.model.facts import Fact, FactKind, Facts
from reconciler.model.plan import Plan, Replace, Update, describe
from reconciler.model.state import Entry, State
from reconciler.operations.apply.workflow import PlanRefusedError
from reconciler.planning.findings import drifted_path, tells_failure

ASKED_MAX: Final = 20
"""Projects whose agent's question is read in one run: each takes a request."""
ASKED_SECONDS: Final = 10.0
_TOLD: Final = 5
"""Errors that a failed apply tells."""


def of_plan(
    plan: Plan, refused: Iterable[Diagnostic], entries: Mapping[str, Entry], *, whole: bool, min_credits: int | None
) -> Facts:
    """The facts of a plan. ``entries``: what the state had; ``whole``: the plan is about all projects."""
    found = [*_drift(plan, entries), *_failed_in(plan, entries), *_credits(plan, min_credits)]
    settled: set[FactKind] = {"drift", "project_failed"} if whole and not plan.errors and not [*refused] else set()
    if plan.credit_balance is not None:
        settled.add("credits")
    return Facts(found=tuple(found), settled=frozenset(settled))


def of_apply(
    result: ApplyResult,
    before: Mapping[str, Entry],
    after: State,
    *,
    line: str,
    failed: Iterable[Diagnostic],
    whole: bool,
    min_credits: int | None,
) -> Facts:
    """The facts of an apply that ended, but for the agents that wait. ``line`` says how it ended; ``failed``: why it did
    not succeed, if it did not; ``before``: the entries when it began; ``whole``: it was about all projects.
    """
    planned = of_plan(result.plan, (), before, whole=whole, min_credits=min_credits)
    found = {fact.key: fact for fact in (*planned.found, *_failed_entries(after.projects))}
    settled = set(planned.settled)
    ran_out = [r for r in result.results if r.error and TOO_FEW_CREDITS in r.error.summary]
    if ran_out:
        found["credits"] = _credits_fact("The account ran out of credits.", ran_out[0].error)
    elif any(r.outcome == "done" and not r.already and describe(r.step).spends_credits for r in result.results):
        settled.add("credits")
    ended = _ended(result, after, line, tuple(failed))
    if ended is not None:
        found[ended.key] = ended
    if ended is None or ended.kind == "applied":
        settled.add("apply_failed")
    if whole and not result.interrupted:
        settled |= {"waits", "project_failed"}
    return Facts(found=tuple(found.values()), settled=frozenset(settled))


def of_error(error: ReconcilerError, what: str = "Apply", *, min_credits: int | None = None) -> Facts:
    """The facts of an apply that an error ended, or of what else was begun."""
    found = [_apply_failed(f"{what} failed: " + error.diagnostics[0].summary, error.diagnostics)]
    if isinstance(error, CreditsError):
        found.append(_credits_fact("The account ran out of credits.", error.diagnostics[0]))
    elif isinstance(error, PlanRefusedError):
        found += _credits(error.plan, min_credits)
    return Facts(found=tuple(found))


def waiting(result: ApplyResult, entries: Mapping[str, Entry]) -> list[Fact]:
    """Agents that may wait for feedback: collaborative, idle, and nothing of the specs is left to be sent to them. Their
    questions are read by :func:`with_questions`.
    """
    busy = {r.step.address for r in result.results if r.outcome != "done"}
    return [
        Fact(
            kind="waits",
            key=f"waits:{entry.project_id}:{len(entry.messages)}",
            summary="The agent waits for feedback.",
            address=address,
            project_id=entry.project_id,
            url=entry.outputs.project_url,
        )
        for address, entry in sorted(entries.items())
        if address not in busy and entry.outputs.status == contract.Status.IDLE and _mode(entry) == "collaborative"
    ]


async def with_questions(api: ApiClient, facts: Iterable[Fact], redact: Callable[[str], str]) -> list[Fact]:
    """These facts with what the agents ask, of those that ask something. Whatever can't be read in time is left out: it is
    found again by the next run.
    """
    asked: list[Fact] = []
    try:
        async with asyncio.timeout(ASKED_SECONDS):
            for fact in [*facts][:ASKED_MAX]:
                live = await api.project(fact.project_id or "")
                if live.status == contract.Status.IDLE and live.agent_message:
                    asked.append(replace(fact, detail=redact(live.agent_message), url=live.project_url or fact.url))
    except (TimeoutError, ReconcilerError):
        pass
    return asked


def _mode(entry: Entry) -> object:
    known = entry.settings.get("mode")
    return (
        contract.current().mode_when_adopted if known is None and entry.origin == "adopted" else known and known.value
    )


def _ended(result: ApplyResult, after: State, line: str, failed: tuple[Diagnostic, ...]) -> Fact | None:
    if failed:
        return _apply_failed(line, failed)
    if result.interrupted or not any(r.outcome == "done" and not r.already for r in result.results):
        return None
    return Fact(kind="applied", key=f"applied:{after.lineage}:{after.serial}", summary=line)


def _apply_failed(summary: str, failed: tuple[Diagnostic, ...]) -> Fact:
    told = [f"{f'{d.address}: ' if d.address else ''}{d.summary}" for d in failed]
    more = [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
    same = sha256("\n".join(sorted(told)).encode()).hexdigest()
    return Fact(kind="apply_failed", key=f"apply_failed:{same}", summary=summary, detail="\n".join(told[:_TOLD] + more))


def _drift(plan: Plan, entries: Mapping[str, Entry]) -> Iterator[Fact]:
    """Settings that differ from what was set: somebody changed them since."""
    for step in plan.steps:
        entry = entries.get(step.address)
        if not isinstance(step, Update) or entry is None:
            continue
        for change in step.changes:
            if change.drift:
                yield _drifted(step.address, entry, change.path)
    for finding in plan.diagnostics:
        entry = entries.get(finding.address or "")
        if finding.kind == "drift" and entry is not None:
            yield _drifted(finding.address or "", entry, drifted_path(finding))


def _drifted(address: str, entry: Entry, path: str) -> Fact:
    return Fact(
        kind="drift",
        key=f"drift:{entry.project_id}:{path}",
        summary=f"{path} was changed outside.",
        address=address,
        project_id=entry.project_id,
        url=entry.outputs.project_url,
    )


def _failed_in(plan: Plan, entries: Mapping[str, Entry]) -> Iterator[Fact]:
    for finding in plan.diagnostics:
        if tells_failure(finding) and (entry := entries.get(finding.address or "")):
            yield _project_failed(finding.address or "", entry, finding.summary.partition(": ")[2])
    for step in plan.steps:
        basis, entry = plan.basis.get(step.address), entries.get(step.address)
        if isinstance(step, Replace) and entry and basis is not None and basis.status == "failed":
            yield _project_failed(step.address, entry, entry.outputs.error_message or "")


def _failed_entries(entries: Mapping[str, Entry]) -> Iterator[Fact]:
    for address, entry in sorted(entries.items()):
        if entry.outputs.status == contract.Status.FAILED:
            yield _project_failed(address, entry, entry.outputs.error_message or "")


def _project_failed(address: str, entry: Entry, why: str) -> Fact:
    return Fact(
        kind="project_failed",
        key=f"project_failed:{entry.project_id}",
        summary="The project failed.",
        detail=why,
        address=address,
        project_id=entry.project_id,
        url=entry.outputs.project_url,
    )


def _credits(plan: Plan, min_credits: int | None) -> Iterator[Fact]:
    balance = plan.credit_balance
    if balance is None:
        return
    if min_credits is not None and balance < min_credits:
        yield _credits_fact(f"The account has {balance:,} credits, fewer than `policy.min_credits` ({min_credits:,}).")
    elif plan.lost is None and balance < plan.credits_needed:
        yield _credits_fact(
            f"The account has {balance:,} credits, and the plan needs at least {plan.credits_needed:,}."
        )


def _credits_fact(summary: str, why: Diagnostic | None = None) -> Fact:
    return Fact(kind="credits", key="credits", summary=summary, detail=why.detail if why else "")
