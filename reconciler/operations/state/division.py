"""``state mv --to-environment``: a state from before there were environments becomes the state of one of them.

Its projects keep their generations, and the state keeps the keys they were made with, so nothing is created twice. What
is left at the old place refuses every use: a checkout without environments would ask for the same projects by their old
keys and manage them as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from reconciler.model.config import Config
from reconciler.model.errors import StateMismatchError, UsageError
from reconciler.model.identity import Holder
from reconciler.model.state import Entry, State, owned
from reconciler.operations.workspace import StateStore


def divide(
    source: StateStore,
    target: StateStore,
    config: Config,
    *,
    in_place: bool,
    old_place: str,
    held: Mapping[str, Holder],
    lock_timeout: float,
) -> int:
    """Move the state in ``source`` to ``target``, the place of the environment of ``config``. Returns its projects.

    First the state is marked as the environment's, then written to its place, then emptied where it was: whatever dies
    in between, no run takes it for one without an environment, and the same command goes on. ``held`` are the projects
    that other environments have, by id.

    Raises:
        UsageError: there is no state, or another one at the environment's place; or another environment has a project of it.
        StateMismatchError: it belongs to another workspace, environment or API.
        StateError: a state can't be locked, read or written.

    """
    command = "reconciler state mv"
    with source.lock(command, lock_timeout):
        found = source.load().state
        if found is None:
            raise UsageError(f"there is no state in `{old_place}` to move", "Name the old one with `--state`.")
        _check_held(found, held)
        moved = _belonging(found, config)
        if moved is not found:
            moved = replace(moved, serial=found.serial + 1)
            source.begin(moved)
            source.save(moved)
        if in_place:
            return len(moved.projects)
        with target.lock(command, lock_timeout):
            there = target.load().state
            _check_target(there, moved, config)
            if there is None:
                target.begin(moved)
                target.save(moved, lasting=True)  # what is left in the old place only points to it
        left = State(
            lineage=moved.lineage,
            workspace=moved.workspace,
            environment=moved.environment,
            api_url=moved.api_url,
            serial=moved.serial + 1,
            moved_to=config.state_place,
        )
        source.begin(left)
        source.save(left)
        return len(moved.projects)


def _belonging(state: State, config: Config) -> State:
    """The state as the environment's, each project with the key that made it; itself if it is that already."""
    if state.environment == config.environment and state.moved_to is None:
        return config.own(state)
    if state.environment is None:
        owned(state, workspace=config.workspace, api_url=config.api_url)
        entries = {a: replace(entry, key=_made_with(state, a, entry)) for a, entry in state.projects.items()}
        return replace(state, environment=config.environment, projects=entries)
    return config.own(state)


def _made_with(state: State, address: str, entry: Entry) -> str | None:
    """The key that a project was created with. Where the version before renamed it, that is the key of an address that
    spent such a generation and has no project of it; ``None`` if several did.
    """
    if entry.key is not None or state.generations.get(address, 0) >= entry.generation:
        return entry.made_with(state.identity, address)
    others = [
        name
        for name, spent in state.generations.items()
        if spent >= entry.generation and _may_have_lost(state.projects.get(name), entry.generation)
    ]
    return entry.made_with(state.identity, others[0]) if len(others) == 1 else None


def _may_have_lost(entry: Entry | None, generation: int) -> bool:
    """Whether the project of a generation may have left an address which has this entry now."""
    return entry is None or (entry.generation != generation and len(entry.retired) < entry.generation - 1)


def _check_held(state: State, held: Mapping[str, Holder]) -> None:
    """An old copy that is put back after a move may belong to the environment that it moved to."""
    for address, entry in state.projects.items():
        holder = held.get(entry.project_id)
        if holder is not None:
            raise UsageError(
                f"`{address}` (`{entry.project_id}`) is already managed as {holder}",
                f"Nothing was moved. {holder.way_out}",
            )


def _check_target(there: State | None, moved: State, config: Config) -> None:
    if there is None:
        return
    config.own(there)
    if there.lineage != moved.lineage:
        raise StateMismatchError(
            f"environment `{config.environment}` has a state already, in `{config.state_place}`",
            "Two states can't become one. Remove the one that you don't need, or move to another environment.",
        )
