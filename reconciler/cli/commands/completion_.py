"""``reconciler completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from reconciler.cli.console import Console


@click.command(
    epilog="""\b
Examples:
  eval "$(reconciler completion bash)"         # in ~/.bashrc
  eval "$(reconciler completion zsh)"          # in ~/.zshrc
  reconciler completion fish > ~/.config/fish/completions/reconciler.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """Print a completion script for your shell.

    It completes commands, options, addresses, tags, environments, saved plans and their digests. Addresses are those of
    the specs and of a local state: nothing is read over the network.
    """
    console: Console = ctx.obj
    found = get_completion_class(shell)
    assert found is not None, shell
    console.out(found(ctx.find_root().command, {}, "reconciler", "_RECONCILER_COMPLETE").source())
