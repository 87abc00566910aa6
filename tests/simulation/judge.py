"""The end of a life: the world calms down, people follow what they are told, and the ledger is looked through."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model import contract
from reconciler.model.errors import LockError, ReconcilerError, StateError, UsageError
from reconciler.model.events import ApplyResult
from reconciler.model.plan import Plan
from reconciler.model.state import State
from reconciler.operations.apply.workflow import PlanRefusedError
from reconciler.operations.read.plan import plan
from reconciler.operations.read.refresh import SEARCHABLE_TITLE
from reconciler.operations.state.edits import bind, decide, recover_state, remove
from reconciler.operations.workspace import Workspace
from reconciler.planning.delivery import is_doubtful
from reconciler.planning.kept_values import LAGS_AT_MOST
from reconciler.planning.planner import Selection
from tests.simulation import films
from tests.simulation.commands import apply, start
from tests.simulation.questions import asked
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
    for team in life.teams if len(life.servers) > 1 and not life.course.lax else ():
        for command in ("apply", "plan"):
            _stranger(life, team, command)
    if life.course.lax:
        _refused(life)
    else:
        for team in sorted(life.teams, key=lambda team: not team.lost):  # what a state tells, others need to know
            _converge(life, team)
    _ledger(life)
    _secrets(life)


def _stranger(life: Life, team: Team, command: str) -> None:
    """With another account's key a command says so, and leaves the state as it is."""
    before = _state(life, team, life.runner_of(team))
    done = with_key(life, team, command, {"lock_timeout": 5.0})
    _to_the_end(life, done)
    if done.result != NOT_TOLD and not is_refused(done):
        life.fail(f"{done.process.name} does not say that its key is of another account: {done.error}")
    after = _state(life, team, life.runner_of(team))
    if (before.projects, before.pending) != (after.projects, after.pending):
        life.fail(f"{done.process.name} has another account's key, and changes the state")


def _converge(life: Life, team: Team) -> None:
    """A bounded number of applies leaves nothing to do; people do what findings ask for."""
    runner = life.runner_of(team)
    left: Any = None
    disowned: set[str] = set()
    for number in range(CALM_APPLIES):
        done = apply(life, runner, "calm", {"wait": "idle", "lock_timeout": 5.0, "replace": sorted(disowned)})
        _to_the_end(life, done)
        if isinstance(done.error, LockError):
            life.fail(f"{team.name} can't get its lock in a calm world: {done.error.diagnostics[0].summary}")
            return
        for result in done.result.results if isinstance(done.result, ApplyResult) else ():
            if result.error is not None and " expires at " in result.error.summary:
                _share(team, result.step.address)
        made, state = _look(life, team, runner)
        if state.pending or isinstance(done.error, PlanRefusedError) or (isinstance(made, Plan) and made.unsettled):
            _follow(life, team, runner, state, made)
            made, state = _look(life, team, runner)
        if isinstance(made, Plan) and _answer(life, team, runner, state, made):
            made, state = _look(life, team, runner)
        if isinstance(made, Plan):
            disowned = {d.address for d in made.unsettled if d.address is not None} - life.ids(team).keys()
        over = {thing.address for thing in team.wanted() if thing.is_over(team.wanted())}
        asked = [d for d in made.unsettled if d.address not in over] if isinstance(made, Plan) else []
        if isinstance(made, Plan) and not (made.steps or made.errors or asked or state.pending):
            life.figures[f"calm after {number + 1}"] += 1
            _findings(life, team, made)
            _complete(life, team, state)
            if life.course.films:  # what people have decided since may be downloaded now
                _to_the_end(life, apply(life, runner, "calm", {"wait": "idle", "lock_timeout": 5.0}))
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
        _to_the_end(life, done)
        if not isinstance(done.error, StateError):
            life.fail(f"{team.name} uses a store that overwrites: {done.error}")
    if life.ledger():
        life.fail("something was done though the store overwrites")


def _share(team: Team, address: str) -> None:
    """Declare a permanent link of the video that a project is made with: the address of the video lives for a day."""
    (thing,) = (thing for thing in team.wanted() if thing.address == address)
    (video,) = (other for other in team.wanted() if other.address == thing.after)
    video.deliver = replace(video.deliver, render="1080p", share={})


def _to_the_end(life: Life, done: Any) -> None:
    if not life.world.run(lambda: done.process.over, latest=life.world.now + 4000):
        life.fail(f"{done.process.name} does not end in a calm world")
        done.process.kill("given up")
        life.world.pass_(1.0)
    for fiber in done.process.fibers:
        if isinstance(fiber.error, Exception):
            raise fiber.error


def _run(life: Life, runner: int, kind: str, work: Any) -> Any:
    done = start(life, runner, kind, work)
    _to_the_end(life, done)
    return done


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

    done = _run(life, runner, "look", work)
    if done.result is None:
        raise AssertionError(f"the state of {team.name} can't be read in a calm world: {done.error}")
    return done.result  # type: ignore[no-any-return]


def _state(life: Life, team: Team, runner: int) -> State:
    async def work(workspace: Workspace, _: ApiClient) -> State:
        return workspace.load()[0]

    return _run(life, runner, "state", work).result  # type: ignore[no-any-return]


def _follow(life: Life, team: Team, runner: int, state: State, made: Plan | list[str]) -> None:
    """Do what the findings of an apply ask for: decide what became of messages, recover what the state lost."""
    for address in dict.fromkeys(intent.address for intent in state.pending.values()):
        intent = next(i for i in state.pending.values() if i.address == address)
        if intent.undecided:
            asked(life, team, intent)
        if intent.kind == "message":
            _decide(life, team, runner, address, f"message {intent.message_id}", sent=life.was_sent(state, intent))
        elif intent.kind in ("render", "share") and intent.undecided:
            sent = _was_delivered(life, intent.project_id, intent.kind)
            _decide(life, team, runner, address, intent.kind, sent=sent)
        elif intent.kind == "create" and intent.undecided and not _import(life, team, runner, address):
            _decide(life, team, runner, address, "create", sent=False)
    if isinstance(made, Plan) and (_rename_too(life, team, made) or _forget_former(life, team, runner, state, made)):
        return
    if isinstance(made, Plan) and (made.errors or made.unsettled):
        _recover(life, team, runner)


def _rename_too(life: Life, team: Team, made: Plan) -> bool:
    """Rename in the specs what the state has under another name, as it says."""
    renamed = False
    for diagnostic in made.errors:
        told = re.search("the state has its project as `(.+)`", diagnostic.summary)
        for thing in team.wanted() if told else ():
            if told and thing.address == diagnostic.address:
                team.renames(thing, told[1])
                life.world.tell(team.name, f"{diagnostic.address} is {told[1]} in the specs, too")
                renamed = True
    return renamed


def _forget_former(life: Life, team: Team, runner: int, state: State, made: Plan) -> bool:
    """Where the state has both names of a project, since it was bought again with another brief: forget the former."""
    order = [e.project_id for e in life.ledger() if e.kind == "create"]
    forgotten = False
    for diagnostic in made.errors:
        told = re.search("can't move `(.+)` to `(.+)`: the state has (?:both|`(.+)`, too)", diagnostic.summary)
        if told is None:
            continue
        both = told[1], told[3] or told[2]
        former = min(both, key=lambda address: order.index(state.projects[address].project_id))
        life.world.tell(team.name, f"forgets the former project, {former}")

        async def work(workspace: Workspace, _: ApiClient, former: str = former) -> Any:
            return remove(workspace, (former,), lock_timeout=5.0)

        _run(life, runner, "state rm", work)
        forgotten = True
    return forgotten


def _answer(life: Life, team: Team, runner: int, state: State, made: Plan) -> bool:
    """Decide what a plan asks of videos that were found: whether they are rendered, and which link is theirs."""
    asked = {d.address for d in made.diagnostics if d.attention and d.address is not None}
    answered = False
    for address in sorted(asked & state.projects.keys()):
        entry = state.projects[address]
        if is_doubtful(entry.shared):
            assert entry.shared is not None
            sent = _was_delivered(life, entry.project_id, "share") and len(entry.shared.may_be) == 1
            life.linked_again.update(() if sent else (entry.project_id,))
            _decide(life, team, runner, address, "share", sent=sent)
        elif is_doubtful(entry.rendered):
            _decide(life, team, runner, address, "render", sent=_was_delivered(life, entry.project_id, "render"))
        else:
            continue
        answered = True
    return answered


def _was_delivered(life: Life, project_id: str | None, kind: str) -> bool:
    """Whether the project's newest video is rendered, or shared, as people see it."""
    kinds = [e.kind for e in life.ledger() if e.project_id == project_id]
    newest = max((n for n, other in enumerate(kinds) if other == "message"), default=-1)
    return kind in kinds[newest + 1 :]


def _decide(life: Life, team: Team, runner: int, address: str, what: str, *, sent: bool) -> None:
    life.world.tell(team.name, f"decides: {what} of {address} was {'sent' if sent else 'not sent'}")
    life.figures["decided by people"] += 1

    async def work(workspace: Workspace, _: ApiClient) -> Any:
        return decide(workspace, address, sent=sent, lock_timeout=5.0)

    _run(life, runner, "resolve", work)


def _import(life: Life, team: Team, runner: int, address: str) -> bool:
    """Name the project that was made for an address, if there is one that the state does not have."""
    ids, managed = life.ids(team), {entry.project_id for entry in _state(life, team, runner).projects.values()}
    project_id = next((ids.get(thing.address) for thing in team.wanted() if address in thing.names), None)
    if project_id is None or project_id in managed:
        return False

    async def take(workspace: Workspace, api: ApiClient) -> Any:
        return await bind(workspace, api, address, project_id, lock_timeout=5.0)

    _run(life, runner, "import", take)
    life.figures["imported by people"] += 1
    return True


def _recover(life: Life, team: Team, runner: int) -> None:
    """`state recover` by people who know what is theirs, and `import` for the rest."""
    ids, wanted = life.ids(team), desired(team)

    async def work(workspace: Workspace, api: ApiClient) -> Any:
        return await recover_state(
            workspace,
            api,
            wanted,
            choose=lambda finding: next((p for p in finding.candidates if p.id == ids.get(finding.address)), None),
            confirm=lambda findings: all(f.entry is None or f.entry.project_id == ids.get(f.address) for f in findings),
            lock_timeout=5.0,
        )

    done = _run(life, runner, "recover", work)
    life.figures["states recovered"] += 1
    if isinstance(done.error, UsageError) or done.error is None:
        state = _state(life, team, runner)
        for address in sorted(ids.keys() - state.projects.keys()):
            _import(life, team, runner, address)


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
    for thing in team.wanted():
        entry = state.projects.get(thing.address)
        if entry is None:
            if not (thing.is_over(team.wanted()) or team.lost or life.touched or _is_twin(life, team, thing)):
                life.fail(f"{thing.address} is wanted, and not managed")
            continue
        project = _bound(life, thing.address, projects, entry.project_id, ids.get(thing.address))
        if project is None:
            continue
        if project["status"] in ENDS or team.lost or thing.is_over(team.wanted()):
            continue
        if any(ids.get(address) in life.touched for address in thing.waits_for(team.wanted())):
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
    for key, count in Counter(e.idempotency_key for e in made).items():
        before, *others = (e for e in made if e.idempotency_key == key)
        for effect in others:
            # one that people stopped after a run had looked for it, and before it sent the key, has freed its key
            if life.touched.get(before.project_id, -1.0) >= life.knew(effect.request_id):
                twice.add(effect.project_id)
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
                    kinds.discard("adopt")
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
