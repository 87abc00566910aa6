"""The course of `apply` and `destroy`: ask, execute, report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import replace

from reconciler.cli.ci import run_url
from reconciler.cli.context import CommandContext, poll_scale
from reconciler.cli.downloads import deliver_files, downloads_document, downloads_text, show_downloads
from reconciler.cli.event_file import open_event_file
from reconciler.cli.interrupts import ask_to_stop, default_signals, run
from reconciler.cli.notify import Notifier, Seen, look_around, tell_of_apply
from reconciler.cli.plan_options import Applying, Execution
from reconciler.cli.progress import show_progress
from reconciler.cli.reference import ATTENTION, CHANGES, DONE, ERROR, INTERRUPTED
from reconciler.cli.tracing import run_attributes, traced
from reconciler.model.claim import Claimant, unlock_command
from reconciler.model.desired import Desired
from reconciler.model.errors import Diagnostic, ReconcilerError, UsageError
from reconciler.model.events import ApplyResult, Event
from reconciler.model.plan import Plan
from reconciler.model.values import Json
from reconciler.operations.apply.run import Interrupted
from reconciler.operations.apply.workflow import ApplyRequest, PlanRefusedError, apply
from reconciler.operations.read.download import Download
from reconciler.operations.workspace import utc_now
from reconciler.planning.selection import Selection
from reconciler.report.documents import apply_document
from reconciler.report.event_json import end_document, event_document
from reconciler.report.heading import environment_name, heading
from reconciler.report.markdown import apply_markdown, failure_markdown, plan_markdown
from reconciler.report.safe_text import clean
from reconciler.report.summary import approval_line
from reconciler.report.text import apply_text, plan_text
from reconciler.report.words import plural


class Application(Struct, frozen=True, kw_only=True):
    """What to apply, the specs or a saved plan, and how. ``command`` is `apply` or `destroy`."""

    applying: Applying
    execution: Execution
    claimant: Claimant | None = None
    specs: Desired | None = None
    reread: Callable[[], Desired] | None = None
    """Reads the specs again."""
    saved: Plan | None = None
    selection: Selection = Selection()
    command: str = "apply"
    out: Path | None = None
    """Where downloads go instead of the workspace."""


class _Applied(Struct, frozen=True):
    """The result, and the downloads that came after it; ``None``: they were interrupted."""

    result: ApplyResult
    downloads: tuple[Download, ...] | None = ()
    seen: Seen | None = None


def run_apply(context: CommandContext, application: Application, told: Notifier | None = None) -> int:
    """Apply and print the result. Returns the exit code. ``told`` hears how it ended, if it ended by itself."""
    console = context.console
    before = {} if told is None else context.state().projects
    request, stop = _make_request(context, application), asyncio.Event()

    async def work(write: Callable[[dict[str, Json]], None]) -> _Applied:
        with show_progress(console) as show:

            def emit(event: Event) -> None:
                write(event_document(event, at=utc_now()))
                show(event)
                if console.trace is not None:
                    console.trace.hear(event)

            async with context.api() as api:
                result = await apply(context.workspace, api, request, emit=emit, stop=stop)
                seen = None if told is None else await look_around(told, context, api, result, before)
                if result.interrupted or not result.plan.downloads:
                    return _Applied(result, seen=seen)
                base, fresh = application.out or context.config.root, application.selection.refresh
                with show_downloads(console) as progress:
                    downloads = await deliver_files(
                        context, api, result, base=base, fresh=fresh, show=progress, stop=stop
                    )
                return _Applied(result, downloads, seen)

    try:
        with open_event_file(console, application.execution.events) as write, traced(context, application.command):
            applied = run(work(write), on_signal=ask_to_stop(console, stop))
            if console.trace is not None:
                console.trace.note(run_attributes(applied.result))
            write(end_document(applied.result, at=utc_now()))
    except Interrupted as error:  # while an earlier run's calls were cleared up: there is no plan to report
        raise click.Abort from error
    except PlanRefusedError as error:
        _print_plan_as_text(context, error.plan)
        refused = replace(error.plan, diagnostics=_merge_diagnostics(error))
        console.summarize(lambda: plan_markdown(refused, where=context.where(refused.serial), run=run_url()))
        raise
    except ReconcilerError as error:
        found = tuple(map(console.redact.record, error.diagnostics))  # before anything is cut to fit
        console.summarize(
            lambda: failure_markdown(found, workspace=context.config.workspace, environment=context.config.environment)
        )
        raise
    _report_result(context, application, applied)
    code = _ending(applied, application)
    if told is not None and applied.seen is not None:
        lost = [download.error for download in applied.downloads or () if download.error]
        whole = application.saved is None and application.selection.is_whole
        failed = code == ERROR
        tell_of_apply(told, context.config, applied.result, applied.seen, lost=lost, failed=failed, whole=whole)
    return code


def _ending(applied: _Applied, application: Application) -> int:
    """The exit code."""
    if applied.downloads is None:
        return INTERRUPTED
    if any(download.error for download in applied.downloads):
        return ERROR
    return _exit_code(applied.result, application.applying)


def _report_result(context: CommandContext, application: Application, applied: _Applied) -> None:
    result = applied.result
    console, where = context.console, context.where(result.serial)
    downloads = applied.downloads or ()
    lost = [download.error for download in downloads if download.error]
    console.summarize(lambda: apply_markdown(result, where=where, lost_downloads=lost))
    failed = [r.error for r in result.results if r.error]
    console.annotate(failed)
    console.diagnose(
        [error for error in result.plan.errors if error not in failed]
    )  # steps showed theirs as they ended
    console.diagnose(lost)
    if result.claim is not None:
        release = unlock_command(result.claim, context.config.environment)
        console.note(
            clean(f"`{result.claim.pull_request}` has claimed this until it is merged or closed: then {release}.")
        )
    if application.applying.format_ == "json":
        more = {"downloaded": downloads_document(downloads)} if downloads else {}
        console.json({**apply_document(result), **more})
    else:
        if application.saved is not None:
            console.say(f"{heading(where)}\n\n")
        console.out(downloads_text(downloads) + "\n" if downloads else "")
        console.out(apply_text(result, style=console.style(), lost_downloads=len(lost)))


def _make_request(context: CommandContext, application: Application) -> ApplyRequest:
    applying, execution = application.applying, application.execution
    return ApplyRequest(
        desired=application.specs,
        reread=application.reread,
        saved=application.saved,
        selection=application.selection,
        force=applying.force,
        claimant=application.claimant,
        approved_by=frozenset(applying.approved_by),
        timeout=execution.timeout,
        lock_timeout=applying.lock_timeout,
        command=f"reconciler {application.command}",
        waiting=default_signals,
        confirm=lambda plan: _confirm(context, application, plan),
        options=execution.options(context.config, poll_scale=poll_scale(context.config)),
    )


def _merge_diagnostics(error: PlanRefusedError) -> tuple[Diagnostic, ...]:
    """What was found, each once: an error of the policy stands for what `plan` only warns of."""
    refused = {replace(found, severity="warning") for found in error.diagnostics if found.kind == "policy"}
    found = [d for d in error.plan.with_policy_findings().diagnostics if d not in refused]
    return tuple(dict.fromkeys([*found, *error.diagnostics]))


def _exit_code(result: ApplyResult, applying: Applying) -> int:
    if result.interrupted:
        return INTERRUPTED
    if result.plan.errors or result.plan.unsettled or result.undecided or {"failed", "unknown"} & set(result.counts):
        return ERROR
    if applying.fail_on == "attention" and result.plan.summary["attention"]:
        return ATTENTION
    return CHANGES if applying.detailed_exitcode and not result.converged else DONE


def _print_plan_as_text(context: CommandContext, plan: Plan) -> None:
    """Print the plan before the question, unless stdout is kept for a document."""
    console = context.console
    if console.format == "text":
        console.say(f"{heading(context.where(plan.serial))}\n\n")
        console.out(
            plan_text(plan.with_policy_findings(), style=console.style(), verbose=console.verbose > 0, requests=False)
        )


def _confirm(context: CommandContext, application: Application, plan: Plan) -> bool:
    console = context.console
    if application.saved is not None:
        return True
    _print_plan_as_text(context, plan)
    if application.applying.auto_approve or not plan.steps:
        return True
    if not console.interactive:
        raise UsageError(
            "can't ask for approval without a terminal: nothing was done",
            "Use `--auto-approve`, or save the plan with `reconciler plan --out FILE` and apply that.",
        )
    projects = len(plan.by_address())
    question = f"Apply these changes to {plural(projects, 'project')}?"
    if application.command == "destroy":
        question = f"Stop managing {projects} of {plan.managed} projects? This can't be undone."
    where = context.where(plan.serial)
    console.note(f"\n{heading(where)}.\n{approval_line(plan)}")
    with default_signals():
        return click.confirm(f"{environment_name(where)}: {question}", err=True)
