"""``reconciler show``."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.adapters.plan_file import read_plan
from reconciler.cli.console import Console
from reconciler.cli.options import formats
from reconciler.cli.rendering import PLAN_FORMATS, show_plan
from reconciler.model.plan_json import plan_digest


@click.command(
    epilog="\b\nExamples:\n  reconciler show saved.plan\n  reconciler show saved.plan --format html > plan.html\n"
)
@click.argument("planfile", type=click.Path(path_type=Path, dir_okay=False))
@formats(*PLAN_FORMATS)
@click.pass_obj
def command(console: Console, *, planfile: Path, format_: str) -> None:
    """Print a saved plan. Needs no workspace and no network.

    Its digest stands for all of it: `apply --digest` takes that plan and no other.
    """
    plan = read_plan(planfile)
    show_plan(console, plan, format_, digest=plan_digest(plan))
