"""Printing plans."""

from __future__ import annotations

from typing import Final

import click

from reconciler.cli.ci import comment_owner, run_url
from reconciler.cli.console import Console
from reconciler.model.errors import UsageError
from reconciler.model.plan import Plan
from reconciler.report.heading import heading, of_plan
from reconciler.report.text import plan_text

PLAN_FORMATS: Final = ("text", "json", "markdown", "html")


summary = click.option("--summary", is_flag=True, help="Show one line for each project (only as text).")


def check_summary(format_: str, *, summary: bool) -> None:
    """Raise UsageError for `--summary` with another format than text."""
    if summary and format_ != "text":
        raise UsageError(f"`--summary` can't be combined with `--format {format_}`", "It shortens the text of a plan.")


def render_markdown(console: Console, plan: Plan, digest: str | None = None, *, place: str | None = None) -> str:
    """The plan for a pull request or a job's summary; ``digest`` and ``place`` as in :func:`print_plan`."""
    from reconciler.report.markdown import plan_markdown  # noqa: PLC0415  7 ms that few plans need

    owner, where = comment_owner(console.root), of_plan(plan, place)
    return plan_markdown(plan.with_policy_findings(), owner=owner, digest=digest, where=where, run=run_url())


def print_plan(
    console: Console,
    plan: Plan,
    format_: str,
    *,
    summary: bool = False,
    digest: str | None = None,
    place: str | None = None,
) -> None:
    """Print a plan as a result, with ``summary`` a line for each project. ``digest`` identifies a saved plan, so that it can
    be approved; ``place`` is the state's.
    """
    where = of_plan(plan, place)
    if format_ == "json":
        from reconciler.model.plan_json import encode_plan  # noqa: PLC0415  few plans are read by machines

        console.json(encode_plan(plan))
    elif format_ == "markdown":
        console.out(render_markdown(console, plan, digest, place=place))
    elif format_ == "html":
        from reconciler.report.html import plan_html  # noqa: PLC0415  10 ms that few plans need

        console.out(plan_html(plan.with_policy_findings(), digest=digest, where=where))
    else:
        console.say(f"{heading(where)}\n\n")
        verbose = console.verbose > 0
        console.out(
            plan_text(
                plan.with_policy_findings(), style=console.style(), verbose=verbose, summary=summary, digest=digest
            )
        )
