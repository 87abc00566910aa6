"""One life: the world of a course, what its actors do there, the calm at its end, and the judgement."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.state.local import LocalStateStore
from reconciler.adapters.state.remote import RemoteStateStore
from reconciler.model.config import Config, Limits, Policy
from reconciler.model.desired import CreateOrigin, Desired, DesiredMessage, DesiredProject, Moved
from reconciler.model.errors import ReconcilerError
from reconciler.model.events import ApplyResult, Event, Recovered, StepEnded, StepStarted
from reconciler.model.plan import Plan
from reconciler.model.redact import Redactor
from reconciler.model.values import Revealed, Secret, secret_digest
from reconciler.operations.apply.run import Interrupted, Options
from reconciler.operations.apply.workflow import ApplyRequest, PlanRefusedError, apply
from reconciler.operations.read.plan import plan
from reconciler.operations.workspace import Workspace
from reconciler.planning.planner import Selection
from tests.simulation import people
from tests.simulation.account import opened
from tests.simulation.clockwork import Process, World, run_coroutine
from tests.simulation.course import Act, Course
from tests.simulation.disk import Disk
from tests.simulation.edges import simulated
from tests.simulation.object_store import Bucket
from tests.simulation.people import Team
from tests.simulation.wire import URL, Server, Weather, WiredClient

KEY: Final = "es_live_simulated_0123456789abcdef"
SECRET: Final = "hush-0123456789-token"
LONGEST: Final = 4000.0
"""Virtual seconds that one command may take, with all that may hold it up."""
CALM_APPLIES: Final = 6


class Done(Struct):
    """How a command ended."""

    kind: str
    process: Process
    team: int = 0
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
        self._kill_sent: dict[int, tuple[int, float, bool]] = {}
        """Processes to kill so many seconds after their changing request of this number left."""
        self._left: Counter[str] = Counter()
        """Changing requests that left, by call."""
        self._retries = 0
        """Applies that somebody is about to start."""
        self.names = 0
        self._runs = 0
        self.running: list[Done] = []
        self._phase: dict[tuple[str, str], str] = {}
        self.secret_seen = False
        self.altered = bool(course.server.get("message_habits") or course.server.get("message_max"))
        self.forgetful = False
        self.storms = False
        self.begin: Callable[[], None] = lambda: None
        """Called once the edges are replaced: for tests that change the program."""

    # ── the world ───────────────────────────────────────────────────────────────────────────────────────────────────

    def live(self) -> Life:
        course, world = self.course, self.world
        machines = [
            Disk(world, f"machine-{n}") for n in range(len(course.runners) if course.remote else course.workspaces)
        ]
        self.disks = machines
        self.bucket = Bucket(world, skew=course.skews[-1] if course.skews else 0.0)
        with simulated(world, self.disk_of, self.bucket), opened(world, course) as store:
            self.store = store
            self.server = Server(world, store, KEY)
            self.server.watch = self.departs
            self.server.told = self.disturbed
            self.server.weather = Weather(shares=course.wire)
            self.teams = [self._team(number) for number in range(course.workspaces)]
            self._disk_of: dict[int, Disk] = {}
            self._trouble()
            self.begin()
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
            if not act.upon:
                world.at(act.at, lambda act=act: self._do(act))
        last = max((act.at for act in self.course.acts), default=0.0)
        world.pass_(last + 0.01)
        world.run(self._idle, latest=last + LONGEST)
        if not self._idle():
            names = [done.process.name for done in self.running if not done.process.over]
            self.fail(f"{names} did not end within {LONGEST:.0f} virtual seconds")
            for done in self.running:
                done.process.kill("given up")
            world.pass_(1.0)
        judge(self)

    def _idle(self) -> bool:
        return not self._retries and all(done.process.over for done in self.running)

    def fail(self, what: str) -> None:
        self.world.tell("JUDGE", what)
        self.broken.append(what)

    # ── acts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _do(self, act: Act) -> None:
        if act.what == "apply":
            if act.who < len(self.course.runners):
                self.begin_apply(act.who, act.more)
        elif act.who < len(self.teams):
            people.ACTS[act.what](self, self.teams[act.who], act.more)

    # ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────

    def root(self, team: Team) -> str:
        return f"/{team.name}"

    def place(self, team: Team) -> str:
        return f"s3://bucket/{team.name}"

    def runner_of(self, team: Team) -> int:
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
        moved = tuple(Moved(*thing.names[-2:]) for thing in team.wanted() if len(thing.names) > 1)
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
        done = Done(kind=kind, process=process, team=self.course.runners[runner], began=self.world.now)

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
                        for _ in range(self.course.reads):
                            await api.list_projects()
                            await api.credits(needed=False)
                        return await work(workspace, api)

                done.result = run_coroutine(go())
            except (ReconcilerError, KeyboardInterrupt, Interrupted) as error:
                done.error = error
            except Exception as error:  # noqa: BLE001  nothing else may reach the user
                if not process.dead:
                    self.fail(f"{process.name} ends with a traceback: {type(error).__name__}: {error}")
                    done.error = error
            finally:
                done.ended = self.world.now
                self._report(done)

        self.world.tell(process.name, f"starts: {kind}")
        process.start(main)
        self.running = [*(each for each in self.running if not each.process.over), done]
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
                selection=Selection(replace=frozenset(more.get("replace", ()))),
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

    def apply(self, runner: int, kind: str, more: dict[str, Any]) -> Done:
        """Start an apply of what the specs say now."""
        wanted = self.desired(self.teams[self.course.runners[runner]])
        done = self.command(runner, kind, self.apply_work(wanted, lambda: done.process, more))
        return done

    def begin_apply(self, runner: int, more: dict[str, Any]) -> Done:
        """Start an apply, and what will disturb it."""
        done = self.apply(runner, "apply", more)
        process, world = done.process, self.world
        process.kill_in = more.get("kill")
        if "kill_sent" in more:
            self._kill_sent[process.number] = (more["kill_sent"], more["kill_after"], more.get("sent_late", False))
        if "retry" in more:
            again = {name: more[name] for name in ("wait",) if name in more}

            def begin() -> None:
                self._retries -= 1
                self.begin_apply(runner, again)

            def retry() -> None:
                self._retries += 1
                world.after(more["retry"], begin)

            process.on_death.append(retry)
        if more.get("power"):
            disk = self.disk_of(process)
            process.on_death.append(lambda: self._power(disk))
        if "kill" in more or "kill_sent" in more:
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
        for done in self.running:
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
                for thing in self.teams[int(process.name.rpartition(".")[2])].things:
                    if thing.address == step.address:
                        thing.learn(step.action, outcome, error)
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
            self.seen[
                action, "under way" if action != "none" else "between", disturbance, name.rstrip("0123456789.")
            ] += 1

    def disturbed(self, process: Process, call: str, fate: str) -> None:
        self.seen[call, "request", fate, process.name.rstrip("0123456789.")] += 1

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

    def departs(self, process: Process, call: str) -> str:
        """A request that changes something leaves: only the holder of the lock may do that. Returns its fate, or ""."""
        team = int(process.name.rpartition(".")[2])
        self.figures["changing requests"] += 1
        self._left[call] += 1
        this = "" if self.calm else f"{call} {self._left[call]}"
        for act in self.course.acts:
            if this and act.upon == this:
                self.world.after(act.at, lambda act=act: self._do(act))
        left, seconds, late = self._kill_sent.get(process.number, (0, 0.0, False))
        if left == 1:
            self.world.after(seconds, lambda: process.kill("SIGKILL"))
        self._kill_sent[process.number] = (left - 1, seconds, late)
        for done in self.running:
            other = done.process
            if other is process or done.team != team:
                continue
            if not (other.over or other.dead) and other.held_until <= self.world.now and done.holds():
                self.fail(f"{process.name} changes the account while {other.name} has the lock")
        return self.course.fates.get(this) or ("late" if late and left == 1 else "")
