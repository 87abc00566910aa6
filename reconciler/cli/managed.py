"""The state as commands read it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from reconciler.cli.wiring import Wired
from reconciler.model.errors import UsageError
from reconciler.model.state import Entry, State


def state_of(wired: Wired) -> State:
    """The state, checked against workspace and API. Raises StateError."""
    return wired.workspace.loaded()[0]


def chosen(state: State, addresses: Iterable[str]) -> dict[str, Entry]:
    """The entries of these addresses, or of all.

    Raises:
        UsageError: an address that the state does not have.

    """
    wanted = list(addresses)
    for address in wanted:
        if address not in state.projects:
            near = difflib.get_close_matches(address, state.projects, 1)
            hint = f"Did you mean `{near[0]}`?" if near else "`reconciler state list` shows what it has."
            raise UsageError(f"the state has no `{address}`", hint)
    return {a: state.projects[a] for a in wanted or sorted(state.projects)}
