"""Findings that need only the specs and the state, not the account."""

from __future__ import annotations

from reconciler.model.desired import Desired, seal
from reconciler.model.errors import Diagnostic
from reconciler.model.live import Snapshot
from reconciler.model.state import State
from reconciler.planning.knowledge import remembered_projects
from reconciler.planning.message_log import CODE
from reconciler.planning.planner import Header, make_plan
from reconciler.planning.selection import Selection


def log_findings(desired: Desired, state: State) -> tuple[Diagnostic, ...]:
    """Changes of sent messages in the specs, as a plan that trusts the state would report them."""
    made = make_plan(
        seal(desired, state.lineage),
        state,
        Snapshot(projects=remembered_projects(state)),
        selection=Selection(refresh=False),
        header=Header(id="", version="", created_at=""),
        active_limit=0,
    )
    return tuple(finding for finding in made.diagnostics if finding.code == CODE)
