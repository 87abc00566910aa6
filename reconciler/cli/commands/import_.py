"""``reconciler import``."""

from __future__ import annotations

import asyncio

import click

from reconciler.cli.console import Console
from reconciler.cli.context import wire
from reconciler.cli.options import DURATION
from reconciler.operations.state.edits import bind


@click.command("import", epilog="\b\nExample:\n  reconciler import summer-teaser proj_abc123\n")
@click.argument("address")
@click.argument("project_id")
@click.option("--lock-timeout", type=DURATION, default=0.0, metavar="DURATION", help="Wait this long for the lock.")
@click.pass_obj
def command(console: Console, *, address: str, project_id: str, lock_timeout: float) -> None:
    """Bind an existing project to an address. Changes nothing in the account."""
    wired = wire(console)

    async def work() -> str:
        async with wired.api() as api:
            return await bind(wired.workspace, api, address, project_id, lock_timeout=lock_timeout)

    status = asyncio.run(work())
    console.out(f"`{address}` now stands for `{project_id}` ({status}). `reconciler plan` shows what differs.\n")
