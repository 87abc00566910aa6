"""What people do as they are told: they decide what became of calls, and follow the ways out that findings name."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from reconciler.adapters.api.client import ApiClient
from reconciler.model.errors import UsageError
from reconciler.model.plan import Plan
from reconciler.model.state import State
from reconciler.operations.state.edits import accept_log, bind, decide, remove
from reconciler.operations.workspace import Workspace
from reconciler.planning import message_log
from reconciler.planning.delivery import is_doubtful
from tests.simulation.commands import start
from tests.simulation.errands import recover_work
from tests.simulation.questions import asked
from tests.simulation.specs import desired

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.teams import Team


def to_the_end(life: Life, done: Any) -> None:
    if not life.world.run(lambda: done.process.over, latest=life.world.now + 4000):
        life.fail(f"{done.process.name} does not end in a calm world")
        done.process.kill("given up")
        life.world.pass_(1.0)
    for fiber in done.process.fibers:
        if isinstance(fiber.error, Exception):
            raise fiber.error


def run(life: Life, runner: int, kind: str, work: Any) -> Any:
    done = start(life, runner, kind, work)
    to_the_end(life, done)
    return done


def state_of(life: Life, team: Team, runner: int) -> State:
    async def work(workspace: Workspace, _: ApiClient) -> State:
        return workspace.load()[0]

    return run(life, runner, "state", work).result  # type: ignore[no-any-return]


def follow(life: Life, team: Team, runner: int, state: State, made: Plan | list[str]) -> None:
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
    if isinstance(made, Plan) and _accept(life, team, runner, made):
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
    order = [*life.imported, *(e.project_id for e in life.ledger() if e.kind in ("create", "adopt"))]
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

        run(life, runner, "state rm", work)
        forgotten = True
    return forgotten


def _accept(life: Life, team: Team, runner: int, made: Plan) -> bool:
    """`state accept`, where the agent has all messages of the specs up to the last one that the state knows."""
    refused = {d.address for d in made.errors if d.code == message_log.CODE}
    ids, wanted = life.ids(team), desired(team)
    heard = Counter(e.project_id for e in life.ledger() if e.kind == "message")
    known = [t.address for t in team.wanted() if t.address in refused and heard[ids.get(t.address, "")] == len(t.words)]

    async def work(workspace: Workspace, _: ApiClient) -> Any:
        return accept_log(workspace, wanted, tuple(known), lock_timeout=5.0)

    if known:
        life.world.tell(team.name, f"accepts the messages of {known}")
        run(life, runner, "state accept", work)
    return bool(known)


def _take_back(life: Life, team: Team, made: Plan) -> bool:
    """Declare in the specs that a project that was released is ours."""
    told = released(made)
    for thing in team.wanted():
        if thing.address in told:
            thing.settings = thing.settings | {"mode": "collaborative"}
            life.world.tell(team.name, f"{thing.address} is taken back")
    return bool(told)


def released(made: Plan) -> set[str | None]:
    """The addresses of which a plan says that they were released. That may be so no more, where the list lags."""
    return {d.address for d in made.diagnostics if "was released to the studio" in d.summary}


def answer(life: Life, team: Team, runner: int, state: State, made: Plan) -> bool:
    """Decide what a plan asks of videos that were found: whether they are rendered, and which link is theirs. And take back
    what was released.
    """
    doubted = {d.address for d in made.diagnostics if d.attention and d.address is not None}
    answered = _take_back(life, team, made)
    for address in sorted(doubted & state.projects.keys()):
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

    run(life, runner, "resolve", work)


def _import(life: Life, team: Team, runner: int, address: str) -> bool:
    """Name the project that was made for an address, if there is one that the state does not have."""
    ids, managed = life.ids(team), {entry.project_id for entry in state_of(life, team, runner).projects.values()}
    project_id = next((ids.get(thing.address) for thing in team.wanted() if address in thing.names), None)
    if project_id is None or project_id in managed:
        return False

    async def take(workspace: Workspace, api: ApiClient) -> Any:
        return await bind(workspace, api, address, project_id, lock_timeout=5.0)

    run(life, runner, "import", take)
    life.figures["imported by people"] += 1
    return True


def _recover(life: Life, team: Team, runner: int) -> None:
    """`state recover` by people who know what is theirs, and `import` for the rest."""
    ids = life.ids(team)
    done = run(life, runner, "recover", recover_work(life, team))
    life.figures["states recovered"] += 1
    if isinstance(done.error, UsageError) or done.error is None:
        state = state_of(life, team, runner)
        for address in sorted(ids.keys() - state.projects.keys()):
            _import(life, team, runner, address)
