"""``reconciler messages``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import click
from msgspec.structs import asdict, replace

from reconciler.adapters.api.client import ApiClient
from reconciler.cli.completion import complete_addresses
from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context, poll_scale
from reconciler.cli.interrupts import run
from reconciler.cli.options import Chosen, formats
from reconciler.model import contract
from reconciler.model.errors import NotFoundError, UsageError
from reconciler.model.live import LiveMessage
from reconciler.model.state import Entry
from reconciler.model.values import Json
from reconciler.operations.read.account import require_account
from reconciler.operations.read.conversation import Window, read_window
from reconciler.report.tables import message_text, messages_text


@click.command(
    epilog="""\b
Examples:
  reconciler messages summer-teaser
  reconciler messages summer-teaser --follow
  reconciler messages 'promo[*]'
"""
)
@click.argument("addresses", nargs=-1, required=True, shell_complete=complete_addresses)
@click.option("--follow", is_flag=True, help="Keep showing new messages until the agent is idle.")
@formats("text", "json")
@click.pass_obj
def command(console: Console, *, addresses: tuple[str, ...], follow: bool, format_: str) -> None:
    """Show the conversation of a project, or of several.

    The name of a `for_each` selects all of its projects;
    `*` matches any text.
    """
    context = load_context(console)
    entries = context.entries(Chosen(addresses=addresses))
    if follow and len(entries) > 1:
        raise UsageError(f"`--follow` follows one project, and these are {len(entries)}", "Give one address.")
    one = addresses == tuple(entries)
    run(_show(context, entries, one=one, follow=follow, json=format_ == "json"))


async def _show(context: CommandContext, entries: Mapping[str, Entry], *, one: bool, follow: bool, json: bool) -> None:
    """``one``: a single project, named by its address; its conversation has no title, and is the whole document."""
    console = context.console
    documents: dict[str, Json] = {}
    async with context.api() as api:
        for number, (address, entry) in enumerate(entries.items()):
            try:
                window = await read_window(api, entry.project_id, None)
            except NotFoundError:
                managed = context.state().projects
                await require_account(api, context.config, managed, at=context.workspace.now())
                raise
            if json:
                documents[address] = {"project_id": entry.project_id, "messages": [asdict(m) for m in window.messages]}
                continue
            if not one:
                console.out(f"# {address}\n\n" if number == 0 else f"\n# {address}\n\n")
            console.out(messages_text(_redact_messages(console, window), style=console.style()))
            if follow:
                await _follow(context, api, entry.project_id, window)
    if json:
        console.json(next(iter(documents.values())) if one else documents)


async def _follow(context: CommandContext, api: ApiClient, project_id: str, window: Window) -> None:
    console, seen, active = context.console, set[str](), True
    while active:
        live = await api.project(project_id)
        scale, active = poll_scale(context.config), contract.is_active(live.status)
        if active:
            await asyncio.sleep(contract.current().rule(live.status).poll_seconds * scale)
        seen.update(message.id for message in window.messages)
        window = await read_window(api, project_id, window.newest)
        for message in _redact_messages(console, window):
            # a server that forgot the cursor shows all messages
            if message.id not in seen and message.content.strip():
                console.out("\n" + message_text(message, style=console.style()))


def _redact_messages(console: Console, window: Window) -> list[LiveMessage]:
    """Hide secrets before the text is wrapped, which could split one."""
    return [replace(m, content=console.redact(m.content)) for m in window.messages]
