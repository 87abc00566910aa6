"""What planning sees of one address, and what it makes of it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from reconciler.model.errors import Diagnostic
from reconciler.model.live import LiveProject, Snapshot
from reconciler.model.plan import Step
from reconciler.model.state import Entry, Intent
from reconciler.planning.findings import (
    undecided,
    unread,
)
from reconciler.planning.matching import Candidates


class ProjectPlan(Struct):
    """What is to be done at one address. ``drift`` says what changed outside, for ``--refresh-only``. ``rewritten``:
    whether a text differs from what was sent, though no reader sees that.
    """

    steps: list[Step] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    drift: list[Diagnostic] = field(default_factory=list)
    rewritten: bool = False


class View(Struct, frozen=True, kw_only=True):
    """All that planning sees of one address."""

    address: str
    entry: Entry | None
    live: Snapshot
    lineage: str
    workspace: str
    next_generation: int
    pending: tuple[Intent, ...]
    replace: bool
    candidates: Candidates
    bound: Mapping[str, str]
    spare: bool = False
    fresh: bool = False
    """Whether the state is new or lost: it never had a serial."""
    renamed: bool = False
    """Whether the specs say that the address had another name, under whose key its project may have been made."""

    @property
    def project(self) -> LiveProject | None:
        return self.live.projects.get(self.entry.project_id) if self.entry else None

    @property
    def missing(self) -> bool:
        return self.entry is not None and self.entry.project_id in self.live.missing

    @property
    def blocked(self) -> Diagnostic | None:
        """Why nothing can be planned here at all, if so."""
        if self.entry is not None and self.project is None and not self.missing:
            return undecided(self.pending) or unread(self.address, self.entry.project_id)
        return undecided(self.pending)
