"""Secrets of saved plans and of earlier states: filled from the environment, sealed with current digests."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from reconciler.model.desired import Desired, seal
from reconciler.model.journal import Bind, Draft, End
from reconciler.model.plan import (
    Adopt,
    Cancel,
    Create,
    Forget,
    Import,
    Message,
    Move,
    Release,
    Render,
    Replace,
    Share,
    Step,
    Update,
)
from reconciler.model.values import filled
from reconciler.operations.apply.run import Run
from reconciler.planning.resealing import Resealing


def fill_secrets(run: Run, step: Step) -> Step:
    """Fill a saved step's secrets with their plain values, to recognize them in the account. A step that lacks some fails
    when its turn comes.
    """
    try:
        match step:
            case Create() | Replace() | Adopt() | Update() | Share():
                return replace(step, body=filled(step.body, run.env, run.draft.lineage))
            case Message():
                body = filled(step.message.body, run.env, run.draft.lineage)
                return replace(step, message=replace(step.message, body=body))
            case Import() | Render() | Cancel() | Release() | Forget() | Move():
                return step
            case _:
                assert_never(step)
    except (KeyError, ValueError):
        return step


def reseal(draft: Draft, desired: Desired | None) -> None:
    """Replace digests of secrets that an earlier version made by current ones."""
    if desired is None:
        return
    again = Resealing(seal(desired, draft.lineage), draft.lineage)
    for address, entry in [*draft.projects.items()]:
        made = again(entry)
        if made is not entry:
            draft.fold(End(effects=(Bind(address=address, entry=made),)))
