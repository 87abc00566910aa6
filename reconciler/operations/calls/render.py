"""``POST /projects/:id/render``: rendering a video once. There is no key: the project's status tells what became of it."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.errors import NotFoundError
from reconciler.model.journal import Delivered
from reconciler.model.live import LiveProject
from reconciler.model.plan import Render, describe
from reconciler.model.state import Intent, Rendered
from reconciler.model.times import instant
from reconciler.model.values import WireBody
from reconciler.operations.apply.exactly_once import Done, Resolution, in_slot, retry_status, settle
from reconciler.operations.apply.polling import OVER, Monitor
from reconciler.operations.apply.run import Run
from reconciler.operations.calls.delivering import commit_if_offered, leave_in_doubt, until_idle
from reconciler.operations.read.renders import mark, may_be_rendered
from reconciler.planning.delivery import is_doubtful, unknown_render


class RenderCall(Struct):
    """``live`` is the project as it was read just before."""

    run: Run
    monitor: Monitor
    step: Render
    number: int
    live: LiveProject
    wire: WireBody

    def intent(self) -> Intent:
        return self.run.intent(
            "render",
            self.step.address,
            step=self.number,
            body=self.step.body,
            project_id=self.live.id,
            seen=_marks(self.live),
        )

    async def send(self) -> tuple[str | None, str]:
        return await self.run.api.render(self.live.id, self.wire)

    async def effects(self, answer: tuple[str | None, str], intent: Intent) -> tuple[Delivered]:
        render_id, status = answer
        self.monitor.note(replace(self.live, status=status, assembled_url=None, assembled_url_expires_at=None))
        return (rendered_by(intent, at=self.run.now(), render_id=render_id),)

    async def may_have_acted(self, intent: Intent) -> bool:
        """Whether the project renders or has another video, or the agent is idle and nothing tells whether it has."""
        live = await self.monitor.look(self.live.id)
        became = _became(live, intent)
        return became == "done" or (became == "unknown" and live.status == contract.Status.IDLE)

    @staticmethod
    async def recover(run: Run, monitor: Monitor, intent: Intent, /) -> Resolution:
        """Look at the project: now, and once the call can't be under way any more."""
        assert intent.project_id is not None
        try:
            live = await monitor.look(intent.project_id)
            if _became(live, intent) == "not_done":
                await settle(run, intent)
                live = await monitor.look(intent.project_id)
        except NotFoundError:
            return Resolution("not_done", "the project is gone")
        match _became(live, intent):
            case "done":
                note = "it is rendering" if live.status == contract.Status.RENDERING else "its video is a new one"
                return Resolution("done", note, (rendered_by(intent, at=run.now()),))
            case "not_done":
                return Resolution("not_done", "its video is the one from before")
            case _:
                why = f"the project is {live.status}, and nothing tells whether its video was rendered since"
                return Resolution("unknown", why)


def rendered_by(intent: Intent, *, at: str, render_id: str | None = None) -> Delivered:
    """That an intent's render was made."""
    rendered = Rendered(at=at, quality=str(intent.body["quality"]), id=render_id)
    return Delivered(address=intent.address, rendered=rendered)


def _marks(live: LiveProject) -> tuple[str | None, str | None, str | None]:
    """What tells one video from another: where it is (a signature may change with every look), when its address dies, and
    when the project changed.
    """
    return mark(live.assembled_url), live.assembled_url_expires_at, live.updated_at


def _became(live: LiveProject, intent: Intent) -> str:
    """What became of a render: ``done``, ``not_done``, or ``unknown``.

    Another file is proof, and so are times that all moved on. That nothing changed at all is proof of the opposite.
    Anything between can have other reasons: a new signature, a change of the title, a message of a person.
    """
    if is_rendering(live):
        return "done"
    if live.status in OVER:
        return "not_done"  # there is nothing left to render
    if live.status != contract.Status.IDLE:
        return "unknown"
    url, *times = _marks(live)
    before, *earlier = intent.seen
    if url is not None and url != before:
        return "done"
    if (url, times) == (before, earlier):
        return "not_done"
    moved = [(now, then) for now, then in zip(map(instant, times), map(instant, earlier), strict=True)]
    return "done" if all(now is not None and then is not None and now > then for now, then in moved) else "unknown"


def is_rendering(live: LiveProject) -> bool:
    """Whether a render is under way. Where the agent was idle right before, it is of the video that was to be rendered."""
    return live.status == contract.Status.RENDERING


async def render(run: Run, monitor: Monitor, step: Render, number: int) -> Done:
    """Render an address's video once its agent is idle."""
    address = step.address
    project_id = run.draft.projects[address].project_id

    async def attempt() -> Done:
        await until_idle(run, monitor, step)
        if is_doubtful(run.draft.projects[address].rendered):
            await leave_in_doubt(run, unknown_render(address))
        return await in_slot(run, monitor, step, once)

    async def once() -> Done:
        live = await monitor.look(project_id)
        entry = run.draft.projects[address]
        if address not in run.worked and await may_be_rendered(
            run.api, live, entry, costs=describe(step).spends_credits
        ):
            known = entry.rendered or Rendered(at=run.now())
            doubt = Delivered(address=address, rendered=replace(known, how="found", outdated=False))
            await leave_in_doubt(run, unknown_render(address), doubt)
        call = RenderCall(run, monitor, step, number, live, run.reveal(step.body, address))
        answer = await commit_if_offered(run, monitor, call, step, project_id, call.may_have_acted)
        return Done() if answer is not None else Done("its answer was lost; the project shows it")

    return await retry_status(monitor, project_id, attempt)
