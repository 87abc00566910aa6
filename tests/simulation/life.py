"""One life: the world of a course, what its actors do there, the calm at its end, and the judgement."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from reconciler.model.events import Event, Recovered, StepEnded, StepStarted
from reconciler.model.plan import Message
from reconciler.model.state import Intent, State
from tests.simulation import errands, people, pull_requests, readers
from tests.simulation.account import opened
from tests.simulation.clockwork import Process, World
from tests.simulation.commands import Done, begin_apply
from tests.simulation.course import Act, Course
from tests.simulation.disk import Disk
from tests.simulation.edges import simulated
from tests.simulation.object_store import Bucket
from tests.simulation.specs import KEYS, SECRET
from tests.simulation.teams import Team
from tests.simulation.wire import Server, Weather

if TYPE_CHECKING:
    from reconciler.sandbox.store import Effect, Store

LONGEST: Final = 4000.0
"""Virtual seconds that one command may take, with all that may hold it up."""

FURTHER: Final[dict[str, Callable[[Life, Team, dict[str, Any]], object]]] = {
    **errands.ACTS,
    "merges": pull_requests.merges,
    "reports": readers.reports,
    "outputs": readers.outputs,
}


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
        self.imported: dict[str, Team] = {}
        """Projects that people had made, and the team that took each over."""
        self.typed: set[str] = set()
        """Projects that people wrote to, whose videos may have changed since."""
        self.linked_again: set[str] = set()
        """Projects of which people could not tell the link, and took the advice to make one more."""
        self.titled: set[str] = set()
        """Projects that got another title: after a lost state, links made before can't be told from others'."""
        self.touched: dict[str, float] = {}
        """Projects that people stopped and when, so that findings about them are theirs."""
        self.kill_sent: dict[int, tuple[int, float, bool]] = {}
        """Processes to kill so many seconds after their changing request of this number left."""
        self.pauses: dict[int, tuple[int, float]] = {}
        """Processes to suspend right before their write of this number into the journal in the store, and for how long."""
        self._left: Counter[str] = Counter()
        """Changing requests that left, by call."""
        self.retries = 0
        """Applies that somebody is about to start."""
        self.pins: dict[int, str] = {}
        """The project of each account that the configuration names."""
        self.strangers: set[int] = set()
        """Processes with the key of another account."""
        self.unlocked: set[int] = set()
        """Processes whose lock people ended: they learn of it at their next renewal, and nothing they write is kept."""
        self.made_by: dict[str | None, Process] = {}
        """The processes of the steps that made projects: not those that recovered a create."""
        self.in_doubt: dict[tuple[str | None, str | None], Process] = {}
        """The processes whose steps ended with the question whether a project has a message."""
        self.replaced: Counter[str] = Counter()
        """How often people asked for another project, by what its keys begin with."""
        self.readers: set[int] = set()
        """Processes of commands that only read."""
        self.claimants: dict[int, str] = {}
        """Processes for a pull request."""
        self.videos: dict[str, str] = {}
        """What was given out, by its SHA-256."""
        self.fetches = 0
        self.names = 0
        self.runs = 0
        self.turns = 0
        """Acts, and commands that were started."""
        self.running: list[Done] = []
        self._phase: dict[tuple[str, str], str] = {}
        self.secret_seen = False
        self.altered = bool(course.server.get("message_habits") or course.server.get("message_max"))
        self.forgetful = False
        """Whether the messages have other ids than those that a run has seen."""
        self.storms = False
        self.outage_until = 0.0
        """When the store is there again."""
        self.begin: Callable[[], None] = lambda: None
        """Called once the edges are replaced: for tests that change the program."""

    # ── the world ───────────────────────────────────────────────────────────────────────────────────────────────────

    def live(self) -> Life:
        course, world = self.course, self.world
        checkouts = 1 if course.environments else course.workspaces
        self.disks = [Disk(world, f"machine-{n}") for n in range(len(course.runners) if course.remote else checkouts)]
        self.bucket = Bucket(world, skew=course.skews[-1] if course.skews else 0.0, lax=course.lax)
        with simulated(world, self.disk_of, self.bucket), opened(world, course) as stores:
            self.servers = [self._server(number, store) for number, store in enumerate(stores)]
            self.teams = [self._team(number) for number in range(course.workspaces)]
            for server in self.servers if course.pinned else ():
                pin = self.pins[server.number] = server.store.person_creates(brief="Whose account it is.")
                self.foreign.add(pin)
            self.machines: dict[int, Disk] = {}
            self._trouble()
            self.begin()
            self._play()
        return self

    def _server(self, number: int, store: Store) -> Server:
        server = Server(self.world, store, KEYS[number], number=number)
        server.watch = self.departs
        server.told = self.disturbed
        server.weather = Weather(shares=self.course.wire)
        return server

    def _team(self, number: int) -> Team:
        if not self.course.environments:
            name, environment = f"team{number}", self.course.environment
            identity = f"{name}@{environment}" if environment else name
            return Team(name=name, workspace=name, identity=identity, environment=environment)
        environment = self.course.environments[number]
        name = f"team0@{environment}"
        return Team(
            name=name,
            workspace="team0",
            identity=name,
            environment=environment,
            suffix=f"-{environment}",
            account=number % self.course.accounts,
        )

    def siblings(self, team: Team) -> list[Team]:
        """The other environments of a team's workspace."""
        return [other for other in self.teams if other is not team and other.workspace == team.workspace]

    def server_of(self, team: Team) -> Server:
        """The account of a team."""
        return self.servers[team.account]

    def ledger(self) -> list[Effect]:
        """Of all accounts."""
        return [effect for server in self.servers for effect in server.ledger()]

    def knew(self, request_id: str) -> float:
        """When the process of a create was last told before it what the account has."""
        return next(server.knew[request_id] for server in self.servers if request_id in server.knew)

    def disk_of(self, process: Process) -> Disk:
        return self.machines[process.number]

    def machine(self, runner: int) -> Disk:
        """Where a runner runs."""
        return self.disks[runner] if self.course.remote else self.disk(self.teams[self.course.runners[runner]])

    def disk(self, team: Team) -> Disk:
        """The machine of a team whose state is local: environments of one workspace share a checkout."""
        return self.disks[0 if self.course.environments else self.teams.index(team)]

    def _trouble(self) -> None:
        course = self.course
        for disk in self.disks if course.disk else ():
            chance = self.world.chance(f"trouble {disk.name}")

            def trouble(what: str, chance: Any = chance) -> int:
                if self.calm:
                    return 0
                draw = chance.random()
                for name in ("ENOSPC", "EIO"):
                    draw -= course.disk.get(name, 0.0)
                    if draw < 0:
                        self.note(self.world.process.name, name)
                        return int(getattr(errno, name))
                return 0

            disk.trouble = trouble
            if "slow" in course.disk:
                disk.seconds = lambda chance=chance: 0.0 if self.calm else 2.0 * chance.random() ** 3
        if not course.remote:
            return
        chance = self.world.chance("trouble store")

        def store_trouble(what: str) -> str:
            if self.calm:
                return ""
            if self.world.now < self.outage_until:
                self.note(self.world.process.name, "store away")
                return "lost"
            draw = chance.random()
            for name, share in course.store.items():
                draw -= share
                if draw < 0:
                    self.note(self.world.process.name, f"store {name}")
                    return name
            return ""

        self.bucket.trouble = store_trouble
        self.bucket.suspends = self._suspends

    def _suspends(self, what: str) -> bool:
        process = self.world.process
        left, seconds = self.pauses.get(process.number, (0, 0.0))
        if not what.startswith("put journal/"):
            return False
        self.pauses[process.number] = (left - 1, seconds)
        if left == 1:
            self.note(process.name, "suspended")
            process.suspend(seconds)
        return left == 1

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
        return not self.retries and all(done.process.over for done in self.running)

    def fail(self, what: str) -> None:
        self.world.tell("JUDGE", what)
        self.broken.append(what)

    # ── acts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _do(self, act: Act) -> None:
        self.turns += 1
        if act.what == "apply":
            if act.who < len(self.course.runners):
                begin_apply(self, act.who, act.more)
        elif act.who < len(self.teams) and act.what in FURTHER:
            FURTHER[act.what](self, self.teams[act.who], act.more)
        elif act.who < len(self.teams):
            people.act(self, self.teams[act.who], act.what, act.more)

    # ── people's places ──

    def root(self, team: Team) -> str:
        return f"/{team.workspace}"

    def place(self, team: Team) -> str:
        return f"s3://bucket/{team.workspace}" + (f"/{team.environment}" if team.suffix else "")

    def state(self, team: Team) -> str:
        """The path of a local state."""
        return f"{self.root(team)}/reconciler.{f'{team.environment}.' if team.suffix else ''}state.json"

    def files(self, team: Team) -> tuple[str, ...]:
        """What the paths of all files of a local state begin with."""
        folder, _, name = self.state(team).rpartition("/")
        return f"{folder}/{name}", f"{folder}/.{name}."

    def runner_of(self, team: Team) -> int:
        return self.course.runners.index(self.teams.index(team))

    def leaks(self, text: str, where: str) -> None:
        for secret in (SECRET, *KEYS):
            if secret in text:
                self.fail(f"a secret is shown by {where}")

    @staticmethod
    def short(text: str) -> str:
        return " ".join(text.split())[:160]

    # ── what is seen ────────────────────────────────────────────────────────────────────────────────────────────────

    def happened(self, process: Process, event: Event) -> None:
        match event:
            case StepStarted(step=step):
                self._phase[process.name, step.address] = step.action
            case StepEnded(step=step, outcome=outcome, note=note, error=error):
                if outcome == "done" and step.action in ("create", "replace"):
                    self.made_by[event.project_id] = process
                if outcome == "unknown" and isinstance(step, Message):
                    self.in_doubt[event.project_id, step.message.id] = process
                self._phase.pop((process.name, step.address), None)
                for thing in self.teams[int(process.name.rpartition(".")[2])].things:
                    if thing.address == step.address:
                        thing.learn(step.action, outcome, error)
                    elif step.address in thing.names and process.name.startswith("destroy"):  # renamed meanwhile
                        thing.rights += outcome == "done" and step.action in ("cancel", "forget", "release")
                why = error.summary if error else note
                self.world.tell(process.name, f"{step.address} {step.action}: {outcome} {self.short(why)}".rstrip())
                self.figures[f"steps {outcome}"] += 1
                self.leaks(f"{why}{error.detail if error else ''}", process.name)
            case Recovered(address=address, kind=kind, result=result, note=note):
                self.world.tell(process.name, f"{address} recovered {kind}: {result} {self.short(note)}".rstrip())
                self.figures[f"recovered {result}"] += 1

    def note(self, name: str, disturbance: str) -> None:
        """Count what a disturbance met: the kinds of step that were under way, and in which phase."""
        self.figures[disturbance] += 1
        actions = sorted({action for (process, _), action in self._phase.items() if process == name})
        for action in actions or ["none"]:
            self.seen[
                action, "under way" if action != "none" else "between", disturbance, name.rstrip("0123456789.")
            ] += 1

    def disturbed(self, process: Process, call: str, fate: str) -> None:
        self.seen[call, "request", fate, process.name.rstrip("0123456789.")] += 1

    def was_sent(self, state: State, intent: Intent) -> bool:
        """Whether a message of unknown fate is there, as people see it who look into the account."""
        words = intent.body["message"]
        there = sum(
            e.kind == "message" and e.project_id == intent.project_id and e.detail["message"] == words
            for e in self.ledger()
        )
        entry = state.projects.get(intent.address)
        logged = sum(1 for m in entry.messages if m.text == words) if entry else 0
        return there > logged

    def ids(self, team: Team) -> dict[str, str]:
        """The newest project of each address, as the account knows it."""
        found = {}
        ledger = self.server_of(team).ledger()
        made = {e.idempotency_key: e.project_id for e in ledger if e.kind == "create"}
        adopted = {e.detail["project_id"]: e.project_id for e in ledger if e.kind == "adopt"}
        for thing in team.wanted():
            taken = thing.project_id or adopted.get(thing.studio_id)
            if taken is not None:
                found[thing.address] = taken
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
        if process.number in self.strangers:
            self.fail(f"{process.name} sends {call} to an account that is not its own")
        if process.number in self.readers:
            self.fail(f"{process.name} only reads, and sends {call}")
        if not (self.course.store or self.course.disk):
            pull_requests.departs(self, process, self.teams[team])
        this = "" if self.calm else f"{call} {self._left[call]}"
        for act in self.course.acts:
            if this and act.upon == this:
                self.world.after(act.at, lambda act=act: self._do(act))
        left, seconds, late = self.kill_sent.get(process.number, (0, 0.0, False))
        if left == 1:
            self.world.after(seconds, lambda: process.kill("SIGKILL"))
        self.kill_sent[process.number] = (left - 1, seconds, late)
        for done in self.running:
            other = done.process
            if other is process or done.team != team or self.unlocked & {process.number, other.number}:
                continue
            if not (other.over or other.dead) and other.held_until <= self.world.now and done.holds():
                self.fail(f"{process.name} changes the account while {other.name} has the lock")
        return self.course.fates.get(this) or ("late" if late and left == 1 else "")
