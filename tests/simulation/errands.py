"""Further commands that people run: on all projects or on one of them, and on the whole state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.state.format import decode_state, encode_state
from reconciler.model.state import State
from reconciler.operations.state.edits import recover_state
from reconciler.operations.state.replacement import Exchange, replace_state
from reconciler.operations.workspace import Workspace
from tests.simulation import commands, people
from tests.simulation.commands import Done, Work
from tests.simulation.specs import desired

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.teams import Team


def destroys(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """`destroy`, perhaps of one project only. With ``ends``, its projects leave the specs of its environment, too."""
    thing = people._pick(life, team, more)
    if thing is None:
        return False
    chosen = [thing] if more.get("only") else team.wanted()
    if more.get("ends"):
        for each in chosen:
            people.remove(life, team, {"pick": team.wanted().index(each)})
    for each in chosen:
        each.destroyed = True
        if not each.removed:  # it is wanted again, also where it is not told that it was let go
            each.rights += 1
            each.counted += 1
    team.findable = False
    targets = [thing.address] if more.get("only") else None
    commands.begin_apply(life, life.runner_of(team), more | {"destroy": True, "target": targets})
    return True


def replaces(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """`apply --replace`"""
    thing = people._pick(life, team, more)
    if thing is None or thing.studio_id or thing.project_id:
        return False
    thing.rights += 1
    thing.destroyed = True
    life.replaced.update(f"{team.identity}/{name}" for name in thing.names)
    team.findable = False
    life.world.tell(team.name, f"wants another {thing.address}")
    commands.begin_apply(life, life.runner_of(team), more | {"replace": [thing.address]})
    return True


def targets(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """`apply --target`"""
    thing = people._pick(life, team, more)
    if thing is None:
        return False
    commands.begin_apply(life, life.runner_of(team), more | {"target": [thing.address]})
    return True


def pushes(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """`state pull`, and `state push` of that a while later: refused where the state has changed, unless it is forced. Or
    `state history --restore` of any serial that is there.
    """
    forced = more["force"] or (more["history"] and life.course.remote)

    def hopeless() -> bool:
        return forced and (life.altered or not team.findable)

    if hopeless():
        return False
    runner = life.runner_of(team)
    if more["history"] and life.course.remote:
        _killed(life, more, _restore(life, team, runner, more["pick"]))
        return True
    pulled = commands.start(life, runner, "state pull", _pull)

    def push() -> None:
        life.retries -= 1
        life.turns += 1
        if isinstance(pulled.result, bytes) and not hopeless():
            _killed(life, more, _push(life, team, runner, pulled.result, force=forced))

    def later() -> None:
        life.retries += 1
        life.world.after(more["seconds"], push)

    pulled.process.fibers[0].on_end.append(later)
    return True


async def _pull(workspace: Workspace, _: ApiClient) -> bytes | None:
    state, _ = workspace.load()
    return encode_state(state, "0") if state.serial or state.projects or state.pending else None


def _push(life: Life, team: Team, runner: int, pulled: bytes, *, force: bool) -> Done:
    async def work(workspace: Workspace, _: ApiClient) -> Exchange:
        given = decode_state(pulled, "copy.json")
        return _exchange(life, team, workspace, lambda: given, "reconciler state push", force=force)

    return commands.start(life, runner, "state push", work)


def _restore(life: Life, team: Team, runner: int, pick: int) -> Done:
    async def work(workspace: Workspace, _: ApiClient) -> Exchange | None:
        there = workspace.store.versions()
        if not there:
            return None
        serial = there[pick % len(there)].serial
        command = "reconciler state history --restore"
        return _exchange(life, team, workspace, lambda: workspace.store.version(serial), command, force=True)

    return commands.start(life, runner, "restore", work)


def _exchange(
    life: Life, team: Team, workspace: Workspace, given: Callable[[], State], command: str, *, force: bool
) -> Exchange:
    def confirm(exchange: Exchange) -> None:
        life.figures["states pushed"] += 1
        if force and exchange.old.projects != exchange.new.projects:
            team.lost = True
            life.world.tell(team.name, "puts an older state in the place of its own")

    return replace_state(workspace, given, force=force, confirm=confirm, command=command, lock_timeout=5.0)


def recovers(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """`state recover`, perhaps after the state was lost."""
    if more["loses"] and not people.lose(life, team, {}):
        return False
    _killed(life, more, commands.start(life, life.runner_of(team), "recover", recover_work(life, team, more["asks"])))
    return True


def recover_work(life: Life, team: Team, asks: bool = True) -> Work:
    """`state recover` by people who know what is theirs; or, where it asks nobody, without what it can't tell."""
    ids, wanted = life.ids(team), desired(team)

    async def work(workspace: Workspace, api: ApiClient) -> Any:
        return await recover_state(
            workspace,
            api,
            wanted,
            choose=lambda finding: next(
                (p for p in finding.candidates if asks and p.id == ids.get(finding.address)), None
            ),
            confirm=lambda findings: all(f.entry is None or f.entry.project_id == ids.get(f.address) for f in findings),
            lock_timeout=5.0,
        )

    return work


_killed: Final = people._killed
ACTS: Final[dict[str, Callable[[Life, Team, dict[str, Any]], object]]] = {
    "destroys": destroys,
    "replaces": replaces,
    "targets": targets,
    "pushes": pushes,
    "recovers": recovers,
}
