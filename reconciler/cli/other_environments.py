"""The projects of other environments, as far as their states can be read from here."""

from __future__ import annotations

import contextlib
import os
from urllib.parse import urlsplit

from msgspec.structs import replace

from reconciler.adapters.specs.config_file import load_config
from reconciler.cli.console import Console
from reconciler.cli.inputs import explain_errors
from reconciler.cli.state_backends import open_store
from reconciler.model import contract
from reconciler.model.config import SANDBOX, Config
from reconciler.model.errors import ReconcilerError
from reconciler.model.identity import Holder


def managed_elsewhere(console: Console, config: Config) -> dict[str, Holder]:
    """What the other environments of the configuration manage, by project id. One whose state can't be read has nothing:
    then the keys and the account tell, as for another workspace.
    """
    found: dict[str, Holder] = {}
    for name in config.environments if config.environment is not None else ():
        if name != config.environment:
            with contextlib.suppress(ReconcilerError), contract.kept():  # it may have another version of the API
                found |= _managed(console, config, name)
    return found


def _managed(console: Console, config: Config, name: str) -> dict[str, Holder]:
    other = load_config(
        config.root, env=os.environ, explain=explain_errors, state=console.state, api_url=SANDBOX, environment=name
    )
    other = replace(other, api_url=config.api_url)  # whether its own may have the key does not matter: nothing is sent
    if not _is_near(other, config):
        return {}
    state = open_store(console, other).load().state
    if state is None or (state.workspace, state.environment) != (config.workspace, name):
        return {}
    return {
        project_id: Holder(address, name)
        for address, entry in state.projects.items()
        for project_id in (entry.project_id, entry.studio_id, *entry.retired)
        if project_id
    }


def _is_near(other: Config, config: Config) -> bool:
    """Whether a state is a file, or in the bucket of this environment's: another one may be out of reach from here."""
    place, own = (urlsplit(each.state or "") for each in (other, config))
    return place.scheme in ("", "file") or (place.scheme, place.netloc) == (own.scheme, own.netloc)
