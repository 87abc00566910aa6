"""A saved plan is executed exactly or refused, per project; what is done of it is never done again."""

import json
import time

import pytest

from reconciler.sandbox.store import Fault
from tests.recovery.runs import World, kill_at
from tests.sampling import every
from tests.security.test_plan_digest import resealed

BEFORE = """\
projects:
  a: {brief: The brief of a., settings: {title: A}}
  b: {brief: The brief of b., settings: {title: B}}
  c: {brief: The brief of c., settings: {title: C}}
"""
AFTER = """\
projects:
  a: {brief: The brief of a., settings: {title: A on}, messages: [one, two]}
  b: {brief: The brief of b., settings: {title: B on}, messages: [hello]}
  c: {brief: The brief of c., settings: {title: C}, state: cancelled}
  d: {brief: The brief of d., settings: {title: D}, messages: [first, second]}
"""
EFFECTS = ["cancel", "create", "message", "message", "message", "message", "message", "settings", "settings"]
CALLS = 9


@pytest.fixture(scope="session")
def planned(zygote, accounts, shelf):
    """Applied once, with the plan of what comes next."""
    world = World.new(zygote, accounts, shelf / "planned", BEFORE)
    world.converges()
    world.specs(AFTER)
    saved = world.run("plan", "--out", "saved.plan")
    assert saved.code == 0, str(saved)
    yield world
    world.close()


@pytest.fixture
def world(planned, folder):
    world = planned.copy(folder / "w")
    world.base = len(world.kinds())
    yield world
    world.close()


@pytest.fixture(scope="session")
def first_planned(zygote, accounts, shelf):
    """Never applied, with the plan of all."""
    world = World.new(zygote, accounts, shelf / "first-planned", BEFORE)
    assert world.run("plan", "--out", "saved.plan").code == 0
    yield world
    world.close()


def effects(world):
    return sorted(world.kinds()[world.base :])


def saved(world, **how):
    return world.run("apply", "saved.plan", "--poll-interval", "0.02", "--settle", "0.2", **how)


def project(world, address):
    return world.entries()[address]["project_id"]


def complete(world):
    return effects(world) == EFFECTS and world.sent("a") == ["one", "two"] and world.sent("d") == ["first", "second"]


@pytest.mark.sweep
def test_a_plan_applied_twice_acts_once(world):
    for _ in range(2):
        done = saved(world)
        assert done.code == 0, str(done)
        assert complete(world)
    assert world.plan().code == 0


@pytest.mark.sampled(6)
@pytest.mark.parametrize("at", every(4, range(1, 3 * CALLS + 1)))
def test_a_plan_cut_short_is_resumed_under_the_same_approval(world, at, figures):
    ended = saved(world, orders=[kill_at("call", at)])
    assert ended.killed, str(ended)
    done = saved(world)
    assert done.code == 0, str(done)
    assert "settings" in effects(world)
    again = [kind for kind in effects(world) if kind != "settings"]
    assert again == [kind for kind in EFFECTS if kind != "settings"], str(done)
    assert world.sent("a") == ["one", "two"]
    assert world.plan().code == 0
    figures["saved plans cut short"] += 1


@pytest.mark.sampled(6)
@pytest.mark.parametrize("n", every(3, range(1, 60, 7)))
def test_a_plan_cut_short_at_a_write_is_resumed(world, n, figures):
    ended = saved(world, orders=[kill_at("state", n)])
    assert ended.killed, str(ended)
    done = saved(world)
    assert done.code == 0, str(done)
    assert world.sent("a") == ["one", "two"]
    assert world.plan().code == 0
    figures["saved plans cut short"] += 1


def refused(world, address):
    """The plan is refused for one project, with the word, and carried out for the others."""
    done = world.run("apply", "saved.plan", "--poll-interval", "0.02", "--format", "json")
    assert done.code == 1, str(done)
    steps = json.loads(done.out)["steps"]
    for step in steps:
        if step["address"] == address:
            assert step["outcome"] in ("failed", "skipped")
        else:
            assert step["outcome"] == "done", step["error"]
    assert "stale" in next(s for s in steps if s["address"] == address)["error"]["summary"]
    return done


def test_a_changed_title_makes_that_project_stale(world):
    world.store.person_sets(project(world, "a"), title="A person's")
    refused(world, "a")
    assert world.sent("a") == []
    assert world.sent("b") == ["hello"]
    assert next(p["title"] for p in world.store.projects() if p["id"] == project(world, "a")) == "A person's"


def test_a_project_cancelled_meanwhile_is_stale(world):
    world.store.set_status(project(world, "b"), "cancelled")
    refused(world, "b")


def test_a_project_that_failed_meanwhile_is_stale(world):
    world.store.set_status(project(world, "a"), "failed", error_message="broke")
    refused(world, "a")


def test_a_changed_entry_of_the_state_is_stale(world):
    specs = "projects:\n  a: {brief: The brief of a., settings: {title: A, craft: cinema}}\n"
    world.specs(specs)
    assert world.apply("--target", "a").code == 0
    world.base = len(world.kinds())
    refused(world, "a")
    assert world.sent("a") == []


def test_a_project_forgotten_meanwhile_is_stale(world):
    assert world.run("state", "rm", "b").code == 0
    refused(world, "b")


@pytest.mark.sweep
def test_a_project_created_meanwhile_is_stale(world):
    world.specs(BEFORE + "  d: {brief: The brief of d., settings: {title: D}}\n")
    assert world.apply("--target", "d").code == 0
    refused(world, "d")
    assert len(world.created()) == 4


def test_a_cancel_of_a_project_that_went_to_work_meanwhile_is_stale(world):
    world.store.set_status(project(world, "c"), "running")
    refused(world, "c")


@pytest.mark.sweep
def test_an_unmanaged_change_and_a_working_agent_make_nothing_stale(world):
    world.store.person_sets(project(world, "a"), craft="humor")
    world.store.person_writes(project(world, "b"), "a word of a person")
    done = saved(world)
    assert done.code == 0, str(done)
    assert complete(world)


def test_changed_specs_do_not_matter(world):
    world.specs("projects: {}\n")
    done = saved(world)
    assert done.code == 0, str(done)
    assert complete(world)


@pytest.mark.sweep
def test_another_lineage_is_refused_before_any_call(world):
    world.state.unlink()
    (world.folder / "specs" / "all.yaml").write_text(BEFORE)
    assert world.apply().code == 0
    world.store.clear_requests()
    count = len(world.kinds())
    done = saved(world)
    assert done.code == 1
    assert "stale" in done.err
    assert len(world.kinds()) == count


@pytest.mark.sweep
def test_a_plan_of_a_workspace_without_state_goes_with_a_state_that_is_still_new(new_world):
    world = new_world(BEFORE)
    assert world.run("plan", "--out", "saved.plan").code == 0
    for _ in range(2):
        done = saved(world)
        assert done.code == 0, str(done)
        assert len(world.created()) == 3
    assert world.plan().code == 0


@pytest.mark.sampled(6)
@pytest.mark.parametrize("n", every(3, range(1, 12)))
def test_a_first_plan_cut_short_at_the_first_writes_is_resumed(first_planned, folder, n):
    world = first_planned.copy(folder / "w")
    ended = saved(world, orders=[kill_at("state", n)])
    assert ended.killed
    done = saved(world)
    assert done.code == 0, str(done)
    assert len(world.created()) == 3
    world.close()


@pytest.mark.sweep
def test_a_plan_whose_key_binds_a_project_of_another_brief_sends_it_nothing(new_world):
    world = new_world("projects:\n  a: {brief: One brief.}\n")
    world.converges()
    world.state.unlink()
    world.specs("projects:\n  a: {brief: Another brief., messages: [hello]}\n")
    assert world.run("plan", "--out", "saved.plan").code == 0
    for _ in range(2):
        done = saved(world)
        assert done.code == 1, str(done)
        assert "the key `recovery/a/1` belongs to" in done.out
        assert not world.state.exists() or not world.entries()
    assert world.kinds() == ["create"]


@pytest.mark.sweep
def test_what_is_left_of_a_plan_is_not_done_to_a_project_that_took_the_address(world):
    assert world.run("apply", "saved.plan", "--wait", "none").code == 0
    assert world.sent("a") == ["one"]
    other = project(world, "b")
    assert world.run("state", "rm", "a", "b").code == 0
    assert world.run("import", "a", other).code == 0
    count = len(world.kinds())
    done = saved(world)
    assert done.code == 1, str(done)
    assert "stale" in done.out
    assert other not in {effect.project_id for effect in world.store.ledger()[count:]}


def test_a_plan_edited_by_hand_cancels_no_other_project(world):
    foreign = world.store.person_creates(brief="Foreign.")
    file = world.folder / "saved.plan"
    edited = file.read_text().replace(project(world, "c"), foreign)
    file.write_text(edited)
    unsealed = world.run("apply", "saved.plan")
    assert unsealed.code == 1 and "was changed after it was written" in unsealed.err, str(unsealed)
    file.write_text(json.dumps(resealed(json.loads(edited))))
    refused(world, "c")
    assert next(p["status"] for p in world.store.projects() if p["id"] == foreign) != "cancelled"


FAILS = "projects:\n  it: {brief: 'It will [fail]', settings: {title: It}}\n"


def test_a_first_plan_applied_again_after_its_state_was_lost_makes_no_second_one_for_a_failed_project(new_world):
    """The API makes another project for the key of a failed one, and nobody remembers that it was made."""
    world = new_world(FAILS)
    assert world.run("plan", "--out", "saved.plan").code == 0
    assert saved(world).code == 0
    until_failed(world)
    world.state.unlink()
    again = saved(world)
    assert again.code == 1 and "stale" in again.err, str(again)
    assert world.kinds().count("create") == 1


@pytest.mark.sweep
def test_a_first_plan_made_in_the_knowledge_of_a_failed_project_makes_the_one_it_was_asked_for(new_world):
    world = new_world(FAILS)
    assert world.apply().code == 0
    until_failed(world)
    world.state.unlink()
    time.sleep(1)  # the account gives whole seconds
    assert world.run("plan", "--replace", "it", "--out", "saved.plan").code == 0
    assert saved(world).code == 0
    assert world.kinds().count("create") == 2


def until_failed(world):
    while [project["status"] for project in world.store.projects()] != ["failed"]:
        time.sleep(0.01)


NAMED = "projects:\n  other: {brief: Another brief.}\n  old: {brief: The brief of it., messages: [hello]}\n"
RENAMED = NAMED.replace("  old:", "  new:") + "moved:\n  - {from: old, to: new}\n"


@pytest.mark.parametrize("lost", [False, True], ids=["done", "of unknown fate"])
def test_what_another_run_made_under_its_old_name_is_not_made_again(new_world, lost):
    """Intent: a plan was saved with a rename of a project that did not exist yet; then a run of the specs before makes it."""
    world = new_world(NAMED[: NAMED.index("  old:")])
    world.converges()
    world.specs(RENAMED)
    assert world.run("plan", "--out", "saved.plan").code == 0
    world.specs(NAMED)
    if lost:
        world.store.add_fault(Fault(kind="reset", method="POST", path="^/projects$", when="after", times=100))
    world.apply()
    world.store.clear_faults()
    world.specs(RENAMED)
    done = world.run("apply", "saved.plan", "--auto-approve")
    assert done.code == 1, str(done)
    assert "`old`" in done.err
    world.converges()
    assert sorted(world.kinds()) == ["create", "create", "message"]
