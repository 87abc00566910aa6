"""``POST /projects/adopt``: taking a studio project over. Harmless to repeat (contract: 200 where it is adopted already)."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.errors import NotFoundError
from reconciler.model.journal import Bind
from reconciler.model.live import Created, LiveProject
from reconciler.model.plan import Adopt
from reconciler.model.state import Entry, Intent, Outputs
from reconciler.model.values import WireBody, from_portable
from reconciler.operations.apply.entries import found_render
from reconciler.operations.apply.exactly_once import Done, Resolution, commit
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import Run
from reconciler.operations.calls.settings import converge
from reconciler.planning.findings import ADOPTED_BEFORE


class AdoptCall(Struct):
    run: Run
    monitor: Monitor
    step: Adopt
    number: int
    wire: WireBody

    def intent(self) -> Intent:
        return self.run.intent("adopt", self.step.address, step=self.number, body=self.step.body)

    async def send(self) -> Created:
        return await self.run.api.adopt(self.wire)

    async def effects(self, adopted: Created, intent: Intent) -> tuple[Bind]:
        entry = _entry(self.run, adopted, str(self.step.body["project_id"]))
        outputs = Outputs(status=adopted.status, project_url=adopted.project_url)
        self.monitor.names[adopted.id] = self.step.address
        self.monitor.note(
            LiveProject(
                id=adopted.id,
                status=adopted.status,
                source="status",
                settings={"mode": adopted.mode} if adopted.mode else {},
                project_url=adopted.project_url,
            )
        )
        rendered = None
        if adopted.existing:
            self.run.found[intent.address] = now = self.run.now()
            rendered = found_render(adopted.status, at=now)
        return (Bind(address=intent.address, entry=replace(entry, outputs=outputs, rendered=rendered)),)

    @staticmethod
    async def recover(run: Run, _: Monitor, intent: Intent, /) -> Resolution:
        """Repeat it."""
        body = from_portable(intent.body)
        try:
            adopted = await run.api.adopt(run.reveal(body, intent.address))
        except NotFoundError:
            return Resolution("not_done", "the studio has no such project")
        bind = Bind(address=intent.address, entry=_entry(run, adopted, str(body["project_id"])))
        return Resolution("done", f"it is adopted: `{adopted.id}`", (bind,))


async def adopt(run: Run, monitor: Monitor, step: Adopt, number: int) -> Done:
    """Adopt a studio project, and set its mode where the spec asks for another one."""
    adopted = await commit(run, monitor, AdoptCall(run, monitor, step, number, run.reveal(step.body, step.address)))
    entry = run.draft.projects[step.address]
    mode = entry.settings.get("mode")
    if "mode" in step.body and (mode is None or mode.value != step.body["mode"]):
        live = monitor.projects.get(entry.project_id) or await monitor.look(entry.project_id)
        await converge(run, monitor, step, {"mode": step.body["mode"]}, live, number + 1)
    return Done(ADOPTED_BEFORE) if adopted is not None and adopted.existing else Done()


def _entry(run: Run, adopted: Created, studio_id: str) -> Entry:
    return Entry(
        project_id=adopted.id,
        origin="adopted",
        studio_id=studio_id,
        settings=run.as_known({"mode": adopted.mode} if adopted.mode else {}, "status"),
    )
