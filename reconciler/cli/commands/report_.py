"""``reconciler report``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from reconciler import files
from reconciler.cli.console import Console
from reconciler.cli.context import load_context
from reconciler.cli.inputs import read_specs
from reconciler.cli.options import Chosen, chosen, variables
from reconciler.cli.variables import Variables
from reconciler.model.errors import UsageError
from reconciler.model.fleet import Fleet
from reconciler.operations.read.fleet_reader import read_fleet
from reconciler.report.fleet_page import fleet_html
from reconciler.report.heading import heading
from reconciler.report.tables import none_managed
from reconciler.report.words import plural


@click.command(
    epilog="""\b
Examples:
  reconciler report --out public              # writes public/index.html
  reconciler report --out public --no-conversations
"""
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Folder to write `index.html` to.",
)
@click.option(
    "--conversations/--no-conversations",
    default=True,
    help="Include conversations (default): one more call per project.",
)
@chosen
@variables
@click.pass_obj
def command(console: Console, /, *, out: Path, conversations: bool, chosen: Chosen, variables: Variables) -> None:
    """Write an HTML page about managed projects.

    The page shows each project's status, preview, settings, conversation and drift. Report only reads: it lists the
    account, then reads each project and its conversation. The page is one file; previews and videos are loaded from
    their URLs, which may expire.
    """
    context = load_context(console)
    specs = read_specs(context.config, variables)

    selection = chosen.selection()

    async def work() -> Fleet:
        async with context.api() as api:
            return await read_fleet(context.workspace, api, specs, selection, conversations=conversations)

    seen = asyncio.run(work())
    where = context.where(seen.serial)
    path = out / "index.html"
    try:
        files.make_folder(out)
        files.replace(path, console.redact(fleet_html(seen, where)).encode(), mode=None)
    except OSError as error:
        raise UsageError(f"can't write `{path}`: {error.strerror}") from error
    console.note(heading(where))
    console.out(f"{none_managed(seen.lost)}\n" if seen.lost else "")
    console.out(f"Wrote {path}: {plural(len(seen.members), 'project')}.\n")
