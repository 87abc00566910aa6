"""A first look at a ``reconciler.yaml`` of any commit: its name, environments and local states, whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from reconciler.adapters.specs.config_environments import BLOCKS, divided_state, in_environment
from reconciler.adapters.specs.config_file import FILE, folder_name
from reconciler.adapters.specs.config_trust import outside_state
from reconciler.adapters.specs.yaml.parsing import parse
from reconciler.model import contract
from reconciler.model.config import SANDBOX, Config


class Glance(Struct, frozen=True):
    """``environments`` has the keys as they are in each (only one, ``None``, where there are none), and ``places`` where
    the state of each is: a URL, or a path relative to the workspace; nothing for a place that is not allowed. ``sure``: the
    file could be read, so that what it does not have is not there.
    """

    name: str
    environments: Mapping[str | None, Mapping[str, Any]] = field(default_factory=dict)
    places: Mapping[str | None, str] = field(default_factory=dict)
    sure: bool = True

    def concerned(self, before: Glance) -> set[str | None]:
        """The environments that a change of the file concerns: those that differ, or all where nothing does but its text."""
        now = self.environments
        return {name for name in now if now[name] != before.environments.get(name)} or set(now)


def glance(text: str, root: Path) -> Glance:
    """What a configuration of the workspace at ``root`` says."""
    parsed = parse(text, FILE)
    tree = parsed.documents[0][0] if parsed.documents else None
    whole: dict[str, Any] = tree if isinstance(tree, dict) else {}
    blocks = whole.get(BLOCKS)
    known = (
        {name: block for name, block in blocks.items() if isinstance(block, dict)} if isinstance(blocks, dict) else {}
    )
    read = not parsed.problems and isinstance(tree, dict | None) and (blocks is None or blocks == known)
    named = whole.get("workspace")
    environments = {name: in_environment({**whole, BLOCKS: known}, name) for name in known or (None,)}
    places = {name: _place(root, keys, name, known.get(name, {})) for name, keys in environments.items()}
    return Glance(
        named if isinstance(named, str) and named else folder_name(root),
        environments,
        {name: place for name, place in places.items() if place is not None},
        sure=read,
    )


def _place(root: Path, keys: Mapping[str, Any], environment: str | None, own: Mapping[str, Any]) -> str | None:
    place, api = keys.get("state"), keys.get("api")
    if isinstance(place, str) and place:
        allowed = "\0" not in place and outside_state(root, place) is None
        return divided_state(place, environment, own="state" in own) if allowed else None
    url = api.get("url") if isinstance(api, dict) else None
    known = SANDBOX if url == SANDBOX else contract.DEFAULT_URL
    return Config(root=root, workspace="", environment=environment, api_url=known).state_place
