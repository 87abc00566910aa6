"""The hint of commands that show what is managed, where nothing is: the state may have been lost."""

from __future__ import annotations

from reconciler.cli.context import CommandContext
from reconciler.cli.inputs import read_specs
from reconciler.cli.variables import Variables
from reconciler.model.errors import Diagnostic, ReconcilerError
from reconciler.model.state import State
from reconciler.operations.read.overview import find_lost_state


async def lost_state_hint(context: CommandContext, state: State) -> Diagnostic | None:
    """The finding, unless there is none, or specs or account can't be read: then the command has nothing more to say."""
    if not state.new:
        return None
    try:
        specs = read_specs(context.config, Variables())
        async with context.api() as api:
            return await find_lost_state(context.workspace, api, state, specs)
    except ReconcilerError:
        return None
