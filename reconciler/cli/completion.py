"""Shell completion of addresses, tags, environments and saved plans. What knows them is only loaded when a Tab key asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def complete_addresses(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Addresses of the specs and of a local state; none beside a saved plan, which takes no selectors."""
    if _plan_file(ctx) is not None:
        return []
    from reconciler.cli import workspace_names  # noqa: PLC0415

    return _starting(incomplete, workspace_names.addresses(ctx))


def complete_unmanaged(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Addresses of the specs that a local state does not have."""
    from reconciler.cli import workspace_names  # noqa: PLC0415

    return _starting(incomplete, workspace_names.unmanaged(ctx))


def complete_tags(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Tags of the specs; none beside a saved plan."""
    if _plan_file(ctx) is not None:
        return []
    from reconciler.cli import workspace_names  # noqa: PLC0415

    return _starting(incomplete, workspace_names.tags(ctx))


def complete_environments(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of ``environments``."""
    from reconciler.cli import workspace_names  # noqa: PLC0415

    return _starting(incomplete, workspace_names.environments(ctx))


def complete_plans(_ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Saved plans in the folder that is being typed; where there are none, any file."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from reconciler.cli import plan_names  # noqa: PLC0415

    names = plan_names.plan_files(incomplete)
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


def complete_digests(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The digest of the plan on the command line or, before there is one, of those in the current folder."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from reconciler.cli import plan_names  # noqa: PLC0415

    found = plan_names.digests(_plan_file(ctx))
    return [CompletionItem(digest, help=name) for digest, name in found.items() if digest.startswith(incomplete)]


def _plan_file(ctx: click.Context) -> str | None:
    """The saved plan on the command line: where an option lacks its value, click leaves the arguments before it apart."""
    if not any(param.name == "planfile" for param in ctx.command.params):
        return None
    typed = ctx.params.get("planfile") or next(iter(ctx.args), None)
    return None if typed is None else str(typed)


def _starting(incomplete: str, names: set[str]) -> list[str]:
    return [name for name in sorted(names) if name.startswith(incomplete)]
