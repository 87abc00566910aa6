"""The workspace of the kill matrix: one that has been applied once, and specs that ask for every kind of step."""

from collections import Counter
from dataclasses import dataclass

from tests.canaries import HOOK
from tests.recovery.kill_points import FAMILIES
from tests.recovery.runs import World

BEFORE = """\
projects:
  kept: {brief: A kept one., settings: {title: Kept}, messages: [one, two]}
  renewed: {brief: The old brief., settings: {title: Renewed}, messages: [old words]}
  stopped: {brief: To be stopped., settings: {title: Stopped}}
  leaving: {brief: To be released., lifecycle: {on_remove: release}}
  dropped: {brief: To be cancelled., lifecycle: {on_remove: cancel}}
  gone: {brief: To be forgotten., lifecycle: {on_remove: forget}}
  from-name: {brief: To be renamed., settings: {title: Moved}}
"""
AFTER = """\
projects:
  kept: {brief: A kept one., settings: {title: Kept on, craft: cinema, webhook_url: "HOOK"}, messages: [one, two, two, three]}
  renewed: {brief: The new brief., settings: {title: Renewed}, messages: [new words, more words]}
  stopped: {brief: To be stopped., settings: {title: Stopped}, state: cancelled}
  to-name: {brief: To be renamed., settings: {title: Moved on}}
  cut: {brief: A cut., settings: {title: Cut}, references: [{project: kept}], depends_on: [fresh]}
  fresh: {brief: A fresh one., settings: {title: Fresh}, messages: [go on, go on, "HOOK"], deliver: DELIVER}
  untitled: {brief: One without a title., messages: [hello]}
  adopted: {adopt: 51d10000-0000-4000-8000-000000000001, settings: {title: Adopted, mode: autonomous}, messages: [hi]}
  imported: {import: "IMPORTED", settings: {craft: humor}}
moved: [{from: from-name, to: to-name}]
""".replace("HOOK", HOOK).replace("DELIVER", "{render: 4k, share: {title: Fresh}}")


@dataclass
class Truth:
    """What the account and the state hold in the end, without ids and times."""

    creates: Counter
    messages: dict
    once: Counter
    settings: dict
    state: dict
    untracked: set


def prepared(zygote, accounts, folder, world=World, after=AFTER, **more):
    """The workspace, applied once, with the specs of the next apply in place."""
    world = world.new(zygote, accounts, folder, BEFORE, **more)
    world.converges()
    imported = world.store.person_creates(brief="Made by hand.", title="By hand")
    world.store.person_creates(brief="Nobody's business.", title="Foreign")
    world.specs(after.replace("IMPORTED", imported))
    return world


def matrix_of(base, calm):
    """The prepared workspace, the truth after an undisturbed apply in its copy, and the points that such an apply has."""
    ended = calm.apply(trace=True)
    assert ended.code == 0, str(ended)
    assert calm.plan().code == 0
    totals = {family: sum(point[0] == family for point in ended.points) for family in FAMILIES}
    wanted = truth(calm)
    calm.close()
    return base, wanted, totals


def points_of(totals):
    return [(family, n) for family in FAMILIES for n in range(1, totals[family] + 1)]


ONCE = ("adopt", "cancel", "render", "share")
"""Effects of which a project has one at most."""


def delivery(entry, effects):
    """What the state has of a project's render and link, the link held against the ledger."""
    rendered, shared = entry["rendered"], entry["shared"]
    made = [e.detail["share_url"] for e in effects if e.kind == "share" and e.project_id == entry["project_id"]]
    return (
        rendered and (rendered["quality"], rendered["how"], rendered["outdated"]),
        shared and (shared["share_url"] == made[-1], shared["outdated"]),
    )


def truth(world):
    """Reads the account's ledger and the state."""
    effects = world.store.ledger()
    labels = {e.project_id: e.idempotency_key or e.detail.get("project_id") for e in effects if e.kind != "settings"}
    labels = {p["id"]: labels.get(p["id"]) or p["title"] for p in world.store.projects()}
    for effect in effects:
        if effect.kind == "create":
            labels[effect.project_id] = effect.idempotency_key
        elif effect.kind == "adopt":
            labels[effect.project_id] = effect.detail["project_id"]
    messages = {}
    for effect in effects:
        if effect.kind == "message":
            messages.setdefault(labels[effect.project_id], []).append(effect.detail["message"])
    entries = world.entries()
    tracked = {e["project_id"] for e in entries.values()} | {i for e in entries.values() for i in e["retired"]}
    created = {e.project_id for e in effects if e.kind in ("create", "adopt")}
    return Truth(
        creates=Counter(e.idempotency_key for e in effects if e.kind == "create"),
        messages=messages,
        once=Counter((e.kind, labels[e.project_id]) for e in effects if e.kind in ONCE),
        settings={
            labels[p["id"]]: {n: p[n] for n in ("title", "mode", "craft", "skills", "expected_output") if n in p}
            | {"cancelled": p["status"] == "cancelled"}
            for p in world.store.projects()
        },
        state={
            address: {
                "project": labels[e["project_id"]],
                "retired": [labels[i] for i in e["retired"]],
                "messages": [m["id"] for m in e["messages"]],
                "creation": e["creation"],
                "delivered": delivery(e, effects),
                "settings": {n: e["settings"][n]["value"] for n in ("title", "craft", "skills") if n in e["settings"]},
            }
            for address, e in entries.items()
        }
        | {"pending": len(world.pending())},
        untracked={labels[i] for i in created - tracked},
    )


def judge(found, wanted):
    """What is wrong, as words; and how many effects are there twice, or not at all."""
    wrong, twice, lost = [], 0, 0
    for name in ("creates", "once"):
        have, want = getattr(found, name), getattr(wanted, name)
        if have != want:
            wrong.append(f"{name}: {dict(have - want)} too many, {dict(want - have)} missing")
            twice += sum((have - want).values())
            lost += sum((want - have).values())
    for label in found.messages.keys() | wanted.messages.keys():
        have, want = found.messages.get(label, []), wanted.messages.get(label, [])
        if have != want:
            wrong.append(f"messages of {label}: {have}, not {want}")
            twice += sum((Counter(have) - Counter(want)).values())
            lost += sum((Counter(want) - Counter(have)).values())
    rest = ((name, getattr(found, name), getattr(wanted, name)) for name in ("settings", "state", "untracked"))
    wrong += [f"{name}: {have}, not {want}" for name, have, want in rest if have != want]
    return wrong, twice, lost
