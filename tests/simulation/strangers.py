"""Mistakes of people who have several keys and states: a run with the key of another account, or another one's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model.desired import Desired
from reconciler.model.errors import ReconcilerError, StateMismatchError
from reconciler.model.events import ApplyResult
from reconciler.model.plan import Plan
from reconciler.operations.read.plan import plan
from reconciler.operations.state.edits import bind, recover_state
from reconciler.operations.workspace import Workspace
from reconciler.planning.findings import ACCOUNT_CODE, ACCOUNT_FROM
from reconciler.planning.planner import Selection
from tests.simulation import commands, specs
from tests.simulation.commands import Done, Work

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.teams import Team

NOT_TOLD: Final = "nothing tells whose account it is"
KEYS: Final = ("apply", "no refresh", "destroy", "saved", "plan", "recover", "import")
"""Commands that somebody may run with the other key."""
STATE: Final = "other state"
"""An apply with the state of the other environment."""


def mistakes(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """Somebody uses the other environment's key, or its state."""
    command = more["command"]
    if command == STATE:
        (other,) = (each for each in life.teams if each is not team)
        _disturbed(life, more, _with_state(life, team, other))
        return True
    if len(life.servers) == 1:
        return False
    if command == "saved":  # by somebody with the right key
        made = commands.plan(life, life.runner_of(team), specs.desired(team))

        def go_on() -> None:
            if isinstance(made.result, Plan) and not made.result.errors:
                _disturbed(life, more, with_key(life, team, command, {"plan": made.result}))

        made.process.fibers[0].on_end.append(go_on)
        return True
    _disturbed(life, more, with_key(life, team, command, {}))
    return True


def _disturbed(life: Life, more: dict[str, Any], done: Done) -> None:
    """It ends with a refusal, unless it is killed, or something else goes wrong before."""
    done.process.kill_in = more.get("kill")

    def end() -> None:
        if done.process.dead or done.result == NOT_TOLD:
            return
        if is_refused(done):
            life.note(done.process.name, "mistake")
        elif done.error is None and not any(thing.destroyed for thing in life.teams[done.team].things):
            life.fail(f"{done.process.name} does not notice that it was given another one's key or state")

    done.process.fibers[0].on_end.append(end)


def is_refused(done: Done) -> bool:
    """Whether a run has said that its key is of another account, or its state of another environment."""
    found = done.error.diagnostics if isinstance(done.error, ReconcilerError) else ()
    made = done.result.plan if isinstance(done.result, ApplyResult) else done.result
    if isinstance(made, Plan):
        found = made.errors
    return isinstance(done.error, StateMismatchError) or any(d.code == ACCOUNT_CODE for d in found)


def with_key(life: Life, team: Team, command: str, more: dict[str, Any]) -> Done:
    """Run a command with the other account's key. Where nothing can tell, nobody does: it would make projects there."""
    runner, wanted = life.runner_of(team), specs.desired(team)
    (server,) = (each for each in life.servers if each is not life.server_of(team))
    work: Work
    match command:
        case "plan":
            work = _plan(wanted)
        case "recover":
            work = _recover(wanted)
        case "import":
            work = _import(sorted(p["id"] for p in server.store.projects()))
        case _:
            if command == "destroy":
                wanted = Desired(team.workspace, {})
            selection = Selection(refresh=command != "no refresh", destroy=command == "destroy")
            work = commands.apply_work(life, wanted, lambda: wanted, lambda: done.process, more, selection)

    async def unless_not_told(workspace: Workspace, api: ApiClient) -> Any:
        if workspace.config.account is None and len(workspace.load()[0].projects) < ACCOUNT_FROM:
            return NOT_TOLD
        return await work(workspace, api)

    kind = command if command in ("plan", "recover", "import") else "apply"
    done = commands.start(life, runner, kind, unless_not_told, server=server)
    return done


def _with_state(life: Life, team: Team, other: Team) -> Done:
    wanted = specs.desired(team)
    work = commands.apply_work(life, wanted, lambda: wanted, lambda: done.process, {}, Selection())

    async def with_it(workspace: Workspace, api: ApiClient) -> Any:
        workspace = replace(workspace, store=commands.store_of(life, other, done.process, done.warned.append))
        if workspace.store.load().state is None:
            return NOT_TOLD
        return await work(workspace, api)

    done = commands.start(life, life.runner_of(team), "apply", with_it)
    life.strangers.add(done.process.number)
    return done


def _plan(wanted: Desired) -> Work:
    async def work(workspace: Workspace, api: ApiClient) -> Plan:
        made, _ = await plan(workspace, api, wanted, Selection())
        return made

    return work


def _recover(wanted: Desired) -> Work:
    async def work(workspace: Workspace, api: ApiClient) -> Any:
        return await recover_state(
            workspace,
            api,
            wanted,
            choose=lambda finding: next(iter(finding.candidates), None),
            confirm=lambda _: True,
            lock_timeout=5.0,
        )

    return work


def _import(theirs: list[str]) -> Work:
    async def work(workspace: Workspace, api: ApiClient) -> Any:
        return await bind(workspace, api, "imported", theirs[0] if theirs else "proj_none", lock_timeout=5.0)

    return work
