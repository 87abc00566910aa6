"""JSON documents of ``--format json`` other than plans: results of applies, and failures before there is a plan."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec.structs import asdict

from reconciler.model.errors import Diagnostic
from reconciler.model.events import ApplyResult, StepResult
from reconciler.model.plan import FORMAT_VERSION
from reconciler.model.plan_json import encode_diagnostic, encode_outcome, encode_plan, encode_step
from reconciler.model.values import Json


def apply_document(result: ApplyResult) -> dict[str, Json]:
    """The plan's document with the outcome of every step; a step without a result was not tried: ``deferred``.

    ``state.serial`` is the state's after the apply, ``requests.used`` counts the apply's own calls.
    """
    plan = result.plan
    left: dict[str, deque[StepResult]] = {}
    for item in result.results:
        left.setdefault(item.step.address, deque()).append(item)
    steps: list[dict[str, Json]] = []
    for step in plan.steps:
        queue = left.get(step.address)
        ended = queue.popleft() if queue else StepResult(step=step, outcome="deferred")
        steps.append({**encode_step(step), **encode_outcome(ended), "project_id": ended.project_id or step.project_id})
    more = [d for d in result.diagnostics if d not in plan.diagnostics]
    return {
        **encode_plan(plan),
        "state": {"lineage": plan.lineage, "serial": result.serial},
        "requests": {"used": result.requests, "apply_at_least": plan.requests_needed},
        "steps": steps,
        **({"claim": asdict(result.claim)} if result.claim is not None else {}),
        "diagnostics": [encode_diagnostic(d) for d in (*plan.diagnostics, *more)],
        "converged": result.converged,
        "interrupted": result.interrupted,
    }


def error_document(diagnostics: Iterable[Diagnostic]) -> dict[str, Json]:
    """The document of a command that failed before there was a plan."""
    return {"format_version": FORMAT_VERSION, "diagnostics": [encode_diagnostic(d) for d in diagnostics]}
