"""``state recover``: rebuilding the state from the account. Only GETs, and only what the account shows is bound.

Adopted projects are recognized by the studio project they come from, imported ones by their id, created ones by what
their key told an apply, or by brief and title; where several match, none is bound. The messages that were sent are read from the conversations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from shlex import quote
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model.desired import AdoptOrigin, CreateOrigin, Desired, DesiredProject, ImportOrigin, seal
from reconciler.model.identity import Holder
from reconciler.model.live import LiveProject, Snapshot
from reconciler.model.state import Entry, Known, State
from reconciler.model.values import Value, has_secret, sealed
from reconciler.operations.apply.entries import found_render
from reconciler.operations.calls.message import rebuild_log
from reconciler.operations.read.refresh import refresh
from reconciler.operations.workspace import Workspace
from reconciler.planning.creation import creation_with_defaults
from reconciler.planning.knowledge import agrees, brief_matches, is_whole
from reconciler.planning.matching import Candidates
from reconciler.planning.planner import names_of

NAMED: Final = 5
"""How many projects a finding names at most."""


class Finding(Struct, frozen=True):
    """What was found for one address that the state does not have: an entry and why, or why there is none.

    ``candidates`` are projects that could be meant; only the user can tell which one is.
    """

    address: str
    why: str
    entry: Entry | None = None
    status: str | None = None
    candidates: tuple[LiveProject, ...] = ()


Choose = Callable[[Finding], LiveProject | None]
"""Asks the user which candidate of a finding to bind, if any."""


class _Match(Struct, frozen=True):
    """The project that a declared one is, or those that it could be."""

    why: str
    project: LiveProject | None = None
    candidates: tuple[LiveProject, ...] = ()


async def find_lost(workspace: Workspace, api: ApiClient, desired: Desired, state: State) -> list[Finding]:
    """Find every declared project that the state does not have. Only GETs.

    Raises:
        ReconcilerError: the account can't be read.

    """
    lost = [
        project for address, project in seal(desired, state.lineage).projects.items() if address not in state.projects
    ]
    if not lost:
        return []
    imports = {p.origin.project_id for p in lost if isinstance(p.origin, ImportOrigin)}
    live = await refresh(api, frozenset(imports), everything=True, at=workspace.now())
    elsewhere = workspace.elsewhere().taken
    candidates = Candidates.of(live, state.projects, frozenset(elsewhere))
    candidates = candidates.claimed_by(p for p in lost if isinstance(p.origin, CreateOrigin))
    bound = {entry.project_id for entry in state.projects.values()}
    made = {
        address: live.projects[dispute.project_id]
        for address, dispute in state.disputes.items()
        if dispute.project_id is not None and dispute.project_id in live.projects.keys() - bound
    }
    names = names_of([project.address for project in lost], desired, state)
    matches = [
        _match(project, live, candidates, next((made[name] for name in names[project.address] if name in made), None))
        for project in lost
    ]
    matches = [_free(match, elsewhere) for match in matches]
    claims = Counter(match.project.id for match in matches if match.project is not None)
    findings = []
    for project, match in zip(lost, matches, strict=True):
        if match.project is None:
            free = tuple(p for p in match.candidates if p.id not in claims)
            findings.append(Finding(project.address, match.why, candidates=free))
        elif claims[match.project.id] > 1:
            why = f"`{match.project.id}` matches several projects of the specs; bind it to one with `reconciler import`"
            findings.append(Finding(project.address, why, candidates=(match.project,)))
        else:
            findings.append(await _entry(workspace, api, project, match.project, match.why, state.lineage))
    return findings


async def bind_chosen(
    workspace: Workspace, api: ApiClient, desired: Desired, state: State, findings: list[Finding], choose: Choose
) -> list[Finding]:
    """Ask about each finding that has candidates. The answer has an entry wherever one was chosen; no project twice.

    Raises:
        ReconcilerError: a conversation can't be read.

    """
    projects = seal(desired, state.lineage).projects
    chosen: set[str] = set()
    settled = []
    for finding in findings:
        left = tuple(project for project in finding.candidates if project.id not in chosen)
        live = choose(replace(finding, candidates=left)) if left else None
        if live is None:
            settled.append(finding)
            continue
        chosen.add(live.id)
        settled.append(await _entry(workspace, api, projects[finding.address], live, "chosen by you", state.lineage))
    return settled


def _free(match: _Match, elsewhere: Mapping[str, Holder]) -> _Match:
    """The match, unless another environment manages the project."""
    if match.project is None or match.project.id not in elsewhere:
        return match
    return _Match(f"`{match.project.id}` is managed as {elsewhere[match.project.id]}")


def _match(project: DesiredProject, live: Snapshot, candidates: Candidates, made: LiveProject | None) -> _Match:
    """``made``: the project that the address's key told an apply of."""
    match project.origin:
        case AdoptOrigin(studio_id=studio_id):
            adopted = next((p for p in live.projects.values() if p.source_project_id == studio_id), None)
            return _Match(f"adopted from `{studio_id}`" if adopted else "not adopted yet", adopted)
        case ImportOrigin(project_id=project_id):
            there = live.projects.get(project_id)
            return _Match("the spec names it" if there else f"the account has no `{project_id}`", there)
        case CreateOrigin() if made is not None:
            return _Match("its key made it", made)
        case CreateOrigin():
            return _match_created(project, candidates)


def _match_created(project: DesiredProject, candidates: Candidates) -> _Match:
    """The living project with this brief and title; else the newest finished one, so that no second one is created."""
    match = candidates.match(project)
    if len(match.alive) == 1:
        return _Match("same brief and title", match.alive[0])
    if match.alive:
        ids = ", ".join(f"`{p.id}`" for p in match.alive)
        why = f"several projects have this brief and title: {ids}; bind one with `reconciler import`"
        return _Match(why, candidates=match.alive)
    over = sorted((*match.failed, *match.cancelled), key=lambda p: p.created_at or "")
    if over:
        return _Match(f"same brief and title, {over[-1].status}", over[-1])
    others = candidates.near(project)
    if others:  # likeness binds nothing: the user says which
        named = ", ".join(f"`{p.id}` ({p.settings.get('title') or 'no title'}, {p.status})" for p in others[:NAMED])
        assert isinstance(project.origin, CreateOrigin)
        other = "title" if brief_matches(project.origin.creation["brief"], others[0]) else "brief"
        one = others[0].id if len(others) == 1 else "PROJECT_ID"
        why = (
            f"no project has this brief and title; with another {other}: {named}; if one of them is it, run "
            f"`reconciler import {quote(project.address)} {one}`"
        )
        return _Match(why, candidates=others)
    return _Match("the account has no project with this brief and title")


async def _entry(
    workspace: Workspace, api: ApiClient, project: DesiredProject, live: LiveProject, why: str, lineage: str
) -> Finding:
    at = workspace.now()
    settings = {
        name: Known(workspace.redact.value(value), live.source, at)
        for name, value in live.settings.items()
        if not has_secret(project.settings.get(name))
    }
    for name, wanted in project.settings.items():
        if has_secret(wanted) and name in live.settings and agrees(wanted, live.settings[name]):
            settings[name] = Known(sealed(wanted), live.source, at)
    entry = Entry(project_id=live.id, origin="imported", settings=settings, studio_id=live.source_project_id)
    brief: Value = workspace.redact.value(live.brief)
    match project.origin:
        case CreateOrigin(creation=creation):
            if brief_matches(creation["brief"], live):
                brief = creation["brief"]
            else:  # it was made from another one, of which the list may show only a part
                whole = live.brief is not None and is_whole(live.brief)
                creation = {n: v for n, v in creation.items() if n != "brief"} | ({"brief": brief} if whole else {})
                why += "; its brief differs from the spec's"
            entry = replace(entry, origin="created", generation=1, creation=creation_with_defaults(creation))
        case AdoptOrigin(studio_id=studio_id):
            entry = replace(entry, origin="adopted", studio_id=studio_id)
        case ImportOrigin():
            pass
    if project.deliver.render is not None or project.deliver.share is not None:
        entry = replace(entry, rendered=found_render(live.status, at=at))
    if project.messages:
        entry, doubtful = await rebuild_log(
            api, project.messages, entry, brief, env=workspace.env, lineage=lineage, now=workspace.now
        )
        why += f"; {len(entry.messages)} of {len(project.messages)} messages found"
        why += "".join(
            f"; message `{ours}` may be `{theirs}`, which reads almost the same" for ours, theirs in doubtful
        )
    return Finding(project.address, why, entry, live.status)
