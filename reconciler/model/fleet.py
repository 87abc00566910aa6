"""All managed projects at one moment, for reports."""

from __future__ import annotations

from msgspec import Struct, field

from reconciler.model import contract
from reconciler.model.errors import Diagnostic
from reconciler.model.live import LiveMessage, LiveProject
from reconciler.model.state import Entry


class Member(Struct, frozen=True, kw_only=True):
    """One managed project. ``live`` is ``None`` if the account does not show it."""

    address: str
    entry: Entry
    live: LiveProject | None
    messages: tuple[LiveMessage, ...]
    findings: tuple[Diagnostic, ...]
    tags: tuple[str, ...] = ()
    """Those that its spec has now."""

    @property
    def drift(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.findings if d.kind == "drift")


class Fleet(Struct, frozen=True, kw_only=True):
    workspace: str
    at: str
    members: tuple[Member, ...]
    findings: tuple[Diagnostic, ...]
    """Findings about no managed project."""
    serial: int = 0
    """The state's."""
    version: str = field(default_factory=lambda: contract.current().version)
    """The version of the API that it was read in."""

    @property
    def lost(self) -> Diagnostic | None:
        """That the state may have been lost."""
        return next((d for d in self.findings if d.kind == "lost-state"), None)
