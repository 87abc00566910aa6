"""A saved plan whose apply was killed goes on where it was: nothing is stale but what somebody else changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.events import ApplyResult
from reconciler.model.plan import Plan

if TYPE_CHECKING:
    from tests.simulation.commands import Done
    from tests.simulation.life import Life


def goes_on(life: Life, first: Done, again: Done, plan: Plan) -> None:
    """Watch a saved plan being applied again, while nobody does anything else."""
    turns, team = life.turns, life.teams[again.team]

    def end() -> None:
        if life.turns != turns or plan.unsettled or not isinstance(again.result, ApplyResult):
            return
        ours = {e.project_id for e in life.ledger() if e.request_id.rpartition("-")[0] == first.process.name}
        ids = life.ids(team)
        over = {thing.address for thing in team.wanted() if thing.is_over(team.wanted())}
        over |= {d.address for d in plan.diagnostics if "an earlier run was interrupted" in d.summary}  # not its own
        for result in again.result.results:
            address, error = result.step.address, result.error
            if error is not None and error.kind == "stale" and ids.get(address) in ours and address not in over:
                life.fail(f"{again.process.name} does not go on with its plan at {address}: {error.summary}")

    again.process.fibers[0].on_end.append(end)
