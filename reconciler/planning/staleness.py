"""Whether a saved plan still fits, address by address."""

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

    An agent that went to work or came to rest meanwhile is what steps wait for, so it makes no plan stale, except where
    it is to be cancelled: that was planned because it was at work (or was not).
    """
    if planned is None:
        return "the plan does not say what these steps were computed from"
    if planned.entry != now.entry:
        if now.entry is None:
            return "the state no longer has this project"
        return "the state has this project already" if planned.entry is None else "the state of this project changed"
    if planned.status != now.status:
        tolerated = {planned.status, now.status} <= _ALIVE and not any(isinstance(s, Cancel) for s in steps)
        if not tolerated:
            return f"the project was {planned.status} and is {now.status}"
    changed = sorted(name for name, value in planned.observed.items() if now.observed.get(name, value) != value)
    return f"{', '.join(changed)} changed outside" if changed else None


def repeated_reason(plan: Plan, steps: Sequence[Step], candidates: Candidates) -> str | None:
    """Why a create of a first plan was done before, if the state of that is lost: a project just like it has failed since.

    The API makes another project for the key of a failed one; all others are found by their key.
    """
    planned = instant(plan.created_at)
    since = planned and planned.replace(microsecond=0)  # the account gives whole seconds
    for step in steps:
        for project in candidates.like(step.body).failed if isinstance(step, Create) else ():
            made = instant(project.created_at)
            if since is None or made is None or made >= since:
                return f"the account has `{project.id}` of this brief, which was made since and failed"
    return None


def strayed_reason(entry: Entry | None, steps: Sequence[Step], done: int) -> str | None:
    """Why the rest of a saved plan, ``done`` of whose steps are done, is not about the project that the state has now."""
    if done == len(steps):
        return None
    if entry is None:
        binds = isinstance(steps[done], Create | Adopt | Import)
        return None if binds else "the state no longer has this project"
    made = next((step for step in steps[:done] if isinstance(step, Create | Replace)), None)
    if made is not None and entry.creation.get("brief") != sealed(made.body["brief"]):
        return f"`{entry.project_id}` was made from another brief"
    planned = next((step.project_id for step in steps[done:] if step.project_id is not None), entry.project_id)
    return f"it stands for `{entry.project_id}` now, not for `{planned}`" if planned != entry.project_id else None
