"""``reconciler status``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import click

from reconciler.adapters.api.client import ApiClient
from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context, poll_scale
from reconciler.cli.interrupts import run
from reconciler.cli.lost_state import lost_state_hint
from reconciler.cli.options import Chosen, chosen, formats
from reconciler.model import contract
from reconciler.model.state import Entry, State
from reconciler.operations.read.overview import read_overview
from reconciler.report.heading import heading
from reconciler.report.tables import StatusRow, status_document, status_of, status_text
from reconciler.report.words import plural


@click.command(
    epilog="""\b
Examples:
  reconciler status
  reconciler status summer-teaser --format json
  reconciler status -o wide                   # with renders and permanent links
  reconciler status --status failed,cancelled -o name
  reconciler status --watch                   # until no agent is at work
"""
)
@chosen
@click.option("--watch", is_flag=True, help="Refresh the table while agents work.")
@click.option(
    "--status",
    "statuses",
    metavar="STATUS,…",
    help="Only projects with one of these statuses, such as `failed,cancelled`; `gone` for those that the API lacks.",
)
@click.option(
    "-o",
    "columns",
    type=click.Choice(["wide", "json", "name"]),
    help="Show more columns (`wide`: mode, times, URL, last render, permanent link), or JSON, or addresses only.",
)
@formats("text", "json")
@click.pass_obj
def command(
    console: Console, /, *, chosen: Chosen, watch: bool, statuses: str | None, columns: str | None, format_: str
) -> None:
    """Show managed projects and their status.

    Shows all managed projects, or those at the given addresses. The name of a `for_each` selects all of its projects;
    `*` matches any text.
    """
    context = load_context(console)
    wanted = frozenset(filter(None, (name.strip() for name in statuses.split(",")))) if statuses is not None else None
    form = columns or format_
    console.format = "json" if form == "json" else "text"
    run(_show(context, chosen, wanted, watch=watch, form=form))


async def _show(
    context: CommandContext, chosen: Chosen, statuses: frozenset[str] | None, *, watch: bool, form: str
) -> None:
    json = form == "json"
    async with context.api() as api:
        while True:
            state = context.state()
            managed = await _read_rows(context, api, state, context.entries_of(state, chosen))
            rows = [row for row in managed if statuses is None or status_of(row) in statuses]
            active = [row.live.status for row in rows if row.live is not None and contract.is_active(row.live.status)]
            lost = None if managed or chosen.addresses else await lost_state_hint(context, state)
            if json and not (watch and active):
                context.console.json(status_document(rows))
                context.console.diagnose([lost] if lost else [])
            elif form == "name":
                context.console.out("".join(f"{row.address}\n" for row in rows))
            elif not json:
                clear = "\x1b[H\x1b[2J" if watch and sys.stdout.isatty() else ""
                first = heading(context.where(state.serial))
                context.console.say(f"{clear}{first}\n\n")
                style, at = context.console.style(), context.workspace.now()
                if managed and not rows:
                    context.console.out(f"None of {plural(len(managed), 'project')} has such a status.\n")
                else:
                    context.console.out(status_text(rows, style=style, at=at, lost=lost, wide=form == "wide"))
            if not (watch and active):
                return
            scale = poll_scale(context.config)
            await asyncio.sleep(min(contract.current().rule(s).poll_seconds for s in active) * scale)


async def _read_rows(
    context: CommandContext, api: ApiClient, state: State, entries: Mapping[str, Entry]
) -> list[StatusRow]:
    at = context.workspace.now()
    live = await read_overview(api, context.config, entries, managed=state.projects, at=at)
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
