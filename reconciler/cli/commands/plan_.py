"""``reconciler plan``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from shlex import quote
from typing import Any

import click
from msgspec.structs import replace

from reconciler.adapters.plan_file import write_plan
from reconciler.cli.ci import summarize
from reconciler.cli.console import Console
from reconciler.cli.context import wire
from reconciler.cli.inputs import desired
from reconciler.cli.options import formats, selectors
from reconciler.cli.rendering import PLAN_FORMATS, markdown_of, show_plan
from reconciler.cli.selection import selection_of
from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Plan
from reconciler.model.plan_json import plan_digest
from reconciler.operations.workflows import plan


@click.command(
    epilog="""\b
Examples:
  reconciler plan
  reconciler plan --out saved.plan --detailed-exitcode    # for CI: 2 means changes
  reconciler plan --target summer-teaser
  reconciler plan --format json | jq .summary
  reconciler plan --format markdown > comment.md          # for a pull request
"""
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save the plan for apply.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where there are changes.")
@click.option("--destroy", is_flag=True, help="Plan to part with everything.")
@click.option(
    "--force",
    is_flag=True,
    help="Lift the guards against losing projects: the share, emptied specs, changed keys (never `protect`).",
)
@selectors
@formats(*PLAN_FORMATS)
@click.pass_obj
def command(
    console: Console, /, *, out: Path | None, detailed_exitcode: bool, force: bool, format_: str, **given: Any
) -> int:
    """Show what apply would do. Makes no call but GET and writes no file but --out.

    In a GitHub workflow the plan also goes to the job's summary.
    """
    wired = wire(console)
    selection = selection_of(given)
    wanted = desired(wired.config, given["var"], given["var_file"])

    async def work() -> tuple[Plan, tuple[Diagnostic, ...]]:
        async with wired.api() as api:
            return await plan(wired.workspace, api, wanted, selection, force=force)

    made, refused = asyncio.run(work())
    whole = replace(made, diagnostics=(*made.diagnostics, *refused))
    saving = out is not None and not (refused or made.errors)
    digest = plan_digest(made) if saving else None
    show_plan(console, whole if format_ in ("markdown", "html") else made, format_, digest=digest)
    summarize(console, lambda: markdown_of(console, whole, digest))
    errors = tuple(dict.fromkeys((*made.errors, *refused)))
    console.diagnose(errors)
    if errors:
        return 1
    if out is not None:
        write_plan(out, made)
        console.note(f"Saved. Apply exactly this with `reconciler apply --digest {digest} {quote(str(out))}`.")
    return 2 if detailed_exitcode and made.steps else 0
