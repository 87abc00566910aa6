"""``reconciler import``."""

from __future__ import annotations

import click

from reconciler.cli.completion import complete_unmanaged
from reconciler.cli.console import Console
from reconciler.cli.context import load_context
from reconciler.cli.interrupts import run
from reconciler.cli.options import lock_timeout
from reconciler.model.errors import Diagnostic
from reconciler.operations.state.edits import bind


@click.command("import", epilog="\b\nExample:\n  reconciler import summer-teaser proj_abc123\n")
@click.argument("address", shell_complete=complete_unmanaged)
@click.argument("project_id")
@lock_timeout
@click.pass_obj
def command(console: Console, *, address: str, project_id: str, lock_timeout: float) -> None:
    """Bind an existing project to an address.

    Import changes the state only, not the project. To do the same in a spec, use `import: PROJECT_ID`. Where it is unknown
    whether a create or replacement of the address was done, import says that it was, and made this project.
    """
    context = load_context(console)

    async def work() -> str:
        async with context.api() as api:
            return await bind(context.workspace, api, address, project_id, lock_timeout=lock_timeout)

    status = run(work())
    holder = context.workspace.elsewhere().holder_of(project_id)
    if holder is not None:  # the user's word binds, but not unheard
        summary = f"`{project_id}` is already managed as {holder}"
        console.diagnose([Diagnostic(severity="warning", address=address, summary=summary, detail=holder.way_out)])
    console.out(f"Bound `{address}` to `{project_id}` ({status}). `reconciler plan` shows what differs.\n")
