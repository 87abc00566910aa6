"""``reconciler fmt``."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import click

from reconciler.adapters.specs.config_file import workspace_version
from reconciler.adapters.specs.config_version import VARIABLE
from reconciler.adapters.specs.workspace_root import find_workspace
from reconciler.adapters.specs.yaml.rewriting import Rewrite, remaining, rewrites, upgrades, write
from reconciler.cli.console import Console
from reconciler.cli.inputs import explain_errors, load_for_specs
from reconciler.cli.reference import DONE, ERROR
from reconciler.model import contract
from reconciler.report.safe_text import clean


@click.command(
    epilog="""\b
Examples:
  reconciler fmt
  reconciler fmt --check                 # for CI: exits with 1 if a file would change
  reconciler fmt --diff specs/promo.yaml
  reconciler fmt --upgrade-api 2026-05
"""
)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show the changes.")
@click.option(
    "--upgrade-api",
    type=click.Choice(contract.versions()),
    help="Rewrite specs and `reconciler.yaml` for this version of the API.",
)
@click.pass_obj
def command(console: Console, *, paths: tuple[Path, ...], check: bool, diff: bool, upgrade_api: str | None) -> int:
    """Format specs, keeping comments.

    Formats the specs of all environments, or of the one that is chosen with -e, or the given files and folders. Their
    meaning stays the same. A file with errors is not changed.

    With --upgrade-api, also puts fields and values into the words of that version and sets `api.version`; what has no
    words there is taken out and reported.
    """
    upgrade = contract.named(upgrade_api) if upgrade_api is not None else None
    root = find_workspace(console.root, os.environ)
    if upgrade is not None:
        done, problems = upgrades(root, list(paths), upgrade)
    else:
        done, problems = rewrites(load_for_specs(console), list(paths), env=os.environ, explain=explain_errors)
    for rewrite in done:
        if diff:
            console.out(_diff(rewrite))
        else:
            console.out(f"{clean(rewrite.name)}\n")
        if not (check or diff):
            write(rewrite)
    if upgrade is not None and not (check or diff):
        in_force = workspace_version(root, console.environment, os.environ)
        if in_force != upgrade.version:
            console.note(f"The workspace still uses api.version {in_force}: set `api.version` or {VARIABLE}.")
        os.environ[VARIABLE] = upgrade.version  # what the files are written for now, whatever was in force before
        problems += remaining(load_for_specs(console), env=os.environ, explain=explain_errors)
    console.diagnose(problems)
    return ERROR if any(found.severity == "error" for found in problems) or (check and done) else DONE


def _diff(rewrite: Rewrite) -> str:
    lines = difflib.unified_diff(
        rewrite.before.splitlines(), rewrite.after.splitlines(), rewrite.name, rewrite.name, lineterm=""
    )
    return "".join(clean(line) + "\n" for line in lines)
