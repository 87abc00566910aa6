"""One round of one workspace: get its files, plan, and apply what its mode allows; all of it by the real command."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from reconciler import files
from reconciler.adapters.checkout import check_out
from reconciler.cli.operator.child import Ended, run_command
from reconciler.cli.operator.cluster import Cluster
from reconciler.cli.operator.resource import Round, WorkspaceSpec, counts_of, read_spec
from reconciler.model.errors import ReconcilerError
from reconciler.report.safe_text import clean

_CHANGES: Final = 2
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_.]*")
_CHANGING: Final = ("id", "created_at", "digest", "credits", "requests", "policy")
"""Members of a plan that differ although it would do the same."""


class Settings(Struct, frozen=True, kw_only=True):
    """What the operator's own configuration says for all workspaces. ``timeout`` is as on the command line."""

    work: Path
    git_hosts: frozenset[str]
    timeout: str


class Pending(Struct, frozen=True):
    """A saved plan that waits: its digest, what it was made from, and what it would do."""

    digest: str
    origin: str
    content: str


class Sourced(Struct, frozen=True, kw_only=True):
    """The files of a workspace, and how to work with them."""

    spec: WorkspaceSpec
    folder: Path
    revision: str
    key: str
    applied: Mapping[str, Any]

    @property
    def origin(self) -> str:
        """A digest of all that a plan is made from, except the account and the state."""
        parts = [self.revision, *map(msgspec.json.encode, (self.spec.source, self.spec.environment, self.spec.state))]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def was_applied(self) -> bool:
        """Whether the account was as this revision says, so that what differs now is drift."""
        return self.applied == {"revision": self.revision, "environment": self.spec.environment}


class WorkspaceRounds:
    """The rounds of one resource. ``name`` is unique to it, also after it was deleted and made again."""

    def __init__(self, cluster: Cluster, settings: Settings, name: str, stop: asyncio.Event) -> None:
        self._cluster = cluster
        self._settings = settings
        self._folder = settings.work / name
        self._stop = stop

    @property
    def _plan(self) -> Path:
        return self._folder / "saved.plan"

    @property
    def _note(self) -> Path:
        return self._folder / "saved.json"

    async def run(
        self, namespace: str, raw: Mapping[str, Any], applied: Mapping[str, Any]
    ) -> tuple[Round, WorkspaceSpec | None]:
        """What the round did, and the spec, if it could be read.

        Raises:
            StoppedError: the operator ends or the resource was deleted.

        """
        spec = None
        try:
            spec = read_spec(raw)
            if spec.suspend:
                return Round(reason="Suspended", message="`spec.suspend` is set.", keep=True), spec
            key = await self._cluster.secret(namespace, spec.key_secret_ref.name, spec.key_secret_ref.key)
            revision, folder = await self._source(namespace, spec)
        except ReconcilerError as error:
            return Round(reason="SourceFailed", message=_told(error), blocked=True, failed=True, keep=True), spec
        except OSError as error:
            return Round(reason="SourceFailed", message=f"{error.strerror}", blocked=True, failed=True, keep=True), spec
        sourced = Sourced(spec=spec, folder=folder, revision=revision, key=key, applied=applied)
        return await self._reconcile(sourced), spec

    async def _source(self, namespace: str, spec: WorkspaceSpec) -> tuple[str, Path]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        into = self._folder / "source"
        if spec.source.git is not None:
            git = spec.source.git
            hosts: Collection[str] = self._settings.git_hosts
            return await asyncio.to_thread(check_out, git.url, git.revision, git.path, into=into, hosts=hosts)
        assert spec.source.config_map is not None
        texts = await self._cluster.config_map(namespace, spec.source.config_map.name)
        return _write_files(texts, into), into

    async def _reconcile(self, sourced: Sourced) -> Round:
        spec = sourced.spec
        pending = self._pending(sourced.origin)
        if pending is not None and spec.mode == "approve" and spec.approved == pending.digest:
            return await self._apply(sourced, pending.digest)
        made = self._folder / "made.plan"
        made.unlink(missing_ok=True)
        ended = await self._command(sourced, "plan", "--detailed-exitcode", "--format", "json", "--out", str(made))
        if ended.code not in (0, _CHANGES):
            self._drop()
            return _failed("PlanFailed", ended, sourced)
        plan = json.loads(ended.out)
        counts = counts_of(plan["summary"])
        if ended.code == 0:
            self._drop()
            return _nothing_to_do(counts, sourced)
        fresh = Pending(plan["digest"], sourced.origin, _content(plan))
        if pending is None or pending.content != fresh.content:
            self._drop()
            made.replace(self._plan)
            files.replace(self._note, msgspec.json.encode(fresh))
            pending = fresh
        if spec.mode == "apply":
            return await self._apply(sourced, pending.digest)
        return _waiting(sourced, pending.digest, counts)

    async def _apply(self, sourced: Sourced, digest: str) -> Round:
        """Execute the saved plan with this digest. It is tried once: what is left after it is a plan of its own."""
        wait = "steps" if sourced.spec.mode == "approve" else "none"
        ended = await self._command(
            sourced,
            "apply",
            "--detailed-exitcode",
            *("--digest", digest, "--wait", wait, "--timeout", self._settings.timeout, "--lock-timeout", "2m"),
            str(self._plan),
        )
        self._drop()
        if ended.code == 0:
            return Round(
                reason="Applied",
                message=f"Applied plan {digest}.",
                ready=True,
                drifted=False,
                revision=sourced.revision,
            )
        if ended.code == _CHANGES:
            message = f"Applied plan {digest}; steps that have to wait are left for the next round."
            return Round(reason="Deferred", message=message, drifted=False, revision=sourced.revision, soon=True)
        failed = _failed("ApplyFailed", ended, sourced)
        failed.soon = True
        return failed

    async def _command(self, sourced: Sourced, *arguments: str) -> Ended:
        return await run_command(
            arguments,
            folder=sourced.folder,
            key=sourced.key,
            state=sourced.spec.state,
            environment=sourced.spec.environment,
            stop=self._stop,
        )

    def _pending(self, origin: str) -> Pending | None:
        """The plan that waits, if it was made from this revision, environment and state."""
        try:
            found = msgspec.json.decode(self._note.read_bytes(), type=Pending)
        except (OSError, msgspec.DecodeError):
            return None
        return found if found.origin == origin and self._plan.exists() else None

    def _drop(self) -> None:
        self._note.unlink(missing_ok=True)
        self._plan.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove what is kept here of the resource; nothing in the account, and not its state."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _write_files(texts: Mapping[str, str], into: Path) -> str:
    """A ConfigMap as a workspace: `reconciler.yaml`, and the rest below `specs`. Gives a digest as the revision."""
    shutil.rmtree(into, ignore_errors=True)
    (into / "specs").mkdir(parents=True)
    for name, text in texts.items():
        if not _FILE_NAME.fullmatch(name):
            raise ReconcilerError(f"`{clean(name)}` in the ConfigMap is not a file's name")
        (into / name if name == "reconciler.yaml" else into / "specs" / name).write_text(text, encoding="utf-8")
    return f"sha256:{hashlib.sha256(json.dumps(sorted(texts.items())).encode()).hexdigest()}"


def _content(plan: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in plan.items() if name not in _CHANGING}
    if not plan["state"]["serial"]:
        del kept["state"]  # there is none yet: each plan names the one that it would begin
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _nothing_to_do(counts: dict[str, int], sourced: Sourced) -> Round:
    if counts["attention"]:
        message = f"{counts['attention']} projects need attention: `reconciler status` shows them."
        return Round(reason="NeedsAttention", message=message, blocked=True, revision=sourced.revision, counts=counts)
    return Round(
        reason="UpToDate",
        message="The account is as the specs say.",
        ready=True,
        drifted=False,
        revision=sourced.revision,
    )


def _waiting(sourced: Sourced, digest: str, counts: dict[str, int]) -> Round:
    approves = sourced.spec.mode == "approve"
    message = f"Plan {digest} has changes; the mode is `plan`, so they are only shown."
    if approves:
        message = f"Plan {digest} waits: write its digest to `spec.approved`."
    if approves and sourced.spec.approved:
        message += " `spec.approved` names another plan, so nothing was applied."
    return Round(
        reason="AwaitingApproval" if approves else "ChangesPending",
        message=message,
        blocked=approves,
        drifted=sourced.was_applied,
        revision=sourced.revision,
        digest=digest,
        counts=counts,
    )


def _failed(reason: str, ended: Ended, sourced: Sourced) -> Round:
    message = ended.error or f"The command ended with {ended.code}."
    return Round(reason=reason, message=message, blocked=True, failed=True, revision=sourced.revision)


def _told(error: ReconcilerError) -> str:
    return clean(" ".join(f"{each.summary}. {each.detail}".strip() for each in error.diagnostics))
