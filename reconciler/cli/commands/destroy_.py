"""``reconciler destroy``."""

from __future__ import annotations

from functools import partial

import click

from reconciler.cli.apply_flow import Application, run_apply
from reconciler.cli.console import Console
from reconciler.cli.context import load_context
from reconciler.cli.inputs import read_specs
from reconciler.cli.notify import notifier, telling_failure
from reconciler.cli.options import variables
from reconciler.cli.plan_options import (
    Applying,
    Execution,
    Selectors,
    applicant,
    applying,
    destroy_selectors,
    execution,
)
from reconciler.cli.variables import Variables
from reconciler.model.claim import Claimant


@click.command(
    epilog="""\b
Examples:
  reconciler destroy                          # says how many projects, and asks
  reconciler destroy --target old-one --auto-approve
"""
)
@destroy_selectors
@variables
@applying
@applicant
@execution(wait="steps")
@click.pass_obj
def command(
    console: Console,
    /,
    *,
    selectors: Selectors,
    variables: Variables,
    execution: Execution,
    applying: Applying,
    claimant: Claimant | None,
) -> int:
    """Stop managing all projects, as their `lifecycle.on_remove` says.

    The API can't delete projects: those still at work are cancelled, and all are removed from the state. Protected
    projects stay.
    """
    context = load_context(console)
    told = notifier(context)
    with telling_failure(told):
        specs = read_specs(context.config, variables)
        selection = selectors.selection(destroy=True)
        return run_apply(
            context,
            Application(
                applying=applying,
                execution=execution,
                claimant=claimant,
                specs=specs,
                reread=partial(read_specs, context.config, variables),
                selection=selection,
                command="destroy",
            ),
            told,
        )
