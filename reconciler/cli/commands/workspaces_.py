"""``reconciler workspaces``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import click

from reconciler.adapters.git import GitError, Repository, repository_of
from reconciler.adapters.specs.footprint import DEPTH_MAX, find_workspaces
from reconciler.cli.console import Console
from reconciler.cli.inputs import STORE_SECRETS
from reconciler.cli.options import formats
from reconciler.cli.reference import CHANGES, DONE, ERROR
from reconciler.cli.workspace_listing import read_workspace
from reconciler.model.errors import Diagnostic, UsageError
from reconciler.model.redact import Redactor
from reconciler.model.workspaces import Comparison, WorkspaceRow
from reconciler.operations.read.earlier_workspaces import compare
from reconciler.operations.read.workspaces import Found, affected
from reconciler.report.workspaces import workspaces_document, workspaces_text


@click.command(
    epilog="""\b
Examples:
  reconciler workspaces
  reconciler workspaces --changed-since origin/main      # since the branch began
  reconciler -C teams workspaces --changed-since HEAD    # what is not committed yet
  reconciler workspaces --changed-since origin/main --format json | jq -r '.workspaces[] | select(.changed) | .path'
"""
)
@click.option(
    "--changed-since",
    metavar="REF",
    help="Tell which workspaces are affected by what changed since this branch and REF parted, uncommitted changes included.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if a workspace is affected.")
@formats("text", "json")
@click.pass_obj
def command(console: Console, *, changed_since: str | None, detailed_exitcode: bool, format_: str) -> int:
    """List the workspaces below a folder, and which ones a change affects.

    A workspace is a folder with `reconciler.yaml`; each of its environments is a line of its own. `-C` names the folder to
    look below, `-e` the one environment to list. Makes no call to the API and runs nothing of the checkout. Without
    --changed-since, nothing is compared and all count as changed.

    Shows the pull request that has claimed a workspace whose state is a local file. A claim beside a remote state takes a
    request and is not read: see `reconciler environments`.
    """
    if not console.root.is_dir():
        raise UsageError(f"there is no directory `{console.root}`", "Check `-C`.")
    folder = os.path.realpath(console.root)
    repository = _repository(console, needed=changed_since is not None)
    paths, deep = find_workspaces(folder, repository.ignored() if repository is not None else ())
    secret_env = set(STORE_SECRETS)
    spaces = [found for path in paths for found in read_workspace(folder, path, secret_env)]
    console.redact = Redactor(os.environ.get(name, "") for name in sorted(secret_env))
    compared, rows = None, [space.row for space in spaces]
    if changed_since is not None and repository is not None:
        compared, rows = _compared(folder, spaces, repository, changed_since)
    rows = _chosen(rows, console.environment)
    warnings = [
        Diagnostic(
            severity="warning",
            summary=f"`{path}` is not looked at",
            detail=f"It is more than {DEPTH_MAX} folders deep.",
        )
        for path in deep
    ]
    if format_ == "json":
        console.json(workspaces_document(rows, compared, warnings))
    else:
        console.out(workspaces_text(rows, compared, style=console.style(), whole=console.verbose > 0))
    console.diagnose([*warnings, *dict.fromkeys(found for row in rows for found in row.diagnostics)])
    if any(row.failed for row in rows):
        return ERROR
    return CHANGES if detailed_exitcode and any(row.changed for row in rows) else DONE


def _chosen(rows: list[WorkspaceRow], environment: str | None) -> list[WorkspaceRow]:
    """The workspaces that have an environment, in it; and those that can't be read, which may have it."""
    if environment is None:
        return rows
    chosen = [row for row in rows if row.environment == environment or (row.environment is None and row.failed)]
    if rows and not chosen:
        known = sorted({row.environment for row in rows if row.environment is not None})
        detail = f"Environments here: {', '.join(known)}." if known else "No workspace here has environments."
        raise UsageError(f"no workspace here has an environment `{environment}`", detail)
    return chosen


def _repository(console: Console, *, needed: bool) -> Repository | None:
    """The repository that the folder is in. Without one, or without git, all workspaces can still be listed.

    Raises:
        UsageError: one is needed, and there is none.
        GitError: one is needed, and git can't be run or refuses the folder.

    """
    with contextlib.suppress(*(() if needed else (GitError,))):
        repository = repository_of(console.root)
        if repository is not None or not needed:
            return repository
        raise UsageError(
            f"`{console.root}` is not in a git repository", "Leave `--changed-since` out to list all workspaces."
        )
    return None


def _compared(
    folder: str, spaces: Sequence[Found], repository: Repository, ref: str
) -> tuple[Comparison, list[WorkspaceRow]]:
    commit, base = repository.compare(ref)
    changes = repository.changes(base)
    below, gone = compare(folder, spaces, changes, repository, lambda path: os.path.relpath(path, folder))
    rows = affected(below, changes, is_same=repository.is_same, shown=lambda path: os.path.relpath(path, folder))
    both = sorted([*rows, *gone], key=lambda row: row.path)  # stable: environments stay in their order
    return Comparison(ref=ref, commit=commit, merge_base=base if commit is not None else None), both
