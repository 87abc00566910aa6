"""``reconciler report``."""

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
from reconciler.model.fleet import Fleet
from reconciler.operations.read.fleet_reader import read_fleet
from reconciler.report.fleet_page import fleet_html
from reconciler.report.words import plural


@click.command(
    epilog="""\b
Examples:
  reconciler report --out public              # public/index.html, to open or to publish
  reconciler report --out public --no-conversations
"""
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR", help="Where.")
@click.option("--conversations/--no-conversations", default=True, help="Whether to read them: a call for each project.")
@variables
@click.pass_obj
def command(
    console: Console, *, out: Path, conversations: bool, var: tuple[str, ...], var_file: tuple[Path, ...]
) -> None:
    """Write a page that shows every managed project: status, picture, settings, conversation, drift.

    Makes no call but GET: one for each project on top of the list, and one more for its conversation. The page needs
    nothing else, but pictures and videos are loaded from where they lie, as long as their addresses are good.
    """
    wired = wire(console)
    wanted = desired(wired.config, var, var_file)

    async def work() -> Fleet:
        async with wired.api() as api:
            return await read_fleet(wired.workspace, api, wanted, conversations=conversations)

    seen = asyncio.run(work())
    path = out / "index.html"
    try:
        files.make_folder(out)
        files.replace(path, console.redact(fleet_html(seen)).encode(), mode=None)
    except OSError as error:
        raise UsageError(f"can't write `{path}`: {error.strerror}") from error
    console.out(f"Wrote {path}: {plural(len(seen.members), 'project')}.\n")
