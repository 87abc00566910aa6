"""Making a call that must happen once: the loop around ``Run.perform`` and ``resolve``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from reconciler.adapters.api.limiter import LONGEST_WAIT
from reconciler.model.errors import (
    ApiError,
    CreditsError,
    Fate,
    ProjectLimitError,
    ReconcilerError,
)
from reconciler.model.journal import Effect
from reconciler.model.plan import (
    Step,
)
from reconciler.model.state import Intent
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import Run, Undecided, note_of
from reconciler.operations.recovery.open_calls import resolve

T = TypeVar("T")
TRIES: Final = 4
"""How often a call that turned out not done is made again."""


class Already(str):
    """A step's note that says: it was done before; nothing was made now."""

    __slots__ = ()


class Overtaken(Exception):  # noqa: N818
    """The step is done, but what it found makes the address's further steps moot; the text says what."""


async def commit(
    run: Run,
    monitor: Monitor,
    make: Callable[[], Intent],
    call: Callable[[], Awaitable[T]],
    effects: Callable[[T, Intent], Awaitable[tuple[Effect, ...]]],
) -> T | None:
    """Make one mutating call until it is done; ``None``: an answer was lost, but it is known to be done.

    Raises:
        ApiError: the API refused, or can't be reached: not done.
        Undecided: nothing could tell what became of it; the intent stays pending.
        Interrupted: the user asked to stop.

    """
    for _ in range(TRIES):
        intent = make()
        try:
            answer = await run.perform(intent, call)
        except ApiError as error:
            if error.fate is Fate.NOT_DONE:
                raise
            lost = error
        else:
            await run.done(intent, *await effects(answer, intent))
            return answer
        try:
            resolution = await resolve(run, monitor, intent)
        except ApiError as error:
            raise Undecided(f"{note_of(lost)}; then: {note_of(error)}") from error
        match resolution.result:
            case "done":
                return None
            case "unknown":
                raise Undecided(resolution.note)
            case "not_done":
                async with (
                    run.api.halt.waiting()
                ):  # what a failing server asks for; else at once, for it waited already
                    await asyncio.sleep(min(lost.retry_after or 0.0, LONGEST_WAIT))
    raise ReconcilerError(f"the call was lost {TRIES} times", lost.diagnostics[0].detail) from lost


async def spending(run: Run, monitor: Monitor, step: Step, call: Callable[[], Awaitable[T]]) -> T:
    """Make a call that costs and sets an agent to work: in a free slot, and not once credits ran out."""
    while True:
        _solvent(run)
        await monitor.slot(step)
        refused: ProjectLimitError | None = None
        try:
            _solvent(run)  # they may have run out while a slot was waited for
            return await call()
        except ProjectLimitError as error:
            refused = error
        except CreditsError as error:
            run.broke = error
            raise
        finally:
            monitor.release(refused)


def _solvent(run: Run) -> None:
    if run.broke is not None:
        raise ReconcilerError("not tried: the account has too few credits", run.broke.diagnostics[0].detail)
