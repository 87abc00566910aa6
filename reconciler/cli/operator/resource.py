"""The custom resource ``Workspace``: its spec as a value, and the status that a round leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import click
import msgspec
from msgspec import Meta, Struct

from reconciler.cli.options import DURATION
from reconciler.model.errors import ReconcilerError

GROUP: Final = "reconciler.eversince.dev"
VERSION: Final = "v1alpha1"
PLURAL: Final = "workspaces"
KIND: Final = "Workspace"
FINALIZER: Final = f"{GROUP}/finalizer"
INTERVAL_MIN: Final = 10.0
COUNTED: Final = ("create", "update", "message", "cancel", "replace")
"""Counts that are shown by name; the other steps are one number."""
_MESSAGE_MAX: Final = 1000

_Name = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
_Key = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
_Digest = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$")]
_State = Annotated[str, Meta(max_length=1024, pattern=r"^(s3|gs|az|file)://[^\s]+$")]


class _Strict(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class Git(_Strict, frozen=True, kw_only=True):
    """A repository, a branch, tag or commit, and the folder of the workspace in it."""

    url: str
    revision: str = "main"
    path: str = ""


class ConfigMapRef(_Strict, frozen=True, kw_only=True):
    """A ConfigMap of the same namespace: `reconciler.yaml` and spec files."""

    name: _Name


class Source(_Strict, frozen=True, kw_only=True):
    """Where the workspace comes from: one of the two."""

    git: Git | None = None
    config_map: ConfigMapRef | None = None


class SecretRef(_Strict, frozen=True, kw_only=True):
    """A key of a Secret of the same namespace."""

    name: _Name
    key: _Key = "EVERSINCE_API_KEY"


class WorkspaceSpec(_Strict, frozen=True, kw_only=True):
    """What the resource asks for."""

    source: Source
    key_secret_ref: SecretRef
    state: _State
    environment: Annotated[str, Meta(max_length=100, pattern=r"^([A-Za-z0-9_][-A-Za-z0-9_.]*)?$")] = ""
    mode: Literal["plan", "apply", "approve"] = "plan"
    interval: str = "10m"
    approved: _Digest = ""
    suspend: bool = False

    @property
    def seconds(self) -> float:
        """The time between rounds."""
        return max(INTERVAL_MIN, DURATION.convert(self.interval, None, None))


class Round(Struct, kw_only=True):
    """What a round found out and did. ``blocked``: a person has to do something before it goes on."""

    reason: str
    message: str
    ready: bool = False
    blocked: bool = False
    failed: bool = False
    drifted: bool | None = None
    revision: str | None = None
    digest: str | None = None
    counts: dict[str, int] | None = None
    keep: bool = False
    """What is shown of a plan stays: nothing was found out about it."""
    soon: bool = False
    """There is more to do than to look again after the interval."""


class SpecError(ReconcilerError):
    """The resource's spec can't be used."""


def read_spec(spec: Mapping[str, Any]) -> WorkspaceSpec:
    """The spec, checked again: a cluster's schema may be another one. Raises SpecError."""
    try:
        found = msgspec.convert(dict(spec), WorkspaceSpec)
        _ = found.seconds
    except (msgspec.ValidationError, click.BadParameter) as error:
        raise SpecError(f"the spec is wrong: {error}", "`kubectl explain workspace.spec` shows its fields.") from error
    if (found.source.git is None) == (found.source.config_map is None):
        raise SpecError("`spec.source` needs one of `git` and `configMap`")
    return found


def counts_of(summary: Mapping[str, int]) -> dict[str, int]:
    """The counts of a plan's summary, always with the same names: a merge patch would keep old ones."""
    shown = {name: summary.get(name, 0) for name in (*COUNTED, "unchanged", "attention")}
    return {**shown, "other": sum(summary.values()) - sum(shown.values())}


def status_of(made: Round, before: Mapping[str, Any], *, generation: int | None, environment: str, now: str) -> Any:
    """The merge patch of ``status``. A condition keeps its time while it is the same."""
    old = {each.get("type"): each for each in before.get("conditions") or ()}
    states = {"Ready": made.ready, "Blocked": made.blocked, "Drifted": made.drifted}
    conditions = []
    for kind, state in states.items():
        word = "Unknown" if state is None else str(state)
        last = old.get(kind, {})
        conditions.append(
            {
                "type": kind,
                "status": word,
                "reason": made.reason,
                "message": made.message[:_MESSAGE_MAX],
                "observedGeneration": generation or 0,
                "lastTransitionTime": last.get("lastTransitionTime", now) if last.get("status") == word else now,
            }
        )
    pending = {"digest": made.digest, "revision": made.revision, "counts": made.counts} if made.digest else None
    status: dict[str, Any] = {
        "conditions": conditions,
        "lastError": made.message[:_MESSAGE_MAX] if made.failed else None,
        "lastRoundTime": now,
        "observedGeneration": generation or 0,
    }
    if not made.keep:
        status["plan"] = pending
    if made.revision is not None:
        status["observedRevision"] = made.revision
    if made.ready:
        status["applied"] = {"revision": made.revision, "environment": environment}
    return status
