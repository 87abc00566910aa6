"""One life: the world of a course, what its actors do there, the calm at its end, and the judgement."""

from __future__ import annotations

import errno
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.state.local import LocalStateStore
from reconciler.adapters.state.remote import RemoteStateStore
from reconciler.model.config import Config, Limits, Policy
from reconciler.model.desired import CreateOrigin, Desired, DesiredMessage, DesiredProject, Lifecycle, Moved
from reconciler.model.errors import LockError, ReconcilerError
from reconciler.model.events import ApplyResult, Event, Recovered, StepEnded, StepStarted
from reconciler.model.plan import Plan
from reconciler.model.redact import Redactor
from reconciler.model.state import State
from reconciler.model.values import Revealed, Secret, secret_digest
from reconciler.operations.apply.run import Interrupted, Options
from reconciler.operations.state.edits import bind, decide, recover_state, rename
from reconciler.operations.workflows import ApplyRequest, PlanRefusedError, Workspace, apply, plan
from reconciler.planning.planner import Selection
from reconciler.model.contract_tables import Contract
from reconciler.sandbox import agent, database
from reconciler.sandbox import store as sandbox
from tests.simulation.clockwork import EPOCH, Killed, Process, World, run_coroutine
from tests.simulation.course import Act, Course
from tests.simulation.disk import Disk
from tests.simulation.edges import simulated
from tests.simulation.object_store import Bucket
from tests.simulation.wire import URL, Server, Weather, WiredClient

KEY: Final = "es_live_simulated_0123456789abcdef"
SECRET: Final = "hush-0123456789-token"
LONGEST: Final = 4000.0
"""Virtual seconds that one command may take, with all that may hold it up."""
CALM_APPLIES: Final = 6
ENDS: Final = ("cancelled", "failed")


class Thing(Struct):
    """A project that people want: its names (the last one is the address), its messages, and what it may cost."""

    names: list[str]
    brief: str
    settings: dict[str, Any]
    words: list[str] = field(default_factory=list)
    rights: int = 1
    """How many projects may be bought for it at most."""
    lifecycle: Lifecycle = Lifecycle()
    removed: bool = False
    cancelled: bool = False
    after: str | None = None
    secret: bool = False

    @property
    def address(self) -> str:
        return self.names[-1]


class Team(Struct):
    """A workspace and its people."""

    name: str
    identity: str
    things: list[Thing] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    copies: list[dict[str, bytes]] = field(default_factory=list)
    lost: bool = False
    """Whether its state was lost or replaced, so that findings may be left for people."""
    findable: bool = True
    """Whether a lost state can be found again: nothing was renamed, removed or rewritten."""

    def wanted(self) -> list[Thing]:
        return [thing for thing in self.things if not thing.removed]


class Done(Struct):
    """How a command ended."""

    kind: str
    process: Process
    result: Any = None
    error: BaseException | None = None
    holds: Callable[[], bool] = lambda: False
    """Whether it believes that it has the lock."""
    began: float = 0.0
    ended: float = 0.0


class Life:
    """``broken`` has what must not be, in sentences; ``seen`` the tuples that the coverage counts."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.world = World(course.seed)
        self.broken: list[str] = []
        self.seen: Counter[tuple[str, str, str, str]] = Counter()
        self.figures: Counter[str] = Counter()
        self.calm = False
        self.foreign: set[str] = set()
        self.typed: Counter[tuple[str, str]] = Counter()
        self.touched: set[str] = set()
        """Projects that people stopped, so that findings about them are theirs."""
        self._names = 0
        self._runs = 0
        self._running: dict[int, Done] = {}
        self._phase: dict[tuple[str, str], str] = {}
        self.secret_seen = False
        self.altered = bool(course.server.get("message_habits") or course.server.get("message_max"))
        self.forgetful = False
        self.storms = False

    # ── the world ───────────────────────────────────────────────────────────────────────────────────────────────────

    def live(self) -> Life:
        course, world = self.course, self.world
        machines = [Disk(world, f"machine-{n}") for n in range(len(course.runners) if course.remote else course.workspaces)]
        self.disks = machines
        self.bucket = Bucket(world, skew=course.skews[-1] if course.skews else 0.0)
        with simulated(world, lambda process: self.disk_of(process), self.bucket), opened(world, course) as store:
            self.store = store
            self.server = Server(world, store, KEY)
            self.server.watch = self.departs
            self.server.told = self.disturbed
            self.server.weather = Weather(shares=course.wire)
            self.teams = [self._team(number) for number in range(course.workspaces)]
            self._disk_of: dict[int, Disk] = {}
            self._trouble()
            self._play()
        return self

    def _team(self, number: int) -> Team:
        name, environment = f"team{number}", self.course.environment
        return Team(name=name, identity=f"{name}@{environment}" if environment else name)

    def disk_of(self, process: Process) -> Disk:
        return self._disk_of[process.number]

    def _trouble(self) -> None:
        course = self.course
        for disk in self.disks:
            chance = self.world.chance(f"trouble {disk.name}")

            def trouble(what: str, chance: Any = chance) -> int:
                if self.calm or not course.disk:
                    return 0
                draw = chance.random()
                for name in ("ENOSPC", "EIO"):
                    draw -= course.disk.get(name, 0.0)
                    if draw < 0:
                        self._note(self.world.process.name, name)
                        return int(getattr(errno, name))
                return 0

            disk.trouble = trouble
            if "slow" in course.disk:
                disk.seconds = lambda chance=chance: 0.0 if self.calm else 2.0 * chance.random() ** 3
        chance = self.world.chance("trouble store")

        def store_trouble(what: str) -> str:
            if self.calm or not course.store:
                return ""
            draw = chance.random()
            for name, share in course.store.items():
                draw -= share
                if draw < 0:
                    self._note(self.world.process.name, f"store {name}")
                    return name
            return ""

        self.bucket.trouble = store_trouble

    def _play(self) -> None:
        from tests.simulation.judge import judge

        world = self.world
        for act in self.course.acts:
            world.at(act.at, lambda act=act: self._do(act))
        last = max((act.at for act in self.course.acts), default=0.0)
        world.run(lambda: world.now >= last and self._idle(), latest=last + LONGEST)
        world.pass_(0.01)
        if not self._idle():
            names = [done.process.name for done in self._running.values() if not done.process.over]
            self.fail(f"{names} did not end within {LONGEST:.0f} virtual seconds")
            for done in self._running.values():
                done.process.kill("given up")
            world.pass_(1.0)
        judge(self)

    def _idle(self) -> bool:
        return all(done.process.over for done in self._running.values())

    def fail(self, what: str) -> None:
        self.world.tell("JUDGE", what)
        self.broken.append(what)

    # ── acts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _do(self, act: Act) -> None:
        team = self.teams[act.who] if act.what not in ("apply",) and act.who < len(self.teams) else None
        if act.what == "apply":
            if act.who < len(self.course.runners):
                self.begin_apply(act.who, act.more)
            return
        if team is None:
            return
        method: Callable[[Team, dict[str, Any]], object] = getattr(self, f"do_{act.what.replace(' ', '_')}")
        before = len(self.world.log)
        done = method(team, act.more)
        if done is not False and len(self.world.log) == before:
            self.world.tell(team.name, str(Act(act.at, act.what, act.who, act.more)))

    def _pick(self, team: Team, more: dict[str, Any]) -> Thing | None:
        wanted = team.wanted()
        return wanted[more.get("pick", 0) % len(wanted)] if wanted else None

    def do_add(self, team: Team, more: dict[str, Any]) -> None:
        self._names += 1
        name = f"p{self._names}"
        brief = more["brief"] if more.get("twin") else f"{name}: {more['brief']}"
        if more.get("fails"):
            brief += " [fail]"
        settings = {} if more["title"] is None else {"title": more["title"]}
        thing = Thing(
            names=[name],
            brief=brief.strip(),
            settings=settings,
            lifecycle=Lifecycle(on_remove=more["on_remove"]),
            secret=bool(more.get("secret")),
        )
        if more.get("after") and team.wanted():
            thing.after = team.wanted()[0].address
        team.things.append(thing)
        self.world.tell(team.name, f"adds {name}: {thing.brief[:40]!r}, {len(more['words'])} messages")
        for words in more["words"]:
            self._say(thing, words)

    def _say(self, thing: Thing, words: str) -> None:
        self._names += 1
        thing.words.append(f"m{self._names} {words}")

    def do_say(self, team: Team, more: dict[str, Any]) -> bool:
        thing = self._pick(team, more)
        if thing is None:
            return False
        self._say(thing, more["words"])
        self.world.tell(team.name, f"{thing.address} gets message {thing.words[-1]!r}")
        return True

    def do_set(self, team: Team, more: dict[str, Any]) -> bool:
        thing = self._pick(team, more)
        if thing is None:
            return False
        thing.settings = {"title": f"{more['title']} {thing.names[0]}", "craft": more["craft"]}
        self.world.tell(team.name, f"{thing.address} gets {thing.settings}")
        return True

    def do_rewrite(self, team: Team, more: dict[str, Any]) -> bool:
        thing = self._pick(team, more)
        if thing is None:
            return False
        self._names += 1
        thing.brief = f"v{self._names}: {more['brief']}".strip()
        thing.rights += 1
        team.findable = False
        self.world.tell(team.name, f"{thing.address} gets another brief")
        return True

    def do_rename(self, team: Team, more: dict[str, Any]) -> bool:
        thing = self._pick(team, more)
        if thing is None:
            return False
        self._names += 1
        team.moved.append((thing.address, f"p{self._names}"))
        for other in team.things:
            if other.after == thing.address:
                other.after = f"p{self._names}"
        thing.names.append(f"p{self._names}")
        team.findable = False
        self.world.tell(team.name, f"{thing.names[-2]} is renamed {thing.address}")
        return True

    def do_remove(self, team: Team, more: dict[str, Any]) -> bool:
        thing = self._pick(team, more)
        if thing is None:
            return False
        thing.removed = True
        for other in team.things:
            if other.after == thing.address:
                other.after = None
        team.findable = False
        self.world.tell(team.name, f"{thing.address} leaves the specs ({thing.lifecycle.on_remove})")
        return True

    def do_cancel(self, team: Team, more: dict[str, Any]) -> bool:
        thing = self._pick(team, more)
        if thing is None:
            return False
        thing.cancelled = True
        team.findable = False
        self.world.tell(team.name, f"{thing.address} is to be cancelled")
        return True

    # people

    def _project(self, team: Team, more: dict[str, Any]) -> dict[str, Any] | None:
        ours = [p for p in self.store.projects() if p["id"] not in self.foreign]
        return ours[more["pick"] % len(ours)] if ours else None

    def do_types(self, team: Team, more: dict[str, Any]) -> bool:
        project = self._project(team, more)
        if project is None:
            return False
        self._names += 1
        words = f"t{self._names} {more['words']}"
        self.store.person_writes(project["id"], words)
        self.world.tell("person", f"types {words!r} to {project['id']}")
        return True

    def do_titles(self, team: Team, more: dict[str, Any]) -> bool:
        project = self._project(team, more)
        if project is None:
            return False
        self.store.person_sets(project["id"], title=f"Theirs {more['title']}")
        self.world.tell("person", f"renames {project['id']}")
        team.findable = False
        return True

    def do_stops(self, team: Team, more: dict[str, Any]) -> bool:
        project = self._project(team, more)
        if project is None or project["status"] in ENDS:
            return False
        self.store.set_status(project["id"], more["status"])
        if more["status"] in ENDS:
            self.touched.add(project["id"])
            team.findable = False
        self.world.tell("person", f"{project['id']} is {more['status']}")
        return True

    def do_creates(self, team: Team, more: dict[str, Any]) -> None:
        made = self.store.person_creates(brief=f"theirs: {more['brief']}", title=more["title"])
        self.foreign.add(made)
        self.world.tell("person", f"creates {made}")

    # the state

    def busy(self, team: Team) -> bool:
        number = self.teams.index(team)
        return any(
            self.course.runners[runner] == number and not done.process.over for runner, done in self._running.items()
        )

    def do_lose(self, team: Team, more: dict[str, Any]) -> bool:
        if self.busy(team) or not team.findable or self.altered or team.lost:
            return False
        team.copies.clear()
        team.lost = True
        for path in list(self.bucket.objects):
            if path.startswith(self.place(team)):
                del self.bucket.objects[path]
        if not self.course.remote:
            self.disks[self.teams.index(team)].put_back({})
        self.world.tell(team.name, "the state is lost")
        self.figures["states lost"] += 1
        return True

    def do_old_copy(self, team: Team, more: dict[str, Any]) -> bool:
        """A copy is kept now; the next time, it is put back."""
        if self.busy(team) or self.course.remote or self.altered or not team.findable:
            return False
        disk = self.disks[self.teams.index(team)]
        state = f"{self.root(team)}/reconciler.state.json"
        if not team.copies:
            team.copies.append({path: data for path, data in disk.texts() if path == state})
            self.world.tell(team.name, "keeps a copy of the state")
            return True
        team.lost = True
        disk.put_back(team.copies.pop())
        self.world.tell(team.name, "puts the old copy of the state back")
        self.figures["old copies put back"] += 1
        return True

    def do_unlock(self, team: Team, more: dict[str, Any]) -> bool:
        """`state unlock`, by somebody who sees that no run is there."""
        if self.busy(team) or not self.course.remote:
            return False
        self.command(self._runner_of(team), "unlock", lambda w, _: _awaited(w.store.unlock(lambda _: True)))
        return True

    def do_mv(self, team: Team, more: dict[str, Any]) -> bool:
        """`state mv`, and the specs with it."""
        thing = self._pick(team, more)
        if thing is None or self.busy(team):
            return False
        old, self._names = thing.address, self._names + 1
        new = f"p{self._names}"
        runner = self._runner_of(team)
        done = self.command(runner, "state mv", lambda w, _: _awaited(rename(w, old, new, lock_timeout=0.0)))

        def follow() -> None:
            if done.error is None and not done.process.dead:
                thing.names.append(new)
                team.findable = False
                for other in team.things:
                    if other.after == old:
                        other.after = new

        done.process.fibers[0].on_end.append(follow)
        return True

    def do_plan(self, team: Team, more: dict[str, Any]) -> None:
        self.plan(self._runner_of(team), self.desired(team))

    # the server

    def do_storm(self, team: Team, more: dict[str, Any]) -> None:
        self.storms = True
        self.server.weather.storm = more["storm"]
        self.server.weather.storm_until = self.world.now + more["seconds"]
        self.world.tell("network", f"{more['storm']} for {more['seconds']:.0f} s")

    def do_habits(self, team: Team, more: dict[str, Any]) -> None:
        self.altered = True
        self.store.change({"message_habits": more["message_habits"]})
        self.world.tell("server", f"from now on: {more['message_habits']}")

    def do_cursors(self, team: Team, more: dict[str, Any]) -> None:
        self.forgetful = True
        self.store.forget_cursors()
        self.world.tell("server", "forgets cursors")

    # ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────

    def root(self, team: Team) -> str:
        return f"/{team.name}"

    def place(self, team: Team) -> str:
        return f"s3://bucket/{team.name}"

    def _runner_of(self, team: Team) -> int:
        return self.course.runners.index(self.teams.index(team))

    def desired(self, team: Team) -> Desired:
        """What the specs say now."""
        projects = {}
        for thing in team.wanted():
            settings: dict[str, Any] = dict(thing.settings)
            if thing.secret:
                digest = secret_digest("", Revealed(f"https://hooks.example.com/{SECRET}"), (Revealed(SECRET),))
                settings["webhook_url"] = Secret(
                    template="https://hooks.example.com/${env.TOKEN}",
                    digest=digest,
                    value=Revealed(f"https://hooks.example.com/{SECRET}"),
                    parts=(Revealed(SECRET),),
                )
            projects[thing.address] = DesiredProject(
                thing.address,
                CreateOrigin({"brief": thing.brief}),
                settings=settings,
                messages=tuple(DesiredMessage(str(n + 1), {"message": words}) for n, words in enumerate(thing.words)),
                lifecycle=thing.lifecycle,
                cancelled=thing.cancelled,
                depends_on=(thing.after,) if thing.after else (),
            )
        moved = tuple(Moved(old, new) for old, new in team.moved)
        return Desired(team.name, projects, moved=moved)

    def workspace(self, team: Team, process: Process) -> Workspace:
        course = self.course
        config = Config(
            root=Path(self.root(team)),
            workspace=team.name,
            api_url=URL,
            environment=course.environment,
            state=f"{self.place(team)}" if course.remote else None,
            limits=Limits(
                active_projects=course.server.get("active_projects", 5) or 5,
                requests_per_minute=course.pace,
                settle_seconds=course.settle,
                lease_seconds=course.lease,
            ),
            policy=Policy(max_share=None, allowed_env=("TOKEN",)),
        )
        store: Any
        if course.remote:
            store = RemoteStateStore(
                self.place(team),
                version="0",
                spill=Path(self.root(team)) / ".reconciler" / "spill",
                lease_seconds=course.lease,
                note=lambda text: self.world.tell(process.name, text),
            )
        else:
            store = LocalStateStore(Path(self.root(team)) / "reconciler.state.json", version="0")
        return Workspace(
            config=config,
            store=store,
            version="0",
            env={"TOKEN": SECRET},
            redact=Redactor((SECRET, KEY)),
            now=process.stamp,
        )

    def process(self, runner: int, kind: str) -> Process:
        self._runs += 1
        skew = self.course.skews[runner] if self.course.skews else 0.0
        team = self.course.runners[runner]
        process = Process(self.world, f"{kind}{self._runs}.{team}", number=1000 + self._runs, skew=skew)
        self._disk_of[process.number] = self.disks[runner if self.course.remote else team]
        return process

    def command(self, runner: int, kind: str, work: Callable[[Workspace, ApiClient], Coroutine[Any, Any, Any]]) -> Done:
        """Start a command; it goes on as time passes."""
        process = self.process(runner, kind)
        team = self.teams[self.course.runners[runner]]
        done = Done(kind=kind, process=process, began=self.world.now)

        def main() -> None:
            try:
                workspace = self.workspace(team, process)
                done.holds = lambda: self._holds(workspace.store, process)

                async def go() -> Any:
                    client = WiredClient(
                        self.server,
                        process,
                        KEY,
                        limiter=RateLimiter(self.course.pace),
                        redact=workspace.redact,
                        on_retry=lambda text: self.world.tell(process.name, text),
                        guard=workspace.store.check,
                    )
                    async with client as api:
                        return await work(workspace, api)

                done.result = run_coroutine(go())
            except (ReconcilerError, KeyboardInterrupt, Interrupted) as error:
                done.error = error
            finally:
                done.ended = self.world.now
                self._report(done)

        self.world.tell(process.name, f"starts: {kind}")
        process.start(main)
        self._running[runner] = done
        return done

    def _holds(self, store: Any, process: Process) -> bool:
        if isinstance(store, LocalStateStore):
            return self.disk_of(process).locks.get(f"{store.path}.lock") is process
        lease = store._lease
        age = self.world.now - lease._since._steady
        return lease.held and lease._lost is None and age < lease._seconds - lease._margin

    def _report(self, done: Done) -> None:
        process = done.process
        if process.dead:
            return
        error = done.error
        if isinstance(error, ReconcilerError):
            diagnostics = error.diagnostics
            first = next((d for d in diagnostics if d.severity == "error"), diagnostics[0])
            text = f"{first.address or ''} {first.summary}".strip()
            self.world.tell(process.name, f"ends: {type(error).__name__}: {self.short(text)}")
            self._leaks("\n".join(f"{d.summary}\n{d.detail}" for d in diagnostics), process.name)
        elif error is not None:
            self.world.tell(process.name, f"ends: {type(error).__name__}")
        elif isinstance(done.result, ApplyResult):
            counts = ", ".join(f"{n} {name}" for name, n in sorted(done.result.counts.items()))
            self.world.tell(process.name, f"ends: {counts or 'nothing to do'}")

    def _leaks(self, text: str, where: str) -> None:
        for secret in (SECRET, KEY):
            if secret in text:
                self.fail(f"a secret is shown by {where}")

    @staticmethod
    def short(text: str) -> str:
        return " ".join(text.split())[:160]

    def run(self, runner: int, kind: str, work: Callable[[Workspace, ApiClient], Coroutine[Any, Any, Any]]) -> Done:
        """Start a command and let time pass until it has ended."""
        done = self.command(runner, kind, work)
        if not self.world.run(lambda: done.process.over, latest=self.world.now + LONGEST):
            self.fail(f"{done.process.name} did not end within {LONGEST:.0f} virtual seconds")
            done.process.kill("given up")
            self.world.pass_(1.0)
        for fiber in done.process.fibers:
            if fiber.error is not None and not isinstance(fiber.error, Killed):
                raise fiber.error
        return done

    def plan(self, runner: int, wanted: Desired) -> Done:
        async def work(workspace: Workspace, api: ApiClient) -> Plan:
            made, _ = await plan(workspace, api, wanted, Selection())
            return made

        return self.command(runner, "plan", work)

    def apply_work(
        self, wanted: Desired, process: Callable[[], Process], more: dict[str, Any]
    ) -> Callable[[Workspace, ApiClient], Coroutine[Any, Any, Any]]:
        import asyncio

        def emit(event: Event) -> None:
            self._event(process(), event)

        @contextmanager
        def waiting() -> Iterator[None]:
            it = process()
            it.interruptible = self.world.fiber
            try:
                yield
            finally:
                it.interruptible = None

        async def work(workspace: Workspace, api: ApiClient) -> Any:
            stop = process().stop = asyncio.Event()
            saved = None
            if more.get("saved"):
                saved, _ = await plan(workspace, api, wanted, Selection())
                if saved.errors:
                    raise PlanRefusedError(saved, saved.errors)
            request = ApplyRequest(
                desired=None if saved is not None else wanted,
                saved=saved,
                options=Options(
                    wait=more.get("wait", "steps"),
                    settle=self.course.settle,
                    active_limit=workspace.config.limits.active_projects,
                ),
                timeout=more.get("timeout"),
                lock_timeout=more.get("lock_timeout", 0.0),
                confirm=lambda _: True,
                waiting=waiting,
            )
            return await apply(workspace, api, request, emit=emit, stop=stop)

        return work

    def begin_apply(self, runner: int, more: dict[str, Any]) -> Done | None:
        if runner in self._running and not self._running[runner].process.over:
            return None
        team = self.teams[self.course.runners[runner]]
        done = self.command(runner, "apply", self.apply_work(self.desired(team), lambda: done.process, more))
        process, world = done.process, self.world
        process.kill_in = more.get("kill")
        if more.get("power"):
            disk = self.disk_of(process)
            process.on_death.append(lambda: self._power(disk))
        if "kill" in more:
            process.on_death.append(lambda: self._note(process.name, "killed"))
        if "interrupt" in more:
            world.after(more["interrupt"], lambda: self._interrupt(done, more))
        if "suspend" in more:

            def suspend() -> None:
                if not process.over:
                    self._note(process.name, "suspended")
                process.suspend(more["suspended"])

            world.after(more["suspend"], suspend)
        return done

    def _power(self, disk: Disk) -> None:
        """The machine goes down, with all that runs on it."""
        for done in self._running.values():
            if self.disk_of(done.process) is disk:
                done.process.kill("dies with its machine")
        disk.lose_power()

    def _interrupt(self, done: Done, more: dict[str, Any]) -> None:
        process, world = done.process, self.world
        if process.over:
            return
        self._note(process.name, "interrupted")
        process.interrupt()
        asked = world.now
        if "again" in more:
            world.after(more["again"], process.interrupt)

        def late() -> None:
            if not process.over and not process.dead and process.held_until < asked:
                self.fail(f"{process.name} runs 60 s after it was interrupted")

        if "slow" not in self.course.disk and not self.course.store:
            world.after(60.0, late)

    # ── what is seen ────────────────────────────────────────────────────────────────────────────────────────────────

    def _event(self, process: Process, event: Event) -> None:
        match event:
            case StepStarted(step=step):
                self._phase[process.name, step.address] = step.action
            case StepEnded(step=step, outcome=outcome, note=note, error=error):
                self._phase.pop((process.name, step.address), None)
                why = error.summary if error else note
                self.world.tell(process.name, f"{step.address} {step.action}: {outcome} {self.short(why)}".rstrip())
                self.figures[f"steps {outcome}"] += 1
                self._leaks(f"{why}{error.detail if error else ''}", process.name)
            case Recovered(address=address, kind=kind, result=result, note=note):
                self.world.tell(process.name, f"{address} recovered {kind}: {result} {self.short(note)}".rstrip())
                self.figures[f"recovered {result}"] += 1

    def _note(self, name: str, disturbance: str) -> None:
        """Count what a disturbance met: the kinds of step that were under way, and in which phase."""
        self.figures[disturbance] += 1
        actions = sorted({action for (process, _), action in self._phase.items() if process == name})
        for action in actions or ["none"]:
            self.seen[action, "under way" if action != "none" else "between", disturbance, name.rstrip("0123456789.")] += 1

    def disturbed(self, process: Process, method: str, path: str, fate: str) -> None:
        kind = path.rpartition("/")[2] if path.count("/") > 2 else "projects"
        self.seen[f"{method} {kind}", "request", fate, process.name.rstrip("0123456789.")] += 1

    def ids(self, team: Team) -> dict[str, str]:
        """The newest project of each address, as the account knows it."""
        found = {}
        made = {e.idempotency_key: e.project_id for e in self.store.ledger() if e.kind == "create"}
        for thing in team.wanted():
            for name in thing.names:
                keys = [k for k in made if k and k.startswith(f"{team.identity}/{name}/")]
                if keys:
                    found[thing.address] = made[max(keys, key=lambda k: int(k.rpartition("/")[2]))]
        return found

    def departs(self, process: Process, method: str, path: str) -> None:
        """A request that changes something leaves: only the holder of the lock may do that."""
        team = int(process.name.rpartition(".")[2])
        self.figures["changing requests"] += 1
        for runner, done in self._running.items():
            other = done.process
            if other is process or self.course.runners[runner] != team:
                continue
            if not (other.over or other.dead) and other.held_until <= self.world.now and done.holds():
                self.fail(f"{process.name} changes the account while {other.name} has the lock")


async def _awaited(value: Any) -> Any:
    return value


# ── the account ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_EMPTY: list[bytes] = []
"""The tables of an account, made once."""


def _connect(path: Path | str, api: Contract) -> sqlite3.Connection:
    if not _EMPTY:
        _EMPTY.append(_real_connect(path, api).serialize())
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.deserialize(_EMPTY[0])
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous=OFF")
    return connection


_real_connect = database.connect


@contextmanager
def opened(world: World, course: Course) -> Iterator[sandbox.Store]:
    """The account of a life."""
    skew = course.skews[-2] if course.skews else 0.0
    database.connect = _connect
    try:
        options = sandbox.Options(**course.server)
        store = sandbox.Store(":memory:", options=options, clock=lambda: EPOCH + world.now + skew)
    finally:
        database.connect = _real_connect
    chance = world.chance("blobs")
    store._db.create_function("randomblob", 1, lambda count: chance.randbytes(count))
    try:
        yield store
    finally:
        store.close()


__all__ = ["Done", "Life", "State", "Team", "Thing", "agent", "bind", "decide", "recover_state", "replace", "sqlite3"]
