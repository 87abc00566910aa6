"""``reconciler status``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import click

from reconciler.adapters.api.client import ApiClient
from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context, poll_scale
from reconciler.cli.lost_state import lost_state_hint
from reconciler.cli.options import Chosen, chosen, formats
from reconciler.model import contract
from reconciler.model.state import Entry
from reconciler.operations.read.overview import read_overview
from reconciler.report.heading import heading
from reconciler.report.tables import StatusRow, status_document, status_text


@click.command(
    epilog="""\b
Examples:
  reconciler status
  reconciler status summer-teaser --format json
  reconciler status -o wide                   # with renders and permanent links
  reconciler status --watch                   # until no agent is at work
"""
)
@chosen
@click.option("--watch", is_flag=True, help="Refresh the table while agents work.")
@click.option(
    "-o",
    "columns",
    type=click.Choice(["wide"]),
    help="Show more columns: `wide` adds the quality of the last render and the permanent link.",
)
@formats("text", "json")
@click.pass_obj
def command(console: Console, /, *, chosen: Chosen, watch: bool, columns: str | None, format_: str) -> None:
    """Show managed projects and their status.

    Shows all managed projects, or those at the given addresses. The name of a `for_each` selects all of its projects;
    `*` matches any text.
    """
    context = load_context(console)
    asyncio.run(_show(context, chosen, watch=watch, json=format_ == "json", wide=columns == "wide"))


async def _show(context: CommandContext, chosen: Chosen, *, watch: bool, json: bool, wide: bool) -> None:
    async with context.api() as api:
        while True:
            state = context.state()
            rows = await _read_rows(context, api, context.entries_of(state, chosen))
            active = [row.live.status for row in rows if row.live is not None and contract.is_active(row.live.status)]
            lost = None if rows or chosen.addresses else await lost_state_hint(context, state)
            if json and not (watch and active):
                context.console.json(status_document(rows))
                context.console.diagnose([lost] if lost else [])
            elif not json:
                clear = "\x1b[H\x1b[2J" if watch and sys.stdout.isatty() else ""
                first = heading(context.where(state.serial))
                context.console.out(f"{clear}{first}\n\n")
                context.console.out(status_text(rows, style=context.console.style(), lost=lost, wide=wide))
            if not (watch and active):
                return
            scale = poll_scale(context.config)
            await asyncio.sleep(min(contract.current().rule(s).poll_seconds for s in active) * scale)


async def _read_rows(context: CommandContext, api: ApiClient, entries: Mapping[str, Entry]) -> list[StatusRow]:
    live = await read_overview(api, entries, at=context.workspace.now())
    return [
        StatusRow(
            address=address,
            entry=entry,
            live=seen and context.console.redact.record(seen),
            gone=entry.project_id in live.missing,
        )
        for address, entry in entries.items()
        for seen in (live.projects.get(entry.project_id),)
    ]
