"""The use case apply, step by step: load, recover, refresh, plan, guard, execute, save."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.halt import GRACE
from reconciler.model.claim import Claimant, seen_by
from reconciler.model.config import Config
from reconciler.model.desired import Desired
from reconciler.model.errors import (
    Diagnostic,
    GuardError,
    HaltedError,
    PlanFileError,
    ReconcilerError,
    StateMismatchError,
    UsageError,
)
from reconciler.model.events import ApplyResult, Emit, StepResult
from reconciler.model.hosts import same_api
from reconciler.model.journal import Draft
from reconciler.model.live import Snapshot
from reconciler.model.plan import Create, Plan
from reconciler.model.plan_json import plan_digest
from reconciler.model.policy import refusals
from reconciler.model.state import State
from reconciler.operations.apply.execute import Executor
from reconciler.operations.apply.observations import fold_observations, keep_lifecycles, keep_names, keep_unsettled
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import (
    TIME_IS_UP,
    Interrupted,
    Options,
    Run,
)
from reconciler.operations.claims import require_free, take_claim
from reconciler.operations.concurrency import cancel_all
from reconciler.operations.read.account import require_account
from reconciler.operations.read.plan import check_limits, read_and_plan
from reconciler.operations.read.refresh import refresh
from reconciler.operations.recovery.open_calls import recover_open_calls
from reconciler.operations.state.sealing import fill_secrets, reseal
from reconciler.operations.workspace import Workspace
from reconciler.planning.other_version import in_this_version
from reconciler.planning.selection import Selection

LONG_WAIT: Final = 1.0
"""Seconds of waiting for the lock after which the specs are read again."""


class ApplyRequest(Struct, frozen=True, kw_only=True):
    """What to apply: a saved plan, or the specs. ``confirm`` is called before anything is done; false refuses."""

    desired: Desired | None = None
    reread: Callable[[], Desired] | None = None
    """Reads the specs again: they may have changed while the lock was waited for."""
    saved: Plan | None = None
    selection: Selection = Selection()
    options: Options = Options()
    force: bool = False
    timeout: float | None = None
    lock_timeout: float = 0.0
    command: str = "apply"
    claimant: Claimant | None = None
    """The pull request whose apply it is: it claims the workspace before the first changing call."""
    approved_by: Collection[str] = ()
    """The groups that agreed to what a policy lets them approve."""
    confirm: Callable[[Plan], bool]
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    """Entered while waiting for the lock: the event loop does not run then, and gets no signal."""


async def apply(
    workspace: Workspace, api: ApiClient, request: ApplyRequest, *, emit: Emit, stop: asyncio.Event
) -> ApplyResult:
    """Recover what an earlier run left open, plan (or check a saved plan), ask, execute, save.

    Raises:
        ClaimedError: another pull request has claimed the workspace; nothing was sent.
        GuardError: a limit or a rule of the policy refuses the plan; nothing was sent.
        UsageError: the user said no.
        Interrupted: the user asked to stop before it began, or while an earlier run's calls were being recovered.
        ReconcilerError: the specs, the state, the account or the saved plan don't allow it.

    """
    if stop.is_set():
        raise Interrupted  # instead of waiting for the lock
    if workspace.policy is not None:
        workspace.policy()  # what is wrong with it is said before anything else
    end = math.inf if request.timeout is None else asyncio.get_running_loop().time() + request.timeout
    api.halt.set(end + GRACE, TIME_IS_UP)  # grace, so that there is a plan whose steps can be deferred
    lock_timeout = min(request.lock_timeout, math.inf if request.timeout is None else request.timeout)
    async with AsyncExitStack() as held:
        asked = asyncio.get_running_loop().time()
        with request.waiting():
            held.enter_context(workspace.store.lock(request.command, lock_timeout))
        waited = asyncio.get_running_loop().time() - asked
        if waited >= LONG_WAIT and request.reread is not None and request.reread() != request.desired:
            raise ReconcilerError(
                "the specs changed while this run waited for the lock: nothing was done",
                "What it had read is out of date, and the run before may have applied what is there now. Run it again.",
            )
        await held.enter_async_context(_halting(api, stop))
        require_free(workspace, request.claimant)
        state, folded = workspace.load()
        if request.saved is not None:
            state = _check_saved(request.saved, state, workspace.config)
        workspace.store.begin(state)
        run = Run(
            api=api,
            journal=workspace.store,
            draft=Draft(state),
            emit=emit,
            workspace=workspace.config.workspace,
            environment=workspace.config.environment,
            elsewhere=workspace.elsewhere,
            elsewhere_now=workspace.elsewhere_now,
            options=request.options,
            slots=asyncio.Semaphore(request.options.parallelism),
            env=workspace.env,
            redact=workspace.redact,
            now=workspace.now,
            root=workspace.config.root,
            media=workspace.media,
            stop=stop,
        )
        try:
            result = await _apply(workspace, run, request, end)
        except HaltedError as error:
            if stop.is_set():
                raise Interrupted from error
            raise ReconcilerError(
                f"{TIME_IS_UP} before there was a plan; nothing was started",
                "Run the same command with a longer `--timeout`: it continues.",
            ) from error
        finally:
            after = run.draft.state()
            if folded or after != state:
                applied_at = state.applied_at if run.plan_id is None else workspace.now()
                state = replace(after, serial=state.serial + 1, applied_at=applied_at)
                workspace.store.save(state)
        return replace(result, serial=state.serial)


@contextlib.asynccontextmanager
async def _halting(api: ApiClient, stop: asyncio.Event) -> AsyncIterator[None]:
    """Send nothing more from the moment on that the user asks to stop."""

    async def watch() -> None:
        await stop.wait()
        api.halt.set(asyncio.get_running_loop().time(), "interrupted")

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        await cancel_all(watching)
        api.halt.clear()


async def _apply(workspace: Workspace, run: Run, request: ApplyRequest, end: float) -> ApplyResult:
    before = run.api.requests
    if request.saved is not None or run.draft.pending:  # else planning finds out, before anything is sent
        await require_account(run.api, workspace.config, run.draft.projects, at=workspace.now())
    if workspace.policy is not None and run.draft.pending:  # completing them may send something
        foreseen, _ = await _to_execute(workspace, run, request)
        _obey_policy(workspace, request, foreseen)
    if run.draft.pending:
        take_claim(workspace, request.claimant)
    await recover_open_calls(run)
    plan, live = await _to_execute(workspace, run, request)
    if plan.errors and not plan.destroy:
        raise PlanRefusedError(plan, plan.errors)
    plan, refused = await check_limits(workspace, run.api, plan, force=request.force)
    if refused:
        raise PlanRefusedError(plan, tuple(dict.fromkeys((*plan.errors, *refused))))
    plan = _obey_policy(workspace, request, plan)
    if not request.confirm(plan):
        raise UsageError("not approved: nothing was done")
    changes = bool(plan.steps or plan.uploads) and not run.stop.is_set()
    claim = (take_claim if changes else require_free)(workspace, request.claimant)
    # by its content: a plan file that was edited meanwhile does not resume the progress of the one before
    run.plan_id = plan.id if request.saved is None else plan_digest(request.saved)
    run.api.halt.set(end, TIME_IS_UP)
    run.draft.projects.update(in_this_version(run.draft.projects))
    monitor = Monitor(run, live)
    results: tuple[StepResult, ...] = ()
    try:
        if plan.steps:
            results = await Executor(run, plan, live, monitor, saved=request.saved is not None).execute()
    finally:
        await monitor.aclose()
        fold_observations(run, monitor, drift=plan.refresh_only, since=live.at)
        keep_lifecycles(run.draft, plan)
        keep_names(run.draft, request.desired)
        keep_unsettled(run.draft, plan)
        reseal(run.draft, request.desired)
    working = sorted(
        a for a in plan.by_address() if (e := run.draft.projects.get(a)) and e.project_id in monitor.active
    )
    return ApplyResult(
        plan=plan,
        results=results,
        interrupted=run.stop.is_set(),
        requests=run.api.requests - before,
        working=tuple(working),
        claim=seen_by(claim, None if request.claimant is None else request.claimant.pull_request),
    )


def _obey_policy(workspace: Workspace, request: ApplyRequest, plan: Plan) -> Plan:
    """The plan with what the policy says of it. Raises PlanRefusedError: a rule denies it, or an approval is missing."""
    plan = workspace.with_policy(plan, request.saved or plan, request.approved_by)
    if found := refusals(plan.policy):
        raise PlanRefusedError(plan, found)
    return plan


class PlanRefusedError(GuardError):
    """The plan has errors, breaks a limit, or its policy refuses it. Carries the plan, so that it can be shown."""

    def __init__(self, plan: Plan, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(diagnostics)
        self.plan = plan


async def _to_execute(workspace: Workspace, run: Run, request: ApplyRequest) -> tuple[Plan, Snapshot]:
    state = run.draft.state()
    if request.saved is not None:
        addresses = {step.address for step in request.saved.steps}
        addresses |= {step.from_address for step in request.saved.steps if step.action == "move"}
        ids = {entry.project_id for address, entry in state.projects.items() if address in addresses}
        ids |= {step.project_id for step in request.saved.steps if step.project_id}
        creates = any(isinstance(step, Create) for step in request.saved.steps)
        failed = state.new and creates  # see repeated_reason
        live = await refresh(run.api, frozenset(ids), failed=failed, at=workspace.now())
        return replace(request.saved, steps=tuple(fill_secrets(run, step) for step in request.saved.steps)), live
    assert request.desired is not None
    return await read_and_plan(workspace, run.api, request.desired, state, request.selection)


def _check_saved(saved: Plan, state: State, config: Config) -> State:
    """Return the state that a saved plan is for; a plan made before there was a state brings its lineage along."""
    for what, theirs, ours, same in (
        ("workspace", saved.workspace, config.workspace, saved.workspace == config.workspace),
        (
            "environment",
            saved.environment or "none",
            config.environment or "none",
            saved.environment == config.environment,
        ),
        ("API", saved.api_url, config.api_url, same_api(saved.api_url, config.api_url)),
        ("api.version", saved.api_version, config.api_version, saved.api_version == config.api_version),
    ):
        if not same:
            stale = "stale: " if what == "api.version" else ""
            other = f"Use `--environment {theirs}`, or make" if what == "environment" and saved.environment else "Make"
            summary = f"{stale}the plan is for {what} `{theirs}`, not for `{ours}`"
            raise PlanFileError(summary, f"{other} a new plan here.")
    if saved.claim is not None and not saved.claim.mine:
        raise PlanFileError(
            f"stale: the plan was made while `{saved.claim.pull_request}` had claimed what it is for",
            "It does not know what that one's merge has changed, and could revert it. Make a new plan.",
        )
    if state.lineage == saved.lineage:
        return state
    if saved.serial == 0 and state.new and not state.projects and not state.pending:
        return replace(state, lineage=saved.lineage)
    raise StateMismatchError(
        "stale: the plan was made for another state",
        f"Its lineage is {saved.lineage}, the state's is {state.lineage}. Make a new plan.",
    )
