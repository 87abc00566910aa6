"""Live progress on stderr: a spinner and lines on a terminal, plain lines with their time elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from reconciler.cli.ci import on_github
from reconciler.cli.console import Console
from reconciler.model.events import Emit, Event, Noted, Recovered, StepEnded, StepStarted, StepWaiting, Uploading
from reconciler.operations.apply.run import utc_now
from reconciler.report.event_lines import event_line
from reconciler.report.style import Style


@contextlib.contextmanager
def show_progress(console: Console) -> Iterator[Emit]:
    """A listener for the engine's events."""
    style = console.style(err=True)
    with _spinner(console, style) if console.interactive and style.color else _plain(console, style) as emit:
        yield emit


@contextlib.contextmanager
def _plain(console: Console, style: Style) -> Iterator[Emit]:
    """For logs. On GitHub the steps are a folded group; what an earlier run left comes before it."""
    grouped = False

    def show(event: Event) -> None:
        nonlocal grouped
        line = event_line(event, style=style)
        if line is None:
            return
        if not grouped and on_github() and not isinstance(event, Recovered | Noted):
            grouped = True
            console.note("::group::Progress")
        console.note(f"{utc_now()} {line}")

    try:
        yield show
    finally:
        if grouped:
            console.note("::endgroup::")


@contextlib.contextmanager
def _spinner(console: Console, style: Style) -> Iterator[Emit]:
    from rich.console import Console as Terminal  # noqa: PLC0415  only a terminal needs it
    from rich.status import Status  # noqa: PLC0415

    terminal = Terminal(stderr=True, highlight=False, markup=False)
    status: Status | None = None
    active: dict[str, str] = {}

    def show(event: Event) -> None:
        nonlocal status
        if isinstance(event, StepStarted):
            active[event.step.address] = event.step.action
            if status is None:
                status = terminal.status("")
                status.start()
        elif isinstance(event, StepWaiting):
            active[event.step.address] = f"waits for {event.waits_for}"
        elif isinstance(event, Uploading):
            active[event.address] = f"uploading {event.file}, {event.done * 100 // event.total} %"
        elif isinstance(event, StepEnded):
            active.pop(event.step.address, None)
        line = event_line(event, style=style)
        if line is not None:
            console.note(line)
        if status is not None:
            first = next(iter(active.items()), None)
            more = f" and {len(active) - 1} more" if len(active) > 1 else ""
            text = console.redact(f"{first[0]}: {first[1]}{more}" if first else "finishing")
            status.update(text.replace("[", "\\["))

    try:
        yield show
    finally:
        if status is not None:
            status.stop()
