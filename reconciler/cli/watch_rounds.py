"""The rounds of `watch`: read the specs again, apply (or plan), report what is new."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context, poll_scale
from reconciler.cli.downloads import deliver_files, downloads_text
from reconciler.cli.inputs import read_specs
from reconciler.cli.notify import Notifier, look_around, tell_of_apply, tell_of_plan
from reconciler.cli.plan_options import Execution
from reconciler.cli.tracing import run_attributes, traced
from reconciler.cli.variables import Variables
from reconciler.model import contract
from reconciler.model.desired import Desired
from reconciler.model.errors import Diagnostic, LockedError, LockError, ReconcilerError
from reconciler.model.events import ApplyResult, Event, StepEnded
from reconciler.model.plan import Plan
from reconciler.model.policy import refusals
from reconciler.model.rounds import Round
from reconciler.model.values import Json
from reconciler.operations.apply.run import Interrupted
from reconciler.operations.apply.workflow import ApplyRequest, PlanRefusedError, apply
from reconciler.operations.facts import of_error
from reconciler.operations.read.plan import plan
from reconciler.operations.watch_loop import (
    replaced_addresses,
    replaced_lately,
    round_of_apply,
    round_of_error,
    round_of_plan,
)
from reconciler.operations.workspace import utc_now
from reconciler.planning.selection import Selection
from reconciler.report.diagnostics import by_weight
from reconciler.report.event_json import end_document, event_document
from reconciler.report.event_lines import event_line
from reconciler.report.heading import Where, heading, of_plan
from reconciler.report.summary import apply_line, count_line
from reconciler.report.text import plan_text


class News:
    """Reports only what the previous round did not report already."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._before: set[object] = set()
        self._now: set[object] = set()

    def start_round(self) -> None:
        self._before, self._now = self._now, set()

    def _is_new(self, item: object) -> bool:
        new = item not in self._before and item not in self._now
        self._now.add(item)
        return new

    def report_line(self, text: str) -> None:
        if self._is_new(text):
            self._console.note(text)

    def report_plan(self, made: Plan, place: str) -> None:
        """Print a plan as a result. It is new if its steps are, however many requests it took."""
        style = self._console.style()
        made = made.with_policy_findings()
        if self._is_new(plan_text(replace(made, requests_used=0), style=style)):
            self._console.say(f"{heading(of_plan(made, place))}\n\n")
            self._console.out(plan_text(made, style=style))

    def report_findings(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        """A known finding with other details, such as another request ID, is not new."""
        new = [d for d in by_weight(diagnostics) if self._is_new((d.severity, d.summary, d.address, d.location))]
        self._console.diagnose(new)


class RoundOptions(Struct, frozen=True, kw_only=True):
    """What each round does. ``plan_only``: make a plan and change nothing."""

    plan_only: bool
    selection: Selection
    variables: Variables
    execution: Execution


class Rounds:
    """Makes rounds. ``write`` takes events as documents; ``stop`` ends a round under way; ``told`` hears what is news."""

    def __init__(
        self,
        console: Console,
        options: RoundOptions,
        *,
        write: Callable[[dict[str, Json]], None],
        stop: asyncio.Event,
        told: Notifier | None = None,
    ) -> None:
        self._console = console
        self._told = told
        self._options = options
        self._write = write
        self._stop = stop
        self._news = News(console)
        self._style = console.style(err=True)
        self._replaced: dict[str, float] = {}
        self._place: Where | None = None

    async def run_round(self) -> Round:
        """Make one round. Errors that a later round may not meet again are reported, not raised."""
        self._news.start_round()
        api: ApiClient | None = None
        try:
            context, specs = await asyncio.to_thread(self._read)  # signals are heard while many specs are read
            await asyncio.to_thread(self.report_place, context)
            with traced(context, "watch"):
                async with context.api(on_retry=self._report_retry) as api:
                    return await (self._plan if self._options.plan_only else self._apply)(context, api, specs)
        except Interrupted:
            return Round(outcome="waiting")
        except ReconcilerError as error:
            if isinstance(error, PlanRefusedError):
                self._news.report_plan(error.plan, context.config.state_place)
            found = error.diagnostics
            if isinstance(error, LockedError):  # nothing is wrong: this watch stands by
                found = tuple(replace(each, severity="note") for each in found)
            self._news.report_findings(found)
            if self._told is not None and not isinstance(error, LockError):
                what = "Plan" if self._options.plan_only else "Apply"
                self._told.tell(of_error(error, what, min_credits=self._told.min_credits))
            return replace(round_of_error(error), requests=api.requests if api is not None else 0)

    def _read(self) -> tuple[CommandContext, Desired]:
        context = load_context(self._console)
        return context, read_specs(context.config, self._options.variables)

    def report_place(self, context: CommandContext) -> None:
        """Say what is watched: first of all, and again if the configuration says otherwise. Raises StateError."""
        place = context.where(0)
        if place != self._place:
            self._console.note(heading(replace(place, serial=context.state().serial)))
            self._place = place

    def _selection(self) -> Selection:
        kept = replaced_lately(self._replaced, time.time())
        return replace(self._options.selection, keep_failed=kept, recreate_daily=True)

    async def _apply(self, context: CommandContext, api: ApiClient, specs: Desired) -> Round:
        execution = self._options.execution
        request = ApplyRequest(
            desired=specs,
            selection=self._selection(),
            timeout=execution.timeout,
            command="reconciler watch",
            confirm=self._announce,
            options=execution.options(context.config, poll_scale=poll_scale(context.config)),
        )
        before = context.state().projects if self._told is not None else {}
        result = await apply(context.workspace, api, request, emit=self._report_event, stop=self._stop)
        self._write(end_document(result, at=utc_now()))
        if self._console.trace is not None:
            self._console.trace.note(run_attributes(result))
        self._replaced.update(dict.fromkeys(replaced_addresses(result), time.time()))
        self._news.report_findings(tuple(r.error for r in result.results if r.error))
        self._news.report_line(apply_line(result) if result.plan.steps else count_line(result.plan))
        made = round_of_apply(result)
        lost: tuple[Diagnostic, ...] = ()
        if not result.interrupted and result.plan.downloads:
            made, lost = await self._download(context, api, result, made)
        if self._told is not None:
            seen = await look_around(self._told, context, api, result, before)
            whole, failed = request.selection.is_whole, made.outcome == "failed" or bool(result.undecided)
            if seen is not None:
                tell_of_apply(self._told, context.config, result, seen, lost=lost, failed=failed, whole=whole)
        return made

    async def _download(
        self, context: CommandContext, api: ApiClient, result: ApplyResult, made: Round
    ) -> tuple[Round, tuple[Diagnostic, ...]]:
        """Download as `apply` does; the round, and what failed. A round is failed if a download is; it waits for what is
        being rendered.
        """
        base, stop, fresh = context.config.root, self._stop, self._options.selection.refresh
        before = api.requests
        found = await deliver_files(context, api, result, base=base, fresh=fresh, show=lambda *_: None, stop=stop)
        fetched = [download for download in found or () if download.outcome == "fetched"]
        if fetched:
            self._console.note(downloads_text(fetched).rstrip("\n"))
        errors = tuple(download.error for download in found or () if download.error)
        self._news.report_findings(errors)
        made = replace(made, requests=made.requests + api.requests - before)
        if errors:
            return replace(made, outcome="failed"), errors
        projects = context.state().projects
        late = {download.address for download in found or () if download.outcome == "nothing"}
        active = any(contract.is_active(projects[address].outputs.status or "") for address in late)
        return (replace(made, outcome="waiting") if active and made.outcome == "converged" else made), ()

    async def _plan(self, context: CommandContext, api: ApiClient, specs: Desired) -> Round:
        made, refused = await plan(context.workspace, api, specs, self._selection())
        self._news.report_plan(made, context.config.state_place)
        refused = (*refused, *refusals(made.policy))
        self._news.report_findings((*made.errors, *refused))
        if self._told is not None:
            tell_of_plan(self._told, context, made, refused, whole=self._selection().is_whole)
        return round_of_plan(made, refused)

    def _announce(self, made: Plan) -> bool:
        self._news.report_findings(made.with_policy_findings().diagnostics)
        if made.steps:
            self._news.report_line(count_line(made))
        return True

    def _report_event(self, event: Event) -> None:
        self._write(event_document(event, at=utc_now()))
        if self._console.trace is not None:
            self._console.trace.hear(event)
        line = event_line(event, style=self._style)
        if line is None:
            return
        if isinstance(event, StepEnded) and event.outcome == "done":
            self._console.note(line)  # a step that was done is always news
        else:
            self._news.report_line(line)

    def _report_retry(self, text: str) -> None:
        if self._console.verbose:
            self._console.note(text)
