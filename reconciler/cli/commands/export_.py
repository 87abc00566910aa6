"""``reconciler export``."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler import files
from reconciler.adapters.specs.validation.shape_types import PROJECT_ID_RULE
from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context
from reconciler.cli.inputs import read_specs
from reconciler.cli.interrupts import run
from reconciler.cli.options import variables
from reconciler.cli.variables import Variables
from reconciler.model.desired import Desired
from reconciler.model.errors import UsageError
from reconciler.operations.read.export import Export, export, quote
from reconciler.operations.read.studio import StudioExport, export_studio
from reconciler.report.safe_text import clean

FILE = "exported.yaml"
_NOTED = 10


@click.command(
    epilog="""\b
Examples:
  reconciler export --out specs                    # all undeclared projects
  reconciler export proj_abc123 --out specs/found
  reconciler export --studio                       # list studio projects that can be adopted
  reconciler export --studio 51d10000-0000-4000-8000-000000000001 --out specs/studio
"""
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=f"Folder to write `{FILE}` to. Nothing is overwritten.",
)
@click.option(
    "--studio",
    is_flag=True,
    help="Studio projects that can be adopted, instead: list them, or write specs with `adopt` for them with --out.",
)
@variables
@click.pass_obj
def command(console: Console, /, *, ids: tuple[str, ...], out: Path | None, studio: bool, variables: Variables) -> None:
    """Write specs for projects that no spec declares, so that they can be imported.

    Export only reads the account. Failed and cancelled projects are skipped unless you name them by ID. Projects with an
    ID that no spec can name are left out, with a note.
    """
    if out is None and (ids or not studio):
        raise click.MissingParameter(param_type="option", param_hint="'--out'")
    context = load_context(console)
    specs = read_specs(context.config, variables)

    if studio:
        _export_studio(context, specs, ids, out)
        return
    assert out is not None

    async def work() -> Export:
        async with context.api() as api:
            return await export(context.workspace, api, specs, ids)

    made = run(work())
    if made.over:
        console.note(f"{len(made.over)} failed or cancelled left out; name them by ID to export them.")
    _note_unusable(console, made.unusable)
    if not made.projects:
        console.out("Nothing to export.\n")
        return
    path = _write(out, made.text)
    for address, project_id in made.projects.items():
        console.out(f"{address}  {clean(project_id)}\n")
    console.note(f"Wrote {path}. `reconciler plan` shows the imports.")


def _export_studio(context: CommandContext, specs: Desired, ids: tuple[str, ...], out: Path | None) -> None:
    """List the studio projects that can be adopted; with a folder, write specs that adopt them."""

    async def work() -> StudioExport:
        async with context.api() as api:
            return await export_studio(context.workspace, api, specs, ids)

    made, console = run(work()), context.console
    _note_unusable(console, made.unusable)
    if not made.projects:
        console.out("Nothing to adopt.\n")
        return
    path = None if out is None else _write(out, made.text)
    for address, project in made.projects.items():
        about = "  ".join(filter(None, (project.aspect_ratio, console.redact(project.title or ""))))
        console.out(f"{address}  {clean(project.id)}  {clean(about)}".rstrip() + "\n")
    if path is None:
        console.note("Write specs that adopt them with `reconciler export --studio [ID]... --out DIR`.")
    else:
        console.note(f"Wrote {path}. `reconciler plan` shows the adoptions.")


def _note_unusable(console: Console, ids: tuple[str, ...]) -> None:
    for each in ids[:_NOTED]:
        console.note(f"Left out: no spec can name {quote(console.redact(each))}: {PROJECT_ID_RULE}.")
    if len(ids) > _NOTED:
        console.note(f"Left out for the same reason: {len(ids) - _NOTED} more.")


def _write(out: Path, text: str) -> Path:
    """Write the specs into a folder. Raises UsageError."""
    path = out / FILE
    try:
        files.make_folder(out)
        files.create(path, text.encode())
    except FileExistsError as error:
        raise UsageError(f"`{path}` already exists", "Rename it, or choose another folder with `--out`.") from error
    except OSError as error:
        raise UsageError(f"can't write `{path}`: {error.strerror}") from error
    return path
