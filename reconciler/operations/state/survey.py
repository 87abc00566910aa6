"""What an environment is and what its state says of it, without a call."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from reconciler.model.config import Config
from reconciler.model.environments import EnvironmentRow
from reconciler.model.state import State
from reconciler.operations.claims import look_at_claim
from reconciler.operations.workspace import StateStore


def survey(config: Config, store: StateStore) -> EnvironmentRow:
    """Read an environment's state and claim.

    Raises:
        ReconcilerError: it can't be read, or belongs to something else.

    """
    claim, warnings = look_at_claim(store.claims)
    row = replace(described(config), claim=claim, warnings=warnings)
    state = store.load().state
    if state is not None and config.named:
        config.own(state)
    if state is None:
        return row
    return replace(
        row,
        serial=state.serial,
        last_apply=state.applied_at or max(_times(state), default=None),
        managed=len(state.projects),
        attention=len(set(_attention(state))),
    )


def described(config: Config) -> EnvironmentRow:
    """What the configuration alone says of an environment."""
    return EnvironmentRow(
        name=config.environment,
        default=config.environment is not None and config.environment == config.default_environment,
        api_url=config.api_url,
        account=config.account.project if config.account is not None else None,
        place=config.state_place,
    )


def _times(state: State) -> Iterator[str]:
    """When something was recorded: of states whose last apply is from before its time was kept."""
    for entry in state.projects.values():
        yield from (known.at for known in entry.settings.values())
        yield from (message.at for message in entry.messages)


def _attention(state: State) -> Iterator[str]:
    """The addresses that no apply can settle alone, as far as the state knows."""
    yield from (address for address, entry in state.projects.items() if entry.outputs.status == "failed")
    yield from (intent.address for intent in state.pending.values())
    yield from state.disputes
