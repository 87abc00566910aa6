"""``POST /projects/:id/share``: making one permanent link. There is no key: the account's list of links tells.

One share is under way at a time, so a link that is new in the list is this one's, or a person's.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.errors import NotFoundError
from reconciler.model.journal import Delivered
from reconciler.model.live import Link
from reconciler.model.plan import Share
from reconciler.model.state import Intent, Shared
from reconciler.model.values import Value, WireBody, digest, from_portable
from reconciler.operations.apply.exactly_once import Done, Resolution, retry_status, settle
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import Run
from reconciler.operations.calls.delivering import commit_if_offered, leave_in_doubt, until_clear
from reconciler.operations.read.renders import may_show
from reconciler.planning.knowledge import agrees


class ShareCall(Struct):
    """``known`` are the links that the account had before; ``None``: it does not list them."""

    run: Run
    monitor: Monitor
    step: Share
    number: int
    project_id: str
    known: tuple[Link, ...] | None
    wire: WireBody

    def intent(self) -> Intent:
        intent = self.run.intent(
            "share", self.step.address, step=self.number, body=self.step.body, project_id=self.project_id
        )
        return replace(intent, seen=tuple(map(_mark, self.known or ())))

    async def send(self) -> Link:
        return await self.run.api.share(self.project_id, self.wire)

    async def effects(self, link: Link, intent: Intent) -> tuple[Delivered]:
        return (_shared(self.run, intent.address, link),)

    @staticmethod
    async def recover(run: Run, monitor: Monitor, intent: Intent, /) -> Resolution:
        """Look for a new link in the account's list: now, and once the call can't be under way any more."""
        assert intent.project_id is not None
        links = await run.api.shares()
        if links is not None and not _new(links, intent):
            await settle(run, intent)
            links = await run.api.shares()
        if links is None:
            try:
                await monitor.look(intent.project_id)
            except NotFoundError:
                return Resolution("not_done", "the project is gone")
            return Resolution("unknown", "the account does not list its permanent links")
        new = _new(links, intent)
        title = run.fill(from_portable(intent.body), intent.address).get("title")
        match [link for link in new if _may_be(link, title)]:
            case [link] if len(new) == 1:
                return Resolution("done", f"its link is {link.share_url}", (_shared(run, intent.address, link),))
            case [] if not new:
                return Resolution("not_done", "the account has no new link")
            case likely:
                urls = tuple(link.share_url for link in likely or new)
                why = f"the account has new links, and any of them may be it: {', '.join(urls)}"
                return Resolution("unknown", why, near=urls)


def _mark(link: Link) -> str:
    return digest(link.share_url)[:12]


def _new(links: Iterable[Link], intent: Intent) -> list[Link]:
    return [link for link in links if _mark(link) not in intent.seen]


def _may_be(link: Link, title: Value) -> bool:
    """Whether a link may have been asked for with this title; without one, the API gives it one of its own."""
    return title is None or agrees(title, link.title)


def _shared(run: Run, address: str, link: Link) -> Delivered:
    shared = Shared(at=run.now(), share_url=link.share_url, video_url=link.video_url)
    return Delivered(address=address, shared=run.redact.record(shared))


def _untaken(run: Run, links: Iterable[Link]) -> list[Link]:
    """The links that no address has."""
    taken = {entry.shared.share_url for entry in run.draft.projects.values() if entry.shared is not None}
    return [link for link in links if link.share_url not in taken]


def _declared(run: Run, step: Share, links: Iterable[Link]) -> Link | None:
    """The link that the user declared made (``state resolve --sent``): the only one with this title, and nobody else's."""
    rendered, title = run.draft.projects[step.address].rendered, step.body.get("title")
    if rendered is None or rendered.how != "declared" or rendered.outdated or title is None:
        return None
    found = [link for link in links if agrees(title, link.title)]
    return found[0] if len(found) == 1 else None


async def _may_be_shared(run: Run, monitor: Monitor, step: Share, links: Iterable[Link]) -> bool:
    """Whether one of these links may be that of the address's video, though the state does not know it."""
    entry, title = run.draft.projects[step.address], step.body.get("title")
    decided = entry.shared is not None and entry.shared.share_url is None
    if step.address in run.worked or decided or not any(title is None or agrees(title, link.title) for link in links):
        return False
    live = await monitor.look(entry.project_id)
    return any(may_show(link, live, title) for link in links)


async def share(run: Run, monitor: Monitor, step: Share, number: int) -> Done:
    """Make a permanent link to an address's video once its render has finished."""
    address = step.address
    project_id = run.draft.projects[address].project_id

    async def attempt() -> Done:
        if (doubtful := await until_clear(run, monitor, step, number)) is not None:
            return doubtful
        wire = run.reveal(step.body, address)
        async with run.sharing:
            known = await run.api.shares()
            free = _untaken(run, known or ())
            there = _declared(run, step, free)
            if there is not None:
                await run.record_step(address, number, _shared(run, address, there))
                return Done(f"it has its link already: {there.share_url}", already=True)
            if await _may_be_shared(run, monitor, step, free):
                return await leave_in_doubt(run, address, number)
            call = ShareCall(run, monitor, step, number, project_id, known, wire)
            link = await commit_if_offered(run, monitor, call, step, project_id)
        return Done(link.share_url) if link is not None else Done("its answer was lost; the account's list has it")

    return await retry_status(monitor, project_id, attempt)
