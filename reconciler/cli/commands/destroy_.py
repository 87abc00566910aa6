"""``reconciler destroy``."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli.apply_flow import run_apply
from reconciler.cli.console import Console
from reconciler.cli.context import wire
from reconciler.cli.inputs import desired
from reconciler.cli.options import applying, selectors
from reconciler.cli.selection import selection_of


@click.command(
    epilog="""\b
Examples:
  reconciler destroy                          # says how many, and asks
  reconciler destroy --target old-one --auto-approve
"""
)
@selectors
@applying
@click.pass_obj
def command(console: Console, /, **given: Any) -> int:
    """Part with everything that is managed, each project as its `lifecycle.on_remove` says.

    The API can't delete: projects are cancelled where they work, and forgotten. Protected ones stay.
    """
    wired = wire(console)
    wanted = desired(wired.config, given["var"], given["var_file"])
    return run_apply(wired, given, wanted=wanted, selection=selection_of({**given, "destroy": True}), name="destroy")
