"""What people do: edit specs, stop and rename projects, lose a state. And what the server comes to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from reconciler.model.desired import Deliver, Lifecycle
from reconciler.operations.state.edits import decide
from reconciler.operations.state.edits import remove as forget
from reconciler.operations.state.edits import rename as rename_address
from tests.simulation import commands, films, specs, strangers
from tests.simulation.teams import ENDS, Team, Thing

if TYPE_CHECKING:
    from tests.simulation.life import Life


def _pick(life: Life, team: Team, more: dict[str, Any]) -> Thing | None:
    wanted = team.wanted()
    return wanted[more.get("pick", 0) % len(wanted)] if wanted else None


def add(life: Life, team: Team, more: dict[str, Any]) -> None:
    life.names += 1
    name = f"p{life.names}"
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
    if (more.get("after") or more.get("refers")) and team.wanted():
        thing.after, thing.refers = team.wanted()[0].address, bool(more.get("refers"))
    if more.get("render"):
        thing.deliver = Deliver(render="1080p", share={} if more.get("share") else None)
    if more.get("download"):
        thing.deliver = replace(thing.deliver, download=films.folder_of(team))
    if more.get("picture"):
        thing.picture = f"pictures/{'logo' if more['logo'] else name}.png"
    if more.get("adopts"):
        thing.studio_id, thing.rights = f"studio-{name}{team.suffix}", 0
        life.server_of(team).store.add_studio_project(id=thing.studio_id, title="Theirs", brief=thing.brief)
    team.things.append(thing)
    if more.get("echo") and not (thing.refers or more.get("fails") or life.course.server.get("message_max")):
        thing.words.append(thing.brief)
    life.world.tell(team.name, f"adds {name}: {thing.brief[:40]!r}, {len(more['words'])} messages")
    for words in more["words"]:
        _say(life, thing, words, more)


def _say(life: Life, thing: Thing, words: str, more: dict[str, Any]) -> None:
    life.names += 1
    thing.words.append(f"m{life.names} {words}")
    if "attaches" in more:
        thing.shown[thing.words[-1]] = f"pictures/{'logo' if more['attaches'] else thing.names[0]}.png"


def say(life: Life, team: Team, more: dict[str, Any]) -> bool:
    thing = _pick(life, team, more)
    if thing is None:
        return False
    _say(life, thing, more["words"], more)
    life.world.tell(team.name, f"{thing.address} gets message {thing.words[-1]!r}")
    return True


def settings(life: Life, team: Team, more: dict[str, Any]) -> bool:
    thing = _pick(life, team, more)
    if thing is None:
        return False
    thing.settings = {"title": f"{more['title']} {thing.names[0]}", "craft": more["craft"]}
    life.world.tell(team.name, f"{thing.address} gets {thing.settings}")
    return True


def rewrite(life: Life, team: Team, more: dict[str, Any]) -> bool:
    thing = _pick(life, team, more)
    if thing is None:
        return False
    life.names += 1
    thing.brief = f"v{life.names}: {more['brief']}".strip()
    thing.rights += 1
    team.findable = False
    life.world.tell(team.name, f"{thing.address} gets another brief")
    return True


def rename(life: Life, team: Team, more: dict[str, Any]) -> bool:
    thing = _pick(life, team, more)
    if thing is None:
        return False
    life.names += 1
    thing.moving = True
    team.renames(thing, f"p{life.names}")
    life.world.tell(team.name, f"{thing.names[-2]} is renamed {thing.address}")
    return True


def remove(life: Life, team: Team, more: dict[str, Any]) -> bool:
    thing = _pick(life, team, more)
    if thing is None:
        return False
    thing.removed = True
    for other in team.things:
        if other.after == thing.address:
            other.after = None
            other.rights += other.refers and other.picture is not None  # what it is made with is another list
    team.findable = False
    life.world.tell(team.name, f"{thing.address} leaves the specs ({thing.lifecycle.on_remove})")
    return True


def cancel(life: Life, team: Team, more: dict[str, Any]) -> bool:
    thing = _pick(life, team, more)
    if thing is None:
        return False
    thing.cancelled = True
    team.findable = False
    life.world.tell(team.name, f"{thing.address} is to be cancelled")
    return True


# people


def _project(life: Life, team: Team, more: dict[str, Any]) -> dict[str, Any] | None:
    ours = [p for p in life.server_of(team).store.projects() if p["id"] not in life.foreign]
    return ours[more["pick"] % len(ours)] if ours else None


def types(life: Life, team: Team, more: dict[str, Any]) -> bool:
    project = _project(life, team, more)
    if project is None:
        return False
    life.names += 1
    words = f"t{life.names} {more['words']}"
    life.server_of(team).store.person_writes(project["id"], words)
    life.typed.add(project["id"])
    life.world.tell("person", f"types {words!r} to {project['id']}")
    return True


def titles(life: Life, team: Team, more: dict[str, Any]) -> bool:
    project = _project(life, team, more)
    if project is None:
        return False
    life.server_of(team).store.person_sets(project["id"], title=f"Theirs {more['title']}")
    life.titled.add(project["id"])
    life.world.tell("person", f"renames {project['id']}")
    team.findable = False
    return True


def stops(life: Life, team: Team, more: dict[str, Any]) -> bool:
    project = _project(life, team, more)
    if project is None or project["status"] in ENDS:
        return False
    life.server_of(team).store.set_status(project["id"], more["status"])
    if more["status"] in ENDS:
        life.touched[project["id"]] = life.world.now
        team.findable = False
    life.world.tell("person", f"{project['id']} is {more['status']}")
    return True


def takes_over(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """A person's project is declared with its id: from then on it is the team's."""
    theirs = sorted(life.foreign & {p["id"] for p in life.server_of(team).store.projects()})
    if not theirs:
        return False
    made = theirs[more["pick"] % len(theirs)]
    life.foreign.discard(made)
    life.names += 1
    team.things.append(Thing(names=[f"p{life.names}"], brief="", settings={}, rights=0, project_id=made))
    life.imported[made] = team
    life.world.tell(team.name, f"p{life.names} imports {made}")
    return True


def creates(life: Life, team: Team, more: dict[str, Any]) -> None:
    made = life.server_of(team).store.person_creates(brief=f"theirs: {more['brief']}", title=more["title"])
    life.foreign.add(made)
    life.world.tell("person", f"creates {made}")


# the state


def busy(life: Life, team: Team) -> bool:
    number = life.teams.index(team)
    return any(done.team == number and not done.process.over for done in life.running)


def lose(life: Life, team: Team, more: dict[str, Any]) -> bool:
    if busy(life, team) or not (team.findable or more.get("anyway")) or life.altered or team.lost:
        return False
    team.copies.clear()
    team.claimed, team.lost = None, True
    for path in list(life.bucket.objects):
        if path.startswith(life.place(team)):
            del life.bucket.objects[path]
    if not life.course.remote:
        life.disk(team).put_back({}, instead_of=life.files(team))
    life.world.tell(team.name, "the state is lost")
    life.figures["states lost"] += 1
    return True


def old_copy(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """A copy is kept now; the next time, it is put back."""
    if busy(life, team) or life.course.remote or life.altered or not team.findable:
        return False
    disk, state = life.disk(team), life.state(team)
    if not team.copies:
        team.copies.append({path: data for path, data in disk.texts() if path == state})
        life.world.tell(team.name, "keeps a copy of the state")
        return True
    team.lost = True
    disk.put_back(team.copies.pop(), instead_of=life.files(team))
    life.world.tell(team.name, "puts the old copy of the state back")
    life.figures["old copies put back"] += 1
    return True


def _killed(life: Life, more: dict[str, Any], done: commands.Done) -> None:
    """Perhaps a command is killed in the midst of it."""
    if more.get("kill"):
        done.process.kill_in = more["kill"]
        done.process.on_death.append(lambda: life.note(done.process.name, "killed"))


def unlock(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """`state unlock`, by somebody who sees that no run is there; or takes one that is paused for dead."""
    if (busy(life, team) and not more.get("anyway")) or not life.course.remote:
        return False
    life.unlocked.update(done.process.number for done in life.running if done.team == life.teams.index(team))
    _killed(
        life,
        more,
        commands.start(life, life.runner_of(team), "unlock", lambda w, _: _awaited(w.store.unlock(lambda _: True))),
    )
    return True


def mv(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """`state mv`, and the specs with it."""
    thing = _pick(life, team, more)
    if thing is None or thing.moving or busy(life, team):
        return False
    old, life.names = thing.address, life.names + 1
    new = f"p{life.names}"
    runner = life.runner_of(team)
    done = commands.start(
        life, runner, "state mv", lambda w, _: _awaited(rename_address(w, old, new, lock_timeout=0.0))
    )

    if more.get("unsynced"):
        life.disk_of(done.process).unlucky = done.process

    def undone() -> None:  # as they were warned: another project is made under the new name
        thing.rights += 1
        team.lost = True

    def follow() -> None:
        if done.error is None and not done.process.dead:
            team.renames(thing, new)
            for other in life.siblings(team):
                for same in other.wanted():
                    if same.address == old:
                        same.moving = True
                        other.renames(same, new)
            if done.warned:
                life.disk_of(done.process).at_risk.append(undone)

    done.process.fibers[0].on_end.append(follow)
    return True


def rm(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """`state rm`, by people who want another project instead."""
    thing = _pick(life, team, more)
    if thing is None or thing.moving or thing.studio_id or thing.project_id or busy(life, team):
        return False
    address = thing.address
    done = commands.start(
        life, life.runner_of(team), "state rm", lambda w, _: _awaited(forget(w, (address,), lock_timeout=0.0))
    )

    def follow() -> None:
        thing.rights += 1  # also if it was killed in the midst of it
        team.findable = False
        team.lost = True

    done.process.fibers[0].on_end.append(follow)
    _killed(life, more, done)
    return True


def resolve(life: Life, team: Team, more: dict[str, Any]) -> bool:
    """`state resolve`, by people who have waited, and have looked into the account."""
    if busy(life, team):
        return False

    async def work(workspace: Any, _: Any) -> None:
        state = workspace.load()[0]
        for intent in state.pending.values():
            if intent.kind == "message" and intent.undecided:
                sent = life.was_sent(state, intent)
                life.world.tell(
                    team.name, f"decides: {intent.message_id} of {intent.address} {'was' if sent else 'not'} sent"
                )
                decide(workspace, intent.address, sent=sent, lock_timeout=0.0)
                return

    _killed(life, more, commands.start(life, life.runner_of(team), "resolve", work))
    return True


def downloads(life: Life, team: Team, more: dict[str, Any]) -> None:
    """`output --download`, into the folder that the specs name."""

    async def work(workspace: Any, api: Any) -> None:
        found = await films.fetch(life, team, workspace, api)
        films.heard(life, done.process.name, found)

    done = commands.start(life, life.runner_of(team), "download", work)
    _killed(life, more, done)


def plan(life: Life, team: Team, more: dict[str, Any]) -> None:
    _killed(life, more, commands.plan(life, life.runner_of(team), specs.desired(team)))


# the server


def storm(life: Life, team: Team, more: dict[str, Any]) -> None:
    life.storms = True
    for server in life.servers:
        server.weather.storm, server.weather.storm_until = more["storm"], life.world.now + more["seconds"]
    life.world.tell("network", f"{more['storm']} for {more['seconds']:.0f} s")


def outage(life: Life, team: Team, more: dict[str, Any]) -> None:
    life.outage_until = life.world.now + more["seconds"]
    life.world.tell("network", f"the store is away for {more['seconds']:.0f} s")


def habits(life: Life, team: Team, more: dict[str, Any]) -> None:
    life.altered = True
    for server in life.servers:
        server.store.change({"message_habits": more["message_habits"]})
    life.world.tell("server", f"from now on: {more['message_habits']}")


def cursors(life: Life, team: Team, more: dict[str, Any]) -> None:
    life.forgetful = True
    for server in life.servers:
        server.store.forget_cursors()
    life.world.tell("server", "forgets cursors")


def loses_pictures(life: Life, team: Team, more: dict[str, Any]) -> None:
    life.server_of(team).store.lose_uploads()
    life.world.tell("server", "no longer has what was uploaded")


def act(life: Life, team: Team, what: str, more: dict[str, Any]) -> None:
    """Something happens to a team. What changes its specs changes those of the other environments, too."""
    names, picked = life.names, _pick(life, team, more)
    address = None if picked is None else picked.address
    ACTS[what](life, team, more)
    for other in life.siblings(team) if what in EDITS else ():
        same = [n for n, thing in enumerate(other.wanted()) if thing.address == address]
        if same or what == "add":
            after, life.names = life.names, names
            ACTS[what](life, other, more | {"pick": next(iter(same), 0)})
            life.names = max(life.names, after)


async def _awaited(value: Any) -> Any:
    return value


EDITS: Final = frozenset({"add", "say", "set", "rewrite", "rename", "remove", "cancel"})
"""Acts that change specs."""
ACTS: Final[dict[str, Callable[[Life, Team, dict[str, Any]], object]]] = {
    "add": add,
    "say": say,
    "set": settings,
    "rewrite": rewrite,
    "rename": rename,
    "remove": remove,
    "cancel": cancel,
    "types": types,
    "titles": titles,
    "stops": stops,
    "creates": creates,
    "lose": lose,
    "old copy": old_copy,
    "unlock": unlock,
    "mv": mv,
    "rm": rm,
    "resolve": resolve,
    "takes over": takes_over,
    "plan": plan,
    "downloads": downloads,
    "loses pictures": loses_pictures,
    "mistakes": strangers.mistakes,
    "storm": storm,
    "outage": outage,
    "habits": habits,
    "cursors": cursors,
}
"""What may happen to a workspace, by its name in a course; each does nothing where it can't be."""
