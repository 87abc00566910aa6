"""Events as JSON objects, one for each line of ``apply --events FILE``.

Every object has ``at`` (ISO 8601, UTC) and ``event``, which says what else it has:

``apply_started``   steps, addresses (how many)
``step_started``    address, action, project_id
``step_waiting``    address, action, project_id, waits_for, seconds (until the next check)
``status_changed``  address, project_id, status
``uploading``       address, file, done, total (bytes)
``step_ended``      address, action, project_id, outcome, note, error (a diagnostic, or null)
``recovered``       address, kind (of the call), result (done, not_done, unknown), note
``noted``           diagnostic
``apply_ended``     converged, interrupted, counts (by outcome), requests, serial (the state's)

Actions, outcomes and diagnostics are those of ``--format json``. ``apply_ended`` is the last line of an apply that was
not killed. Fields may be added; these stay.
"""

from __future__ import annotations

from typing import assert_never

from reconciler.model.events import (
    ApplyResult,
    ApplyStarted,
    Event,
    Noted,
    Recovered,
    StatusChanged,
    StepEnded,
    StepStarted,
    StepWaiting,
    Uploading,
)
from reconciler.model.plan import Step
from reconciler.model.plan_json import encode_diagnostic
from reconciler.model.values import Json


def event_document(event: Event, *, at: str) -> dict[str, Json]:
    """The object of an event; ``at`` is its time."""
    match event:
        case ApplyStarted():
            return {"at": at, "event": "apply_started", "steps": event.steps, "addresses": event.addresses}
        case StepStarted():
            return {"at": at, "event": "step_started", **_step(event.step)}
        case StepWaiting():
            wait: dict[str, Json] = {"waits_for": event.waits_for, "seconds": event.seconds}
            return {"at": at, "event": "step_waiting", **_step(event.step), **wait}
        case StatusChanged():
            project = {"address": event.address, "project_id": event.project_id, "status": event.status}
            return {"at": at, "event": "status_changed", **project}
        case Uploading():
            part: dict[str, Json] = {"file": event.file, "done": event.done, "total": event.total}
            return {"at": at, "event": "uploading", "address": event.address, **part}
        case StepEnded():
            error = None if event.error is None else encode_diagnostic(event.error)
            end = {"outcome": event.outcome, "note": event.note, "error": error}
            named = {"project_id": event.project_id or event.step.project_id}
            return {"at": at, "event": "step_ended", **_step(event.step), **named, **end}
        case Recovered():
            call = {"address": event.address, "kind": event.kind, "result": event.result, "note": event.note}
            return {"at": at, "event": "recovered", **call}
        case Noted():
            return {"at": at, "event": "noted", "diagnostic": encode_diagnostic(event.diagnostic)}
        case _:
            assert_never(event)


def end_document(result: ApplyResult, *, at: str) -> dict[str, Json]:
    """The object that ends the file."""
    return {
        "at": at,
        "event": "apply_ended",
        "converged": result.converged,
        "interrupted": result.interrupted,
        "counts": dict[str, Json](result.counts.items()),
        "requests": result.requests,
        "serial": result.serial,
    }


def _step(step: Step) -> dict[str, Json]:
    return {"address": step.address, "action": step.action, "project_id": step.project_id}
