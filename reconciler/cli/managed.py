"""The state as commands read it."""

from __future__ import annotations

from collections.abc import Collection

from reconciler.cli.context import Wired
from reconciler.model.state import Entry, State
from reconciler.operations.state.edits import require_entry


def state_of(wired: Wired) -> State:
    """The state, checked against workspace and API. Raises StateError."""
    return wired.workspace.load()[0]


def chosen(state: State, addresses: Collection[str]) -> dict[str, Entry]:
    """The entries of these addresses, or of all.

    Raises:
        UsageError: an address that the state does not have.

    """
    return {address: require_entry(state, address) for address in addresses or sorted(state.projects)}
