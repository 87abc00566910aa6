"""The whole fleet as it is now: statuses, outputs, settings, conversations, drift. Only GETs."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model.desired import Desired, seal
from reconciler.model.errors import AccountError, NotFoundError
from reconciler.model.fleet import Fleet, Member
from reconciler.model.state import Entry, State
from reconciler.operations.concurrency import run_all
from reconciler.operations.read.account import check_pinned
from reconciler.operations.read.conversation import read_window
from reconciler.operations.read.plan import read_live, redact_plan
from reconciler.operations.read.refresh import merge
from reconciler.operations.workspace import Workspace
from reconciler.planning.findings import ACCOUNT_CODE
from reconciler.planning.other_version import in_this_version
from reconciler.planning.planner import make_plan
from reconciler.planning.selection import Selection


async def read_fleet(
    workspace: Workspace, api: ApiClient, desired: Desired, state: State, chosen: frozenset[str], *, conversations: bool
) -> Fleet:
    """Read the projects of the ``chosen`` addresses once; two calls for each on top of the list, one without
    ``conversations``.

    Raises:
        ReconcilerError: the account can't be read, or is another one.

    """
    at = workspace.now()
    selection = Selection(targets=chosen, refresh_only=True)
    state = replace(state, projects=in_this_version(state.projects))
    sealed = seal(desired, state.lineage)
    config = workspace.config
    live = await read_live(api, sealed, state, selection, account=config.account, at=at)
    check_pinned(config, live)
    live = replace(live, elsewhere=workspace.elsewhere())
    limit = config.limits.active_projects
    header = workspace.header()
    plan = make_plan(sealed, state, live, selection=selection, header=header, active_limit=limit)
    if errors := tuple(error for error in plan.errors if error.code == ACCOUNT_CODE):
        raise AccountError(errors)
    found = redact_plan(plan, workspace.redact).diagnostics

    async def member(address: str, entry: Entry) -> Member:
        seen = live.projects.get(entry.project_id)
        try:
            status = await api.project(entry.project_id)
            seen = merge(seen, status) if seen is not None else status
            window = (await read_window(api, entry.project_id, None)).messages if conversations else ()
        except NotFoundError:
            seen, window = None, ()
        redact = workspace.redact
        return Member(
            address=address,
            entry=entry,
            live=redact.record(replace(seen, settings=redact.value(dict(seen.settings)))) if seen else None,
            messages=tuple(redact.record(message) for message in window),
            findings=tuple(d for d in found if d.address == address),
            tags=desired.projects[address].tags if address in desired.projects else (),
        )

    members = await run_all(member(a, e) for a, e in sorted(state.projects.items()) if a in chosen)
    rest = tuple(d for d in found if d.address not in state.projects)
    return Fleet(workspace=state.workspace, at=at, members=tuple(members), findings=rest, serial=state.serial)
