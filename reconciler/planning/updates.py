"""Settings and messages of a project that exists: the steps that bring it to its spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.desired import DesiredProject
from reconciler.model.live import LiveProject
from reconciler.model.plan import Adopt, Change, Message, Update, describe
from reconciler.model.state import Entry, SentMessage
from reconciler.model.values import Value
from reconciler.planning.address_view import ProjectPlan, View
from reconciler.planning.delivery import TO_IDLE, plan_delivery
from reconciler.planning.findings import (
    attention,
    drifted,
    normalized,
)
from reconciler.planning.kept_values import newly_kept
from reconciler.planning.knowledge import setting_changes
from reconciler.planning.message_log import compare


def plan_updates(
    project: DesiredProject,
    view: View,
    result: ProjectPlan,
    *,
    live: LiveProject | None,
    settings: Mapping[str, Value],
    entry: Entry | None,
) -> None:
    """Plan one PATCH with the changed settings, the new messages, and what is to be delivered. ``entry``: as far as it is
    about this project.
    """
    wanted = {name: value for name, value in settings.items() if name not in project.lifecycle.ignore_changes}
    changes = setting_changes(wanted, view.entry, live, lineage=view.lineage, at=view.live.at)
    forms = newly_kept(wanted, view.entry, live)
    result.diagnostics += [normalized(project.address, name, wanted[name], form) for name, form in forms.items()]
    update = _update(project, live, {name: settings[name] for name in changes}, tuple(changes.values()))
    result.drift += [drifted(project, change) for change in changes.values() if change.drift]
    releases = wanted.get("mode") == contract.MODE_RELEASED
    if update and not releases:
        result.steps.append(update)
    plan_work(project, result, live=live, entry=entry)
    if update and releases:  # a released project takes no messages, so release it last
        sends = any(describe(step).slot for step in result.steps)
        result.steps.append(replace(update, waits_for=TO_IDLE) if sends else update)


def _update(
    project: DesiredProject, live: LiveProject | None, body: dict[str, Value], changes: tuple[Change, ...]
) -> Update | None:
    if not body:
        return None
    drift = [change.path.removeprefix("settings.") for change in changes if change.drift]
    blocked = live is not None and contract.settings_blocked(live.status)
    return Update(
        address=project.address,
        project_id=live.id if live else None,
        reason=f"drift: {', '.join(drift)} changed outside" if drift else "settings differ",
        waits_for=f"the agent to pause ({live.status})" if blocked and live else None,
        changes=changes,
        body=body,
    )


def plan_work(project: DesiredProject, result: ProjectPlan, *, live: LiveProject | None, entry: Entry | None) -> None:
    """Plan the messages that were not sent yet, and what is due once they are done."""
    if _plan_messages(project, result, live=live, sent=entry.messages if entry is not None else ()):
        plan_delivery(project, result, live=live, entry=entry)


def _plan_messages(
    project: DesiredProject,
    result: ProjectPlan,
    *,
    live: LiveProject | None,
    sent: tuple[SentMessage, ...],
) -> bool:
    """Plan the messages that were not sent yet. Returns whether nothing keeps them from being sent."""
    log = compare(project.address, project.messages, sent, project.location)
    result.diagnostics += log.diagnostics
    result.rewritten = result.rewritten or log.rewritten
    taken_back = any(
        isinstance(step, Adopt) or (isinstance(step, Update) and "mode" in step.body) for step in result.steps
    )
    if live is not None and log.to_send and live.settings.get("mode") == contract.MODE_RELEASED and not taken_back:
        result.diagnostics.append(
            attention(
                project,
                f"`{project.address}` was released to the studio and takes no messages",
                "Set `mode: collaborative` (or `autonomous`) to take it back.",
            )
        )
        return False
    idle = live is not None and live.status == contract.Status.IDLE
    resumes = resumed_from(project, live)
    for number, message in enumerate(log.to_send):
        first = number == 0
        over = f"; the project is {resumes}, and `resume_from` lets it go on" if first and resumes else ""
        result.steps.append(
            Message(
                address=project.address,
                project_id=live.id if live else None,
                reason=f"it is in the specs and was not sent{over}",
                waits_for=None if first and (idle or resumes) else TO_IDLE,
                message=message,
                resumes=resumes if first else None,
            )
        )
    return not any(finding.severity == "error" for finding in log.diagnostics)


def resumed_from(project: DesiredProject, live: LiveProject | None) -> Literal["failed", "cancelled"] | None:
    """The status of a project that is over, if the spec and the API let a new message set it to work again."""
    for status in ("failed", "cancelled"):
        if live is not None and live.status == status and status in project.lifecycle.resume_from:
            return status if contract.current().allows("message", status) else None
    return None


def resumes(project: DesiredProject, live: LiveProject, sent: tuple[SentMessage, ...]) -> bool:
    """Whether a project that is over goes on: its spec says so, and has a message that was not sent."""
    if resumed_from(project, live) is None:
        return False
    return bool(compare(project.address, project.messages, sent, project.location).to_send)
