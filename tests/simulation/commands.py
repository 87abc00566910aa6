"""Commands of the program that people run in a life: what each gets, how it is disturbed, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import Struct, field

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.state.local import LocalStateStore
from reconciler.adapters.state.remote import RemoteStateStore
from reconciler.cli.other_environments import read_elsewhere
from reconciler.model.claim import Claimant
from reconciler.model.config import Account, Config, Limits, Policy
from reconciler.model.desired import Desired
from reconciler.model.errors import ConfigError, Diagnostic, ReconcilerError
from reconciler.model.events import ApplyResult, Event
from reconciler.model.plan import Plan
from reconciler.model.redact import Redactor
from reconciler.operations.apply import workflow
from reconciler.operations.apply.run import Interrupted, Options
from reconciler.operations.read import plan as reading
from reconciler.operations.workspace import StateStore, Workspace
from reconciler.planning.planner import Selection
from tests.simulation import films, saved
from tests.simulation.clockwork import Process, run_coroutine
from tests.simulation.disk import Disk, SharedDocument
from tests.simulation.specs import KEYS, SECRET, desired
from tests.simulation.teams import Team, Thing
from tests.simulation.wire import URL, Server, WiredClient

if TYPE_CHECKING:
    from reconciler.cli.console import Console
    from tests.simulation.life import Life


REDACT: Final = Redactor((SECRET, *KEYS))
AGAIN: Final = ("wait", "plan", "target", "destroy", "pull_request")
"""What people say again when they repeat a command that was killed."""
UPLOAD: Final = 30.0
"""Seconds that a file which is being sent may wait for the storage, whatever the time."""
LATE: Final = 25.0
"""Seconds beyond its `--timeout` after which an apply has ended: twice the grace of a call that was sent, and the saving."""


class Done(Struct):
    """How a command ended."""

    kind: str
    process: Process
    team: int = 0
    result: Any = None
    error: BaseException | None = None
    warned: list[Diagnostic] = field(default_factory=list)
    """What it said of files that are written and may be lost."""
    holds: Callable[[], bool] = lambda: False
    """Whether it believes that it has the lock."""
    began: float = 0.0
    ended: float = 0.0


def _config(life: Life, team: Team) -> Config:
    course = life.course
    pin = life.pins.get(team.account)
    return Config(
        root=Path(life.root(team)),
        workspace=team.workspace,
        api_url=URL,
        environment=team.environment,
        environments=course.environments,
        account=None if pin is None else Account(project=pin),
        state=f"{life.place(team)}" if course.remote else None,
        limits=Limits(
            active_projects=course.server.get("active_projects", 5) or 5,
            requests_per_minute=course.pace,
            settle_seconds=course.settle,
            lease_seconds=course.lease,
        ),
        policy=Policy(max_share=None, allowed_env=("TOKEN",)),
    )


def store_of(life: Life, team: Team, process: Process, warn: Callable[[Diagnostic], None]) -> StateStore:
    if not life.course.remote:
        return LocalStateStore(Path(life.state(team)), version="0", warn=warn)
    return RemoteStateStore(
        life.place(team),
        version="0",
        spill=Path(life.root(team)) / ".reconciler" / "spill",
        lease_seconds=life.course.lease,
        note=lambda text: life.world.tell(process.name, text),
    )


def _workspace(life: Life, team: Team, process: Process, warn: Callable[[Diagnostic], None]) -> Workspace:
    config = _config(life, team)

    def of(environment: str | None) -> Team:
        for other in life.teams:
            if other.workspace == team.workspace and other.environment == environment:
                return other
        raise ConfigError("there is no state without an environment")

    folder = SimpleNamespace(
        state=SimpleNamespace(
            config=lambda environment: _config(life, of(environment)),
            store=lambda config: store_of(life, of(config.environment), process, warn),
        )
    )
    elsewhere_now = partial(read_elsewhere, cast("Console", folder), config)
    return Workspace(
        config=config,
        store=store_of(life, team, process, warn),
        version="0",
        env={"TOKEN": SECRET},
        redact=REDACT,
        now=process.stamp,
        media=lambda: films.client(life, life.server_of(team), process),
        elsewhere=cache(elsewhere_now),
        elsewhere_now=elsewhere_now,
    )


def _process(life: Life, runner: int, kind: str) -> Process:
    life.runs += 1
    skew = life.course.skews[runner] if life.course.skews else 0.0
    team = life.course.runners[runner]
    process = Process(life.world, f"{kind}{life.runs}.{team}", number=1000 + life.runs, skew=skew)
    life.machines[process.number] = life.machine(runner)
    process.on_death.append(lambda: films.look(life, f"where {process.name} dies"))
    return process


Work = Callable[[Workspace, ApiClient], Coroutine[Any, Any, Any]]


def start(life: Life, runner: int, kind: str, work: Work, *, server: Server | None = None) -> Done:
    """Start a command; it goes on as time passes. ``server``: by mistake with the key of that account."""
    process = _process(life, runner, kind)
    life.turns += 1
    team = life.teams[life.course.runners[runner]]
    server = server or life.server_of(team)
    if server is not life.server_of(team):
        life.strangers.add(process.number)
    done = Done(kind=kind, process=process, team=life.course.runners[runner], began=life.world.now)

    def main() -> None:
        try:
            workspace = _workspace(life, team, process, done.warned.append)
            done.holds = lambda: _holds(life, workspace.store, process)

            async def go() -> Any:
                client = WiredClient(
                    server,
                    process,
                    limiter=RateLimiter(life.course.pace, SharedDocument(life.disk_of(process), server.key)),
                    redact=workspace.redact,
                    on_retry=lambda text: life.world.tell(process.name, text),
                    guard=workspace.store.check,
                )
                async with client as api:
                    for _ in range(life.course.reads):
                        await api.list_projects()
                        await api.credits(needed=False)
                    return await work(workspace, api)

            done.result = run_coroutine(go())
        except (ReconcilerError, KeyboardInterrupt, Interrupted) as error:
            done.error = error
        except Exception as error:  # noqa: BLE001  nothing else may reach the user
            if not process.dead:
                life.fail(f"{process.name} ends with a traceback: {type(error).__name__}: {error}")
                done.error = error
        finally:
            done.ended = life.world.now
            films.look(life, f"where {process.name} ends")
            _report(life, done)

    life.world.tell(process.name, f"starts: {kind}")
    process.start(main)
    life.running = [*(each for each in life.running if not each.process.over), done]
    return done


def _holds(life: Life, store: Any, process: Process) -> bool:
    if isinstance(store, LocalStateStore):
        return life.disk_of(process).locks.get(f"{store.path}.lock") is process
    lease = store._lease
    age = life.world.now - lease._since._steady
    return lease.held and lease._lost is None and age < lease._seconds - lease._margin


def _report(life: Life, done: Done) -> None:
    process = done.process
    if process.dead:
        return
    error = done.error
    _unsynced(life, done)
    if isinstance(error, ReconcilerError):
        diagnostics = error.diagnostics
        first = next((d for d in diagnostics if d.severity == "error"), diagnostics[0])
        text = f"{first.address or ''} {first.summary}".strip()
        life.world.tell(process.name, f"ends: {type(error).__name__}: {life.short(text)}")
        life.leaks("\n".join(f"{d.summary}\n{d.detail}" for d in diagnostics), process.name)
    elif error is not None:
        life.world.tell(process.name, f"ends: {type(error).__name__}")
    elif isinstance(done.result, ApplyResult):
        counts = ", ".join(f"{n} {name}" for name, n in sorted(done.result.counts.items()))
        life.world.tell(process.name, f"ends: {counts or 'nothing to do'}")


def _unsynced(life: Life, done: Done) -> None:
    """A state that was written, but may be lost, is warned of and called neither failed nor safe."""
    name = done.process.name
    said = [found.summary for found in done.warned]
    for summary in said:
        life.world.tell(name, f"warns: {summary}")
    lost = life.disk_of(done.process).unsynced.pop(done.process, [])
    if [path for path in lost if path.endswith((".state.json", ".claim.json"))] != [
        summary.split("`")[1] for summary in said
    ]:
        life.fail(f"{name} warns {said}, and what may be lost is {lost}")
    failed = [d.summary for d in done.error.diagnostics] if isinstance(done.error, ReconcilerError) else []
    for path in lost:
        if any(summary.startswith(f"can't write `{path}`") for summary in failed):
            life.fail(f"{name} says that it could not write {path}, which is written")


def plan(life: Life, runner: int, wanted: Desired) -> Done:
    async def work(workspace: Workspace, api: ApiClient) -> Plan:
        made, _ = await reading.plan(workspace, api, wanted, Selection())
        return made

    return start(life, runner, "plan", work)


def apply_work(
    life: Life,
    wanted: Desired,
    reread: Callable[[], Desired],
    process: Callable[[], Process],
    more: dict[str, Any],
    selection: Selection,
) -> Work:
    """What an apply does, of a saved ``plan`` where there is one in ``more``."""

    def emit(event: Event) -> None:
        life.happened(process(), event)

    @contextmanager
    def waiting() -> Iterator[None]:
        it = process()
        it.interruptible = life.world.fiber
        try:
            yield
        finally:
            it.interruptible = None

    async def work(workspace: Workspace, api: ApiClient) -> Any:
        made = more.get("plan")
        if more.get("saved") and made is None:  # by a command of its own, which a signal ends at once
            made, _ = await reading.plan(workspace, api, wanted, selection)
            if made.errors:
                raise workflow.PlanRefusedError(made, made.errors)
            more["plan"] = made
        stop = process().stop = asyncio.Event()
        request = workflow.ApplyRequest(
            desired=None if made is not None else wanted,
            reread=reread,
            saved=made,
            selection=selection,
            options=Options(
                wait=more.get("wait", "steps"),
                settle=life.course.settle,
                active_limit=workspace.config.limits.active_projects,
            ),
            timeout=more.get("timeout"),
            lock_timeout=more.get("lock_timeout", 0.0),
            claimant=Claimant(pull_request=more["pull_request"]) if more.get("pull_request") else None,
            confirm=lambda _: True,
            waiting=waiting,
        )
        result = await workflow.apply(workspace, api, request, emit=emit, stop=stop)
        if result.plan.downloads and not result.interrupted:
            team = life.teams[int(process().name.rpartition(".")[2])]
            films.heard(life, process().name, await films.deliver(life, team, workspace, api, result, stop=stop))
        return result

    return work


def apply(life: Life, runner: int, kind: str, more: dict[str, Any]) -> Done:
    """Start an apply of what the specs say now."""
    team = life.teams[life.course.runners[runner]]
    selection = Selection(
        targets=frozenset(more["target"]) if more.get("target") else None,
        replace=frozenset(more.get("replace", ())),
        destroy=more.get("destroy", False),
    )
    work = apply_work(life, desired(team), lambda: desired(team), lambda: done.process, more, selection)
    done = start(life, runner, kind, work)
    return done


def begin_apply(life: Life, runner: int, more: dict[str, Any]) -> Done:
    """Start an apply, and what will disturb it."""
    more = dict(more)
    alone = all(each.process.over for each in life.running)
    done = apply(life, runner, "destroy" if more.get("destroy") else "apply", more)
    process, world, turns = done.process, life.world, life.turns
    if more.get("pull_request"):
        life.claimants[process.number] = more["pull_request"]
    if more.get("destroy"):
        team = life.teams[done.team]
        before = [(thing, thing.rights) for thing in team.wanted()]
        process.on_death.append(lambda: _cut_short(before))
    process.kill_in = more.get("kill")
    if "kill_sent" in more:
        life.kill_sent[process.number] = (more["kill_sent"], more["kill_after"], more.get("sent_late", False))
    if "pause_before" in more:
        life.pauses[process.number] = (more["pause_before"], more["paused"])
    if "retry" in more:

        def begin() -> None:
            life.retries -= 1
            unchanged = alone and life.turns == turns
            again = begin_apply(life, runner, {name: more[name] for name in AGAIN if name in more})
            if unchanged and "plan" in more:
                saved.goes_on(life, done, again, more["plan"])

        def retry() -> None:
            life.retries += 1
            world.after(more["retry"], begin)

        process.on_death.append(retry)
    if more.get("power"):
        disk = life.disk_of(process)
        process.on_death.append(lambda: _power(life, disk))
    if "kill" in more or "kill_sent" in more:
        process.on_death.append(lambda: life.note(process.name, "killed"))
    if "interrupt" in more:
        world.after(more["interrupt"], lambda: _interrupt(life, done, more))
    if "timeout" in more and not (
        more.get("saved") or "suspend" in more or life.course.store or life.course.disk or life.course.films
    ):
        late = LATE + (UPLOAD if life.course.pictures else 0.0)
        world.after(more["timeout"] + late, lambda: _late(life, done))
    if "suspend" in more:

        def suspend() -> None:
            if not process.over:
                life.note(process.name, "suspended")
            process.suspend(more["suspended"])

        world.after(more["suspend"], suspend)
    return done


def _cut_short(before: list[tuple[Thing, int]]) -> None:
    """What a `destroy` that was killed has let go, perhaps unheard, is wanted again."""
    for thing, rights in before:
        thing.rights += thing.rights == rights


def _late(life: Life, done: Done) -> None:
    if not (done.process.over or done.process.dead):
        life.fail(f"{done.process.name} runs long after its time was up")


def _power(life: Life, disk: Disk) -> None:
    """The machine goes down, with all that runs on it."""
    for done in life.running:
        if life.disk_of(done.process) is disk:
            done.process.kill("dies with its machine")
    disk.lose_power()
    films.look(life, "after power failed")


def _interrupt(life: Life, done: Done, more: dict[str, Any]) -> None:
    process, world = done.process, life.world
    if process.over:
        return
    life.note(process.name, "interrupted")
    process.interrupt()
    asked = world.now
    if "again" in more:
        world.after(more["again"], process.interrupt)

    def late() -> None:
        if not process.over and not process.dead and process.held_until < asked:
            life.fail(f"{process.name} runs 60 s after it was interrupted")

    if "slow" not in life.course.disk and not life.course.store:
        world.after(60.0, late)
