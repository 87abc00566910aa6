"""``reconciler apply``."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import click

from reconciler.adapters.plan_file import read_plan
from reconciler.cli.apply_flow import run_apply
from reconciler.cli.console import Console
from reconciler.cli.context import wire
from reconciler.cli.inputs import desired
from reconciler.cli.options import DIGEST, applying, selectors
from reconciler.cli.selection import selection_of
from reconciler.model.errors import PlanFileError, UsageError
from reconciler.model.plan import Plan
from reconciler.model.plan_json import plan_digest
from reconciler.planning.planner import Selection


@click.command(
    epilog="""\b
Examples:
  reconciler apply                            # plan, ask, execute
  reconciler apply --auto-approve             # for CI
  reconciler apply saved.plan                 # exactly this plan, or refused
  reconciler apply --digest $DIGEST saved.plan  # only the plan that was reviewed
  reconciler apply --wait idle --timeout 30m  # until the agents have finished
  reconciler apply --events events.jsonl      # what happens, for other programs
"""
)
@click.argument("planfile", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--digest",
    type=DIGEST,
    metavar="HEX",
    help="The digest that `plan --out` and `show` print: refuse any other PLANFILE before a call.",
)
@click.option("--destroy", is_flag=True, help="Part with everything, like `reconciler destroy`.")
@selectors
@applying
@click.pass_obj
def command(console: Console, /, *, planfile: Path | None, digest: str | None, **given: Any) -> int:
    """Make the account as the specs say, or execute a saved plan exactly.

    A saved plan needs no further approval: saving it and applying it is one.

    What depends on other projects (`depends_on`, `references: [{project: …}]`) waits until these have finished. Files of
    the workspace that references name are uploaded first, once for what is in them.
    """
    if planfile is None and digest is not None:
        raise UsageError("`--digest` needs a PLANFILE", "It says which saved plan may be applied, and nothing else.")
    wired = wire(console)
    if planfile is None:
        wanted = desired(wired.config, given["var"], given["var_file"])
        return run_apply(wired, given, wanted=wanted, selection=selection_of(given))
    for name in ("target", "replace", "refresh_only", "no_refresh", "destroy", "var", "var_file"):
        if given[name]:
            raise UsageError(
                f"`--{name.replace('_', '-')}` does not go with a saved plan", "The plan says what is done; plan again."
            )
    saved = read_plan(planfile)
    if digest is not None:
        _check_digest(planfile, saved, digest)
    return run_apply(wired, given, saved=saved, selection=Selection())


def _check_digest(planfile: Path, saved: Plan, digest: str) -> None:
    found = plan_digest(saved)
    if found != digest:
        raise PlanFileError(
            f"`{planfile}` is not the plan that was approved",
            f"Its digest is {found}, and `--digest` asks for {digest}. Nothing was done. "
            f"`reconciler show {quote(str(planfile))}` shows what it would do.",
        )
