"""Pull requests that claim a workspace: `apply --pull-request`, `unlock`, and what the judge looks for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from reconciler.adapters.api.client import ApiClient
from reconciler.model.claim import Claim
from reconciler.operations.claims import release_claim
from reconciler.operations.workspace import Workspace
from tests.simulation import commands, people

if TYPE_CHECKING:
    from tests.simulation.clockwork import Process
    from tests.simulation.commands import Done
    from tests.simulation.life import Life
    from tests.simulation.teams import Team

NAMES: Final = ("acme/shop#1", "acme/shop#2")


def merges(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """`unlock`: a pull request is merged or closed, or somebody has had enough of it."""
    people._killed(life, more, _unlock(life, team, None if more["force"] else more["pull_request"]))
    return True


def _unlock(life: Life, team: Team, pull_request: str | None) -> Done:
    """``pull_request``: release its claim only."""

    def released() -> None:
        team.claimed = None

    async def work(workspace: Workspace, _: ApiClient) -> Any:
        return release_claim(
            workspace,
            pull_request=pull_request,
            force=pull_request is None,
            confirm=lambda _: True,
            lock_timeout=5.0,
        )

    done = commands.start(life, life.runner_of(team), "unlock claim", work)
    done.process.fibers[0].on_end.append(released)
    return done


def standing(life: Life, team: Team) -> str | None:
    """Whose claim is there."""
    if life.course.remote:
        data, _ = life.bucket.objects.get(f"{life.place(team)}/claim.json", (None, 0.0))
    else:
        path = life.state(team).removesuffix(".state.json") + ".claim.json"
        file = life.disk(team).names.get(path)
        data = None if file is None else bytes(file.data)
    return None if data is None else str(json.loads(data)["pull_request"])


def departs(life: Life, process: Process, team: Team) -> None:
    """Where there is a claim, only its holder changes the account; a pull request always has one."""
    if not life.claimants:
        return
    claimant, there = life.claimants.get(process.number), standing(life, team)
    if there != claimant:
        life.fail(f"{process.name} of {claimant} changes what {there} has claimed")
    if team.claimed is not None and there != team.claimed:
        life.fail(f"{team.claimed} has lost its claim to {there}")
    team.claimed = there
    life.figures["changes under a claim"] += there is not None


def release(life: Life, team: Team) -> None:
    """In a calm world all pull requests are merged."""
    there = standing(life, team)
    if there is None:
        return
    from tests.simulation.advice import to_the_end

    done = _unlock(life, team, there)
    to_the_end(life, done)
    if not isinstance(done.result, Claim) or standing(life, team) is not None:
        life.fail(f"the claim of {there} can't be released: {done.error}")
