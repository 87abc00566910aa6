"""``reconciler apply``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from shlex import quote

import click
from msgspec.structs import asdict

from reconciler.adapters.plan_file import read_plan
from reconciler.cli.apply_flow import Application, run_apply
from reconciler.cli.completion import complete_digests, complete_plans
from reconciler.cli.console import Console
from reconciler.cli.context import load_context
from reconciler.cli.inputs import read_specs
from reconciler.cli.notify import notifier, telling_failure
from reconciler.cli.options import DIGEST, variables
from reconciler.cli.plan_options import Applying, Execution, Selectors, applicant, applying, execution, selectors
from reconciler.cli.variables import Variables
from reconciler.model.claim import Claimant
from reconciler.model.errors import PlanFileError, UsageError
from reconciler.model.plan import Plan
from reconciler.model.plan_json import plan_digest


@click.command(
    epilog="""\b
Examples:
  reconciler apply                             # plan, ask, execute
  reconciler apply --auto-approve              # plan and execute, for CI
  reconciler apply saved.plan                  # execute exactly this plan
  reconciler apply --digest $DIGEST saved.plan # only if it is the reviewed plan
  reconciler apply --wait idle --timeout 30m   # wait until the agents finish
  reconciler apply --events events.jsonl       # write events for other programs
  reconciler apply --out public                # download what `deliver` names below public
"""
)
@click.argument(
    "planfile", required=False, type=click.Path(path_type=Path, dir_okay=False), shell_complete=complete_plans
)
@click.option("--destroy", is_flag=True, help="Stop managing all projects, like `reconciler destroy`.")
@click.option(
    "--digest",
    type=DIGEST,
    metavar="HEX",
    shell_complete=complete_digests,
    help="Refuse any PLANFILE but the one with this digest, before any call.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The folder that `deliver.download` is relative to, instead of the workspace.",
)
@selectors
@variables
@applying
@applicant
@execution(wait="steps")
@click.pass_obj
def command(
    console: Console,
    /,
    *,
    planfile: Path | None,
    digest: str | None,
    destroy: bool,
    out: Path | None,
    selectors: Selectors,
    variables: Variables,
    execution: Execution,
    applying: Applying,
    claimant: Claimant | None,
) -> int:
    """Make the account match the specs, or execute a saved plan.

    Without PLANFILE, apply makes a plan and asks for approval. A saved plan is executed exactly, or refused if what it
    was made from has changed; it needs no further approval.

    A project that depends on others (`depends_on`, `references: [{project: …}]`) waits until these have finished. Local
    files in `references` are uploaded first, identical ones only once.

    Once a project's messages are done, its video is rendered, shared and downloaded as its `deliver` says.
    """
    if planfile is None and digest is not None:
        raise UsageError("`--digest` needs a PLANFILE", "It approves one saved plan.")
    context = load_context(console)
    told = notifier(context)
    with telling_failure(told):
        if planfile is None:
            specs = read_specs(context.config, variables)
            selection = selectors.selection(destroy=destroy)
            application = Application(
                applying=applying,
                execution=execution,
                claimant=claimant,
                specs=specs,
                reread=partial(read_specs, context.config, variables),
                selection=selection,
                out=out,
            )
            return run_apply(context, application, told)
        _refuse_planning_options({**asdict(selectors), "destroy": destroy, **asdict(variables)})
        saved = read_plan(planfile)
        if digest is not None:
            _check_digest(planfile, saved, digest)
        application = Application(applying=applying, execution=execution, claimant=claimant, saved=saved, out=out)
        return run_apply(context, application, told)


def _refuse_planning_options(options: dict[str, object]) -> None:
    for name, value in options.items():
        if value:
            raise UsageError(
                f"`--{name.replace('_', '-')}` can't be combined with a saved plan",
                "The saved plan decides what is done. Make a new plan.",
            )


def _check_digest(planfile: Path, saved: Plan, digest: str) -> None:
    found = plan_digest(saved)
    if found != digest:
        raise PlanFileError(
            f"`{planfile}` is not the plan that was approved",
            f"Its digest is {found}, and `--digest` asks for {digest}. Nothing was done. "
            f"`reconciler show {quote(str(planfile))}` shows what it would do.",
        )
