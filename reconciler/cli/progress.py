"""Progress on stderr: on a terminal one live view with the finished steps above it, elsewhere lines with their time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from reconciler.cli.ci import on_github
from reconciler.cli.console import Console
from reconciler.model.events import Emit, Event, Noted, Recovered
from reconciler.operations.workspace import utc_now
from reconciler.report.progress import Progress
from reconciler.report.wrapping import wrapped

BAR = 24
"""Columns of the bar."""
LATEST = 6
"""How many projects the live view names at most."""


@contextlib.contextmanager
def show_progress(console: Console) -> Iterator[Emit]:
    """A listener for the engine's events."""
    style = console.style(err=True)
    live = console.interactive and style.color and not console.dumb
    progress = Progress(style, time.monotonic, verbose=console.verbose > 0, waits=not live)
    with _live(console, progress) if live else _plain(console, progress) as emit:
        yield emit


@contextlib.contextmanager
def _plain(console: Console, progress: Progress) -> Iterator[Emit]:
    """For logs. On GitHub the steps are a folded group; what an earlier run left comes before it."""
    grouped = False

    def show(event: Event) -> None:
        nonlocal grouped
        for line in progress.take(event):
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
def _live(console: Console, progress: Progress) -> Iterator[Emit]:
    from rich.console import Console as Terminal  # noqa: PLC0415  only a terminal needs it
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    terminal = Terminal(stderr=True, highlight=False, markup=False)

    def view() -> Text:
        ended, total = progress.share
        if not total:
            return Text("")
        filled = BAR * ended // total
        rows = progress.current(max(1, min(LATEST, terminal.height - 3)))
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("━" * filled, "green").append("━" * (BAR - filled), "dim")
        crowd = progress.crowd()
        text.append(console.redact("\n  ".join((f" {progress.head()}", *([crowd] if crowd else []), *rows))))
        return text

    with Live(console=terminal, transient=True, refresh_per_second=4, get_renderable=view) as shown:

        def show(event: Event) -> None:
            for line in progress.take(event):
                shown.console.print(Text.from_ansi(wrapped(console.redact(line), terminal.width)), soft_wrap=True)

        yield show
