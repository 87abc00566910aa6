"""What renders and shares have in common: they wait for an idle agent, and an API may not have their calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from msgspec.structs import replace

from reconciler.adapters.api.client import NO_SUCH_CALL
from reconciler.model import contract
from reconciler.model.errors import Diagnostic, NotFoundError, ReconcilerError, RefusedError
from reconciler.model.journal import Delivered, End
from reconciler.model.plan import Render, Share
from reconciler.model.state import Intent
from reconciler.operations.apply.exactly_once import Call, commit
from reconciler.operations.apply.in_vain import lacks, require_possible
from reconciler.operations.apply.polling import Monitor, finished
from reconciler.operations.apply.run import Run, Undecided

T = TypeVar("T")


async def until_idle(run: Run, monitor: Monitor, step: Render | Share) -> None:
    """Wait for the agent. Raises as :meth:`Monitor.until`, and where the project is over."""
    project_id = run.draft.projects[step.address].project_id
    live = await monitor.until(project_id, finished, step.waits_for or "the agent to become idle", step)
    if live.status != contract.Status.IDLE:
        raise ReconcilerError(
            f"the project is {live.status} and can't be {'rendered' if isinstance(step, Render) else 'shared'}",
            live.error_message or "`reconciler plan` shows what you can do.",
        )


async def leave_in_doubt(run: Run, finding: Diagnostic, doubt: Delivered | None = None) -> NoReturn:
    """Leave a render or a share to the user, and remember the ``doubt``: an earlier run may have made it.

    Raises:
        Undecided: always.

    """
    if doubt is not None:
        await run.record(End(effects=(doubt,)))
    raise Undecided(finding.summary, replace(finding, severity="error"))


async def commit_if_offered(
    run: Run,
    monitor: Monitor,
    call: Call[T],
    step: Render | Share,
    project_id: str,
    acted: Callable[[Intent], Awaitable[bool]] | None = None,
) -> T | None:
    """Make the call as :func:`commit`. Raises ReconcilerError where the API does not have it; asked once in a run."""
    require_possible(run, step)
    try:
        return await commit(run, monitor, call, acted)
    except RefusedError as error:
        if error.status not in NO_SUCH_CALL:
            raise
        if isinstance(error, NotFoundError):
            await monitor.look(project_id)  # raises if it is the project that is not there
        run.lacking.add(step.action)
        raise lacks(step) from error
