"""Features of CI services beyond a log: annotations, folded groups, job summaries. Detected from the environment."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from reconciler import files
from reconciler.model.claim import LONGEST, is_line
from reconciler.model.errors import Diagnostic
from reconciler.model.hosts import PLAIN_PAGE

SUMMARY: Final = "GITHUB_STEP_SUMMARY"
WORKSPACE: Final = ("reconciler.yaml", "specs")
"""A folder with one of these is a workspace, or is meant to be one."""
ANNOTATIONS_MAX: Final = 10
"""GitHub shows at most this many annotations of one step."""


def on_github() -> bool:
    """Whether this process runs in a GitHub workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def run_url() -> str | None:
    """The page of the GitHub run or the GitLab job in which this process runs."""
    env = os.environ
    url = env.get("CI_JOB_URL", "") if env.get("GITLAB_CI") == "true" else ""
    if on_github():
        run = (env.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"))
        url = "{}/{}/actions/runs/{}".format(*run)
    return url if re.fullmatch(PLAIN_PAGE, url) else None


def on_ci() -> bool:
    """Whether this process runs in a job of a CI service."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false") or on_github()


def actor() -> str | None:
    """Who started this run: by the CI service, else the user of this machine."""
    from getpass import getuser  # noqa: PLC0415  only a claim needs it

    names = [os.environ.get(name, "").strip() for name in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN")]
    with contextlib.suppress(OSError, KeyError):  # a user without a name, as in some containers
        names.append(getuser())
    return next((name for name in names if is_line(name, LONGEST)), None)


def annotation_lines(root: Path, diagnostics: Iterable[Diagnostic]) -> list[str]:
    """Workflow commands that mark diagnostics at their files.

    GitHub resolves a file from the top of the repository, wherever that is checked out; ``root`` is the folder that the
    locations are relative to.
    """
    from reconciler.report.diagnostics import diagnostic_github  # noqa: PLC0415  only a workflow needs it

    top = _repository_of(root.absolute())
    return [diagnostic_github(_relative_to(top, root, diagnostic)) for diagnostic in diagnostics]


def _relative_to(top: Path, root: Path, diagnostic: Diagnostic) -> Diagnostic:
    location = diagnostic.location
    file = (root / location.file).absolute() if location is not None else None
    if location is None or file is None or not file.is_relative_to(top):
        return diagnostic
    return replace(diagnostic, location=replace(location, file=str(file.relative_to(top))))


def comment_owner(root: Path) -> str | None:
    """The workspace that owns a plan's comment on a pull request: its path from the top of its repository.

    Outside a repository, the path from the current directory. ``None`` if there is no workspace.
    """
    if not any((root / name).exists() for name in WORKSPACE):
        return None
    folder = root.resolve()
    return Path(os.path.relpath(folder, _repository_of(folder))).as_posix()


def _repository_of(folder: Path) -> Path:
    """The top of the repository that contains the folder, or else the current directory."""
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), Path.cwd())


def summary_file() -> Path | None:
    """The file that GitHub shows as the job's summary, if there is one."""
    path = os.environ.get(SUMMARY)
    return Path(path) if path else None


def append_to_summary(path: Path, markdown: str) -> None:
    """Append to the job's summary. Raises OSError."""
    with open(files.open_stream(path), "a", encoding="utf-8") as file:  # noqa: PTH123  already open
        file.write(markdown + "\n")
