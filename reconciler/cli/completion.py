"""Shell completion of addresses, tags and environments. What knows them is only loaded when a Tab key asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def complete_addresses(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Addresses of the specs and of a local state."""
    from reconciler.cli import workspace_names  # noqa: PLC0415

    return _starting(incomplete, workspace_names.addresses(ctx))


def complete_tags(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Tags of the specs."""
    from reconciler.cli import workspace_names  # noqa: PLC0415

    return _starting(incomplete, workspace_names.tags(ctx))


def complete_environments(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of ``environments``."""
    from reconciler.cli import workspace_names  # noqa: PLC0415

    return _starting(incomplete, workspace_names.environments(ctx))


def _starting(incomplete: str, names: set[str]) -> list[str]:
    return [name for name in sorted(names) if name.startswith(incomplete)]
