"""JSON documents of ``--format json`` other than plans: results of applies, and failures before there is a plan."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from reconciler.model.errors import Diagnostic
from reconciler.model.events import ApplyResult, StepResult
from reconciler.model.plan import FORMAT_VERSION
from reconciler.model.plan_json import encode_diagnostic, encode_outcome, encode_plan
from reconciler.model.values import Json


def apply_document(result: ApplyResult) -> dict[str, Json]:
    """The plan's document with the outcome of every step; a step without a result was not tried: ``deferred``.

    ``state.serial`` is the state's after the apply, ``requests.used`` counts the apply's own calls.
    """
    document = encode_plan(result.plan)
    left: dict[str, deque[StepResult]] = {}
    for item in result.results:
        left.setdefault(item.step.address, deque()).append(item)
    for step, encoded in zip(result.plan.steps, document["steps"], strict=True):
        queue = left.get(step.address)
        ended = queue.popleft() if queue else StepResult(step=step, outcome="deferred")
        encoded.update(encode_outcome(ended))
        encoded["project_id"] = ended.project_id or step.project_id
    document["state"]["serial"] = result.serial
    document["requests"]["used"] = result.requests
    document["converged"] = result.converged
    document["interrupted"] = result.interrupted
    document["diagnostics"] += [encode_diagnostic(d) for d in result.diagnostics if d not in result.plan.diagnostics]
    return document


def error_document(diagnostics: Iterable[Diagnostic]) -> dict[str, Json]:
    """The document of a command that failed before there was a plan."""
    return {"format_version": FORMAT_VERSION, "diagnostics": [encode_diagnostic(d) for d in diagnostics]}
