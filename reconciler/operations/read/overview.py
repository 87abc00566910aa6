"""Managed projects as they are now, with what only their status shows."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model import contract
from reconciler.model.config import Config
from reconciler.model.desired import Desired
from reconciler.model.errors import Diagnostic
from reconciler.model.live import Snapshot
from reconciler.model.state import Entry, State
from reconciler.operations.concurrency import run_all
from reconciler.operations.read.account import read_managed
from reconciler.operations.read.plan import read_and_plan
from reconciler.operations.read.refresh import Reader, merge
from reconciler.operations.workspace import Workspace
from reconciler.planning.selection import Selection


async def find_lost_state(workspace: Workspace, api: ApiClient, state: State, desired: Desired) -> Diagnostic | None:
    """The finding, if the state is new, that the account has projects that look like the specs'. Raises as ``plan``."""
    made, _ = await read_and_plan(workspace, api, desired, state, Selection(refresh_only=True))
    return made.lost


async def read_overview(
    api: Reader, config: Config, entries: Mapping[str, Entry], *, managed: Mapping[str, Entry], at: str
) -> Snapshot:
    """Read the list, then the status of each failed project: the list does not say why. Raises as ``read_managed``."""
    ids = frozenset(entry.project_id for entry in entries.values())
    if not ids:
        return Snapshot(at=at)
    live = await read_managed(api, config, entries, managed=managed, at=at)
    unexplained = [
        p
        for i, p in live.projects.items()
        if i in ids and p.status == contract.Status.FAILED and p.error_message is None
    ]
    answers = await run_all(api.project(p.id) for p in unexplained)
    explained = {p.id: merge(p, answer) for p, answer in zip(unexplained, answers, strict=True)}
    return replace(live, projects={**live.projects, **explained})
