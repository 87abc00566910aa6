"""What ``apply`` and ``destroy`` share: asking, running, showing what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import click
from msgspec.structs import replace

from reconciler.cli.ci import annotate, summarize
from reconciler.cli.context import Wired, poll_scale
from reconciler.cli.event_file import event_file
from reconciler.cli.interrupts import interruptible, stopping
from reconciler.cli.progress import progress
from reconciler.model.desired import Desired
from reconciler.model.errors import Diagnostic, ReconcilerError, UsageError
from reconciler.model.events import ApplyResult, Event
from reconciler.model.plan import Plan
from reconciler.model.values import Json
from reconciler.operations.apply.run import Interrupted, Options, utc_now
from reconciler.operations.workflows import ApplyRequest, PlanRefusedError, apply
from reconciler.planning.planner import Selection
from reconciler.report.documents import apply_document
from reconciler.report.event_json import end_document, event_document
from reconciler.report.markdown import apply_markdown, failure_markdown, plan_markdown
from reconciler.report.text import apply_text, plan_text


def run_apply(
    wired: Wired,
    given: Mapping[str, Any],
    *,
    wanted: Desired | None = None,
    saved: Plan | None = None,
    selection: Selection,
    name: str = "apply",
) -> int:
    """Apply and print; the answer is the exit code."""
    console, config = wired.console, wired.config
    request = _request(wired, given, wanted=wanted, saved=saved, selection=selection, name=name)

    async def work(write: Callable[[dict[str, Json]], None]) -> ApplyResult:
        with stopping(console) as stop, progress(console) as show:

            def emit(event: Event) -> None:
                write(event_document(event, at=utc_now()))
                show(event)

            async with wired.api() as api:
                return await apply(wired.workspace, api, request, emit=emit, stop=stop)

    try:
        with event_file(console, given["events"]) as write:
            result = asyncio.run(work(write))
            write(end_document(result, at=utc_now()))
    except Interrupted as error:  # while an earlier run's calls were cleared up: there is no plan to tell of
        raise click.Abort from error
    except PlanRefusedError as error:
        _show_plan(wired, error.plan)
        refused = replace(error.plan, diagnostics=_all_of(error))
        summarize(console, lambda: plan_markdown(refused))
        raise
    except ReconcilerError as error:
        found = tuple(map(console.redact.record, error.diagnostics))  # before anything is cut to fit
        summarize(console, lambda: failure_markdown(found, workspace=config.workspace))
        raise
    summarize(console, lambda: apply_markdown(result))
    failed = [r.error for r in result.results if r.error]
    annotate(console, failed)
    console.diagnose([error for error in result.plan.errors if error not in failed])  # steps told theirs as they ended
    if given["format_"] == "json":
        console.json(apply_document(result))
    else:
        console.out(apply_text(result, style=console.style()))
    return _exit_code(result, detailed=given["detailed_exitcode"])


def _request(
    wired: Wired,
    given: Mapping[str, Any],
    *,
    wanted: Desired | None,
    saved: Plan | None,
    selection: Selection,
    name: str,
) -> ApplyRequest:
    return ApplyRequest(
        desired=wanted,
        saved=saved,
        selection=selection,
        force=given["force"],
        timeout=given["timeout"],
        lock_timeout=given["lock_timeout"],
        command=f"reconciler {name}",
        waiting=interruptible,
        confirm=lambda plan: _confirm(wired, given, plan, saved=saved is not None, name=name),
        options=options_of(wired, given),
    )


def options_of(wired: Wired, given: Mapping[str, Any]) -> Options:
    """How to go about it, from the options of :func:`reconciler.cli.options.running`."""
    limits, settle = wired.config.limits, given["settle"]
    return Options(
        wait=given["wait"],
        parallelism=given["parallelism"],
        poll_interval=given["poll_interval"],
        poll_scale=poll_scale(wired.config),
        settle=limits.settle_seconds if settle is None else settle,
        active_limit=limits.active_projects,
    )


def _all_of(error: PlanRefusedError) -> tuple[Diagnostic, ...]:
    return tuple(dict.fromkeys([*error.plan.diagnostics, *error.diagnostics]))


def _exit_code(result: ApplyResult, *, detailed: bool) -> int:
    if result.interrupted:
        return 130
    if result.plan.errors or {"failed", "unknown"} & set(result.counts):
        return 1
    return 2 if detailed and not result.converged else 0


def _show_plan(wired: Wired, plan: Plan) -> None:
    """The plan, before the question: a result only where nothing else is printed as one."""
    console = wired.console
    if console.format == "text":
        console.out(plan_text(plan, style=console.style(), verbose=console.verbose > 0))


def _confirm(wired: Wired, given: Mapping[str, Any], plan: Plan, *, saved: bool, name: str) -> bool:
    if not saved:
        _show_plan(wired, plan)
    if saved or given["auto_approve"] or not plan.steps:
        return True
    if not wired.console.interactive:
        raise UsageError(
            "there is no terminal to ask at: nothing was done",
            "Use `--auto-approve`, or save the plan with `reconciler plan --out FILE` and apply that.",
        )
    projects = len(plan.by_address())
    question = f"Do this to {projects} project{'s' if projects != 1 else ''}?"
    if name == "destroy":
        question = f"Part with {projects} of {plan.managed} managed projects? It can't be undone."
    with interruptible():
        return click.confirm(question, err=True)
