"""The use cases plan and apply, step by step: load, recover, refresh, plan, guard, execute, save."""

from __future__ import annotations

import asyncio
import contextlib
import math
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.halt import GRACE
from reconciler.adapters.cache import Cache
from reconciler.model.config import Account, Config
from reconciler.model.desired import Desired, seal
from reconciler.model.errors import (
    Diagnostic,
    GuardError,
    HaltedError,
    PlanFileError,
    ReconcilerError,
    Severity,
    StateMismatchError,
    UsageError,
)
from reconciler.model.events import ApplyResult, Emit, StepResult
from reconciler.model.hosts import same_api
from reconciler.model.identity import Elsewhere
from reconciler.model.journal import Draft, Record
from reconciler.model.live import Snapshot
from reconciler.model.plan import Create, Plan, describe, least_credits
from reconciler.model.plan_json import plan_digest
from reconciler.model.redact import Redactor
from reconciler.model.state import Loaded, State, Version
from reconciler.operations.apply.execute import Executor
from reconciler.operations.apply.observations import fold_observations, keep_lifecycles, keep_unsettled
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import (
    TIME_IS_UP,
    Interrupted,
    MediaFactory,
    Options,
    Run,
    default_media,
    utc_now,
)
from reconciler.operations.concurrency import cancel_all
from reconciler.operations.read.account import check_pinned, require_account
from reconciler.operations.read.lookups import Lookup, ignore
from reconciler.operations.read.missing_declarations import missing_declarations
from reconciler.operations.read.refresh import refresh, remembered_titles
from reconciler.operations.recovery.open_calls import recover_open_calls
from reconciler.operations.state.sealing import fill_secrets, reseal
from reconciler.planning.knowledge import remembered_projects
from reconciler.planning.other_version import dropped, in_this_version
from reconciler.planning.planner import Header, binds_new, make_plan, new_addresses, unsettled_addresses, wanted_ids
from reconciler.planning.safety import too_dear, violations
from reconciler.planning.selection import Selection, resolve


class StateStore(Protocol):
    """Where the state is kept. Reading takes no lock; all writing happens under it.

    ``check`` raises LockError once the lock is lost; it is called before every mutating call. ``unlock`` breaks the lock
    of another run, if it may; ``confirm`` is shown who holds it.
    """

    def lock(self, command: str, timeout: float) -> AbstractContextManager[None]: ...

    def load(self) -> Loaded: ...

    def begin(self, state: State) -> None: ...

    async def append(self, record: Record) -> None: ...

    def save(self, state: State) -> None: ...

    def check(self) -> None: ...

    def unlock(self, confirm: Callable[[str], bool]) -> bool: ...

    def versions(self) -> list[Version]: ...

    def version(self, serial: int) -> State: ...


class Workspace(Struct, frozen=True, kw_only=True):
    """The parts that every use case works with. ``env`` fills a saved plan's secrets."""

    config: Config
    store: StateStore
    version: str
    env: Mapping[str, str] = field(default_factory=dict)
    redact: Redactor = field(default_factory=Redactor)
    now: Callable[[], str] = utc_now
    media: MediaFactory = default_media
    cache: Cache = Cache()
    """Keeps answers that stay true for a day."""
    tell: Callable[[str], None] = ignore
    """Hears why something was not checked that the program can do without."""
    elsewhere: Callable[[], Elsewhere] = Elsewhere
    """Reads the other states of the configuration."""

    def load(self) -> tuple[State, bool]:
        """Load the state, or make a new one; and whether a journal was folded in.

        Raises:
            StateError: it can't be read.
            StateMismatchError: it belongs to another workspace or API.

        """
        loaded = self.store.load()
        config = self.config
        if loaded.state is None:
            made = State(
                lineage=uuid.uuid4().hex,
                workspace=config.workspace,
                environment=config.environment,
                api_url=config.api_url,
            )
            return made, False
        return config.own(loaded.state), loaded.folded

    def lookup(self, api: ApiClient, severity: Severity) -> Lookup:
        """How to look up what specs name; ``severity`` is that of what is found."""
        return Lookup(
            api=api,
            api_url=self.config.api_url,
            now=self.now(),
            severity=severity,
            cache=self.cache,
            tell=self.tell,
        )

    def header(self) -> Header:
        return Header(id=uuid.uuid4().hex, version=self.version, created_at=self.now())


async def plan(
    workspace: Workspace,
    api: ApiClient,
    desired: Desired,
    selection: Selection,
    *,
    force: bool = False,
    look_up: bool = False,
) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """Make a plan, and say which limits forbid it. Changes nothing, anywhere: no call but GET, no file.

    ``look_up`` asks the API beyond the contract, too: for the balance, and for the models and skills that specs name.

    Raises:
        ReconcilerError: the state or the account can't be read.

    """
    state, _ = workspace.load()
    before = api.requests
    made, _ = await read_and_plan(workspace, api, desired, state, selection)
    if look_up:
        looked = workspace.lookup(api, "warning")
        touched = {
            step.address for step in made.steps if describe(step).effect != "ends" or describe(step).spends_credits
        }
        found = await looked.check(project for address, project in desired.projects.items() if address in touched)
        made = replace(made, diagnostics=(*made.diagnostics, *map(workspace.redact.record, found)))
    made, refused = await check_limits(workspace, api, made, force=force, show=look_up)
    return replace(made, requests_used=api.requests - before), refused


async def read_and_plan(
    workspace: Workspace, api: ApiClient, desired: Desired, state: State, selection: Selection
) -> tuple[Plan, Snapshot]:
    """Read the account as far as planning needs it, and plan. Limits are not checked. Raises as :func:`plan`."""
    forgets = dropped(state.projects)
    state = replace(state, projects=in_this_version(state.projects))
    sealed = seal(desired, state.lineage)
    selection, said = resolve(selection, desired, state.projects)
    config, account = workspace.config, workspace.config.account
    if not selection.refresh:
        await require_account(api, config, state.projects, at=workspace.now())
        account = None
    live = await read_live(api, sealed, state, selection, account=account, at=workspace.now())
    check_pinned(config, live)
    if binds_new(sealed, state, selection):
        live = replace(live, elsewhere=workspace.elsewhere())
    plan = make_plan(
        sealed,
        state,
        live,
        selection=selection,
        header=workspace.header(),
        active_limit=config.limits.active_projects,
        hide=workspace.redact.value,
    )
    missing = missing_declarations(config.root, desired, plan)
    plan = replace(plan, diagnostics=(*said, *plan.diagnostics, *missing, *forgets))
    return redact_plan(plan, workspace.redact), live


def redact_plan(plan: Plan, redact: Redactor) -> Plan:
    """Redact secrets that the account's own texts show in what people see of a plan, before it is wrapped or escaped."""
    steps = tuple(
        replace(step, changes=tuple(replace(c, before=redact.value(c.before)) for c in step.changes))
        if any(change.before is not None for change in step.changes)
        else step
        for step in plan.steps
    )
    return replace(plan, steps=steps, diagnostics=tuple(redact.record(d) for d in plan.diagnostics))


async def read_live(
    api: ApiClient, desired: Desired, state: State, selection: Selection, *, account: Account | None = None, at: str
) -> Snapshot:
    """Read the account as far as planning needs it: all of it where the state is lost, so that nothing is created twice;
    and the project that tells the ``account``.
    """
    new = new_addresses(desired, state, selection)
    wanted = wanted_ids(desired, state)
    remembered = {} if selection.refresh else remembered_projects(state)
    wanted = wanted - remembered.keys() | ({account.project} if account is not None else set())
    if not (wanted or new or selection.refresh):
        return Snapshot(projects=remembered, at=at)
    live = await refresh(
        api,
        wanted,
        everything=bool(new) and (state.new or any(p.address in unsettled_addresses(state) for p in new)),
        failed=bool(new),
        titles=remembered_titles(state),
        at=at,
    )
    return replace(live, projects={**live.projects, **remembered})


async def check_limits(
    workspace: Workspace, api: ApiClient, plan: Plan, *, force: bool, show: bool = False
) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """The plan with the credit balance, if a limit needs it or to ``show`` it, and the limits that forbid the plan.

    Raises:
        ApiError: the credits can't be read, and a limit needs them.

    """
    policy = workspace.config.policy
    limited = policy.min_credits is not None
    if (limited or show) and any(describe(step).spends_credits for step in plan.steps):
        balance = await (api.credits() if limited else workspace.lookup(api, "warning").balance())
        plan = replace(plan, credit_balance=balance, credits_needed=0 if balance is None else least_credits(plan.steps))
        plan = replace(plan, diagnostics=(*plan.diagnostics, *too_dear(plan)))
    return plan, tuple(violations(plan, policy, credit_balance=plan.credit_balance, force=force))


class ApplyRequest(Struct, frozen=True, kw_only=True):
    """What to apply: a saved plan, or the specs. ``confirm`` is called before anything is done; false refuses."""

    desired: Desired | None = None
    saved: Plan | None = None
    selection: Selection = Selection()
    options: Options = Options()
    force: bool = False
    timeout: float | None = None
    lock_timeout: float = 0.0
    command: str = "apply"
    confirm: Callable[[Plan], bool]
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    """Entered while waiting for the lock: the event loop does not run then, and gets no signal."""


async def apply(
    workspace: Workspace, api: ApiClient, request: ApplyRequest, *, emit: Emit, stop: asyncio.Event
) -> ApplyResult:
    """Recover what an earlier run left open, plan (or check a saved plan), ask, execute, save.

    Raises:
        GuardError: a policy limit refuses the plan; nothing was sent.
        UsageError: the user said no.
        Interrupted: the user asked to stop while an earlier run's calls were being recovered.
        ReconcilerError: the specs, the state, the account or the saved plan don't allow it.

    """
    end = math.inf if request.timeout is None else asyncio.get_running_loop().time() + request.timeout
    api.halt.set(end + GRACE, TIME_IS_UP)  # grace, so that there is a plan whose steps can be deferred
    lock_timeout = min(request.lock_timeout, math.inf if request.timeout is None else request.timeout)
    async with AsyncExitStack() as held:
        with request.waiting():
            held.enter_context(workspace.store.lock(request.command, lock_timeout))
        await held.enter_async_context(_halting(api, stop))
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
                state = replace(after, serial=state.serial + 1, applied_at=workspace.now())
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
    await recover_open_calls(run)
    plan, live = await _to_execute(workspace, run, request)
    if plan.errors and not plan.destroy:
        raise PlanRefusedError(plan, plan.errors)
    plan, refused = await check_limits(workspace, run.api, plan, force=request.force)
    if refused:
        raise PlanRefusedError(plan, tuple(dict.fromkeys((*plan.errors, *refused))))
    if not request.confirm(plan):
        raise UsageError("not approved: nothing was done")
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
    )


class PlanRefusedError(GuardError):
    """The plan has errors or breaks a limit. Carries the plan, so that it can be shown."""

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
    if state.lineage == saved.lineage:
        return state
    if saved.serial == 0 and state.new and not state.projects and not state.pending:
        return replace(state, lineage=saved.lineage)
    raise StateMismatchError(
        "stale: the plan was made for another state",
        f"Its lineage is {saved.lineage}, the state's is {state.lineage}. Make a new plan.",
    )
