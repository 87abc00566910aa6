"""``POST /projects/:id/cancel``: stopping a project, for itself or for a successor."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model import contract
from reconciler.model.errors import NotFoundError
from reconciler.model.journal import Learn
from reconciler.model.live import LiveProject
from reconciler.model.plan import Cancel, Replace
from reconciler.model.state import Intent
from reconciler.operations.apply.exactly_once import Done, Resolution, commit, retry_status, settle
from reconciler.operations.apply.polling import OVER, Monitor
from reconciler.operations.apply.run import Run


class CancelCall(Struct):
    """``generation``: the successor's, where the project is cancelled for its sake."""

    run: Run
    monitor: Monitor
    step: Cancel | Replace
    number: int
    project_id: str
    generation: int

    def intent(self) -> Intent:
        return self.run.intent(
            "cancel",
            self.step.address,
            step=self.number,
            body={},
            project_id=self.project_id,
            generation=self.generation,
            final=not self.generation,
        )

    async def send(self) -> str:
        return await self.run.api.cancel(self.project_id)

    async def effects(self, status: str, intent: Intent) -> tuple[Learn, ...]:
        self.monitor.set_status(self.project_id, status)
        return _effects(intent)

    @staticmethod
    async def recover(run: Run, monitor: Monitor, intent: Intent, /) -> Resolution:
        """The project's status tells: now, and once the call can't be under way any more."""
        assert intent.project_id is not None
        try:
            live = await monitor.look(intent.project_id)
            if live.status not in OVER:
                await settle(run, intent)
                live = await monitor.look(intent.project_id)
        except NotFoundError:
            return Resolution("done", "the project is gone")
        note = f"the project is {live.status}"
        return Resolution("done", note, _effects(intent)) if live.status in OVER else Resolution("not_done", note)


def _effects(intent: Intent) -> tuple[Learn, ...]:
    return () if intent.final else (Learn(address=intent.address, replacing=True),)


async def cancel(run: Run, monitor: Monitor, step: Cancel, number: int) -> Done:
    """Cancel an address's project."""
    project_id = run.draft.projects[step.address].project_id
    done = await cancel_project(run, monitor, step, project_id, number)
    if done.already:
        await run.record_step(step.address, number)
    return done


async def cancel_project(
    run: Run, monitor: Monitor, step: Cancel | Replace, project_id: str, number: int, *, generation: int = 0
) -> Done:
    """Cancel a project unless it is over or gone. ``generation``: for the sake of this successor."""

    async def attempt() -> Done:
        try:
            live = await monitor.until(project_id, _is_stoppable, "the project to be cancellable", step)
            if live.status in OVER:
                return Done(f"it is already {live.status}", already=True)
            await commit(run, monitor, CancelCall(run, monitor, step, number, project_id, generation))
        except NotFoundError:
            try:
                await monitor.look(project_id)
            except NotFoundError:
                return Done("it is already gone", already=True)
            raise  # it is there: the answer was wrong
        else:
            return Done()

    return await retry_status(monitor, project_id, attempt)


def _is_stoppable(live: LiveProject) -> bool:
    return contract.current().allows("cancel", live.status) or live.status in OVER
