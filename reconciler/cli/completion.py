"""Shell completion of addresses, tags and environments, from the workspace's files; never over the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.console import Console
from reconciler.cli.variables import Variables
from reconciler.model.errors import ReconcilerError

if TYPE_CHECKING:
    from reconciler.model.config import Config
    from reconciler.model.desired import Desired


def complete_addresses(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Addresses of the specs and of a local state."""
    config = _config(ctx)
    if config is None:
        return []
    found = set(specs.projects) if (specs := _specs(config)) else set()
    return _starting(incomplete, found | _managed(config))


def complete_tags(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Tags of the specs."""
    config = _config(ctx)
    specs = _specs(config) if config is not None else None
    return _starting(incomplete, {t for p in specs.projects.values() for t in p.tags} if specs else set())


def complete_environments(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of ``environments``."""
    config = _config(ctx, divided=False)
    return _starting(incomplete, set(config.environments) if config is not None else set())


def _starting(incomplete: str, names: set[str]) -> list[str]:
    return [name for name in sorted(names) if name.startswith(incomplete)]


def _config(ctx: click.Context, *, divided: bool = True) -> Config | None:
    """The configuration as the options typed so far say; none if it can't be read, which is no news for a Tab key."""
    from reconciler.cli.inputs import load_configuration  # noqa: PLC0415  only a Tab key needs it

    console, given = Console(), {**ctx.find_root().params, **{k: v for k, v in ctx.params.items() if v}}
    console.root = Path(given.get("chdir") or ".")
    console.state, console.state_flag = given.get("state"), True
    console.api_url = given.get("api_url")
    console.environment = given.get("environment")
    try:
        return load_configuration(console, divided=divided)
    except (ReconcilerError, OSError):
        return None


def _specs(config: Config) -> Desired | None:
    from reconciler.cli.inputs import load_desired  # noqa: PLC0415  as above

    try:
        return load_desired(config, Variables())
    except (ReconcilerError, OSError):
        return None


def _managed(config: Config) -> set[str]:
    from reconciler.adapters.state.local import LocalStateStore  # noqa: PLC0415  as above

    if "://" in (config.state or ""):
        return set()
    try:
        state = LocalStateStore(config.state_path, version="").load().state
    except (ReconcilerError, OSError):
        return set()
    return set(state.projects) if state is not None else set()
