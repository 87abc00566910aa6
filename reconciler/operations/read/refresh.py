"""Reading live projects in as few calls as possible.

The first page of the list gives the total. Then whichever is cheaper: the remaining pages, or one status call for each
project that is still missing. Unread is not absent: only a 404 says that a project is gone, and a list that shifts while
it is read is read again (decisions/0018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import UNSET, Struct, field
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.errors import NotFoundError, ReconcilerError
from reconciler.model.live import LiveProject, ProjectPage, Snapshot
from reconciler.model.state import State
from reconciler.operations.concurrency import run_all

ROUNDS = 4
"""How often a shifting list is read before an error."""
WHOLE_LIST_MAX = 100_000
"""Projects up to which a whole list is read."""
WHOLE_LIST_PAGES = 1000
"""Pages up to which a whole list is read, eight minutes at the published rate."""
WHOLE_LIST_BYTES = 64 * 1024**2
"""Bytes up to which a whole list is read: about 670 for each of that many projects."""
PAGES_AT_ONCE = 8
"""Pages that are requested at once."""
SEARCHABLE_TITLE = 5
"""A project is not searched by a title shorter than this: too many other titles contain it."""
FAILURES_READ = 2
"""Failed projects whose ``error_message`` a plan reads at most; ``status`` reads all."""


class Reader(Protocol):
    """The reading half of the API client."""

    requests: int

    async def list_projects(
        self, *, offset: int = 0, limit: int = ..., status: str | None = None, title: str | None = None
    ) -> ProjectPage: ...

    async def project(self, project_id: str) -> LiveProject: ...


class _Reading(Struct):
    """Pages of one list, and whether they are of the same list."""

    total: int
    seen: dict[str, LiveProject] = field(default_factory=dict)
    size: int = 0
    fits: bool = True
    """Whether each page has the same total, and no id came twice."""

    def add(self, rows: Sequence[LiveProject], page: ProjectPage) -> bool:
        """Add these rows of a page. Returns whether they brought anything new."""
        before = len(self.seen)
        self.seen.update((project.id, project) for project in rows)
        self.size += page.size
        grown = len(self.seen) - before
        self.fits = self.fits and page.total == self.total and grown == len(rows)
        if self.size > WHOLE_LIST_BYTES:
            raise ReconcilerError(
                "the account's list of projects is too large to be read whole",
                f"After {len(self.seen)} of {self.total} projects it has more than {WHOLE_LIST_BYTES} bytes.",
            )
        return grown > 0

    @property
    def stable(self) -> bool:
        return self.fits and len(self.seen) == self.total


async def refresh(
    api: Reader,
    wanted: frozenset[str],
    *,
    everything: bool = False,
    failed: bool = False,
    titles: Mapping[str, str] | None = None,
    at: str,
) -> Snapshot:
    """Read the projects in ``wanted``; with ``everything`` the whole account, with ``failed`` at least all that failed.
    ``titles`` are those that projects should have, by id.

    Raises:
        ApiError: a call failed for good.
        ReconcilerError: the list kept shifting, or is too long.

    """
    before = api.requests
    first = await api.list_projects()
    seen = {project.id: project for project in first.projects}
    missing = wanted - seen.keys()
    pages = _pages_left(first)
    missing_ids: set[str] = set()
    complete = pages == 0 and len(seen) == first.total
    if everything or (missing and pages and pages <= len(missing)):
        reading = await _whole_list(api, first)
        seen, complete = reading.seen, reading.stable
        missing = wanted - seen.keys()
    if missing:
        found, missing_ids = await _one_by_one(api, sorted(missing), titles or {})
        seen.update(found)
    left = len(wanted) + 1 - (api.requests - before)  # never more calls than reading each one by one
    seen.update(await _failures(api, seen, wanted, most=max(0, min(FAILURES_READ, left))))
    if failed and not complete:
        seen.update({p.id: p for p in await list_filtered(api, status=contract.Status.FAILED) if p.id not in seen})
    return Snapshot(
        projects=seen,
        missing=frozenset(missing_ids),
        complete=complete,
        total=first.total,
        active=sum(contract.is_active(p.status) for p in seen.values()) if complete else None,
        requests=api.requests - before,
        at=at,
    )


async def list_filtered(api: Reader, *, status: str | None = None, title: str | None = None) -> list[LiveProject]:
    """Read every project that a filtered list shows. Raises as :func:`refresh`."""
    first = await api.list_projects(status=status, title=title)
    if not _pages_left(first):
        return list(first.projects)
    reading = await _whole_list(api, first, status=status, title=title)
    return list(reading.seen.values())


def _pages_left(first: ProjectPage) -> int:
    left = first.total - len(first.projects)
    return -(-left // _page_size(first)) if left > 0 else 0


def _page_size(first: ProjectPage) -> int:
    """How many rows a page has: a server may give fewer than it is asked for."""
    return len(first.projects) or contract.current().limits.list_page


async def _whole_list(
    api: Reader, first: ProjectPage, *, status: str | None = None, title: str | None = None
) -> _Reading:
    """Read all pages, again and again until they agree: same total on each, no id twice, none missing."""
    for _ in range(ROUNDS):
        reading = await _pages(api, first, status=status, title=title)
        if reading.stable:
            return reading
        first = await api.list_projects(status=status, title=title)
        if not first.projects and first.total:
            break
    raise ReconcilerError(
        "the account's list of projects kept changing while it was read",
        f"It was read {ROUNDS} times and never stayed the same, so no plan is made from it. The last time, it counted "
        f"{reading.total} projects and showed {len(reading.seen)}. Run the command again.",
    )


async def _pages(api: Reader, first: ProjectPage, *, status: str | None, title: str | None) -> _Reading:
    """Read all pages of one list, or as many as bring something new. Where one has fewer rows than there should be before
    the next, the rest is requested.
    """
    if first.total > WHOLE_LIST_MAX or _pages_left(first) > WHOLE_LIST_PAGES:
        raise ReconcilerError(
            "the account's list of projects is too long to be read whole",
            f"It counts {first.total} projects, with {len(first.projects)} on the first page; up to {WHOLE_LIST_MAX} on "
            f"{WHOLE_LIST_PAGES} pages are read.",
        )
    reading = _Reading(first.total)
    reading.add(first.projects, first)
    step = _page_size(first)
    waiting = [(start, start + step) for start in range(len(first.projects), first.total, step)]
    for _ in range(WHOLE_LIST_PAGES):
        some, waiting = waiting[:PAGES_AT_ONCE], waiting[PAGES_AT_ONCE:]
        if not some:
            break
        pages = await run_all(api.list_projects(offset=o, status=status, title=title) for o, _ in some)
        more = True
        for (start, end), page in zip(some, pages, strict=True):
            rows = page.projects if end >= first.total else page.projects[: end - start]
            more = reading.add(rows, page) and more
            if start + len(rows) < min(end, first.total):
                waiting.append((start + len(rows), end))
        if not more:
            break
    return reading


async def _one_by_one(
    api: Reader, ids: list[str], titles: Mapping[str, str]
) -> tuple[dict[str, LiveProject], set[str]]:
    """Read projects with one call each: the list filtered by the title that a project should have shows more than its
    status does. Only where the project is not in it, its status is read, and its title is known to have changed.
    """

    async def one(project_id: str) -> LiveProject | None:
        differing: frozenset[str] = frozenset()
        if len(titles.get(project_id, "")) >= SEARCHABLE_TITLE:
            page = await api.list_projects(title=titles[project_id])
            for project in page.projects:
                if project.id == project_id:
                    return project
            if page.total <= len(page.projects):
                differing = frozenset({"title"})
        try:
            return replace(await api.project(project_id), differing=differing)
        except NotFoundError:
            return None

    answers = await run_all(one(i) for i in ids)
    found = {i: project for i, project in zip(ids, answers, strict=True) if project is not None}
    return found, set(ids) - found.keys()


async def _failures(
    api: Reader, seen: Mapping[str, LiveProject], wanted: frozenset[str], *, most: int
) -> dict[str, LiveProject]:
    """Read why projects failed: the list does not say. What the list shows of them is kept."""
    failed = [
        seen[i]
        for i in sorted(wanted & seen.keys())
        if seen[i].status == contract.Status.FAILED and seen[i].source == "list"
    ]
    result: dict[str, LiveProject] = {}
    for project in failed[:most]:
        status = await api.project(project.id)
        result[project.id] = merge(project, status)
    return result


def merge(listed: LiveProject, status: LiveProject) -> LiveProject:
    """Merge what list and status show of a project; the status wins, since it is newer."""
    return replace(
        status,
        settings={**listed.settings, **status.settings},
        brief=listed.brief,
        source_project_id=listed.source_project_id,
        source="list",
    )


def remembered_titles(state: State) -> dict[str, str]:
    """The titles that managed projects should have, by id, in the form in which the account shows them."""
    titles = {entry.project_id: entry.settings.get("title") for entry in state.projects.values()}
    forms = {i: title.value if title.kept is UNSET else title.kept for i, title in titles.items() if title is not None}
    return {project_id: form for project_id, form in forms.items() if isinstance(form, str)}
