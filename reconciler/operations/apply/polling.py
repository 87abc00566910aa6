"""Waiting for an agent's status, or for a free slot. One poller serves all waiters.

A small account is read in one list call; in a large one up to three projects are asked one by one, more through one
filtered list for each status that several of them have. The interval is the one that the vendor advises, or a shorter
one where a step goes on as soon as an agent stops and the account has requests left.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain

from msgspec.structs import replace

from reconciler.adapters.api.ledger import LONGEST_WAIT
from reconciler.model import contract
from reconciler.model.errors import HaltedError, NotFoundError, ProjectLimitError
from reconciler.model.events import StatusChanged, StepWaiting
from reconciler.model.live import LiveProject, Snapshot
from reconciler.model.plan import Step
from reconciler.operations.apply.in_vain import require_possible
from reconciler.operations.apply.run import Deferred, Interrupted, Run
from reconciler.operations.concurrency import cancel_all, run_all
from reconciler.operations.read.refresh import list_filtered, merge
from reconciler.planning.matching import Candidates

LEAST_PAUSE = 1.0
"""Least seconds between two attempts to get a slot in an account that had none."""
ONE_BY_ONE = 3
"""Up to this many projects are read one by one; more through the list."""
QUICK = 1.0
"""Least seconds between two reads for steps that wait."""
SHARE = 0.5
"""How much of the requests that the account has left these reads may take; the rest is for calls, and for other runs."""
SOON = 0.001
"""Seconds: a read that is due so soon is due."""

OVER = frozenset({contract.Status.FAILED, contract.Status.CANCELLED})
"""Statuses that no project comes back from."""


def finished(live: LiveProject) -> bool:
    """Whether the agent has stopped, one way or another."""
    return not contract.is_active(live.status)


class Monitor:
    """What is known of live projects, and the polling that keeps it fresh while a step waits."""

    def __init__(self, run: Run, live: Snapshot) -> None:
        self._run = run
        self.projects: dict[str, LiveProject] = dict(live.projects)
        self.active: set[str] = {i for i, p in live.projects.items() if contract.is_active(p.status)}
        self.names: dict[str, str] = {}
        """Address by project id, for events."""
        self._before, self._managed_before = live, dict(run.draft.projects)
        self._complete = live.complete
        self._total = live.total or 0
        self._page_size = contract.current().limits.list_page
        self._polled: dict[str, float] = {}
        self._watched: Counter[str] = Counter()
        self._urgent: Counter[str] = Counter()
        """Those of the watched projects that a step waits for."""
        self._joined = asyncio.Event()
        self._stirred = asyncio.Event()
        self._tick: asyncio.Future[None] | None = None
        self._poller: asyncio.Task[None] | None = None
        self._reserved = 0
        self._allowed = run.options.active_limit
        """How many active projects the account allows, as far as refusals tell."""
        self._refused_until = -math.inf
        self._probing = False
        """Whether the last create or message was refused for want of a slot: then one step tries for all."""
        self._slot_lock = asyncio.Lock()

    @cached_property
    def adopted_before(self) -> Mapping[str, tuple[str, ...]]:
        """The projects that were there before this run, by the studio project that each was adopted from."""
        return {p.source_project_id: (p.id,) for p in self._before.projects.values() if p.source_project_id is not None}

    @cached_property
    def unmanaged_before(self) -> Candidates:
        """The projects that were there before this run, and that the state did not have."""
        return Candidates.of(self._before, self._managed_before)

    # ── what is known ───────────────────────────────────────────────────────────────────────────────────────────────

    def note(self, live: LiveProject) -> None:
        """Note what was seen of a project; what a status call does not show is kept from the list."""
        old = self.projects.get(live.id)
        self.projects[live.id] = merge(old, live) if old is not None and live.source == "status" else live
        if contract.is_active(live.status):
            self.active.add(live.id)
        else:
            self.active.discard(live.id)
        self._polled[live.id] = asyncio.get_running_loop().time()
        if (old is None or old.status != live.status) and live.id in self.names:
            self._run.emit(StatusChanged(address=self.names[live.id], project_id=live.id, status=live.status))

    def set_status(self, project_id: str, status: str) -> None:
        """Note a status that an answer gave."""
        old = self.projects.get(project_id)
        self.note(replace(old, status=status) if old else LiveProject(id=project_id, status=status, source="status"))

    async def look(self, project_id: str) -> LiveProject:
        """Read one project's status now."""
        self.note(await self._run.api.project(project_id))
        return self.projects[project_id]

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def until(
        self,
        project_id: str,
        ready: Callable[[LiveProject], bool],
        what: str,
        step: Step | None = None,
        *,
        reported: bool = False,
    ) -> LiveProject:
        """Wait for a project. ``step``: what goes on then, so it is looked at often; ``reported``: that it waits was
        reported already.

        Raises:
            Deferred: this run does not wait, or not any longer, or the step waits in vain.
            Interrupted: the user asked to stop.
            ReconcilerError: the project could not be read, or the step waits in vain.

        """
        with self._wanted(project_id if step is not None else None):
            while True:
                if step is not None:
                    require_possible(self._run, step)
                live = self.projects.get(project_id) or await self.look(project_id)
                if ready(live):
                    return live
                self.check_may_wait(what)
                if step is not None and not reported:
                    seconds = self._interval_of(project_id, self._quick())
                    self._run.emit(StepWaiting(step=step, waits_for=what, seconds=seconds))
                    reported = True
                await self._next_tick({project_id}, what)

    def stir(self) -> None:
        """Have all who wait look at once whether they wait in vain. Nothing is read for that."""
        self._stirred.set()
        self._joined.set()
        self._stirred = asyncio.Event()

    def check_may_wait(self, what: str) -> None:
        """Raise as :meth:`until` where this run does not wait."""
        if self._run.stop.is_set():
            raise Interrupted
        if self._run.options.wait == "none" or self._run.is_halted():
            raise Deferred(what)

    async def slot(self, step: Step) -> None:
        """Wait for a free active slot and reserve it; :meth:`release` gives it back, :meth:`note` takes it over.

        After a refusal one waiting step tries for all, at the advised pace, until a slot is free. Raises as :meth:`until`.
        """
        loop = asyncio.get_running_loop()
        async with self._slot_lock:
            require_possible(self._run, step)
            await self._count_all_active()
            reported = False
            while True:
                require_possible(self._run, step)
                self._allowed = max(self._allowed, min(len(self.active), self._run.options.active_limit))
                free = self._allowed - len(self.active) - self._reserved
                pause = self._refused_until - loop.time()
                if pause <= 0 and free > 0 and not (self._probing and self._reserved):
                    break
                what = f"a free slot ({self._allowed} projects may be active at once)"
                self.check_may_wait(what)
                if not reported:
                    seconds = max(pause, self.interval(contract.Status.QUEUED))
                    self._run.emit(StepWaiting(step=step, waits_for=what, seconds=seconds))
                    reported = True
                if pause > 0:
                    with contextlib.suppress(TimeoutError):
                        async with self._run.api.halt.waiting(), asyncio.timeout(pause):
                            await self._stirred.wait()
                    continue
                await self._next_tick(set(self.active), what)
            self._reserved += 1

    def release(self, refused: ProjectLimitError | None = None) -> None:
        """Give a reserved slot back. ``refused``: the API had none, and perhaps said when to try again."""
        self._reserved -= 1
        self._probing = refused is not None
        if refused is None:
            return
        self._allowed = max(1, min(self._allowed, len(self.active) + self._reserved))
        pause = refused.retry_after or self.interval(contract.Status.QUEUED)
        pause = min(max(pause, LEAST_PAUSE), LONGEST_WAIT)
        self._refused_until = max(self._refused_until, asyncio.get_running_loop().time() + pause)

    async def _count_all_active(self) -> None:
        """Count other people's active projects, which take slots too, where the list was not read whole."""
        if self._complete:
            return
        pages = await run_all(
            list_filtered(self._run.api, status=status) for status in sorted(contract.current().active_statuses)
        )
        for project in (p for page in pages for p in page):
            self.note(project)
        self._complete = True

    # ── polling ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def interval(self, status: str) -> float:
        """Seconds between two reads of a project with this status."""
        options = self._run.options
        if options.poll_interval is not None:
            return options.poll_interval
        advised = contract.current().rule(status).poll_seconds
        return advised * options.poll_scale

    def _due(self, project_id: str, quick: float) -> float:
        return self._polled.get(project_id, 0.0) + self._interval_of(project_id, quick)

    def _interval_of(self, project_id: str, quick: float) -> float:
        """Seconds between two reads of this project: few while a step waits for its agent to stop."""
        live = self.projects.get(project_id)
        advised = self.interval(live.status if live else contract.Status.QUEUED)
        return min(advised, quick) if project_id in self._urgent and project_id in self.active else advised

    def _quick(self) -> float:
        """Seconds between two reads of what steps wait for, as the account's requests allow now."""
        spare = SHARE * self._run.api.spare()
        if self._run.options.poll_interval is not None or not spare:
            return math.inf
        if self._in_one_page(len(self._watched)):
            calls = 1
        elif len(self._urgent) > ONE_BY_ONE:
            calls = len({live.status if (live := self.projects.get(i)) else None for i in self._urgent})
        else:
            calls = len(self._urgent)
        return max(QUICK, calls / spare)

    def _in_one_page(self, watched: int) -> bool:
        return self._total + len(self.names) <= self._page_size and watched != 1

    @contextlib.contextmanager
    def _wanted(self, project_id: str | None) -> Iterator[None]:
        """A step waits for this project."""
        ids = {project_id} if project_id is not None else set[str]()
        self._urgent.update(ids)
        try:
            yield
        finally:
            _drop(self._urgent, ids)

    async def aclose(self) -> None:
        """Stop polling."""
        if self._poller is not None:
            await cancel_all(self._poller)

    async def _next_tick(self, ids: set[str], what: str) -> None:
        self._watched.update(ids or {""})
        self._joined.set()
        if self._tick is None:
            self._tick = asyncio.get_running_loop().create_future()
            self._poller = asyncio.create_task(self._poll_once(self._tick))
        try:
            await asyncio.shield(self._tick)
        except Deferred:
            raise Deferred(what) from None
        finally:
            _drop(self._watched, ids or {""})

    async def _poll_once(self, tick: asyncio.Future[None]) -> None:
        """Sleep until a project is due, read it, and wake all waiters; or only wake them, once stirred."""
        try:
            await asyncio.sleep(0)  # let all steps that are about to wait join this tick
            if await self._sleep():
                await self._read_watched()
        except BaseException as error:  # noqa: BLE001  every waiter must get it, whatever it is
            self._tick = None
            tick.set_exception(error)
            with contextlib.suppress(BaseException):
                tick.exception()  # all may have stopped waiting meanwhile
        else:
            self._tick = None
            tick.set_result(None)

    async def _sleep(self) -> bool:
        """Sleep until a project is due; false: stirred before."""
        stirred = self._stirred
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with contextlib.suppress(HaltedError):
            async with self._run.api.halt.waiting():
                while not stirred.is_set() and (pause := self._next_due(begun) - loop.time()) > SOON:
                    self._joined.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await self._joined.wait()  # who joins may be due earlier
        self._run.journal.check()  # without the lock there is nothing to wait for
        if self._run.stop.is_set():
            raise Interrupted
        if self._run.is_halted():
            raise Deferred
        return not stirred.is_set()

    def _next_due(self, begun: float) -> float:
        """When the next read is due; without a project to read, the interval after the waiting has begun."""
        quick = self._quick()
        return min(
            (self._due(i, quick) for i in self._watched if i), default=begun + self.interval(contract.Status.QUEUED)
        )

    async def _read_watched(self) -> None:
        api = self._run.api
        watched = {i for i in self._watched if i}
        if self._in_one_page(len(watched)):
            page = await api.list_projects()
            self._total = page.total
            if page.total > len(page.projects):
                self._page_size = len(page.projects)
            for project in page.projects:
                self.note(project)
            watched -= {project.id for project in page.projects}
        now = asyncio.get_running_loop().time()
        quick = self._quick()
        due = {i for i in watched if self._due(i, quick) <= now + SOON}
        if len(due) > ONE_BY_ONE:
            statuses = Counter(self.projects[i].status for i in due if i in self.projects)
            several = (list_filtered(api, status=status) for status, count in statuses.items() if count > 1)
            for project in chain.from_iterable(await run_all(several)):
                if project.id in watched:
                    self.note(project)
                    due.discard(project.id)
        await run_all(self._read_or_give_up(i) for i in sorted(due))

    async def _read_or_give_up(self, project_id: str) -> None:
        """Read a project; one that is gone (404) counts as cancelled, so that nothing waits for it forever."""
        try:
            await self.look(project_id)
        except NotFoundError:
            self.set_status(project_id, contract.Status.CANCELLED)


def _drop(counts: Counter[str], ids: Iterable[str]) -> None:
    """Count each of these once less."""
    for each in ids:
        counts[each] -= 1
        if not counts[each]:
            del counts[each]
