"""Events and results of an apply, as typed values. The executor emits events; progress, JSON and logs listen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from reconciler.model.claim import PlanClaim
from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Plan, Step

OutcomeKind = Literal["done", "deferred", "failed", "skipped", "unknown"]


class ApplyStarted(Struct, frozen=True, kw_only=True):
    """A plan is about to be executed: so many steps, on so many addresses."""

    steps: int
    addresses: int


class StepStarted(Struct, frozen=True, kw_only=True):
    """The step's first call is about to be sent, or the step makes none."""

    step: Step


class StepWaiting(Struct, frozen=True, kw_only=True):
    """The step has to wait; ``seconds`` until the next check."""

    step: Step
    waits_for: str
    seconds: float


class StatusChanged(Struct, frozen=True, kw_only=True):
    address: str
    project_id: str
    status: str


class Uploading(Struct, frozen=True, kw_only=True):
    """A file that a step uses is being uploaded: ``done`` of ``total`` bytes."""

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
    """An open call of an earlier run was resolved."""

    address: str
    kind: str
    result: Literal["done", "not_done", "unknown"]
    note: str


class Noted(Struct, frozen=True, kw_only=True):
    """Anything else that the user should read."""

    diagnostic: Diagnostic


Event = ApplyStarted | StepStarted | StepWaiting | StatusChanged | Uploading | StepEnded | Recovered | Noted
Emit = Callable[[Event], None]


class StepResult(Struct, frozen=True, kw_only=True):
    """A step's outcome: ``skipped`` if an earlier step of its address was not done, ``unknown`` if it can't be told whether
    the call was done. ``already``: it was done before this apply.
    """

    step: Step
    outcome: OutcomeKind
    project_id: str | None = None
    note: str = ""
    error: Diagnostic | None = None
    already: bool = False


class ApplyResult(Struct, frozen=True, kw_only=True):
    """Everything that an apply did. ``results`` are in the plan's order; ``serial`` is the state's afterwards."""

    plan: Plan
    results: tuple[StepResult, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    serial: int = 0
    interrupted: bool = False
    requests: int = 0
    working: tuple[str, ...] = ()
    """Addresses whose agents were still at work."""
    claim: PlanClaim | None = None
    """The claim of its pull request."""

    @property
    def counts(self) -> Counter[OutcomeKind]:
        """How many steps had which outcome."""
        return Counter(result.outcome for result in self.results)

    @property
    def converged(self) -> bool:
        """Whether every step is done, and the plan had no errors and nothing that the user has to decide first."""
        return not self.interrupted and set(self.counts) <= {"done"} and not (self.plan.errors or self.undecided)

    @property
    def undecided(self) -> tuple[Diagnostic, ...]:
        """What was not done, since nothing tells whether it was done before: one finding for each address."""
        found = [*self.plan.undecided, *(r.error for r in self.results if r.error and r.error.kind == "undecided")]
        return tuple({d.address: d for d in found}.values())
