"""One round of `watch` after the other: specs read anew, applied (or planned), and what is new of it said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.cli.apply_flow import options_of
from reconciler.cli.console import Console
from reconciler.cli.context import Wired, wire
from reconciler.cli.inputs import desired
from reconciler.model.desired import Desired
from reconciler.model.errors import Diagnostic, ReconcilerError
from reconciler.model.events import Event, StepEnded
from reconciler.model.plan import Plan
from reconciler.model.rounds import Round
from reconciler.model.values import Json
from reconciler.operations.apply.run import Interrupted, utc_now
from reconciler.operations.watch_loop import (
    replaced_addresses,
    replaced_lately,
    round_of_apply,
    round_of_error,
    round_of_plan,
)
from reconciler.operations.workflows import ApplyRequest, PlanRefusedError, apply, plan
from reconciler.planning.planner import Selection
from reconciler.report.diagnostics import by_weight
from reconciler.report.event_json import end_document, event_document
from reconciler.report.event_lines import event_line
from reconciler.report.summary import apply_line, count_line
from reconciler.report.text import plan_text


class News:
    """Says what the round before did not say already, so that what stays as it is is said once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._before: set[object] = set()
        self._now: set[object] = set()

    def round(self) -> None:
        self._before, self._now = self._now, set()

    def _is_new(self, what: object) -> bool:
        new = what not in self._before and what not in self._now
        self._now.add(what)
        return new

    def line(self, text: str) -> None:
        if self._is_new(text):
            self._console.note(text)

    def plan(self, made: Plan) -> None:
        """A plan is a result; new is one with other steps, whatever it took to make it."""
        text = plan_text(replace(made, requests_used=0), style=self._console.style())
        if self._is_new(text):
            self._console.out(text)

    def findings(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        """The same finding may come with other details, like a request's id: that does not make it new."""
        new = [d for d in by_weight(diagnostics) if self._is_new((d.severity, d.summary, d.address, d.location))]
        self._console.diagnose(new)


class Rounds:
    """Makes rounds. ``write`` takes events as documents; ``stop`` ends a round under way."""

    def __init__(
        self,
        console: Console,
        given: Mapping[str, Any],
        *,
        write: Callable[[dict[str, Json]], None],
        stop: asyncio.Event,
    ) -> None:
        self._console = console
        self._given = given
        self._write = write
        self._stop = stop
        self._news = News(console)
        self._style = console.style(err=True)
        self._replaced: dict[str, float] = {}

    async def round(self) -> Round:
        """One round. It raises nothing that a later one could do without."""
        self._news.round()
        api: ApiClient | None = None
        try:
            wired, wanted = await asyncio.to_thread(self._read)  # the specs may be many: signals are heard meanwhile
            async with wired.api(on_retry=self._retrying) as api:
                return await (self._look if self._given["plan_only"] else self._apply)(wired, api, wanted)
        except Interrupted:
            return Round(outcome="waiting")
        except ReconcilerError as error:
            if isinstance(error, PlanRefusedError):
                self._news.plan(error.plan)
            self._news.findings(error.diagnostics)
            return replace(round_of_error(error), requests=api.requests if api is not None else 0)

    def _read(self) -> tuple[Wired, Desired]:
        wired = wire(self._console)
        return wired, desired(wired.config, self._given["var"], self._given["var_file"])

    def _selection(self) -> Selection:
        targets = frozenset(self._given["target"]) or None
        return Selection(targets=targets, spare=replaced_lately(self._replaced, time.time()))

    async def _apply(self, wired: Wired, api: ApiClient, wanted: Desired) -> Round:
        given = self._given
        request = ApplyRequest(
            desired=wanted,
            selection=self._selection(),
            timeout=given["timeout"],
            command="reconciler watch",
            confirm=self._announce,
            options=options_of(wired, given),
        )
        result = await apply(wired.workspace, api, request, emit=self._show, stop=self._stop)
        self._write(end_document(result, at=utc_now()))
        self._replaced.update(dict.fromkeys(replaced_addresses(result), time.time()))
        self._news.findings(tuple(r.error for r in result.results if r.error))
        self._news.line(apply_line(result) if result.plan.steps else count_line(result.plan))
        return round_of_apply(result)

    async def _look(self, wired: Wired, api: ApiClient, wanted: Desired) -> Round:
        made, refused = await plan(wired.workspace, api, wanted, self._selection())
        self._news.plan(made)
        self._news.findings((*made.errors, *refused))
        return round_of_plan(made, refused)

    def _announce(self, made: Plan) -> bool:
        self._news.findings(made.diagnostics)
        if made.steps:
            self._news.line(count_line(made))
        return True

    def _show(self, event: Event) -> None:
        self._write(event_document(event, at=utc_now()))
        line = event_line(event, style=self._style)
        if line is None:
            return
        if isinstance(event, StepEnded) and event.outcome == "done":
            self._console.note(line)  # what was done is news, however often
        else:
            self._news.line(line)

    def _retrying(self, text: str) -> None:
        if self._console.verbose:
            self._console.note(text)
