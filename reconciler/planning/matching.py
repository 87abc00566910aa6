"""Unmanaged projects of the account that a create might duplicate.

The state may be lost or an old copy. Then the idempotency key decides for most projects, but not for one that failed
(the API makes a new project for its key): those are searched for in the account before anything is created.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from functools import cached_property
from itertools import chain
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.desired import CreateOrigin, DesiredProject
from reconciler.model.likeness import beginning
from reconciler.model.live import LiveProject, Snapshot
from reconciler.model.state import Entry
from reconciler.model.times import instant
from reconciler.model.values import Json, Value, exposed
from reconciler.planning.knowledge import brief_matches, plain_text, title_matches

KEY_SECONDS: Final = 23 * 3600.0
"""How long an idempotency key is surely known: elsewhere the shortest is a day (Stripe); this contract does not say."""


RECREATE_ONCE_IN: Final = 86_400.0
"""Seconds for which a project that ``watch`` recreated is not recreated if it fails again."""

SIMILAR: Final = 0.6
"""How much of two briefs must agree (``difflib``) for one to be perhaps the other, rewritten."""
_OVER: Final = frozenset({contract.Status.FAILED, contract.Status.CANCELLED})


def key_may_be_forgotten(project: LiveProject, at: str) -> bool:
    """Whether a project may be so old at the time ``at`` that the key which made it would make another one."""
    made, now = instant(project.created_at), instant(at)
    return made is None or now is None or (now - made).total_seconds() > KEY_SECONDS


def is_new_successor(entry: Entry | None, live: Snapshot, at: str) -> bool:
    """Whether a managed project replaced another one less than ``RECREATE_ONCE_IN`` before the time ``at``."""
    if entry is None or not (entry.generation > 1 or entry.retired):
        return False
    project = live.projects.get(entry.project_id)
    made, now = instant(project.created_at if project else None), instant(at)
    return made is not None and now is not None and (now - made).total_seconds() < RECREATE_ONCE_IN


class Match(Struct, frozen=True):
    """Unmanaged projects that look like a desired one, by their fate."""

    alive: tuple[LiveProject, ...]
    failed: tuple[LiveProject, ...]
    cancelled: tuple[LiveProject, ...]

    @property
    def all(self) -> tuple[LiveProject, ...]:
        return (*self.alive, *self.failed, *self.cancelled)


class Candidates(Struct, frozen=True, dict=True):
    """Unmanaged API projects. ``by_brief``: by the brief that the list shows. ``failed``: whether any of them failed.
    ``spent``: whether one was cancelled, perhaps replaced, and its key is forgotten. ``at``: when they were read.
    """

    by_brief: Mapping[str, tuple[LiveProject, ...]]
    failed: bool
    spent: bool
    at: str
    claimed: frozenset[str] = frozenset()
    """Projects with the very brief and title that a new address declares: they are like no other one's."""

    @classmethod
    def of(cls, live: Snapshot, entries: Mapping[str, Entry], imports: frozenset[str] = frozenset()) -> Candidates:
        """``imports``: projects that the user has said what they are."""
        managed = {*imports, *(entry.project_id for entry in entries.values())}
        managed.update(old for entry in entries.values() for old in entry.retired)
        groups: dict[str, list[LiveProject]] = {}
        failed = spent = False
        for project in live.projects.values():
            if project.id not in managed and project.source_project_id is None and project.brief is not None:
                groups.setdefault(project.brief, []).append(project)
                failed = failed or project.status == contract.Status.FAILED
                cancelled = project.status == contract.Status.CANCELLED
                spent = spent or (cancelled and key_may_be_forgotten(project, live.at))
        return cls(_fixed(groups), failed, spent, live.at)

    @cached_property
    def by_beginning(self) -> Mapping[str, tuple[LiveProject, ...]]:
        """By what all forms of a brief have in common, for briefs not cut at the contract's length."""
        groups: dict[str, list[LiveProject]] = {}
        for brief, group in self.by_brief.items():
            groups.setdefault(beginning(brief), []).extend(group)
        return _fixed(groups)

    @cached_property
    def by_title(self) -> Mapping[str, tuple[LiveProject, ...]]:
        """By the title, in lower case."""
        groups: dict[str, list[LiveProject]] = {}
        for project in chain.from_iterable(self.by_brief.values()):
            groups.setdefault(_folded(project.settings.get("title")), []).append(project)
        return _fixed(groups)

    def claimed_by(self, projects: Iterable[DesiredProject]) -> Candidates:
        """The same, knowing the new addresses. Projects are claimed where there are no more of them than addresses; none is
        that the key of its own address would not find.
        """
        matches = [self.match(project).all for project in projects]
        groups = Counter(frozenset(p.id for p in match) for match in matches)
        claimed = frozenset(chain.from_iterable(ids for ids, addresses in groups.items() if len(ids) <= addresses))
        return replace(self, claimed=claimed - {p.id for match in matches for p in match if self._is_lost(p)})

    def _is_lost(self, project: LiveProject) -> bool:
        """Whether the key that made a project may not find it."""
        return project.status == contract.Status.FAILED or key_may_be_forgotten(project, self.at)

    def may_have(self, project: DesiredProject) -> bool:
        """Whether any of them may be what a project to create declares, perhaps renamed or rewritten since."""
        return bool(self.match(project).all or self.near(project))

    def near(self, project: DesiredProject) -> tuple[LiveProject, ...]:
        """The projects that were perhaps renamed (the same brief) or rewritten (the same title, a similar brief) since."""
        assert isinstance(project.origin, CreateOrigin)
        brief, title = project.origin.creation["brief"], exposed(project.settings.get("title"))
        found = self.like({"brief": brief}).all if title is not None else ()
        if not found and isinstance(title, str):
            text = plain_text(brief).expose()[: contract.current().limits.list_brief]
            same_title = self.by_title.get(_folded(title), ())
            found = tuple(live for live in same_title if live.status not in _OVER and _is_similar(text, live.brief))
        return tuple(live for live in found if live.id not in self.claimed)

    def match(self, project: DesiredProject) -> Match:
        """The projects that look like what a project declares (see :meth:`like`)."""
        assert isinstance(project.origin, CreateOrigin)
        return self.like({**project.origin.creation, **project.settings})

    def like(self, fields: Mapping[str, Value]) -> Match:
        """The projects with the same brief, as far as the list shows it, and the same title if the fields have one."""
        brief = fields["brief"]
        text = plain_text(brief).expose()
        exactly = self.by_brief.get(text[: contract.current().limits.list_brief])
        same = [
            live
            for live in exactly or self.by_beginning.get(beginning(text), ())
            if brief_matches(brief, live) and ("title" not in fields or title_matches(fields["title"], live))
        ]
        return Match(
            alive=tuple(p for p in same if p.status not in _OVER),
            failed=tuple(p for p in same if p.status == contract.Status.FAILED),
            cancelled=tuple(p for p in same if p.status == contract.Status.CANCELLED),
        )


def _folded(title: Json) -> str:
    return title.strip().casefold() if isinstance(title, str) else ""


def _is_similar(brief: str, other: str | None) -> bool:
    return SequenceMatcher(None, brief, other or "", autojunk=False).ratio() >= SIMILAR


def _fixed(groups: Mapping[str, list[LiveProject]]) -> dict[str, tuple[LiveProject, ...]]:
    return {key: tuple(group) for key, group in groups.items()}
