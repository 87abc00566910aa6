"""The workspaces below a folder, and why a change concerns them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from reconciler.model.claim import Claim
from reconciler.model.errors import Diagnostic

ReasonKind = Literal[
    "configuration", "spec", "brief", "asset", "variables", "shared", "submodule", "state", "file", "renamed", "deleted"
]
"""What a changed file is for a workspace. ``shared``: it reads the file and the file is outside its folder. ``submodule``:
another repository in this one, that has files which it reads. ``file``: any other file of a workspace that can't be read,
so that nothing tells what it would read. ``renamed`` and ``deleted`` are of
the workspace or the environment itself.
"""
ChangeKind = Literal["added", "modified", "deleted", "renamed"]


class Reason(Struct, frozen=True, kw_only=True, order=True):
    """Why a workspace is affected. ``path`` and ``source`` (its earlier name) are relative to the folder looked below."""

    path: str
    kind: ReasonKind
    change: ChangeKind
    source: str | None = None
    uncommitted: bool = False


class Managed(Struct, frozen=True, order=True):
    """A project that a deleted workspace still manages."""

    address: str
    project_id: str | None


class WorkspaceRow(Struct, frozen=True, kw_only=True):
    """A workspace in one environment; ``environment`` is ``None`` where there are none.

    ``managed`` is what a deleted one still manages; ``None`` if its state can't be read from here. ``place`` is where that
    state is.
    """

    path: str
    name: str
    environment: str | None = None
    changed: bool = True
    deleted: bool = False
    reasons: tuple[Reason, ...] = ()
    managed: tuple[Managed, ...] | None = None
    place: str | None = None
    claim: Claim | None = None
    """Which pull request has claimed it, where its state is local."""
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def failed(self) -> bool:
        return any(found.severity == "error" for found in self.diagnostics)


class Comparison(Struct, frozen=True, kw_only=True):
    """What a listing was compared with: the revision as the user named it, its commit, and where the two histories part.

    ``commit`` and ``merge_base`` are ``None`` for a revision of zeros: before the first commit.
    """

    ref: str
    commit: str | None = None
    merge_base: str | None = None
