"""Taking and releasing the claim of a pull request (``model/claim.py``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec.structs import asdict, replace

from reconciler.adapters.state.claims import Claims
from reconciler.model.claim import Claim, Claimant, claimed_by, refusal, unlock_command
from reconciler.model.errors import ClaimedError, Diagnostic, StateError, UsageError
from reconciler.operations.workspace import Workspace


def look_at_claim(claims: Claims) -> tuple[Claim | None, tuple[Diagnostic, ...]]:
    """The claim that stands, if any, to be shown; and a warning where it can't be read."""
    try:
        return claims.read(), ()
    except StateError as error:
        return None, tuple(replace(found, severity="warning") for found in error.diagnostics)


def require_free(workspace: Workspace, claimant: Claimant | None) -> Claim | None:
    """The claim that stands, if any, which is the claimant's own.

    Raises:
        ClaimedError: another pull request has it.
        StateError: it can't be read.

    """
    return _own(workspace, workspace.store.claims.read(), claimant)


def take_claim(workspace: Workspace, claimant: Claimant | None) -> Claim | None:
    """Claim the workspace for a pull request that does not have it yet. Call it under the state's lock.

    Raises:
        ClaimedError: another pull request has it.
        StateError: it can't be written.

    """
    if claimant is None:
        return require_free(workspace, None)
    workspace.store.check()
    return _own(workspace, workspace.store.claims.take(Claim(**asdict(claimant), since=workspace.now())), claimant)


def _own(workspace: Workspace, claim: Claim | None, claimant: Claimant | None) -> Claim | None:
    if claim is not None and (claimant is None or claim.pull_request != claimant.pull_request):
        raise ClaimedError((refusal(claim, workspace.config.environment),))
    return claim


def release_claim(
    workspace: Workspace,
    *,
    pull_request: str | None,
    force: bool,
    confirm: Callable[[Claim], bool],
    lock_timeout: float,
) -> Claim | Literal["unreadable"] | None:
    """Release the claim; what it was, ``None`` if there was none.

    Args:
        workspace: Whose claim it is.
        pull_request: Release it only if it is this one's.
        force: No matter who has it, and even if it can't be read. Nobody is asked.
        confirm: Asked where there is no ``pull_request``.
        lock_timeout: Seconds to wait for a run under way.

    Raises:
        ClaimedError: another pull request has it.
        LockError: a run is under way.
        UsageError: it was not confirmed.
        StateError: it can't be read or removed.

    """
    claims = workspace.store.claims
    found = _found(workspace, force=force)
    if found is None:
        return None
    if isinstance(found, Claim) and not force:
        if pull_request is not None and found.pull_request != pull_request:
            environment = workspace.config.environment
            raise ClaimedError(
                f"the claim is of `{found.pull_request}`, not of `{pull_request}`: it stays",
                f"{claimed_by(found)}\nTo release that one: {unlock_command(found, environment)}.",
            )
        if pull_request is None and not confirm(found):
            raise UsageError("not approved: the claim stays")
    with workspace.store.lock("reconciler unlock", lock_timeout):
        now = _found(workspace, force=force)
        if now is not None and now != found:
            raise StateError("the claim changed meanwhile: it stays", "Look at it with `reconciler claim`.")
        workspace.store.check()
        return found if claims.release() else None


def _found(workspace: Workspace, *, force: bool) -> Claim | Literal["unreadable"] | None:
    try:
        return workspace.store.claims.read()
    except StateError:
        if not force:
            raise
        return "unreadable"
