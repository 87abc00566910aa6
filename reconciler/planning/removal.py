"""The steps for a project that left the specs, or for all projects (``destroy``)."""

from __future__ import annotations

from typing import assert_never

from reconciler.model import contract
from reconciler.model.desired import OnRemove
from reconciler.model.errors import Diagnostic
from reconciler.model.live import LiveProject
from reconciler.model.plan import Cancel, Forget, Release, Step
from reconciler.model.state import Entry


def waits_to_stop(status: str) -> str | None:
    """What a cancel waits for in this status, if anything: a rendering project can't be cancelled, and one with an unknown
    status is not touched.
    """
    if contract.is_active(status) and not contract.current().allows("cancel", status):
        return f"the project to leave `{status}`"
    return None


def cancel_step(address: str, live: LiveProject, reason: str) -> Cancel | None:
    """The cancel, unless the project has ended already."""
    if live.status in {contract.Status.FAILED, contract.Status.CANCELLED}:
        return None
    return Cancel(address=address, project_id=live.id, reason=reason, waits_for=waits_to_stop(live.status))


def removal_steps(
    address: str, entry: Entry, live: LiveProject | None, action: OnRemove, reason: str
) -> tuple[list[Step], list[Diagnostic]]:
    """The steps that stop managing a project as its lifecycle says. ``live`` is ``None`` if the API no longer has it."""
    forget = Forget(address=address, project_id=entry.project_id, reason=reason)
    if action == "protect":
        return [], [
            Diagnostic(
                severity="error",
                address=address,
                summary=f"`{address}` is protected and can't be removed",
                detail="`lifecycle.on_remove` is `protect`. Add the project to the specs again, or change `on_remove` and apply that first.",
                attention=True,
            )
        ]
    if live is None:
        return [forget], []
    match action:
        case "forget":
            return [forget], []
        case "stop":
            if contract.current().allows("cancel", live.status) and live.status != contract.Status.IDLE:
                return [Cancel(address=address, project_id=live.id, reason=reason), forget], []
            waits = waits_to_stop(live.status)
            return [
                Forget(address=address, project_id=entry.project_id, reason=reason, waits_for=waits),
            ], []
        case "cancel":
            cancel = cancel_step(address, live, reason)
            return [cancel, forget] if cancel else [forget], []
        case "release":
            if live.settings.get("mode") == contract.MODE_RELEASED:
                return [forget], []
            waits = f"the agent to pause ({live.status})" if contract.settings_blocked(live.status) else None
            release = Release(address=address, project_id=live.id, reason=reason, waits_for=waits)
            return [release, forget], []
        case _:
            assert_never(action)
