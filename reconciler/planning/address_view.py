"""The input and the result of planning one address."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from reconciler.model.errors import Diagnostic
from reconciler.model.identity import Holder
from reconciler.model.live import LiveProject, Snapshot
from reconciler.model.plan import Step
from reconciler.model.state import Dispute, Entry, Intent
from reconciler.planning.findings import (
    not_read,
    unknown_outcome,
)
from reconciler.planning.matching import Candidates


class ProjectPlan(Struct):
    """The steps and findings of one address. ``drift``: what changed outside the reconciler, for ``--refresh-only``.
    ``rewritten``: whether a text differs from what was sent but reads the same.
    """

    steps: list[Step] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    drift: list[Diagnostic] = field(default_factory=list)
    rewritten: bool = False


class Disagreement(Struct, frozen=True):
    """A dispute, and the name of the address whose key it is about: its own, or an earlier one."""

    name: str
    dispute: Dispute


class View(Struct, frozen=True, kw_only=True):
    """Everything that planning knows about one address."""

    address: str
    entry: Entry | None
    live: Snapshot
    lineage: str
    identity: str
    """What its idempotency keys begin with."""
    next_generation: int
    pending: tuple[Intent, ...]
    replace: bool
    candidates: Candidates
    bound: Mapping[str, Holder]
    keep_failed: bool = False
    """Whether a failed project is only reported, whatever ``on_failed`` says."""
    fresh: bool = False
    """Whether the state is new or lost: it has no serial yet."""
    disagreement: Disagreement | None = None
    """What is known of the address's key, if it answered with another project."""
    renamed: bool = False
    """Whether the specs say that the address had another name, whose key its project may have."""
    former: tuple[str, ...] = ()
    """Its earlier names under which the state has nothing."""

    @property
    def generation(self) -> int:
        """The generation of the key that a create uses; the user's ``--replace`` passes over a disputed one."""
        disputed = self.dispute.generation if self.dispute is not None and self.replace else 0
        return max(self.next_generation, disputed + 1)

    @property
    def dispute(self) -> Dispute | None:
        """That of its own key."""
        found = self.disagreement
        return found.dispute if found is not None and found.name == self.address else None

    @property
    def project(self) -> LiveProject | None:
        return self.live.projects.get(self.entry.project_id) if self.entry else None

    @property
    def missing(self) -> bool:
        return self.entry is not None and self.entry.project_id in self.live.missing

    @property
    def blocked(self) -> Diagnostic | None:
        """Why nothing can be planned for this address, if so."""
        if self.entry is not None and self.project is None and not self.missing:
            return unknown_outcome(self.pending) or not_read(self.address, self.entry.project_id)
        return unknown_outcome(self.pending)
