"""What happens while a command runs, as typed values. The engine emits them; progress, JSON and logs are listeners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Plan, Step

OutcomeKind = Literal["done", "deferred", "failed", "skipped", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWaiting:
    """The step can't go yet; ``seconds`` until the next look."""

    step: Step
    waits_for: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged:
    address: str
    project_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploading:
    """A file that a step of the address refers to is on its way: ``done`` of ``total`` bytes."""

    address: str
    file: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    step: Step
    outcome: OutcomeKind
    project_id: str | None = None
    note: str = ""
    error: Diagnostic | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """An intent of an earlier run was cleared up."""

    address: str
    kind: str
    result: Literal["done", "not_done", "unknown"]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Anything else a person should read."""

    diagnostic: Diagnostic


Event = StepStarted | StepWaiting | StatusChanged | Uploading | StepEnded | Recovered | Noted
Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """A step's outcome: ``skipped`` where an earlier step of its address did not get done; ``unknown`` where the call
    may have acted and nothing could tell. ``already``: it was done before this apply came to it.
    """

    step: Step
    outcome: OutcomeKind
    project_id: str | None = None
    note: str = ""
    error: Diagnostic | None = None
    already: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyResult:
    """Everything an apply did. ``results`` stand in the plan's order; ``serial`` is the state's afterwards."""

    plan: Plan
    results: tuple[StepResult, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    serial: int = 0
    interrupted: bool = False
    requests: int = 0
    counts: dict[OutcomeKind, int] = field(init=False)

    def __post_init__(self) -> None:
        counts: dict[OutcomeKind, int] = {}
        for result in self.results:
            counts[result.outcome] = counts.get(result.outcome, 0) + 1
        object.__setattr__(self, "counts", counts)

    @property
    def converged(self) -> bool:
        """Every step is done, and the plan had no errors."""
        return not self.interrupted and set(self.counts) <= {"done"} and not self.plan.errors
