"""``reconciler plan``."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click
from msgspec.structs import replace

from reconciler.cli.console import Console
from reconciler.cli.context import load_context, say_who_works
from reconciler.cli.inputs import read_specs
from reconciler.cli.interrupts import run
from reconciler.cli.notify import notifier, tell_of_plan
from reconciler.cli.options import formats, variables
from reconciler.cli.plan_options import FailOn, Selectors, applicant, fail_on, force, selectors
from reconciler.cli.plan_output import PLAN_FORMATS, check_summary, print_plan, render_markdown, summary
from reconciler.cli.reference import ATTENTION, CHANGES, DONE, ERROR
from reconciler.cli.tracing import traced
from reconciler.cli.variables import Variables
from reconciler.model.claim import Claimant
from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Plan
from reconciler.operations.read.plan import plan


@click.command(
    epilog="""\b
Examples:
  reconciler plan
  reconciler plan --summary                               # one line for each project
  reconciler plan --out saved.plan --detailed-exitcode    # for CI: 2 means changes
  reconciler plan --fail-on attention                     # for a drift job: 3 means look at it
  reconciler plan --target summer-teaser
  reconciler plan --format json | jq .summary
  reconciler plan --format markdown > comment.md          # for a pull request
"""
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save the plan for `apply FILE`."
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if there are changes.")
@fail_on
@click.option("--destroy", is_flag=True, help="Plan to stop managing all projects.")
@force
@selectors
@variables
@applicant
@summary
@formats(*PLAN_FORMATS)
@click.pass_obj
def command(
    console: Console,
    /,
    *,
    out: Path | None,
    detailed_exitcode: bool,
    fail_on: FailOn,
    destroy: bool,
    force: bool,
    summary: bool,
    format_: str,
    selectors: Selectors,
    variables: Variables,
    claimant: Claimant | None,
) -> int:
    """Show the changes that apply would make.

    Projects of one `for_each` whose changes are alike are one block, with what differs as `‹1›` and in a table. What is
    replaced, cancelled or found to need attention always stands by itself. -v shows every project and text in full.

    Plan only reads: it sends nothing but GET requests and writes no file but --out. Your cache folder, outside the
    workspace, keeps the API's list of models for a day and when requests were sent, for the rate limit. In a GitHub
    workflow, the plan is also added to the job's summary.
    """
    check_summary(format_, summary=summary)
    context = load_context(console)
    selection = selectors.selection(destroy=destroy)
    told = notifier(context)
    specs = read_specs(context.config, variables)
    say_who_works(context)

    async def work() -> tuple[Plan, tuple[Diagnostic, ...]]:
        async with context.api() as api:
            whose = None if claimant is None else claimant.pull_request
            return await plan(context.workspace, api, specs, selection, force=force, look_up=True, pull_request=whose)

    with traced(context, "plan"):
        made, refused = run(work())
    whole = replace(made, diagnostics=(*made.diagnostics, *refused))
    saving = out is not None and not (refused or made.errors)
    digest, place = _digest(made) if saving else None, context.config.state_place
    document = whole if format_ in ("markdown", "html") else made
    print_plan(console, document, format_, summary=summary, digest=digest, place=place)
    console.summarize(lambda: render_markdown(console, whole, digest, place=place))
    if told is not None:
        tell_of_plan(told, context, made, refused, whole=selection.is_whole)
    errors = tuple(dict.fromkeys((*made.errors, *refused)))
    denied = tuple(error for error in made.with_policy_findings().errors if error not in errors)
    console.diagnose((*errors, *denied))
    if errors:
        return ERROR
    if out is not None:
        from reconciler.adapters.plan_file import write_plan  # noqa: PLC0415  most plans are only read

        write_plan(out, made)
        how = f"`reconciler apply --digest {digest} {quote(str(out))}`"
        if denied:  # saved all the same: a waiver names its digest
            console.note(
                f"Saved, but the policy denies it: it can be waived for this digest only. {how} is refused until then."
            )
        else:
            console.note(f"Saved. Apply exactly this plan with {how}.")
    if denied:
        return ERROR
    if fail_on == "attention" and made.summary["attention"]:
        return ATTENTION
    return CHANGES if detailed_exitcode and made.steps else DONE


def _digest(made: Plan) -> str:
    from reconciler.model.plan_json import plan_digest  # noqa: PLC0415  most plans are only read

    return plan_digest(made)
