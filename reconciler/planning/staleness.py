"""Checks that a saved plan is still valid, address by address."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.plan import Adopt, Basis, Cancel, Create, Import, Plan, Replace, Step
from reconciler.model.state import Entry
from reconciler.model.times import instant
from reconciler.model.values import sealed
from reconciler.planning.matching import Candidates

_ALIVE = frozenset({"active", "idle"})


def stale_reason(planned: Basis | None, now: Basis, steps: Sequence[Step]) -> str | None:
    """What changed since the plan was made, or ``None``.

    An agent that started or stopped working makes no plan stale, since steps wait for that; except where the project is to
    be cancelled, which was planned because of its status.
    """
    if planned is None:
        return "the plan does not say what these steps are based on"
    if planned.entry != now.entry:
        if now.entry is None:
            return "the state no longer has this project"
        return "the state already has this project" if planned.entry is None else "the state of this project changed"
    if planned.status != now.status:
        tolerated = {planned.status, now.status} <= _ALIVE and not any(isinstance(s, Cancel) for s in steps)
        if not tolerated:
            return f"the project was {planned.status} and is {now.status}"
    changed = sorted(name for name, value in planned.observed.items() if now.observed.get(name, value) != value)
    return f"{', '.join(changed)} changed outside" if changed else None


def repeated_reason(plan: Plan, steps: Sequence[Step], candidates: Candidates) -> str | None:
    """Why a create may have been done before by an apply whose state is lost: such a project was made since, and failed.

    The API makes another project for the key of a failed one; all others are found by their key.
    """
    planned = instant(plan.created_at)
    since = planned and planned.replace(microsecond=0)  # the account gives whole seconds
    for step in steps:
        for project in candidates.like(step.body).failed if isinstance(step, Create) else ():
            made = instant(project.created_at)
            if since is None or made is None or made >= since:
                return f"the account has `{project.id}` with this brief, which was created since then and failed"
    return None


def strayed_reason(entry: Entry | None, steps: Sequence[Step], done: int) -> str | None:
    """Why the rest of a saved plan, after ``done`` steps, is about another project than the state has now."""
    if done == len(steps):
        return None
    if entry is None:
        binds = isinstance(steps[done], Create | Adopt | Import)
        return None if binds else "the state no longer has this project"
    made = next((step for step in steps[:done] if isinstance(step, Create | Replace)), None)
    if made is not None and entry.creation.get("brief") != sealed(made.body["brief"]):
        return f"`{entry.project_id}` was created from another brief"
    planned = next((step.project_id for step in steps[done:] if step.project_id is not None), entry.project_id)
    return f"it is bound to `{entry.project_id}` now, not to `{planned}`" if planned != entry.project_id else None
