"""Events as plain lines: progress for CI logs and for stderr without a terminal."""

from __future__ import annotations

from typing import Final, assert_never

from reconciler.model.events import (
    ApplyStarted,
    Event,
    Noted,
    Recovered,
    StatusChanged,
    StepEnded,
    StepResult,
    StepStarted,
    StepWaiting,
    Uploading,
)
from reconciler.model.plan import describe
from reconciler.report.safe_text import clean
from reconciler.report.style import Color, Style
from reconciler.report.words import duration, reason_text, step_doing, step_done, step_name

_RECOVERED: Final = {
    "done": "had been done",
    "not_done": "had not been done",
    "unknown": "still has an unknown outcome",
}
_SEVERITIES: Final[dict[str, Color]] = {"error": "red", "warning": "yellow", "note": "cyan"}


def event_line(event: Event, *, style: Style) -> str | None:  # noqa: PLR0911  one for each kind of event
    """One line; ``None`` for an event that the next one repeats, such as the start of a step without a call."""
    match event:
        case ApplyStarted():
            return None
        case StepStarted(step=step):
            return f"{clean(step.address)}: {step_doing(step)} …" if describe(step).calls else None
        case StepWaiting(step=step):
            line = f"{clean(step.address)}: {step_name(step)} waits for {clean(event.waits_for)}"
            when = f" (next check in {duration(event.seconds)})" if event.seconds >= 1 else ""
            return style.paint(f"{line}{when}", "dim")
        case StatusChanged():
            return f"{clean(event.address)}: {clean(event.project_id)} is {clean(event.status)} now"
        case Uploading(done=0):
            return f"{clean(event.address)}: uploading {clean(event.file)} ({event.total:,} bytes) …"
        case Uploading():
            return None if event.done < event.total else f"{clean(event.address)}: uploaded {clean(event.file)}"
        case StepEnded():
            return _ended(event, style)
        case Recovered():
            note = f": {clean(event.note)}" if event.note else ""
            result = _RECOVERED[event.result]
            return f"{clean(event.address)}: an earlier run's {clean(event.kind)} {result}{note}"
        case Noted(diagnostic=diagnostic):
            label = style.paint(f"{diagnostic.severity}:", "bold", _SEVERITIES[diagnostic.severity])
            return f"{label} {clean(diagnostic.summary)}"
        case _:
            assert_never(event)


def _ended(event: StepEnded, style: Style) -> str:
    step, address = event.step, clean(event.step.address)
    if event.outcome == "done":
        project = f" ({clean(event.project_id)})" if event.project_id else ""
        note = f": {clean(event.note)}" if event.note else ""
        return f"{address}: {style.paint(step_done(step), 'green')}{project}{note}"
    reason = reason_text(StepResult(step=step, outcome=event.outcome, note=event.note, error=event.error))
    line = (
        f"{address}: {step_name(step)} {style.paint(event.outcome, 'red' if event.outcome == 'failed' else 'yellow')}"
    )
    return f"{line}: {reason}" if reason else line
