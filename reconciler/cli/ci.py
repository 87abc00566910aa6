"""What CI services offer besides a log: annotations, groups, a job's summary. Chosen by the environment alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from reconciler import files
from reconciler.model.errors import Diagnostic

if TYPE_CHECKING:
    from reconciler.cli.console import Console

SUMMARY: Final = "GITHUB_STEP_SUMMARY"
WORKSPACE: Final = ("reconciler.yaml", "specs")
"""A folder that has one of these is a workspace, or is meant to be one."""
_ANNOTATIONS: Final = 10
"""GitHub shows no more of one step."""


def on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotate(console: Console, diagnostics: Iterable[Diagnostic]) -> None:
    """On GitHub, mark errors at their files (stderr: the runner reads both streams)."""
    if not on_github():
        return
    for diagnostic in [d for d in diagnostics if d.severity == "error"][:_ANNOTATIONS]:
        console.note(annotation(console, diagnostic))


def annotation(console: Console, diagnostic: Diagnostic) -> str:
    """The workflow command; GitHub looks for the file from the top of the repository, wherever that is checked out."""
    from reconciler.report.diagnostics import diagnostic_github  # noqa: PLC0415

    location = diagnostic.location
    if location is not None:
        file, top = (console.root / location.file).absolute(), _top(console.root.absolute())
        if file.is_relative_to(top):
            location = replace(location, file=str(file.relative_to(top)))
    return diagnostic_github(replace(diagnostic, location=location))


def owner_of(root: Path) -> str | None:
    """Whose comment a plan of this folder is: the path of its workspace, from the top of the repository that it is in.

    Outside a repository, from where the command was started. ``None`` where there is no workspace.
    """
    if not any((root / name).exists() for name in WORKSPACE):
        return None
    folder = root.resolve()
    return Path(os.path.relpath(folder, _top(folder))).as_posix()


def _top(folder: Path) -> Path:
    """Of the repository that has the folder; without one, where the command was started."""
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), Path.cwd())


def summarize(console: Console, markdown: Callable[[], str]) -> None:
    """Append to the job's summary where there is one. Nobody's work fails for want of a summary."""
    path = os.environ.get(SUMMARY)
    if not path:
        return
    try:
        with open(files.open_stream(Path(path)), "a", encoding="utf-8") as file:  # noqa: PTH123  it is open already
            file.write(console.redact(markdown()) + "\n")
    except OSError as error:
        console.note(f"warning: the job's summary can't be written: {error.strerror}")
