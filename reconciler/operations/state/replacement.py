"""``state push`` and ``state history --restore``: replacing the whole state by another, as a new serial."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.errors import StateMismatchError
from reconciler.model.state import State
from reconciler.operations.workspace import Workspace


class Exchange(Struct, frozen=True):
    """``old`` is to be replaced by ``new``; shown to the user before it happens."""

    old: State
    new: State

    @property
    def gone(self) -> list[str]:
        """Addresses that would no longer be managed."""
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
    """Replace the state by ``given``, under its lock, without a call. ``force``: even by an older or foreign one, or one from
    before a run that was cut short.

    Calls whose outcome is not known yet stay pending: the next apply recovers them. What the new state does not know is
    found in the account, as after the loss of a state.

    Raises:
        StateMismatchError: it belongs to another workspace or API; or, unless forced, is older, of another lineage, or lacks
            what a run that was cut short has recorded.
        StateError: the state can't be locked, read or written.
        ReconcilerError: as ``confirm`` raises.

    """
    with workspace.store.lock(command, lock_timeout):
        old, cut_short = workspace.load()
        new = workspace.config.own(given())
        if not force:
            _check(old, new, cut_short=cut_short)
        still_open = old.pending if new.lineage == old.lineage else {}
        new = replace(new, serial=max(old.serial, new.serial) + 1, pending={**new.pending, **still_open})
        exchange = Exchange(old, new)
        confirm(exchange)
        workspace.store.begin(new)
        workspace.store.save(new)
        return exchange


def _check(old: State, new: State, *, cut_short: bool) -> None:
    if not old.serial and not old.projects and not old.pending:
        return
    if new.lineage != old.lineage:
        raise StateMismatchError(
            f"this state has another lineage: {new.lineage}, not {old.lineage}",
            "It is not a version of the current state. `--force` replaces the current state anyway.",
        )
    if new.serial < old.serial:
        raise StateMismatchError(
            f"this state is older: serial {new.serial}, and the current state is at {old.serial}",
            "The current state was written after this one was pulled. `--force` replaces it anyway.",
        )
    if cut_short and new.serial == old.serial and new != old:
        raise StateMismatchError(
            f"this state lacks what a run that was cut short has recorded: both are serial {new.serial}",
            "Run `reconciler apply`, which goes on, and pull the state then. `--force` replaces the current state anyway.",
        )
