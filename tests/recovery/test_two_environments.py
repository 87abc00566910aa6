"""Two environments with the same specs, in one account and one bucket: killed, disturbed and driven at random, each does
its own work once, and no call of one names a project of the other. The judge is the server's own log and ledger.
"""

import json
import random
import re
import shutil
from collections import Counter

import pytest
from obstore.store import LocalStore

from reconciler.sandbox.store import Fault
from tests.recovery import runs
from tests.recovery.kill_points import FAMILIES
from tests.recovery.remote import Place
from tests.recovery.runs import World, kill_at
from tests.recovery.test_faults import CALLS, FAULTS
from tests.sampling import every, swept

CONFIG = (
    runs.CONFIG.replace("1000000}}", "1000000, lease_seconds: 20}}")
    + "environments: {{dev: {{api: {{key_env: EVERSINCE_DEV}}}}, prod: {{api: {{key_env: EVERSINCE_PROD}}}}}}\n"
)
BEFORE = """\
projects:
  kept: {brief: A kept one., settings: {title: Kept}, messages: [one]}
  renewed: {brief: The old brief., settings: {title: Renewed}}
  stopped: {brief: To be stopped.}
  dropped: {brief: To be cancelled., lifecycle: {on_remove: cancel}}
"""
AFTER = """\
projects:
  kept: {brief: A kept one., settings: {title: Kept on, craft: humor}, messages: [one, two, two]}
  renewed: {brief: The new brief., settings: {title: Renewed}, messages: [new words]}
  stopped: {brief: To be stopped., state: cancelled}
  fresh: {brief: A fresh one., settings: {title: Fresh}, messages: [go on, go on]}
  adopted: {adopt: 51d10000-0000-4000-8000-000000000001, settings: {title: Adopted}, only: [prod]}
"""
NAMES = ("dev", "prod")
PATIENT = ("--lock-timeout", "30s")
SAMPLED = 3
ID = re.compile(r"^/projects/((?!adopt$)[^/]+)")


class TwoEnvironments(World):
    """A workspace whose environments share an account and a bucket, each with a key of its own: so it is known who asked."""

    @classmethod
    def new(cls, zygote, accounts, folder, specs, **more):
        world = super().new(zygote, accounts, folder, specs, config=CONFIG, **more)
        world.begin()
        return world

    def begin(self):
        self.bucket = self.folder / "bucket"
        self.bucket.mkdir(exist_ok=True)
        self.env = {"RECONCILER_STATE": f"file://{self.bucket}"}
        self.keys = {name: self.accounts.another_key(self.key, name) for name in NAMES}
        self.env |= {f"EVERSINCE_{name.upper()}": key for name, key in self.keys.items()}

    def copy(self, folder):
        world = self._twin(folder)
        for name in ("reconciler.yaml", "specs", "bucket"):
            path = self.folder / name
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, world.folder / name)
        world.begin()
        return world

    def _twin(self, folder):
        return TwoEnvironments(self.zygote, self.accounts, folder, source=self.store)

    def within(self, name, *argv, **how):
        self.env["RECONCILER_ENVIRONMENT"] = name
        return self.run(*argv, **how)

    def owners(self):
        """The environment of each project that one of them made or adopted; nobody's otherwise."""
        owners = dict.fromkeys((project["id"] for project in self.store.projects()), "nobody")
        for effect in self.store.ledger():
            if effect.kind == "create" and effect.idempotency_key:
                owners[effect.project_id] = re.match(r"recovery@(\w+)/", effect.idempotency_key)[1]
            elif effect.kind == "adopt":
                owners[effect.project_id] = "prod"
        return owners

    def applied(self, name, *more, **how):
        ended = self.within(name, "apply", *runs.QUICK, *PATIENT, *more, **how)
        if ended.killed:
            Place(LocalStore(self.bucket / name), "", {}).run_out()
        return ended

    def trespasses(self):
        """Projects of one environment that a call of the other named."""
        owners = self.owners()
        named = {
            (name, found[1])
            for name, key in self.keys.items()
            for p in self.accounts.asked[key]
            if (found := ID.match(p))
        }
        return sorted((name, project) for name, project in named if owners.get(project, name) != name)

    def done(self, name):
        """What was done for an environment, without ids: creates and their keys, messages and cancels of each."""
        keys = {
            e.project_id: e.idempotency_key or "adopted" for e in self.store.ledger() if e.kind in ("create", "adopt")
        }
        kinds = ("create", "adopt", "message", "cancel")
        owners = self.owners()
        return Counter(
            (
                e.kind,
                keys[e.project_id].replace(f"@{name}", ""),
                e.detail.get("message") if e.kind == "message" else None,
            )
            for e in self.store.ledger()
            if e.kind in kinds and owners[e.project_id] == name
        )


@pytest.fixture(scope="session")
def ready(zygote, accounts, shelf):
    """Both applied once, the specs of the next apply in place; what an undisturbed apply of each does; its points."""
    base = TwoEnvironments.new(zygote, accounts, shelf / "two", BEFORE)
    for name in NAMES:
        ended = base.applied(name)
        assert ended.code == 0, str(ended)
    base.specs(AFTER)
    calm = base.copy(shelf / "two-calm")
    totals = {}
    for name in NAMES:
        ended = calm.applied(name, trace=True)
        assert ended.code == 0, str(ended)
        totals[name] = Counter(point[0] for point in ended.points)
    wanted = {name: calm.done(name) for name in NAMES}
    assert not calm.trespasses()
    calm.close()
    yield base, wanted, totals
    base.close()


def judged(world, wanted, figures):
    """Both applied in peace; everything that is wrong then, as words."""
    wrong = []
    for name in NAMES:
        ended = world.applied(name)
        left = world.within(name, "plan", "--detailed-exitcode")
        if ended.code or left.code:
            wrong.append(f"{name} did not converge\n{ended}\n{left}")
    for name in NAMES:
        found = world.done(name)
        figures["two environments: effects twice"] += sum((found - wanted[name]).values())
        figures["two environments: effects lost"] += sum((wanted[name] - found).values())
        if found != wanted[name]:
            wrong.append(f"{name}: {found - wanted[name]} too many, {wanted[name] - found} missing")
    figures["two environments: trespasses"] += len(world.trespasses())
    return [*wrong, *(f"{name} named {project}" for name, project in world.trespasses())]


def points(totals):
    return [(name, family, n) for name in NAMES for family in FAMILIES for n in range(1, totals[name][family] + 1)]


def killed(ready, folder, figures, chosen):
    base, wanted, _ = ready
    wrong = []
    for number, (name, family, n) in enumerate(chosen):
        world = base.copy(folder / str(number))
        try:
            ended = world.applied(name, orders=[kill_at(family, n)])
            assert ended.killed or ended.code == 0, str(ended)
            figures["two environments: kills"] += ended.killed
            other = next(each for each in NAMES if each != name)
            between = world.applied(other)
            assert between.code == 0, str(between)
            wrong += [f"{name} killed at {family} {n}: {what}" for what in judged(world, wanted, figures)]
        finally:
            world.close()
    assert not wrong, "\n\n".join(wrong[:5])


@pytest.mark.sweep
def test_a_killed_run_of_one_is_no_concern_of_the_other(ready, folder, figures):
    """Intent: one is killed, the other applies meanwhile, and both end as if nothing had been."""
    killed(ready, folder, figures, random.Random(15).sample(points(ready[2]), SAMPLED))


@pytest.mark.sweep
@pytest.mark.parametrize("chunk", range(12))
def test_a_run_of_one_killed_at_every_second_point_is_no_concern_of_the_other(ready, folder, figures, chunk):
    """Intent: every point of one workspace is tried elsewhere; here each takes six runs."""
    killed(ready, folder, figures, points(ready[2])[2 * chunk :: 24])


def disturbed(ready, folder, figures, fault, name):
    base, wanted, _ = ready
    world = base.copy(folder / "trial")
    try:
        world.store.add_fault(fault)
        world.applied(name, "--timeout", "3s")
        world.store.clear_faults()
        figures["two environments: faults"] += 1
        wrong = judged(world, wanted, figures)
        assert not wrong, "\n\n".join(wrong)
    finally:
        world.close()


_CELLS = [(c, f) for row, c in enumerate(CALLS) for column, f in enumerate(FAULTS) if (row + column) % 2]
"""Each call with every second fault, each fault with every second call."""
_SHORT = random.Random(7).sample(_CELLS, 5)


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("call", "fault"),
    [cell if cell in _SHORT else swept(*cell) for cell in _CELLS],
)
def test_a_fault_in_one_is_no_concern_of_the_other(ready, folder, figures, call, fault):
    method, path = CALLS[call]
    disturbed(ready, folder, figures, Fault(method=method, path=path, **FAULTS[fault]), "prod")


def anything(world, dice):
    """Some steps in some order, in either environment. What is wrong, as words."""
    for _ in range(8):
        name = dice.choice(NAMES)
        world.specs(dice.choice((BEFORE, AFTER, AFTER.replace("The new brief", "Another brief"))))
        match dice.choice(("apply", "apply", "kill", "fault", "replace", "destroy", "status")):
            case "apply":
                world.applied(name)
            case "kill":
                world.applied(name, orders=[kill_at(dice.choice(("state", "call", "read")), dice.randint(1, 9))])
            case "fault":
                world.store.add_fault(Fault(**FAULTS[dice.choice(["reset after", "500 after", "truncated after"])]))
                world.applied(name, "--timeout", "3s")
                world.store.clear_faults()
            case "replace":
                world.applied(name, "--replace", "kept")
            case "destroy":
                world.within(name, "destroy", *runs.QUICK, *PATIENT, "--force")
            case "status":
                world.within(name, "status")
    keys = Counter(e.idempotency_key for e in world.store.ledger() if e.kind == "create")
    wrong = [f"{key} made {count} projects" for key, count in keys.items() if count > 1]
    return [*wrong, *(f"{name} named {project}" for name, project in world.trespasses())]


@pytest.mark.parametrize("seed", every(15, range(30)))
def test_whatever_happens_each_keeps_to_its_own(ready, folder, figures, seed):
    world = ready[0].copy(folder / "any")
    try:
        wrong = anything(world, random.Random(seed))
        figures["two environments: random courses"] += 1
        assert not wrong, "\n".join(wrong)
    finally:
        world.close()


STORY = "projects:\n  a: {brief: The same brief., settings: {title: Same}, messages: [one]}\n  b: {brief: Another., settings: {title: Other}}\n"


@pytest.mark.sweep
def test_the_same_specs_in_two_environments_of_one_account(zygote, accounts, folder):
    """Intent: prod's first plan creates, prod's destroy cancels its own only, with dev's projects as they were."""
    world = TwoEnvironments.new(zygote, accounts, folder / "w", STORY)
    try:
        assert world.applied("dev").code == 0
        mine = world.store.projects()
        plan = json.loads(world.within("prod", "plan", "--format", "json").out)
        assert Counter(step["action"] for step in plan["steps"]) == {"create": 2, "message": 1}
        assert world.applied("prod").code == 0
        assert world.within("prod", "destroy", *runs.QUICK, "--force").code == 0
        assert world.within("dev", "plan", "--detailed-exitcode").code == 0
        assert world.done("dev") == Counter(
            {
                ("create", "recovery/a/1", None): 1,
                ("create", "recovery/b/1", None): 1,
                ("message", "recovery/a/1", "one"): 1,
            }
        )
        now = {p["id"]: p for p in world.store.projects()}
        assert all(now[p["id"]]["title"] == p["title"] and now[p["id"]]["status"] != "cancelled" for p in mine)
        assert not world.trespasses()
    finally:
        world.close()


@pytest.mark.sweep
def test_a_changed_value_replaces_nothing_of_the_other(zygote, accounts, folder):
    """Intent: what differs between environments is no change of the other's projects, in either order."""
    text = "projects:\n  a: {brief: 'For ${environment}.', settings: {title: Same}}\n"
    world = TwoEnvironments.new(zygote, accounts, folder / "w", text)
    try:
        for name in (*NAMES, *reversed(NAMES)):
            assert world.applied(name).code == 0
            assert world.within(name, "plan", "--detailed-exitcode").code == 0
        assert Counter(e.kind for e in world.store.ledger()) == {"create": 2}
        assert not world.trespasses()
    finally:
        world.close()


def test_a_call_that_names_the_others_project_is_seen(zygote, accounts, folder):
    """Intent: the zeros above count something: an import on purpose shows up."""
    world = TwoEnvironments.new(zygote, accounts, folder / "w", STORY)
    try:
        assert world.applied("dev").code == 0
        theirs = next(p["id"] for p in world.store.projects() if p["title"] == "Same")
        assert world.within("prod", "import", "a", theirs).code == 0
        assert ("prod", theirs) in world.trespasses()
    finally:
        world.close()


@pytest.mark.parametrize("prod", ["lost its state", "can't be read", "has its state", "has none yet"])
@pytest.mark.parametrize("arrived", [False, True])
def test_a_failed_project_is_bound_only_where_it_can_be_no_others(zygote, accounts, folder, prod, arrived):
    """Intent: dev's create may not have arrived, and what looks like its project has failed, as has its key."""
    world = TwoEnvironments.new(zygote, accounts, folder / "w", "projects:\n  a: {brief: 'It will [fail]'}\n")
    try:
        if prod != "has none yet":
            world.applied("prod")
        theirs = world.created()
        assert world.applied("dev", orders=[kill_at("call", 3 if arrived else 1)]).killed
        match prod:
            case "lost its state":
                shutil.rmtree(world.bucket / "prod")
            case "can't be read":
                for path in (world.bucket / "prod").rglob("*.json*"):
                    path.write_bytes(b"{")
        made = world.created()
        told = world.applied("dev")
        bound = {e["project_id"] for e in json.loads(world.within("dev", "state", "pull").out)["projects"].values()}
        asked = "that is another environment's" in told.out + told.err or "could be any of" in told.out + told.err
        assert not bound & set(theirs), str(told)
        if prod == "has its state":
            assert not asked and bound == {*world.created()} - {*theirs}, str(told)
            assert len(world.created()) == len(theirs) + 1
        else:
            assert asked == bool(made) and (not made or not bound) and world.created()[: len(made)] == made, str(told)
            assert len(world.created()) == max(len(made), 1)
    finally:
        world.close()
