"""``reconciler version``."""

from __future__ import annotations

import platform

import click

from reconciler.cli.console import Console
from reconciler.cli.options import formats
from reconciler.model.version import VERSION


@click.command(
    epilog="""\b
Examples:
  reconciler version
  reconciler version --format json | jq -r .version
"""
)
@formats("text", "json")
@click.pass_obj
def command(console: Console, *, format_: str) -> None:
    """Show the version."""
    python, system = platform.python_version(), f"{platform.system()} {platform.machine()}"
    if format_ == "json":
        console.json({"version": VERSION, "python": python, "platform": system})
    else:
        console.out(f"reconciler {VERSION} (Python {python}, {system})\n")
