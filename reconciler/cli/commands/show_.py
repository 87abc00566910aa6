"""``reconciler show``."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import replace

from reconciler.adapters.plan_file import read_plan
from reconciler.cli.completion import complete_plans
from reconciler.cli.console import Console
from reconciler.cli.options import formats
from reconciler.cli.plan_output import PLAN_FORMATS, check_summary, print_plan, summary
from reconciler.cli.reference import DONE, ERROR
from reconciler.model import contract
from reconciler.model.plan_json import plan_digest


@click.command(
    epilog="\b\nExamples:\n  reconciler show saved.plan\n  reconciler show saved.plan --format html > plan.html\n"
)
@click.argument("planfile", type=click.Path(path_type=Path, dir_okay=False), shell_complete=complete_plans)
@summary
@formats(*PLAN_FORMATS)
@click.pass_obj
def command(console: Console, *, planfile: Path, summary: bool, format_: str) -> int:
    """Show a saved plan, without a workspace or network.

    Also prints the plan's digest: `reconciler apply --digest` accepts only the plan with that digest. With `--policy`,
    its rules are evaluated, and a plan that they deny ends with 1.
    """
    check_summary(format_, summary=summary)
    plan = read_plan(planfile)
    contract.choose(plan.api_version)
    digest = plan_digest(plan)
    if console.policy:
        from reconciler.cli.policy import load_policy_check  # noqa: PLC0415  few plans have a policy

        plan = replace(plan, policy=load_policy_check(console)(plan, plan, ()))
    print_plan(console, plan, format_, summary=summary, digest=digest)
    denied = [error for error in plan.with_policy_findings().errors if error.kind == "policy"]
    console.diagnose(denied)
    return ERROR if denied else DONE
