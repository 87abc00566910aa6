"""Planning of one declared project."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Final, assert_never

from reconciler.model import contract
from reconciler.model.desired import AdoptOrigin, CreateOrigin, DesiredProject, ImportOrigin
from reconciler.model.errors import Diagnostic
from reconciler.model.live import LiveProject
from reconciler.model.plan import Adopt, Change, Create, Import, Replace, idempotency_key
from reconciler.model.state import Entry
from reconciler.model.values import Value
from reconciler.planning.address_view import ProjectPlan, View
from reconciler.planning.creation import (
    changes_of_new,
    changes_of_successor,
    creation_body,
    immutable_changes,
    is_rewritten,
)
from reconciler.planning.findings import (
    ADOPTED_BEFORE,
    ALIKE_CODE,
    DISPUTED_CODE,
    already_managed,
    another_project,
    attention,
    bound_elsewhere,
    created_released,
    failed,
    held_elsewhere,
    open_calls,
    protected,
    unsettled,
)
from reconciler.planning.knowledge import brief_matches, is_as_asked
from reconciler.planning.matching import key_may_be_forgotten
from reconciler.planning.removal import cancel_step, waits_to_stop
from reconciler.planning.updates import plan_updates, plan_work, resumes

_STATUSES = frozenset(contract.Status)

_FORGOTTEN: Final = "it is so old that the API may have forgotten its key"


def plan_project(project: DesiredProject, view: View) -> ProjectPlan:
    """The steps that bring a declared project to its spec, or the findings that say why there are none."""
    blocked = view.blocked
    if blocked:
        return ProjectPlan(diagnostics=[blocked])
    result = ProjectPlan(diagnostics=open_calls(view.pending))
    if view.entry is None:
        _plan_new(project, view, result)
    else:
        _plan_managed(project, view.entry, view, result)
    return result


# ── an address that is not in the state ─────────────────────────────────────────────────────────────────────────


def _plan_new(project: DesiredProject, view: View, result: ProjectPlan) -> None:
    match project.origin:
        case CreateOrigin():
            if not project.cancelled:
                _plan_create(project, view, result)
        case AdoptOrigin(studio_id=studio_id):
            _plan_adopt(project, studio_id, view, result)
        case ImportOrigin(project_id=project_id):
            live = view.live.projects.get(project_id)
            if project_id in view.bound:
                result.diagnostics.append(already_managed(project, project_id, view.bound[project_id]))
            elif live is None:
                result.diagnostics.append(
                    attention(
                        project,
                        f"the account has no project `{project_id}`",
                        "Check the id in `import`, and that the API key belongs to the right account.",
                        severity="error",
                    )
                )
            else:
                result.steps.append(
                    Import(address=project.address, project_id=project_id, reason="the spec imports it")
                )
                _plan_existing(project, None, live, view, result)
        case _:
            assert_never(project.origin)


def _plan_adopt(project: DesiredProject, studio_id: str, view: View, result: ProjectPlan) -> None:
    live = next((p for p in view.live.projects.values() if p.source_project_id == studio_id), None)
    holder = view.bound.get(studio_id) or (view.bound.get(live.id) if live else None)
    if holder is not None:
        result.diagnostics.append(already_managed(project, studio_id, holder))
        return
    if live is None and project.cancelled:
        return  # as with a create: nothing is started only to be cancelled
    body: dict[str, Value] = {"project_id": studio_id}
    mode = project.settings.get("mode")
    if mode not in {None, contract.MODE_RELEASED}:
        body["mode"] = mode
    if live is not None and mode == live.settings.get("mode") == contract.MODE_RELEASED:
        reason = "it was adopted before and released to the studio, as the spec says"  # adopting would take it back
        result.steps.append(Import(address=project.address, project_id=live.id, reason=reason))
    else:
        reason = "the spec adopts it" + (f"; it was {ADOPTED_BEFORE}" if live is not None else "")
        changes = changes_of_new({name: value for name, value in body.items() if name != "project_id"})
        result.steps.append(Adopt(address=project.address, body=body, changes=changes, reason=reason))
    if live is not None:
        _plan_existing(project, None, live, view, result)
    else:
        settings = {name: value for name, value in project.settings.items() if name not in body}
        plan_updates(project, view, result, live=None, settings=settings, entry=None)


def _plan_create(project: DesiredProject, view: View, result: ProjectPlan) -> None:
    reason = "it is in the specs and not in the state"
    disputed = _disputed(project, view)
    if disputed is not None:
        result.diagnostics.append(disputed)
        return
    if view.next_generation == 1 and not view.replace:
        match = view.candidates.match(project)
        near = view.candidates.near(project) if view.fresh and not match.all else ()
        alike = match.alive or near
        doubt = _doubt(alike, view) if alike else None
        if doubt is not None:
            result.diagnostics.append(unsettled(project, alike, doubt, exactly=not near))
            return
        # the key of a failed project makes another one, and a forgotten key too: neither reaches a cancelled one
        over = match.cancelled if _doubt(match.cancelled, view) else ()
        lost = match.failed or over
        if lost:
            ids = ", ".join(f"`{p.id}`" for p in lost)
            result.diagnostics.append(
                attention(
                    project,
                    f"the account has a {lost[0].status} project with this brief that is not in the state: {ids}",
                    f"Bind it with `reconciler import {quote(project.address)} {lost[0].id}`, "
                    f"or create a new one with `--replace {quote(project.address)}`.",
                    code=ALIKE_CODE if view.fresh else None,
                )
            )
            return
        if match.alive:
            alive = ", ".join(f"`{p.id}`" for p in match.alive)
            reason = (
                f"not in the state; its key binds {alive} if an earlier run created that, else it creates a new one"
            )
    if project.settings.get("mode") == contract.MODE_RELEASED:
        result.diagnostics.append(created_released(project))
        return
    body = creation_body(project)
    result.steps.append(
        Create(
            address=project.address,
            reason=reason,
            changes=changes_of_new(body),
            body=body,
            generation=view.generation,
            key=idempotency_key(view.identity, project.address, view.generation),
        )
    )
    plan_work(project, result, live=None, entry=None)


def _disputed(project: DesiredProject, view: View) -> Diagnostic | None:
    """The finding that the address's key belongs to another project, as long as that one is not what the spec declares."""
    found = view.disagreement
    if found is None or view.replace:
        return None
    key = idempotency_key(view.identity, found.name, found.dispute.generation)
    other = view.live.projects.get(found.dispute.project_id or "")
    own = found.name == project.address
    if other is None:
        return None if own else _made_before(project, key)  # its own key would be refused again
    holder = view.live.elsewhere.holder_of(other.id)
    if holder is not None:
        summary, detail = held_elsewhere(project.address, key, other.id, holder)
    elif is_as_asked(creation_body(project), other):
        return None if own else _made_before(project, key, other.id)  # its own key would bind it
    else:
        summary, detail = another_project(project.address, key, creation_body(project), other)
    return attention(project, summary, detail, code=DISPUTED_CODE)


def _made_before(project: DesiredProject, key: str, project_id: str = "PROJECT_ID") -> Diagnostic:
    """The finding that a key of an earlier name was used: the key of the new name would make a second project."""
    address = quote(project.address)
    return attention(
        project,
        f"`{project.address}` may exist already: the key `{key}` of its earlier name was used",
        f"Bind its project with `reconciler import {address} {project_id}`, or create another one with `--replace {address}`.",
        code=DISPUTED_CODE,
    )


def _doubt(alike: Sequence[LiveProject], view: View) -> str | None:
    """Why the address's key can't tell whether a look-alike is its own, if so: it might make a second one."""
    if not view.fresh:  # a state that knows the others: only the age of a project can make a second one of it
        old = any(key_may_be_forgotten(project, view.live.at) for project in alike)
        return _FORGOTTEN if old else None
    if view.renamed:
        return "the address had another name, and its project the key of that name"
    if (doubt := view.live.elsewhere.doubt) is not None:
        return doubt
    if view.candidates.failed:
        return "a project of the account failed, and the key of a failed project makes another one"
    if any(key_may_be_forgotten(project, view.live.at) for project in alike):
        return _FORGOTTEN
    if view.candidates.spent:
        return (
            "a project was cancelled so long ago that the API may have forgotten its key, and this may be its successor"
        )
    return None


# ── an address that is in the state ──────────────────────────────────────────────────────────────────────────────────


def _plan_managed(project: DesiredProject, entry: Entry, view: View, result: ProjectPlan) -> None:
    live = view.project
    wrong = bound_elsewhere(project, entry)
    if wrong:
        result.diagnostics.append(wrong)
        return
    if view.replace:
        _plan_replace(project, entry, view, result, reason="`--replace` asked for it", changes=())
        return
    if entry.replacing and isinstance(project.origin, CreateOrigin) and not project.cancelled:
        _plan_replace(project, entry, view, result, reason="its replacement was interrupted", changes=())
        return
    if live is None:
        result.diagnostics.append(
            attention(
                project,
                f"the account no longer has project `{entry.project_id}`",
                "The API can't delete projects, so the key may belong to another account. If the project is gone for good, run "
                f"`reconciler state rm {quote(project.address)}`; the next apply then creates a new one.",
            )
        )
        return
    _plan_existing(project, entry, live, view, result)


def _plan_existing(
    project: DesiredProject, entry: Entry | None, live: LiveProject, view: View, result: ProjectPlan
) -> None:
    """Plan what the status of the live project and the spec require."""
    if live.status not in _STATUSES:
        result.diagnostics.append(
            Diagnostic(
                severity="warning",
                address=project.address,
                summary=f"status `{live.status}` is not known to this version",
                detail="The project counts as active and is not changed until its status is a known one.",
            )
        )
    if project.cancelled:
        _plan_cancel(project, live, result)
        return
    if entry is not None and _plan_immutable_changes(project, entry, live, view, result):
        return
    sent = entry.messages if entry else ()
    goes_on = resumes(project, live, sent) and not _recreates(project, entry)
    if live.status == contract.Status.FAILED and not goes_on:
        _plan_failed(project, entry, live, view, result)
        return
    if live.status == contract.Status.CANCELLED and not goes_on:
        way = _way_on(live) or "A cancelled project can't be resumed."
        result.diagnostics.append(
            attention(
                project,
                f"`{project.address}` was cancelled and should be present",
                f"{way} Create a new one with `--replace {quote(project.address)}`, or declare `state: cancelled`.",
            )
        )
        return
    plan_updates(project, view, result, live=live, settings=project.settings, entry=entry)


def _recreates(project: DesiredProject, entry: Entry | None) -> bool:
    """Whether the spec wants a new project for one that failed."""
    return entry is not None and project.lifecycle.on_failed == "recreate" and isinstance(project.origin, CreateOrigin)


def _way_on(live: LiveProject) -> str:
    """How a project that is over can go on, if the API allows it."""
    if live.status not in contract.current().resumable:
        return ""
    return f"With `lifecycle.resume_from: [{live.status}]`, a new message sets it to work again."


def _plan_cancel(project: DesiredProject, live: LiveProject, result: ProjectPlan) -> None:
    step = cancel_step(project.address, live, "the spec says `state: cancelled`")
    if step is None:
        return
    if project.lifecycle.on_remove == "protect":
        result.diagnostics.append(protected(project, "cancelled"))
        return
    result.steps.append(step)


def _plan_failed(
    project: DesiredProject, entry: Entry | None, live: LiveProject, view: View, result: ProjectPlan
) -> None:
    why = live.error_message or (entry.outputs.error_message if entry else None)
    recreate = _recreates(project, entry)
    if entry and recreate and not view.keep_failed:
        _plan_replace(project, entry, view, result, reason="it failed, and `on_failed` is `recreate`", changes=())
        return
    hint = f"Create a new one with `--replace {quote(project.address)}`"
    result.diagnostics.append(
        failed(
            project,
            why,
            f"It failed again, so `watch` creates no other one for a day. {hint}."
            if recreate and view.keep_failed
            else " ".join(
                filter(None, (f"`lifecycle.on_failed` is `keep`. {hint}, or set `on_failed: recreate`.", _way_on(live)))
            ),
        )
    )


def _plan_immutable_changes(
    project: DesiredProject, entry: Entry, live: LiveProject, view: View, result: ProjectPlan
) -> bool:
    """Whether a changed create-only field decides what happens (a replacement or a finding)."""
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
                    f"the brief of `{entry.project_id}` differs from the spec's",
                    "It is not known whole, since this state did not create it, so the project is not replaced. "
                    f"Its brief begins: {live.brief}\n"
                    f"Put that brief into the spec, or create a new project with `--replace {quote(project.address)}`.",
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
            _plan_replace(
                project, entry, view, result, reason=f"{names} changed and is fixed at creation", changes=changes
            )
        case other:
            assert_never(other)
    return True


def _plan_replace(
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
                "Only a project with a brief can be created again.",
                severity="error",
            )
        )
        return
    if project.cancelled:  # a new one would cost, and the next apply would cancel it
        result.diagnostics.append(
            attention(
                project,
                f"`{project.address}` is declared `state: cancelled` and can't be replaced",
                "Remove `state: cancelled` from its spec first.",
                severity="error",
            )
        )
        return
    if project.lifecycle.on_remove == "protect":
        result.diagnostics.append(protected(project, "replaced"))
        return
    if project.settings.get("mode") == contract.MODE_RELEASED:
        result.diagnostics.append(created_released(project))
        return
    generation = max(view.generation, entry.generation + 1)
    disputed = _disputed(project, view) if view.dispute is not None and view.dispute.generation == generation else None
    if disputed is not None:
        result.diagnostics.append(disputed)
        return
    alike = view.candidates.match(project).alive if not (view.replace or entry.replacing) else ()
    doubt = _doubt(alike, view) if alike else None
    if doubt is not None:  # an older copy of the state, perhaps: its successor may be there
        result.diagnostics.append(unsettled(project, alike, doubt, exactly=True))
        return
    changed = {change.path for change in changes}
    body = creation_body(project)
    result.steps.append(
        Replace(
            address=project.address,
            project_id=entry.project_id,
            reason=reason,
            waits_for=waits_to_stop(view.project.status) if view.project else None,
            changes=(*changes, *(c for c in changes_of_successor(body, entry) if c.path not in changed)),
            body=body,
            generation=generation,
            key=idempotency_key(view.identity, project.address, generation),
        )
    )
    plan_work(project, result, live=None, entry=None)
