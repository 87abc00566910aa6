"""The end of a life: the world calms down, people follow what they are told, and the ledger is looked through."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model import contract
from reconciler.model.errors import LockError, ReconcilerError, StateError
from reconciler.model.events import ApplyResult
from reconciler.model.plan import Plan
from reconciler.model.state import State
from reconciler.operations.apply.workflow import PlanRefusedError
from reconciler.operations.read.plan import plan
from reconciler.operations.read.refresh import SEARCHABLE_TITLE
from reconciler.operations.workspace import Workspace
from reconciler.planning.kept_values import LAGS_AT_MOST
from reconciler.planning.planner import Selection
from tests.simulation import films, pull_requests
from tests.simulation.advice import answer, follow, released, run, state_of, to_the_end
from tests.simulation.commands import apply
from tests.simulation.specs import KEYS, SECRET, desired
from tests.simulation.strangers import NOT_TOLD, is_refused, with_key
from tests.simulation.teams import ENDS
from tests.simulation.wire import Weather

if TYPE_CHECKING:
    from reconciler.sandbox.store import Effect
    from tests.simulation.life import Life
    from tests.simulation.teams import Team, Thing

CALM_APPLIES: Final = 6
"""As many as a calm world needs at most to come to rest."""


def judge(life: Life) -> None:
    life.calm = True
    for server in life.servers:
        server.weather = Weather()
    life.world.tell("world", "calms down")
    life.world.pass_(2 * life.course.lease + life.course.settle)
    if life.titled and any(life.course.skews):  # where clocks differ, a list may be taken for older than a PATCH
        life.world.pass_(LAGS_AT_MOST)
    for done in life.running:
        for fiber in done.process.fibers:
            if isinstance(fiber.error, Exception):
                raise fiber.error
    for team in () if life.course.lax else life.teams:
        pull_requests.release(life, team)
    for team in life.teams if len(life.servers) > 1 and not life.course.lax else ():
        for command in ("apply", "plan"):
            _stranger(life, team, command)
    if life.course.lax:
        _refused(life)
    else:
        for team in life.teams:
            _complete_calls(life, team)
        for team in sorted(life.teams, key=lambda team: not team.lost):  # what a state tells, others need to know
            _converge(life, team)
    _ledger(life)
    _secrets(life)


def _stranger(life: Life, team: Team, command: str) -> None:
    """With another account's key a command says so, and leaves the state as it is."""
    before = state_of(life, team, life.runner_of(team))
    done = with_key(life, team, command, {"lock_timeout": 5.0})
    to_the_end(life, done)
    if done.result != NOT_TOLD and not is_refused(done):
        life.fail(f"{done.process.name} does not say that its key is of another account: {done.error}")
    after = state_of(life, team, life.runner_of(team))
    if (before.projects, before.pending) != (after.projects, after.pending):
        life.fail(f"{done.process.name} has another account's key, and changes the state")


def _complete_calls(life: Life, team: Team) -> None:
    """What one environment has left open may stand in another's way: people decide that first."""
    runner = life.runner_of(team)
    if life.siblings(team) and state_of(life, team, runner).pending:
        to_the_end(life, apply(life, runner, "calm", {"wait": "none", "lock_timeout": 5.0}))
        follow(life, team, runner, state_of(life, team, runner), [])


def _converge(life: Life, team: Team) -> None:
    """A bounded number of applies leaves nothing to do; people do what findings ask for."""
    runner = life.runner_of(team)
    left: Any = None
    disowned: set[str] = set()
    for number in range(CALM_APPLIES):
        done = apply(life, runner, "calm", {"wait": "idle", "lock_timeout": 5.0, "replace": sorted(disowned)})
        to_the_end(life, done)
        if isinstance(done.error, LockError):
            life.fail(f"{team.name} can't get its lock in a calm world: {done.error.diagnostics[0].summary}")
            return
        for result in done.result.results if isinstance(done.result, ApplyResult) else ():
            if result.error is not None and " expires at " in result.error.summary:
                _share(team, result.step.address)
        made, state = _look(life, team, runner)
        if state.pending or isinstance(done.error, PlanRefusedError) or (isinstance(made, Plan) and made.unsettled):
            follow(life, team, runner, state, made)
            made, state = _look(life, team, runner)
        if isinstance(made, Plan) and answer(life, team, runner, state, made):
            made, state = _look(life, team, runner)
        if isinstance(made, Plan):
            disowned = {d.address for d in made.unsettled if d.address is not None} - life.ids(team).keys()
        over = {thing.address for thing in team.wanted() if thing.is_over(team.wanted())}
        asked = [d for d in made.unsettled if d.address not in over] if isinstance(made, Plan) else []
        if isinstance(made, Plan) and not (made.steps or made.errors or asked or released(made) or state.pending):
            life.figures[f"calm after {number + 1}"] += 1
            _findings(life, team, made)
            _complete(life, team, state)
            if life.course.films:  # what people have decided since may be downloaded now
                to_the_end(life, apply(life, runner, "calm", {"wait": "idle", "lock_timeout": 5.0}))
                films.complete(life, team, state)
            return
        left = made
        life.world.pass_(30.0)
    what = (
        [f"{step.address} {step.action}: {step.reason}" for step in left.steps]
        + [f"{d.address} {d.summary}" for d in (*left.errors, *left.unsettled)]
        if isinstance(left, Plan)
        else left
    )
    life.fail(
        f"{team.name} does not come to rest after {CALM_APPLIES} applies: {what}; pending: {list(state.pending.values())}"
    )


def _refused(life: Life) -> None:
    """A store that does not keep its word is refused before anything is done."""
    for team in life.teams:
        done = apply(life, life.runner_of(team), "calm", {"wait": "none"})
        to_the_end(life, done)
        if not isinstance(done.error, StateError):
            life.fail(f"{team.name} uses a store that overwrites: {done.error}")
    if life.ledger():
        life.fail("something was done though the store overwrites")


def _share(team: Team, address: str) -> None:
    """Declare a permanent link of the video that a project is made with: the address of the video lives for a day."""
    (thing,) = (thing for thing in team.wanted() if thing.address == address)
    (video,) = (other for other in team.wanted() if other.address == thing.after)
    video.deliver = replace(video.deliver, render="1080p", share={})


def _look(life: Life, team: Team, runner: int) -> tuple[Plan | list[str], State]:
    """What a plan shows now, and the state."""
    wanted = desired(team)

    async def work(workspace: Workspace, api: ApiClient) -> tuple[Plan | list[str], State]:
        before = life.server_of(team).count[life.world.process.name]
        try:
            made, _ = await plan(workspace, api, wanted, Selection())
        except ReconcilerError as error:
            return [d.summary for d in error.diagnostics], workspace.load()[0]
        sent = life.server_of(team).count[life.world.process.name] - before
        if sent != made.requests_used:
            life.fail(f"a plan says that it took {made.requests_used} requests, and took {sent}")
        return made, workspace.load()[0]

    done = run(life, runner, "look", work)
    if done.result is None:
        raise AssertionError(f"the state of {team.name} can't be read in a calm world: {done.error}")
    return done.result  # type: ignore[no-any-return]


def _findings(life: Life, team: Team, made: Plan) -> None:
    """What is left for people has a cause."""
    by_address = {thing.address: thing for thing in team.wanted()}
    ids = life.ids(team)
    for diagnostic in made.diagnostics:
        if not diagnostic.attention:
            continue
        life.figures["findings left"] += 1
        thing = by_address.get(diagnostic.address or "")
        caused = (
            team.lost
            or life.altered
            or life.touched
            or any(other.destroyed for other in team.things)
            or (thing is not None and thing.is_over(team.wanted()))
            or ids.get(diagnostic.address or "") in life.touched
            or (thing is not None and thing.rights > 1)  # with its brief rewritten, what is found may be the former one
            or (thing is not None and _is_twin(life, team, thing))
        )
        if not caused:
            life.fail(f"a finding that nobody caused: {diagnostic.address}: {diagnostic.summary}")


def _is_twin(life: Life, team: Team, thing: Thing) -> bool:
    """Whether another workspace has a project with this brief, as the list shows it: if it fails, it is left to people whose
    it is.
    """
    shown = slice(contract.current().limits.list_brief)
    others = (other for each in life.teams if each.workspace != team.workspace for other in each.things)
    return any(other.brief[shown] == thing.brief[shown] for other in others)


def _complete(life: Life, team: Team, state: State) -> None:
    """Every project that is wanted is there and has its messages."""
    projects = {p["id"]: p for p in life.server_of(team).store.projects()}
    ledger = life.ledger()
    ids = life.ids(team)
    stopped = life.touched.keys() | {ids.get(thing.address) for thing in team.wanted() if thing.destroyed}
    for thing in team.wanted():
        entry = state.projects.get(thing.address)
        others = thing.waits_for(team.wanted()) - {thing.address}
        waits = any(ids.get(address) in stopped for address in others)
        if entry is None:
            if not (waits or thing.is_over(team.wanted()) or team.lost or life.touched or _is_twin(life, team, thing)):
                life.fail(f"{thing.address} is wanted, and not managed")
            continue
        project = _bound(life, thing.address, projects, entry.project_id, ids.get(thing.address))
        if project is None:
            continue
        if project["status"] in ENDS or team.lost or thing.is_over(team.wanted()):
            continue
        if waits or ids.get(thing.address) in life.touched:
            continue
        sent = [e.detail["message"] for e in ledger if e.kind == "message" and e.project_id == entry.project_id]
        if sent != thing.words:
            life.fail(f"{thing.address} has the messages {sent}, not {thing.words}")
        rendered = any(e.kind == "render" and e.project_id == entry.project_id for e in ledger)
        # what a person typed makes another video, which is taken for that of a render whose answer was lost
        if thing.deliver.render and not rendered and entry.project_id not in life.typed:
            life.fail(f"{thing.address} is to be rendered, and is not")
        for name, value in thing.settings.items():
            if name == "title" and entry.project_id in life.titled and not _is_searched(life, value):
                continue
            if project.get(name) != value and not life.course.server.get("title_habits"):
                life.fail(f"{thing.address} has {name} {project.get(name)!r}, not {value!r}")


def _bound(
    life: Life, address: str, projects: dict[str, dict[str, Any]], project_id: str, newest_id: str | None
) -> dict[str, Any] | None:
    """The project of an address, which is the team's, and none that is over where a newer one is not."""
    project, newest = projects.get(project_id), projects.get(newest_id or "")
    if project is None:
        life.fail(f"{address} is bound to {project_id}, which is not there")
        return None
    if project_id in life.foreign:
        life.fail(f"{address} is bound to a person's project")
    over = project["status"] in ENDS and project_id not in life.touched
    if over and newest is not None and newest["status"] not in ENDS:
        life.fail(f"{address} is bound to {project_id}, which is over, though {newest_id} came after it")
    return project


def _is_searched(life: Life, title: str) -> bool:
    """Whether a project that is not on the first page is looked for by its title, and surely found: a short one is in too many
    others, and what a page does not hold proves nothing.
    """
    return len(title) >= SEARCHABLE_TITLE and life.course.server.get("page_max", 100) == 100


def _ledger(life: Life) -> None:
    ledger = life.ledger()
    life.figures.update(f"effect {effect.kind}" for effect in ledger)
    for server in life.servers:
        for effect in server.ledger():
            if life.server_of(life.teams[_actor(effect)]) is not server:
                life.fail(f"{effect.kind} in another account by {effect.request_id}")
    films.uploaded(life)
    owner = _bought(life, ledger)
    for effect in ledger:
        actor = _actor(effect)
        if effect.project_id in life.foreign:
            life.fail(f"{effect.kind} on a person's project by {effect.request_id}")
        elif effect.project_id and owner.get(effect.project_id, life.teams[actor]) is not life.teams[actor]:
            life.fail(f"{effect.kind} on another team's project by {effect.request_id}")
    _sent(life, [e for e in ledger if e.kind == "message"])
    _delivered(life, ledger)


def _actor(effect: Effect) -> int:
    """The number of the team whose run did it."""
    return int(effect.request_id.rpartition("-")[0].rpartition(".")[2])


def _bought(life: Life, ledger: list[Effect]) -> dict[str, Team]:
    """No key made two projects, and no more were bought than people wanted. Returns whose each project is."""
    made = [e for e in ledger if e.kind == "create"]
    twice: set[str] = set()
    lost = {team.identity for team in life.teams if team.lost}
    again = Counter(life.replaced)
    for key, count in Counter(e.idempotency_key for e in made).items():
        before, *others = (e for e in made if e.idempotency_key == key)
        for effect in others:
            # one that people stopped after a run had looked for it, and before it sent the key, has freed its key
            if life.touched.get(before.project_id, -1.0) >= life.knew(effect.request_id):
                twice.add(effect.project_id)
            elif key.partition("/")[0] in lost and again[key.rpartition("/")[0]]:  # people were told, and want another
                again[key.rpartition("/")[0]] -= 1
            # with its state lost and its brief rewritten, nothing tells of one that has failed, or was made a day ago
            elif not (key.partition("/")[0] in lost and before.detail["brief"] != effect.detail["brief"]):
                life.fail(f"{count} projects were made under the key {key}")
            before = effect
    things = {
        f"{team.identity}/{name}": (team, thing) for team in life.teams for thing in team.things for name in thing.names
    }
    owner: dict[str, Team] = dict(life.imported)
    bought: Counter[int] = Counter()
    for effect in made:
        assert effect.idempotency_key is not None
        team, thing = things[effect.idempotency_key.rpartition("/")[0]]
        owner[effect.project_id] = team
        bought[id(thing)] += effect.project_id not in twice
    for effect in ledger:
        if effect.kind == "adopt":
            owner[effect.project_id] = next(
                team for team in life.teams for t in team.things if t.studio_id == effect.detail["project_id"]
            )
    for _, thing in things.values():
        if bought[id(thing)] > thing.rights:
            life.fail(
                f"{bought[id(thing)]} projects were bought for {thing.address}, {thing.rights} at most were wanted"
            )
    return owner


def _sent(life: Life, messages: list[Effect]) -> None:
    """No message was sent twice to a project, nor out of order, nor is it nobody's."""
    order = {words: n for team in life.teams for thing in team.things for n, words in enumerate(thing.words)}
    last: dict[str, int] = {}
    for effect in messages:
        words = effect.detail["message"]
        number, before = order.get(words, -1), last.get(effect.project_id, -1)
        if number < 0:
            life.fail(f"{words!r} is nobody's message")
        elif number == before:
            life.fail(f"{words!r} was sent twice to {effect.project_id}")
        elif number < before:
            life.fail(f"{words!r} was sent again to {effect.project_id}, or out of order")
        last[effect.project_id] = max(number, before)


def _delivered(life: Life, ledger: list[Effect]) -> None:
    """No video was rendered twice, nor shared twice, nor a studio project adopted that was not let go."""
    retitled, lost = set(life.titled), any(team.lost for team in life.teams)
    done: dict[str, set[str]] = {}
    for effect in ledger:
        kinds = done.setdefault(effect.project_id, set())
        match effect.kind:
            case "render" | "share" | "adopt":
                excused = {
                    "adopt": set[str](),
                    "render": life.typed,
                    "share": life.typed | life.linked_again | (retitled if lost else set()),
                }
                if effect.kind in kinds and effect.project_id not in excused[effect.kind]:
                    life.fail(f"{effect.kind} of {effect.project_id} was done twice, by {effect.request_id}")
                kinds.add(effect.kind)
                if effect.kind == "render":
                    kinds.discard("share")
            case "message":
                kinds -= {"render", "share"}
            case "settings":
                if effect.detail["sent"].get("mode") == "none":
                    kinds -= {"adopt", "render", "share"}  # what is taken back begins again
                if "title" in effect.detail["sent"]:
                    retitled.add(effect.project_id)


def _secrets(life: Life) -> None:
    for secret in map(str.encode, (SECRET, *KEYS)):
        for disk in life.disks:
            for path, data in disk.texts():
                if secret in data:
                    life.fail(f"a secret is in {path}")
        for path, data in life.bucket.texts():
            if secret in data:
                life.fail(f"a secret is in the bucket: {path}")
