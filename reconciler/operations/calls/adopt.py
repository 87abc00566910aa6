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
from reconciler.operations.apply.entries import found_before
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
        before = self.monitor.adopted_before.get(str(self.step.body["project_id"]), ())
        return self.run.intent("adopt", self.step.address, step=self.number, body=self.step.body, seen=before)

    async def send(self) -> Created:
        return await self.run.api.adopt(self.wire)

    async def effects(self, adopted: Created, intent: Intent) -> tuple[Bind]:
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
        entry = _entry(self.run, adopted, intent, there_before=adopted.existing)
        return (Bind(address=intent.address, entry=replace(entry, outputs=outputs)),)

    @staticmethod
    async def recover(run: Run, _: Monitor, intent: Intent, /) -> Resolution:
        """Repeat it. Its answer says that the project is adopted already; whether that is so since this call, the intent
        tells.
        """
        body = from_portable(intent.body)
        try:
            adopted = await run.api.adopt(run.reveal(body, intent.address))
        except NotFoundError:
            return Resolution("not_done", "the studio has no such project")
        bind = Bind(address=intent.address, entry=_entry(run, adopted, intent, there_before=adopted.id in intent.seen))
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


def _entry(run: Run, adopted: Created, intent: Intent, *, there_before: bool) -> Entry:
    """The entry of an adopted project. ``there_before``: it was adopted before this call."""
    return Entry(
        project_id=adopted.id,
        origin="adopted",
        studio_id=str(intent.body["project_id"]),
        settings=run.as_known({"mode": adopted.mode} if adopted.mode else {}, "status"),
        rendered=found_before(run, intent.address, adopted.status) if there_before else None,
    )
