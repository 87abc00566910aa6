"""What happens while a command runs, as typed values. The engine emits them; progress, JSON and logs are listeners."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Plan, Step

OutcomeKind = Literal["done", "deferred", "failed", "skipped", "unknown"]


class StepStarted(Struct, frozen=True, kw_only=True):
    step: Step


class StepWaiting(Struct, frozen=True, kw_only=True):
    """The step can't go yet; ``seconds`` until the next look."""

    step: Step
    waits_for: str
    seconds: float


class StatusChanged(Struct, frozen=True, kw_only=True):
    address: str
    project_id: str
    status: str


class Uploading(Struct, frozen=True, kw_only=True):
    """A file that a step of the address refers to is on its way: ``done`` of ``total`` bytes."""

    address: str
    file: str
    done: int
    total: int


class StepEnded(Struct, frozen=True, kw_only=True):
    step: Step
    outcome: OutcomeKind
    project_id: str | None = None
    note: str = ""
    error: Diagnostic | None = None


class Recovered(Struct, frozen=True, kw_only=True):
    """An intent of an earlier run was cleared up."""

    address: str
    kind: str
    result: Literal["done", "not_done", "unknown"]
    note: str


class Noted(Struct, frozen=True, kw_only=True):
    """Anything else a person should read."""

    diagnostic: Diagnostic


Event = StepStarted | StepWaiting | StatusChanged | Uploading | StepEnded | Recovered | Noted
Emit = Callable[[Event], None]


class StepResult(Struct, frozen=True, kw_only=True):
    """A step's outcome: ``skipped`` where an earlier step of its address did not get done; ``unknown`` where the call
    may have acted and nothing could tell. ``already``: it was done before this apply came to it.
    """

    step: Step
    outcome: OutcomeKind
    project_id: str | None = None
    note: str = ""
    error: Diagnostic | None = None
    already: bool = False


class ApplyResult(Struct, frozen=True, kw_only=True):
    """Everything an apply did. ``results`` stand in the plan's order; ``serial`` is the state's afterwards."""

    plan: Plan
    results: tuple[StepResult, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    serial: int = 0
    interrupted: bool = False
    requests: int = 0

    @property
    def counts(self) -> Counter[OutcomeKind]:
        """How many steps had which outcome."""
        return Counter(result.outcome for result in self.results)

    @property
    def converged(self) -> bool:
        """Every step is done, and the plan had no errors."""
        return not self.interrupted and set(self.counts) <= {"done"} and not self.plan.errors
