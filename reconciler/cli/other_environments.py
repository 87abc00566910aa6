"""The other states of a configuration, as far as they can be read from here."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec.structs import replace

from reconciler.cli.console import Console
from reconciler.cli.inputs import load_offline
from reconciler.cli.state_backends import open_store
from reconciler.model import contract
from reconciler.model.config import Config
from reconciler.model.errors import ReconcilerError
from reconciler.model.identity import Elsewhere, Holder
from reconciler.planning.planner import unsettled_addresses


def read_elsewhere(console: Console, config: Config) -> Elsewhere:
    """What the other states of the configuration say. One that can't be read says nothing, but that it may have something:
    then the keys and the account tell, as for another workspace.
    """
    found = Elsewhere()
    for name in (None, *config.environments) if config.environment is not None else ():
        if name != config.environment:
            try:
                with contract.kept():  # it may have another version of the API
                    found = _with(found, console, config, name)
            except ReconcilerError:
                found = replace(found, incomplete=found.incomplete or name is not None)
    return found


def _with(found: Elsewhere, console: Console, config: Config, name: str | None) -> Elsewhere:
    other = load_offline(config.root, name, state=console.state)
    other = replace(other, api_url=config.api_url)  # whether its own may have the key does not matter: nothing is sent
    state = open_store(console, other).load().state if _is_near(other, config) else None
    if state is None:
        return replace(found, incomplete=found.incomplete or name is not None)
    if state.workspace != config.workspace:
        return found
    if name is None and state.moved_to is not None:
        return replace(found, moved=state.environment == config.environment)
    if state.environment != name:
        return found
    held = {
        project_id: Holder(address, name, None if name else other.state_place)
        for address, entry in state.projects.items()
        for project_id in (entry.project_id, entry.studio_id, *entry.retired)
        if project_id
    }
    calls = state.pending.values()
    found = replace(
        found,
        links=found.links | {e.shared.share_url for e in state.projects.values() if e.shared and e.shared.share_url},
        creates=(*found.creates, *(intent.body for intent in calls if intent.kind == "create")),
        sharing=found.sharing or any(intent.kind == "share" for intent in calls),
        forgotten=found.forgotten.union(state.forgotten),
        incomplete=found.incomplete or state.new or bool(unsettled_addresses(state)),
    )
    return replace(found, holders={**found.holders, **held}) if name else replace(found, before=held)


def _is_near(other: Config, config: Config) -> bool:
    """Whether a state is a file, or in the bucket of this environment's: another one may be out of reach from here."""
    place, own = (urlsplit(each.state or "") for each in (other, config))
    return place.scheme in ("", "file") or (place.scheme, place.netloc) == (own.scheme, own.netloc)
