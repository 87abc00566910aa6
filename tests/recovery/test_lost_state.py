"""The state is a cache: lose it, or put an old copy back, and nothing is made twice and nothing is lost."""

import shutil

import pytest

from reconciler.sandbox.store import Fault
from tests.recovery.campaign import judge, prepared, truth
from tests.recovery.runs import kill_at

TWO = """\
projects:
  first: {brief: The first brief., settings: {title: First}, messages: [one, one, two]}
  second: {brief: The second brief., messages: [hello]}
"""


def counts(world):
    return sorted(e.kind for e in world.store.ledger() if e.kind != "settings")


def recovers(world):
    """The way out that a plan without a state shows: the account's projects are bound again, and nothing is left."""
    done = world.run("state", "recover", "--auto-approve")
    assert done.code == 0, str(done)
    world.converges()


def lost_after_a_rename(new_world):
    """A world whose state is lost after a rename, and what was done in it until then."""
    world = new_world(TWO, once=True)
    world.specs(TWO.replace("  first:", "  renamed:") + "moved: [{from: first, to: renamed}]\n")
    world.converges()
    before = counts(world)
    world.state.unlink()
    return world, before


@pytest.mark.sweep
def test_a_deleted_state_costs_nothing_but_reading(zygote, accounts, folder):
    base = prepared(zygote, accounts, folder / "base")
    specs = (base.folder / "specs" / "all.yaml").read_text()
    base.specs(specs[: specs.index("moved:")].replace("  to-name:", "  from-name:"))
    base.converges()
    before = truth(base)
    base.state.unlink()
    base.converges_with_answers()
    after = truth(base)
    assert (after.creates, after.messages, after.once) == (before.creates, before.messages, before.once)
    base.close()


@pytest.mark.sweep
def test_a_deleted_state_of_a_renamed_project_makes_no_second_one(new_world):
    world, before = lost_after_a_rename(new_world)
    assert world.apply().code == 1
    recovers(world)
    assert counts(world) == before


@pytest.mark.sampled(2)
@pytest.mark.parametrize("saved", [False, True])
def test_a_target_leaves_the_state_lost_to_all_others(new_world, saved):
    world, before = lost_after_a_rename(new_world)
    if saved:
        assert world.plan("--target", "second", "--out", "saved.plan").code == 2
    assert (world.apply("saved.plan") if saved else world.apply("--target", "second")).code == 0
    told = world.apply()
    assert (told.code, counts(world)) == (1, before), str(told)
    recovers(world)
    assert counts(world) == before


def test_a_run_that_was_refused_leaves_the_state_lost(new_world):
    """It folds what a run that was killed had bound, and gets no further."""
    world, before = lost_after_a_rename(new_world)
    assert world.apply("--target", "second", orders=[kill_at("call", 3)]).killed
    assert world.journal.exists()
    shown = world.store.projects()
    world.store.add_fault(Fault(kind="status", method="GET", status=403, times=0))
    assert world.apply().code == 1
    world.store.clear_faults()
    assert world.store.projects() == shown and not world.journal.exists()
    told = world.apply()
    assert (told.code, counts(world)) == (1, before), str(told)
    recovers(world)
    assert counts(world) == before


def test_what_state_recover_could_not_tell_stays_lost(new_world):
    """It binds the third, and leaves the two equal ones, of which one had another name when it was made."""
    equal = "projects:\n  a: {brief: The same.}\n  b: {brief: The same.}\n  c: {brief: Another.}\n"
    world = new_world(equal)
    world.converges()
    world.specs(equal.replace("  b:", "  renamed:") + "moved: [{from: b, to: renamed}]\n")
    world.converges()
    before = counts(world)
    world.state.unlink()
    done = world.run("state", "recover", "--auto-approve")
    assert done.code == 0 and sorted(world.entries()) == ["c"], str(done)
    told = world.apply()
    assert (told.code, counts(world)) == (1, before), str(told)


def test_an_import_leaves_the_state_lost_to_all_others(new_world):
    world = new_world(TWO, once=True)
    world.specs(TWO.replace("  first:", "  renamed:") + "moved: [{from: first, to: renamed}]\n")
    world.converges()
    second, before = world.entries()["second"]["project_id"], counts(world)
    world.state.unlink()
    assert world.run("import", "second", second).code == 0
    told = world.apply()
    assert "renamed" not in world.entries() and counts(world).count("create") == before.count("create"), str(told)


def test_a_snapshot_that_is_lost_beside_the_journal_of_a_rename_makes_no_second_project(new_world):
    world = new_world(TWO, once=True)
    renamed = TWO.replace("  first:", "  renamed:").replace("title: First", "title: Renamed")
    world.specs(renamed + "moved: [{from: first, to: renamed}]\n")
    before = counts(world)
    assert world.apply(orders=[kill_at("call", 3)]).killed
    assert world.kinds()[-1] == "settings"
    assert world.journal.exists()
    world.state.unlink()
    assert world.apply().code == 1
    recovers(world)
    assert counts(world) == before


@pytest.mark.sampled(6)
@pytest.mark.parametrize("old", ["first", "before messages"])
def test_an_old_copy_of_the_state_put_back_repeats_nothing(new_world, old):
    world = new_world(TWO)
    world.specs("projects: {}\n" if old == "first" else TWO.replace(", messages: [one, one, two]", ""))
    if old == "first":
        world.specs("projects:\n  second: {brief: The second brief.}\n")
    world.converges()
    shutil.copy(world.state, world.folder / "copy")
    world.specs(TWO)
    world.converges()
    before = counts(world)
    shutil.copy(world.folder / "copy", world.state)
    world.converges()
    assert counts(world) == before
    assert world.sent("first") == ["one", "one", "two"]


def test_after_a_replacement_the_newest_generation_is_found(new_world):
    world = new_world(TWO, once=True)
    world.specs(TWO.replace("The first brief.", "A newer brief."))
    world.converges()
    newest = world.entries()["first"]["project_id"]
    before = counts(world)
    world.state.unlink()
    world.converges()
    assert world.entries()["first"]["project_id"] == newest
    assert counts(world) == before


def test_after_a_replacement_on_request_the_newest_generation_is_found(new_world):
    world = new_world(TWO, once=True)
    assert world.apply("--replace", "first").code == 0
    newest = world.entries()["first"]["project_id"]
    before = counts(world)
    world.state.unlink()
    world.converges()
    assert world.entries()["first"]["project_id"] == newest
    assert counts(world) == before


@pytest.mark.sweep
def test_a_failed_project_is_not_made_anew(new_world):
    world = new_world(TWO.replace("The second brief.", "'This will [fail]'").replace(", messages: [hello]", ""))
    assert world.apply("--wait", "idle").code == 0
    before = counts(world)
    world.state.unlink()
    done = world.apply()
    assert done.code == 1, str(done)
    assert counts(world) == before
    assert "failed" in done.out + done.err
    recovers(world)
    assert counts(world) == before


@pytest.mark.sweep
def test_the_successor_of_a_failed_project_is_found(new_world):
    specs = (
        "projects:\n  it: {brief: 'It will [fail] first', settings: {title: It}, lifecycle: {on_failed: recreate}}\n"
    )
    world = new_world(specs)
    assert world.apply("--wait", "idle").code == 0
    world.specs(specs.replace("It will [fail] first", "It will not"))
    world.converges()
    successor = world.entries()["it"]["project_id"]
    before = counts(world)
    world.state.unlink()
    for _ in range(2):
        assert world.apply().code == 1
        assert counts(world) == before
    recovers(world)
    assert counts(world) == before
    assert world.entries()["it"]["project_id"] == successor


def test_a_cancelled_successor_of_a_failed_project_is_not_made_anew(new_world):
    specs = "projects:\n  it: {brief: 'It will [fail] first', settings: {title: It}}\n"
    world = new_world(specs)
    assert world.apply("--wait", "idle").code == 0
    world.specs(specs.replace("It will [fail] first", "It will not"))
    world.converges()
    world.store.set_status(world.entries()["it"]["project_id"], "cancelled")
    before = counts(world)
    world.state.unlink()
    assert world.apply().code == 1
    assert counts(world) == before


def test_a_project_that_a_person_cancelled_stays_cancelled(new_world):
    world = new_world(TWO, once=True)
    world.store.set_status(world.entries()["second"]["project_id"], "cancelled")
    before = counts(world)
    world.state.unlink()
    done = world.apply()
    assert done.code == 0, str(done)
    assert counts(world) == before


@pytest.mark.sweep
def test_state_recover_binds_what_there_is(zygote, accounts, folder):
    base = prepared(zygote, accounts, folder / "base")
    base.converges()
    before = truth(base)
    base.state.unlink()
    recovered = base.run("state", "recover", "--auto-approve")
    assert recovered.code == 0, str(recovered)
    base.converges_with_answers()
    wrong, twice, lost = judge(truth(base), before)
    assert not (twice or lost), wrong
    base.close()


def test_two_projects_of_one_brief_are_each_found_by_their_key(new_world):
    specs = "projects:\n  a: {brief: The same., messages: [to a]}\n  b: {brief: The same., messages: [to b]}\n"
    world = new_world(specs)
    world.converges()
    ids = {name: entry["project_id"] for name, entry in world.entries().items()}
    before = counts(world)
    world.state.unlink()
    world.converges()
    assert counts(world) == before
    assert {name: entry["project_id"] for name, entry in world.entries().items()} == ids
