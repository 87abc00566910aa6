"""``POST /projects/:id/share``: making one permanent link. There is no key: the account's list of links tells.

One share is under way at a time, so a link that is new in the list is this one's, or that of another environment or a
person.
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
from reconciler.operations.calls.delivering import commit_if_offered, leave_in_doubt, until_idle
from reconciler.operations.read.renders import has_title, may_show
from reconciler.planning.delivery import MOST_LINKS, has_no_link, unknown_link
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
        return self.run.intent(
            "share",
            self.step.address,
            step=self.number,
            body=self.step.body,
            project_id=self.project_id,
            seen=tuple(map(_mark, self.known or ())),
        )

    async def send(self) -> Link:
        return await self.run.api.share(self.project_id, self.wire)

    async def effects(self, link: Link, intent: Intent) -> tuple[Delivered]:
        return (_shared(self.run, intent.address, link),)

    async def may_have_acted(self, intent: Intent) -> bool:
        """Whether the account has a link that is new since the intent."""
        links = await self.run.api.shares()
        return links is not None and bool(_new(links, intent))

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
        elsewhere = run.elsewhere_now()  # after the list: what another environment makes is in its journal before
        new = [link for link in _new(links, intent) if link.share_url not in elsewhere.links]
        title = run.fill(from_portable(intent.body), intent.address).get("title")
        match [link for link in new if _may_be(link, title)]:
            case [link] if len(new) == 1 and not elsewhere.sharing:
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
    return Delivered(address=address, shared=_kept(run, link))


def _kept(run: Run, link: Link) -> Shared:
    return run.redact.record(Shared(at=run.now(), share_url=link.share_url, video_url=link.video_url))


def _untaken(run: Run, links: Iterable[Link]) -> list[Link]:
    """The links that no address has."""
    taken = {entry.shared.share_url for entry in run.draft.projects.values() if entry.shared is not None}
    return [link for link in links if link.share_url not in taken]


async def _find_made(run: Run, monitor: Monitor, step: Share, links: list[Link]) -> Link | None:
    """The link that an address has already, though the state does not know it: the user declared its video rendered, and
    this is the only link with the title of the spec, made since the video was.

    Raises:
        Undecided: one of these links may be it, and nothing tells.

    """
    address, title = step.address, step.body.get("title")
    entry = run.draft.projects[address]
    rendered, shared = entry.rendered, entry.shared
    there_before = rendered is not None and rendered.how != "sent" and not rendered.outdated
    if not links or (address in run.worked and not there_before) or has_no_link(shared):
        return None
    elsewhere = run.elsewhere_now()
    links = [link for link in links if link.share_url not in elsewhere.links]
    live = await monitor.look(entry.project_id)
    unseen = there_before and shared is None  # the state was never told of its links: those of any time may be it
    shown = [link for link in links if may_show(link, live, title)]
    may_be = [link for link in links if has_title(link, live, title)] if unseen else shown
    declared = there_before and rendered is not None and rendered.how == "declared" and title is not None
    if may_be and not (declared and len(may_be) == 1 and shown == may_be):
        doubt = replace(
            shared or Shared(at=run.now()), how="found", may_be=tuple(_kept(run, link) for link in may_be[:MOST_LINKS])
        )
        await leave_in_doubt(run, unknown_link(address, doubt), Delivered(address=address, shared=doubt))
    return may_be[0] if may_be else None


async def share(run: Run, monitor: Monitor, step: Share, number: int) -> Done:
    """Make a permanent link to an address's video once its render has finished."""
    address = step.address
    project_id = run.draft.projects[address].project_id

    async def attempt() -> Done:
        await until_idle(run, monitor, step)
        wire = run.reveal(step.body, address)
        async with run.sharing:
            known = await run.api.shares()
            free = _untaken(run, known or ())
            there = await _find_made(run, monitor, step, free)
            if there is not None:
                await run.record_step(address, number, _shared(run, address, there))
                return Done(f"it has its link already: {there.share_url}", already=True)
            call = ShareCall(run, monitor, step, number, project_id, known, wire)
            link = await commit_if_offered(run, monitor, call, step, project_id, call.may_have_acted)
        return Done(link.share_url) if link is not None else Done("its answer was lost; the account's list has it")

    return await retry_status(monitor, project_id, attempt)
