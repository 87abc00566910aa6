"""``reconciler messages``."""

from __future__ import annotations

import asyncio

import click
from msgspec.structs import asdict, replace

from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context, poll_scale
from reconciler.cli.options import formats
from reconciler.model import contract
from reconciler.model.live import LiveMessage
from reconciler.operations.read.conversation import Window, read_window
from reconciler.report.tables import message_text, messages_text


@click.command(
    epilog="""\b
Examples:
  reconciler messages summer-teaser
  reconciler messages summer-teaser --follow
"""
)
@click.argument("address")
@click.option("--follow", is_flag=True, help="Keep showing new messages while the agent works.")
@formats("text", "json")
@click.pass_obj
def command(console: Console, *, address: str, follow: bool, format_: str) -> None:
    """Show the conversation of a project."""
    context = load_context(console)
    entry = context.entries((address,))[address]
    asyncio.run(_show(context, entry.project_id, follow=follow, json=format_ == "json"))


async def _show(context: CommandContext, project_id: str, *, follow: bool, json: bool) -> None:
    console = context.console
    style = console.style()
    async with context.api() as api:
        window = await read_window(api, project_id, None)
        seen: set[str] = set()
        if json:
            console.json({"project_id": project_id, "messages": [asdict(m) for m in window.messages]})
            return
        console.out(messages_text(_redact_messages(console, window), style=style))
        while follow:
            live = await api.project(project_id)
            scale = poll_scale(context.config)
            if contract.is_active(live.status):
                await asyncio.sleep(contract.current().rule(live.status).poll_seconds * scale)
            seen.update(message.id for message in window.messages)
            window = await read_window(api, project_id, window.newest)
            for message in _redact_messages(console, window):
                if message.id not in seen:  # a server that forgot the cursor shows all messages
                    console.out(message_text(message, style=style))
            follow = contract.is_active(live.status)


def _redact_messages(console: Console, window: Window) -> list[LiveMessage]:
    """Hide secrets before the text is wrapped, which could split one."""
    return [replace(m, content=console.redact(m.content)) for m in window.messages]
