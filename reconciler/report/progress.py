"""Progress of an apply: what is done, what works and what waits, as lines that tell only what changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, assert_never

from reconciler.model.contract import is_active
from reconciler.model.events import (
    ApplyStarted,
    Event,
    Noted,
    Recovered,
    StatusChanged,
    StepEnded,
    StepStarted,
    StepWaiting,
    Uploading,
)
from reconciler.model.plan import Step
from reconciler.report.event_lines import event_line
from reconciler.report.safe_text import clean
from reconciler.report.style import Style
from reconciler.report.words import duration, plural, step_doing

SUMMARY_SECONDS: Final = 15.0
"""At least so long between two lines that sum up."""


LONG_SECONDS: Final = 1.0
"""How long a step has to take for its line to say so."""


class Progress:
    """Listens to the events of an apply. ``clock`` gives seconds; ``verbose``: every event has a line; ``waits``: those
    that wait have some, too.
    """

    def __init__(self, style: Style, clock: Callable[[], float], *, verbose: bool = False, waits: bool = True) -> None:
        self._style = style
        self._clock = clock
        self._verbose = verbose
        self._waits = waits
        self._began = self._summed_up = clock()
        self._total = 0
        self._ended = 0
        self._doing: dict[str, tuple[str, float]] = {}
        self._waiting: dict[str, str] = {}
        self._working: dict[str, float] = {}
        self._waits_said: set[str] = set()

    def take(self, event: Event) -> list[str]:
        """Note an event. Returns the lines to print."""
        now = self._clock()
        match event:
            case ApplyStarted():
                self._total, self._began = event.steps, now
                return []
            case StepStarted(step=step):
                self._waiting.pop(step.address, None)
                self._doing[step.address] = (step_doing(step), now)
                return self._line(event) if self._verbose else []
            case StepWaiting(step=step):
                self._waiting[step.address] = event.waits_for
                return self._wait(event)
            case StatusChanged():
                return self._status(event, now)
            case StepEnded(step=step):
                return self._end(event, step, now)
            case Uploading() | Recovered() | Noted():
                return self._line(event)
            case _:
                assert_never(event)

    def _line(self, event: Event, took: float | None = None) -> list[str]:
        line = event_line(event, style=self._style)
        if line is None:
            return []
        if took is None or took < LONG_SECONDS:
            return [line]
        return [f"{line} {self._style.paint(f'in {duration(took)}', 'dim')}"]

    def _wait(self, event: StepWaiting) -> list[str]:
        """The first of those that wait for the same has a line; the others are counted."""
        if not self._verbose and (event.waits_for in self._waits_said or not self._waits):
            return []
        self._waits_said.add(event.waits_for)
        return self._line(event)

    def _status(self, event: StatusChanged, now: float) -> list[str]:
        """A project that stopped has a line, with how long its agent worked."""
        if is_active(event.status):
            self._working.setdefault(event.address, now)
            return self._line(event) if self._verbose else []
        since = self._working.pop(event.address, None)
        if since is None:
            return self._line(event)
        return [f"{clean(event.address)}: {clean(event.status)} after {duration(now - since)}"]

    def _end(self, event: StepEnded, step: Step, now: float) -> list[str]:
        self._ended += 1
        self._waiting.pop(step.address, None)
        begun = self._doing.pop(step.address, None)
        told = self._verbose or event.outcome not in ("deferred", "skipped")  # those are listed at the end
        lines = self._line(event, now - begun[1] if begun is not None else None) if told else []
        if self._ended < self._total and now - self._summed_up >= SUMMARY_SECONDS:
            self._summed_up = now
            lines.append(self._style.paint(self.summary(), "dim"))
        return lines

    @property
    def share(self) -> tuple[int, int]:
        """How many steps have ended, and how many there are."""
        return self._ended, self._total

    def summary(self) -> str:
        """``3 of 30 steps, 1 m 04 s: 5 agents at work, 22 waiting for a free slot``."""
        crowd = self.crowd()
        return f"{self.head()}{': ' if crowd else ''}{crowd}"

    def head(self) -> str:
        """``3 of 30 steps, 1 m 04 s``."""
        return f"{self._ended} of {plural(self._total, 'step')}, {duration(self._clock() - self._began)}"

    def crowd(self) -> str:
        """``5 agents at work, 22 waiting for a free slot``; empty if none of either."""
        waits = Counter(what.partition(" (")[0] for what in self._waiting.values())
        parts = [f"{plural(len(self._working), 'agent')} at work"] if self._working else []
        return ", ".join([*parts, *(f"{count} waiting for {clean(what)}" for what, count in waits.most_common(2))])

    def current(self, limit: int) -> list[str]:
        """What is done at this moment, one line a project, the longest first."""
        rows = [f"{clean(address)}: {what} …" for address, (what, _) in self._doing.items()]
        more = [f"and {len(rows) - limit + 1} more"] if len(rows) > limit else []
        return rows[: limit - 1] + more if more else rows
