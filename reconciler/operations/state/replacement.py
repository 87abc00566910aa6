"""``state push`` and ``state history --restore``: one whole state put in place of another, as a new serial."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.errors import StateMismatchError
from reconciler.model.state import State, owned
from reconciler.operations.workflows import Workspace


class Exchange(Struct, frozen=True):
    """``old`` is to be replaced by ``new``, for people to judge before it happens."""

    old: State
    new: State

    @property
    def gone(self) -> list[str]:
        """Addresses that nobody would know of any more."""
        return sorted(self.old.projects.keys() - self.new.projects.keys())


def replace_state(
    workspace: Workspace,
    given: Callable[[], State],
    *,
    force: bool,
    confirm: Callable[[Exchange], None],
    command: str,
    lock_timeout: float,
) -> Exchange:
    """Put ``given`` in place of the state, under its lock; no call is made. ``force``: an older or foreign one, too.

    Calls whose outcome is not known yet stay: the next apply clears them up. What the new state does not know is found
    in the account, as after the loss of a state.

    Raises:
        StateMismatchError: it belongs to another workspace or API; or, unless forced, is older or of another lineage.
        StateError: the state can't be locked, read or written.
        ReconcilerError: as ``confirm`` raises.

    """
    config = workspace.config
    with workspace.store.lock(command, lock_timeout):
        old, _ = workspace.load()
        new = owned(given(), workspace=config.workspace, api_url=config.api_url)
        if not force:
            _check(old, new)
        still_open = old.pending if new.lineage == old.lineage else {}
        new = replace(new, serial=max(old.serial, new.serial) + 1, pending={**new.pending, **still_open})
        exchange = Exchange(old, new)
        confirm(exchange)
        workspace.store.begin(new)
        workspace.store.save(new)
        return exchange


def _check(old: State, new: State) -> None:
    if not old.serial and not old.projects and not old.pending:
        return
    if new.lineage != old.lineage:
        raise StateMismatchError(
            f"it is of another lineage: {new.lineage}, not {old.lineage}",
            "It never was a version of this state. `--force` puts it in its place all the same.",
        )
    if new.serial < old.serial:
        raise StateMismatchError(
            f"it is older: serial {new.serial}, and the state is at {old.serial}",
            "Somebody went on since it was pulled. `--force` puts it in its place all the same.",
        )
