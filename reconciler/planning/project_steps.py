"""The steps of one declared project."""

from __future__ import annotations

from shlex import quote
from typing import assert_never

from reconciler.model import contract
from reconciler.model.desired import AdoptOrigin, CreateOrigin, DesiredProject, ImportOrigin
from reconciler.model.errors import Diagnostic
from reconciler.model.live import LiveProject
from reconciler.model.plan import Adopt, Change, Create, Import, Replace, idempotency_key
from reconciler.model.state import Entry
from reconciler.model.values import Value
from reconciler.planning.address_view import ProjectPlan, View
from reconciler.planning.creation import creation_body, immutable_changes, is_rewritten, listing
from reconciler.planning.findings import (
    attention,
    bound_elsewhere,
    interrupted,
    protected,
    released_at_birth,
    taken,
)
from reconciler.planning.knowledge import brief_matches
from reconciler.planning.removal import cancel_step, waits_to_stop
from reconciler.planning.updates import mend, messages

_STATUSES = frozenset(contract.Status)


def plan_project(project: DesiredProject, view: View) -> ProjectPlan:
    """The steps that make one declared project as desired, or the findings that say why not."""
    blocked = view.blocked
    if blocked:
        return ProjectPlan(diagnostics=[blocked])
    result = ProjectPlan(diagnostics=interrupted(view.pending))
    if view.entry is None:
        _first(project, view, result)
    else:
        _next(project, view.entry, view, result)
    return result


# ── an address that the state does not know ─────────────────────────────────────────────────────────────────────────


def _first(project: DesiredProject, view: View, result: ProjectPlan) -> None:
    match project.origin:
        case CreateOrigin():
            if not project.cancelled:
                _create(project, view, result)
        case AdoptOrigin(studio_id=studio_id):
            _adopt(project, studio_id, view, result)
        case ImportOrigin(project_id=project_id):
            live = view.live.projects.get(project_id)
            if project_id in view.bound:
                result.diagnostics.append(taken(project, project_id, view.bound[project_id]))
            elif live is None:
                result.diagnostics.append(
                    attention(
                        project,
                        f"the account has no project `{project_id}`",
                        "Check the id in `import`, and that the API key is of the right account.",
                        severity="error",
                    )
                )
            else:
                result.steps.append(
                    Import(address=project.address, project_id=project_id, reason="the spec takes it over")
                )
                _as_it_is(project, None, live, view, result)
        case _:
            assert_never(project.origin)


def _adopt(project: DesiredProject, studio_id: str, view: View, result: ProjectPlan) -> None:
    live = next((p for p in view.live.projects.values() if p.source_project_id == studio_id), None)
    holder = view.bound.get(studio_id) or (view.bound.get(live.id) if live else None)
    if holder is not None:
        result.diagnostics.append(taken(project, studio_id, holder))
        return
    if live is None and project.cancelled:
        return  # like a create: nothing is brought to life to be cancelled
    body: dict[str, Value] = {"project_id": studio_id}
    mode = project.settings.get("mode")
    if mode not in {None, contract.MODE_RELEASED}:
        body["mode"] = mode
    if live is not None and mode == live.settings.get("mode") == contract.MODE_RELEASED:
        reason = "it was adopted before and handed back to the studio, as the spec says"  # adopting would take it back
        result.steps.append(Import(address=project.address, project_id=live.id, reason=reason))
    else:
        changes = listing({name: value for name, value in body.items() if name != "project_id"})
        result.steps.append(Adopt(address=project.address, body=body, changes=changes, reason="the spec adopts it"))
    if live is not None:
        _as_it_is(project, None, live, view, result)
    else:
        settings = {name: value for name, value in project.settings.items() if name not in body}
        mend(project, view, result, live=None, settings=settings, sent=())


def _create(project: DesiredProject, view: View, result: ProjectPlan) -> None:
    reason = "it is in the specs and not in the state"
    if view.next_generation == 1 and not view.replace:
        match = view.candidates.match(project)
        alive = ", ".join(f"`{p.id}`" for p in match.alive)
        if match.alive and view.fresh and (view.candidates.failed or view.renamed):
            # the state is lost, and the key of one that failed, or was made under another name, would make another one:
            # bind by what the list shows
            if len(match.alive) == 1:
                live = match.alive[0]
                result.steps.append(
                    Import(
                        address=project.address,
                        project_id=live.id,
                        reason="the account has it already: same brief and title",
                    )
                )
                mend(project, view, result, live=live, settings=project.settings, sent=())
            else:
                result.diagnostics.append(
                    attention(
                        project,
                        f"several projects of the account could be `{project.address}`: {alive}",
                        f"Choose one with `reconciler import {quote(project.address)} PROJECT_ID`, "
                        f"or create a new one with `--replace {quote(project.address)}`.",
                    )
                )
            return
        # the key of a failed project makes another one; so a cancelled one is not reached by a key that may be such
        lost = match.failed or (match.cancelled if view.fresh and view.candidates.failed else ())
        if lost:
            ids = ", ".join(f"`{p.id}`" for p in lost)
            result.diagnostics.append(
                attention(
                    project,
                    f"the account has a {lost[0].status} project with this brief that no state knows: {ids}",
                    f"Take it over with `reconciler import {quote(project.address)} {lost[0].id}`, "
                    f"or create a new one with `--replace {quote(project.address)}`.",
                )
            )
            return
        if match.alive:
            reason = f"not in the state; the key binds {alive} if that is an earlier run's, else a new one is made"
    if project.settings.get("mode") == contract.MODE_RELEASED:
        result.diagnostics.append(released_at_birth(project))
        return
    body = creation_body(project)
    result.steps.append(
        Create(
            address=project.address,
            reason=reason,
            changes=listing(body),
            body=body,
            generation=view.next_generation,
            key=idempotency_key(view.workspace, project.address, view.next_generation),
        )
    )
    messages(project, result, live=None, sent=())


# ── an address that the state knows ─────────────────────────────────────────────────────────────────────────────────


def _next(project: DesiredProject, entry: Entry, view: View, result: ProjectPlan) -> None:
    live = view.project
    wrong = bound_elsewhere(project, entry)
    if wrong:
        result.diagnostics.append(wrong)
        return
    if view.replace:
        _replace(project, entry, view, result, reason="`--replace` asked for it", changes=())
        return
    if entry.replacing and isinstance(project.origin, CreateOrigin) and not project.cancelled:
        _replace(project, entry, view, result, reason="its replacement was cut short", changes=())
        return
    if live is None:
        result.diagnostics.append(
            attention(
                project,
                f"the account has no project `{entry.project_id}` any more",
                "The API can't delete, so this may be another account's key. If it is gone for good: "
                f"`reconciler state rm {quote(project.address)}`, and the next apply makes a new one.",
            )
        )
        return
    _as_it_is(project, entry, live, view, result)


def _as_it_is(project: DesiredProject, entry: Entry | None, live: LiveProject, view: View, result: ProjectPlan) -> None:
    """What the live project's status and the spec ask for."""
    if live.status not in _STATUSES:
        result.diagnostics.append(
            Diagnostic(
                severity="warning",
                address=project.address,
                summary=f"status `{live.status}` is not known to this version",
                detail="The project counts as at work and is left alone until its status is a known one.",
            )
        )
    if project.cancelled:
        _cancelled(project, live, result)
        return
    if entry is not None and _immutable(project, entry, live, view, result):
        return
    if live.status == contract.Status.FAILED:
        _failed(project, entry, live, view, result)
        return
    if live.status == contract.Status.CANCELLED:
        result.diagnostics.append(
            attention(
                project,
                f"`{project.address}` was cancelled and should be present",
                f"A cancelled project can't be resumed. Make a new one with `--replace {quote(project.address)}`, "
                "or declare `state: cancelled`.",
            )
        )
        return
    mend(project, view, result, live=live, settings=project.settings, sent=entry.messages if entry else ())


def _cancelled(project: DesiredProject, live: LiveProject, result: ProjectPlan) -> None:
    step = cancel_step(project.address, live, "the spec says `state: cancelled`")
    if step is None:
        return
    if project.lifecycle.on_remove == "protect":
        result.diagnostics.append(protected(project, "cancelled"))
        return
    result.steps.append(step)


def _failed(project: DesiredProject, entry: Entry | None, live: LiveProject, view: View, result: ProjectPlan) -> None:
    why = live.error_message or (entry.outputs.error_message if entry else None)
    recreate = project.lifecycle.on_failed == "recreate" and isinstance(project.origin, CreateOrigin)
    if entry and recreate and not view.spare:
        _replace(project, entry, view, result, reason="it failed, and `on_failed` is `recreate`", changes=())
        return
    hint = f"Make a new one with `--replace {quote(project.address)}`"
    result.diagnostics.append(
        attention(
            project,
            f"`{project.address}` failed{f': {why}' if why else ''}",
            f"It failed again, so `watch` makes no other one for a day. {hint}."
            if recreate and view.spare
            else f"`lifecycle.on_failed` is `keep`. {hint}, or set `on_failed: recreate`.",
        )
    )


def _immutable(project: DesiredProject, entry: Entry, live: LiveProject, view: View, result: ProjectPlan) -> bool:
    """Whether a change of a create-only field settles the matter (replacement or finding)."""
    if not isinstance(project.origin, CreateOrigin):
        return False
    ignored = project.lifecycle.ignore_changes
    declared = {name: value for name, value in project.origin.creation.items() if name not in ignored}
    changes = immutable_changes(declared, entry)
    if not changes:
        result.rewritten = is_rewritten(declared, entry)
        brief = declared.get("brief")
        if (
            brief is not None
            and "brief" not in entry.creation
            and live.brief is not None
            and not brief_matches(brief, live)
        ):
            result.diagnostics.append(
                attention(
                    project,
                    f"the brief of `{entry.project_id}` is not the spec's",
                    f"It was taken over, not created here, so nothing is replaced. Live, it begins: {live.brief}\n"
                    f"Write that brief into the spec, or ask for a new project with `--replace {quote(project.address)}`.",
                )
            )
        return False
    names = ", ".join(dict.fromkeys(c.path.split("[")[0] for c in changes))
    match project.lifecycle.on_immutable_change:
        case "ignore":
            return False
        case "error":
            result.diagnostics.append(
                attention(
                    project,
                    f"`{project.address}` changes {names}, which is fixed at creation",
                    "`lifecycle.on_immutable_change` is `error`. Undo the change, or allow it with `replace`.",
                    severity="error",
                )
            )
        case "replace":
            _replace(project, entry, view, result, reason=f"{names} changed and is fixed at creation", changes=changes)
        case other:
            assert_never(other)
    return True


def _replace(
    project: DesiredProject,
    entry: Entry,
    view: View,
    result: ProjectPlan,
    *,
    reason: str,
    changes: tuple[Change, ...],
) -> None:
    if not isinstance(project.origin, CreateOrigin):
        result.diagnostics.append(
            attention(
                project,
                f"`{project.address}` can't be replaced: its spec has no brief",
                "Only a project with a brief can be created anew.",
                severity="error",
            )
        )
        return
    if project.cancelled:  # asked for by name: a new one would cost, and be cancelled by the next apply
        result.diagnostics.append(
            attention(
                project,
                f"`{project.address}` is declared `state: cancelled` and can't be replaced",
                "Take `state: cancelled` out of its spec first.",
                severity="error",
            )
        )
        return
    if project.lifecycle.on_remove == "protect":
        result.diagnostics.append(protected(project, "replaced"))
        return
    if project.settings.get("mode") == contract.MODE_RELEASED:
        result.diagnostics.append(released_at_birth(project))
        return
    changed = {change.path for change in changes}
    body = creation_body(project)
    generation = max(view.next_generation, entry.generation + 1)
    result.steps.append(
        Replace(
            address=project.address,
            project_id=entry.project_id,
            reason=reason,
            waits_for=waits_to_stop(view.project.status) if view.project else None,
            changes=(*changes, *(c for c in listing(body) if c.path not in changed)),
            body=body,
            generation=generation,
            key=idempotency_key(view.workspace, project.address, generation),
        )
    )
    messages(project, result, live=None, sent=())
