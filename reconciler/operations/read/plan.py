"""The use case plan: load the state, read the account as far as needed, plan, check the limits."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model.claim import seen_by
from reconciler.model.config import Account
from reconciler.model.desired import Desired, seal
from reconciler.model.errors import Diagnostic
from reconciler.model.live import Snapshot
from reconciler.model.plan import Plan, describe, least_credits
from reconciler.model.redact import Redactor
from reconciler.model.state import State
from reconciler.operations.read.account import check_pinned, require_account
from reconciler.operations.read.missing_declarations import missing_declarations
from reconciler.operations.read.refresh import refresh, remembered_titles
from reconciler.operations.workspace import Workspace
from reconciler.planning.knowledge import remembered_projects
from reconciler.planning.other_version import dropped, in_this_version
from reconciler.planning.planner import binds_new, make_plan, new_addresses, unsettled_addresses, wanted_ids
from reconciler.planning.safety import too_dear, violations
from reconciler.planning.selection import Selection, resolve


async def plan(
    workspace: Workspace,
    api: ApiClient,
    desired: Desired,
    selection: Selection,
    *,
    force: bool = False,
    look_up: bool = False,
    pull_request: str | None = None,
) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """Make a plan, and say which limits forbid it; what a policy says is part of the plan. Changes nothing, anywhere: no call but GET, no file.

    ``pull_request`` is the one that the plan is for: the plan says if another has claimed the workspace.
    ``look_up`` asks the API beyond the contract, too: for the balance, and for the models and skills that specs name.

    Raises:
        ReconcilerError: the state or the account can't be read.

    """
    if workspace.policy is not None:
        workspace.policy()  # what is wrong with it is said before anything is read
    before_it = workspace.store.claims.read()
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
    # twice: one that was taken or released meanwhile may have changed what was read
    claim = before_it or workspace.store.claims.read()
    made = replace(made, requests_used=api.requests - before, claim=seen_by(claim, pull_request))
    return workspace.with_policy(made, made), refused


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
    header = workspace.header()

    def planned() -> Plan:
        return make_plan(
            sealed,
            state,
            live,
            selection=selection,
            header=header,
            active_limit=config.limits.active_projects,
            hide=workspace.redact.value,
        )

    new = binds_new(sealed, state, selection)
    if new:
        live = replace(live, elsewhere=workspace.elsewhere())
    plan = planned()
    if plan.unsettled and not new:  # what looks like the successor of a project may be another environment's
        live = replace(live, elsewhere=workspace.elsewhere())
        plan = planned()
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
