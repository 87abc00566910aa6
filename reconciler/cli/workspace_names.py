"""Names that a workspace's files know, for the shell to complete; never over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.adapters.state.local import LocalStateStore
from reconciler.cli.console import Console
from reconciler.cli.inputs import load_configuration, load_desired
from reconciler.cli.variables import Variables
from reconciler.model.errors import ReconcilerError

if TYPE_CHECKING:
    import click

    from reconciler.model.config import Config
    from reconciler.model.desired import Desired


def addresses(ctx: click.Context) -> set[str]:
    """Addresses of the specs and of a local state."""
    config = _config(ctx)
    if config is None:
        return set()
    return (set(specs.projects) if (specs := _specs(config)) else set()) | _managed(config)


def unmanaged(ctx: click.Context) -> set[str]:
    """Addresses of the specs that a local state does not have."""
    config = _config(ctx)
    specs = _specs(config) if config is not None else None
    return set(specs.projects) - _managed(config) if config is not None and specs else set()


def tags(ctx: click.Context) -> set[str]:
    """Tags of the specs."""
    config = _config(ctx)
    specs = _specs(config) if config is not None else None
    return {tag for project in specs.projects.values() for tag in project.tags} if specs else set()


def environments(ctx: click.Context) -> set[str]:
    """Names of ``environments``."""
    config = _config(ctx, divided=False)
    return set(config.environments) if config is not None else set()


def _config(ctx: click.Context, *, divided: bool = True) -> Config | None:
    """The configuration as the options typed so far say; none if it can't be read, which is no news for a Tab key."""
    console, given = Console(), {**ctx.find_root().params, **{k: v for k, v in ctx.params.items() if v}}
    console.start(given.get("chdir") or ".")
    console.state, console.state_flag = given.get("state"), True
    console.api_url = given.get("api_url")
    console.environment = given.get("environment")
    try:
        return load_configuration(console, divided=divided)
    except (ReconcilerError, OSError):
        return None


def _specs(config: Config) -> Desired | None:
    try:
        return load_desired(config, Variables())
    except (ReconcilerError, OSError):
        return None


def _managed(config: Config) -> set[str]:
    if "://" in (config.state or ""):
        return set()
    try:
        state = LocalStateStore(config.state_path, version="").load().state
    except (ReconcilerError, OSError):
        return set()
    return set(state.projects) if state is not None else set()
