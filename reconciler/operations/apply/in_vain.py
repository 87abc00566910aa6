"""What this run will certainly not do any more: then nothing is waited for, read or uploaded for it."""

from __future__ import annotations

from typing import Final

from reconciler.model.errors import ReconcilerError
from reconciler.model.plan import Step, describe
from reconciler.operations.apply.run import Deferred, Run

NO_CREDITS: Final = "credits: the account has too few"


def require_possible(run: Run, step: Step) -> None:
    """Check that nothing which this run found out keeps it from doing a step.

    Raises:
        Deferred: credits ran out, and the step costs some.
        VersionError: the API speaks another version.
        ReconcilerError: the API does not have its call.

    """
    run.api.check_version()
    if run.credits_error is not None and describe(step).spends_credits:
        raise Deferred(NO_CREDITS)
    if step.action in run.lacking:
        raise lacks(step)


def lacks(step: Step) -> ReconcilerError:
    """The error where the API does not have the call of a render or a share."""
    return ReconcilerError(
        f"the API does not offer this: it has no call `POST /projects/:id/{step.action}`",
        f"Nothing was done. Remove `deliver.{step.action}` from the spec; everything else goes on without it.",
        address=step.address,
    )
