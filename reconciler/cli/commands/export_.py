"""``reconciler export``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from reconciler import files
from reconciler.cli.console import Console
from reconciler.cli.context import wire
from reconciler.cli.inputs import desired
from reconciler.cli.options import variables
from reconciler.model.errors import UsageError
from reconciler.operations.read.export import Export, export
from reconciler.report.safe_text import clean

FILE = "exported.yaml"


@click.command(
    epilog="""\b
Examples:
  reconciler export --out specs                    # all projects that no spec declares
  reconciler export proj_abc123 --out specs/studio
"""
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=f"The folder for `{FILE}`; nothing in it is overwritten.",
)
@variables
@click.pass_obj
def command(
    console: Console, *, ids: tuple[str, ...], out: Path, var: tuple[str, ...], var_file: tuple[Path, ...]
) -> None:
    """Write specs for live projects that no spec declares, to be imported. Makes no call but GET.

    Failed and cancelled projects are left out unless they are named.
    """
    wired = wire(console)
    wanted = desired(wired.config, var, var_file)

    async def work() -> Export:
        async with wired.api() as api:
            return await export(wired.workspace, api, wanted, ids)

    made = asyncio.run(work())
    if made.over:
        console.note(f"{len(made.over)} failed or cancelled left out; name them by id to export them.")
    if not made.projects:
        console.out("Nothing to export.\n")
        return
    path = out / FILE
    try:
        files.make_folder(out)
        files.create(path, made.text.encode())
    except FileExistsError as error:
        raise UsageError(f"`{path}` is there already", "Rename it, or name another folder with `--out`.") from error
    except OSError as error:
        raise UsageError(f"can't write `{path}`: {error.strerror}") from error
    for address, project_id in made.projects.items():
        console.out(f"{address}  {clean(project_id)}\n")
    console.note(f"Wrote {path}. `reconciler plan` shows the imports.")
