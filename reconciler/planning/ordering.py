"""Dependencies: steps that spend credits wait for the projects that theirs depends on.

A step waits until the other project's steps are done and its agent has finished, or, where a reference names its video,
until that exists. A wait that would never end is a finding instead, and its steps are not planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from shlex import quote
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.desired import DesiredProject
from reconciler.model.errors import Diagnostic
from reconciler.model.live import LiveProject
from reconciler.model.plan import Import, Step, describe, sent_body
from reconciler.model.references import projects_in
from reconciler.planning.address_view import ProjectPlan, View
from reconciler.planning.findings import attention

_NAMED: Final = 3
"""How many addresses a wait lists."""


def waiting_for(*addresses: str, video: bool) -> str:
    """The text of a wait for other projects."""
    names = [f"`{address}`" for address in addresses[:_NAMED]]
    if len(addresses) > _NAMED:
        names.append(f"{len(addresses) - _NAMED} more")
    listed = " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
    return f"{listed} to have a rendered video" if video else f"{listed} to finish"


class _Other(Struct, frozen=True):
    """A project that others wait for, as far as this is known. ``never``: why the wait would never end."""

    never: str | None = None
    finished: bool = False
    video: bool = False


def order(
    projects: Mapping[str, DesiredProject], planned: Mapping[str, ProjectPlan], views: Mapping[str, View]
) -> None:
    """Add to each step the projects that it waits for, and remove the steps that would wait forever."""
    graph = {address: projects[address].dependencies for address in planned if address in projects}
    if not any(graph.values()):
        return
    others: dict[str, _Other] = {}
    for address in TopologicalSorter(graph).static_order():
        project = projects.get(address)
        if project is None or address not in planned:
            others[address] = _Other(never="it is not planned")
            continue
        _order(project, planned[address], others)
        others[address] = _other(project, planned[address].steps, views[address])


def _order(project: DesiredProject, plan: ProjectPlan, others: Mapping[str, _Other]) -> None:
    known: set[tuple[str, bool]] = set()
    for number, step in enumerate(plan.steps):
        if not describe(step).spends_credits:
            continue
        videos = projects_in(sent_body(step))
        after = tuple(dict.fromkeys((*project.depends_on, *videos)))
        never = {address: why for address in after if (why := others[address].never)}
        if never:
            plan.diagnostics += [_never_ready(project, step, address, why) for address, why in never.items()]
            del plan.steps[number:]
            return
        kinds = [(address, address in videos) for address in after]
        late = [(a, video) for a, video in kinds if not (others[a].video if video else others[a].finished)]
        waits = [
            waiting_for(*names, video=kind)
            for kind in (True, False)
            if (names := [address for address, video in late if video is kind and (address, video) not in known])
        ]
        known.update(late)
        plan.steps[number] = replace(step, after=after, waits_for=_joined((step.waits_for, *waits)))


def _other(project: DesiredProject, steps: Iterable[Step], view: View) -> _Other:
    live = _live(steps, view)
    if project.cancelled:
        return _Other(never="the specs say `state: cancelled`")
    if any(kind.slot or kind.begins == "project" for kind in map(describe, steps)):
        return _Other()
    if live is None:
        return _Other(never="it does not exist, and this plan does not create it")
    if live.status in {contract.Status.FAILED, contract.Status.CANCELLED}:
        return _Other(never=f"it is {live.status}")
    idle = live.status == contract.Status.IDLE
    there = live.assembled_url is not None or (view.entry is not None and view.entry.video_url is not None)
    return _Other(finished=idle, video=idle and there)


def _live(steps: Iterable[Step], view: View) -> LiveProject | None:
    imported = next((step.project_id for step in steps if isinstance(step, Import)), None)
    return view.project or view.live.projects.get(imported or "")


def _never_ready(project: DesiredProject, step: Step, address: str, why: str) -> Diagnostic:
    return attention(
        project,
        f"`{project.address}` waits for `{address}`, which will not be ready: {why}",
        f"The {step.action} and the steps after it are left out. Fix `{address}` first (see this plan or "
        f"`reconciler status {quote(address)}`), or remove it from `references` and `depends_on`.",
    )


def _joined(parts: Iterable[str | None]) -> str | None:
    return " and ".join(part for part in parts if part) or None
