"""``reconciler export``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from reconciler import files
from reconciler.cli.console import Console
from reconciler.cli.context import load_context
from reconciler.cli.inputs import read_specs
from reconciler.cli.options import variables
from reconciler.cli.variables import Variables
from reconciler.model.errors import UsageError
from reconciler.operations.read.export import Export, export
from reconciler.report.safe_text import clean

FILE = "exported.yaml"


@click.command(
    epilog="""\b
Examples:
  reconciler export --out specs                    # all undeclared projects
  reconciler export proj_abc123 --out specs/studio
"""
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=f"Folder to write `{FILE}` to. Nothing is overwritten.",
)
@variables
@click.pass_obj
def command(console: Console, /, *, ids: tuple[str, ...], out: Path, variables: Variables) -> None:
    """Write specs for projects that no spec declares, so that they can be imported.

    Export only reads the account. Failed and cancelled projects are skipped unless you name them by ID.
    """
    context = load_context(console)
    specs = read_specs(context.config, variables)

    async def work() -> Export:
        async with context.api() as api:
            return await export(context.workspace, api, specs, ids)

    made = asyncio.run(work())
    if made.over:
        console.note(f"{len(made.over)} failed or cancelled left out; name them by ID to export them.")
    if not made.projects:
        console.out("Nothing to export.\n")
        return
    path = out / FILE
    try:
        files.make_folder(out)
        files.create(path, made.text.encode())
    except FileExistsError as error:
        raise UsageError(f"`{path}` already exists", "Rename it, or choose another folder with `--out`.") from error
    except OSError as error:
        raise UsageError(f"can't write `{path}`: {error.strerror}") from error
    for address, project_id in made.projects.items():
        console.out(f"{address}  {clean(project_id)}\n")
    console.note(f"Wrote {path}. `reconciler plan` shows the imports.")
