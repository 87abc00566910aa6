"""`state pull`, `push` and `history`: a whole state copied, moved to another place, or put back, and nothing done twice."""

import itertools
import json
import tempfile
from pathlib import Path

import pytest

from tests.cli.cli_support import Space, on_terminal
from tests.recovery.remote import RemoteWorld, in_folder
from tests.recovery.runs import World, kill_at

ONE = "projects:\n  a: {brief: The brief of a., settings: {title: A}, messages: [one, two]}\n"
TWO = ONE + "  b: {brief: The brief of b., messages: [hello]}\n"


@pytest.fixture(scope="session", params=["file", "folder"])
def twice_applied(request, zygote, accounts, shelf):
    """Applied with one project; then with two."""
    # a worker that gets its tests out of order sets this up more than once
    place = Path(tempfile.mkdtemp(prefix="applied-", dir=shelf))
    if request.param == "file":
        world = World.new(zygote, accounts, place / "w", ONE)
    else:
        numbers = itertools.count()
        world = RemoteWorld.new(
            zygote, accounts, place / "w", ONE, new_place=lambda: in_folder(place / f"place-{next(numbers)}")
        )
    world.converges()
    pull(world)
    world.specs(TWO)
    world.converges()
    yield world
    world.close()


@pytest.fixture
def world(twice_applied, folder):
    world = twice_applied.copy(folder / "w")
    world.pulled = json.loads((world.folder / "copy.json").read_text())
    world.before = sorted(world.kinds())
    yield world
    world.close()


def pull(world, name="copy.json"):
    done = world.run("state", "pull")
    assert done.code == 0, str(done)
    (world.folder / name).write_text(done.out)
    return json.loads(done.out)


def push(world, *more, name="copy.json"):
    return world.run("state", "push", name, *more)


@pytest.mark.sampled(6)
def test_what_is_pulled_is_the_state_and_is_taken_back(world):
    assert pull(world) == {k: v for k, v in world.document().items() if k not in ("writer", "follows")}
    done = push(world, "--auto-approve")
    assert done.code == 0, str(done)
    assert world.document()["serial"] == pull(world)["serial"] > world.pulled["serial"]
    assert world.plan().code == 0


@pytest.mark.sampled(3)
def test_an_older_serial_takes_force_and_even_then_nothing_is_done_twice(world):
    serial = world.document()["serial"]
    refused = push(world, "--auto-approve")
    assert refused.code == 1 and "older" in refused.err and "--force" in refused.err
    assert world.document()["serial"] == serial
    done = push(world, "--auto-approve", "--force")
    assert done.code == 0, str(done)
    assert "Not managed any more: b" in done.err
    assert world.document()["serial"] == serial + 1
    assert set(world.entries()) == {"a"}
    world.converges()
    assert sorted(world.kinds()) == world.before


@pytest.mark.sampled(3)
def test_a_copy_from_before_a_run_that_was_cut_short_takes_force(world):
    """It has the same serial, and lacks what that run has recorded."""
    pull(world)
    world.specs(TWO + "  c: {brief: The brief of c., messages: [hello]}\n")
    assert world.apply(orders=[kill_at("call", 5)]).killed
    if isinstance(world, RemoteWorld):
        world.place.run_out()
    refused = push(world, "--auto-approve", "--lock-timeout", "30s")
    assert refused.code == 1 and "cut short" in refused.err and "--force" in refused.err, str(refused)
    assert "c" in json.loads(world.run("state", "pull").out)["projects"]
    pull(world, "newer.json")
    assert push(world, "--auto-approve", name="newer.json").code == 0
    world.converges()
    assert world.sent("c") == ["hello"]


@pytest.mark.sampled(6)
def test_another_lineage_takes_force(world):
    document = {**pull(world), "lineage": "0" * 32, "serial": 99}
    (world.folder / "other.json").write_text(json.dumps(document))
    refused = push(world, "--auto-approve", name="other.json")
    assert refused.code == 1 and "lineage" in refused.err
    assert push(world, "--auto-approve", "--force", name="other.json").code == 0
    assert world.document()["serial"] == 100
    world.converges()
    assert sorted(world.kinds()) == world.before


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"workspace": "another"}, "belongs to workspace"),
        ({"api_url": "https://elsewhere.example/api/v1"}, "belongs to API"),
        ({"format_version": 99}, "format 99"),
        ({"projects": []}, "damaged"),
    ],
)
def test_what_is_no_state_of_this_workspace_is_refused_even_with_force(world, change, word):
    before = world.document()
    (world.folder / "other.json").write_text(json.dumps({**pull(world), **change}))
    refused = push(world, "--auto-approve", "--force", name="other.json")
    assert refused.code == 1 and word in refused.err, refused.err
    assert world.document() == before


def test_a_file_that_is_not_there_is_said(world):
    refused = push(world, name="nowhere.json")
    assert refused.code == 1 and "can't read `nowhere.json`" in refused.err


@pytest.mark.sampled(3)
def test_calls_whose_outcome_is_not_known_survive_a_push(world):
    """Killed with its message on the way; a copy from before is pushed: the message is looked up all the same."""
    pull(world)
    world.specs(TWO.replace("[hello]", "[hello, more]"))
    assert world.apply(orders=[kill_at("call", 2)]).killed
    if isinstance(world, RemoteWorld):
        world.place.run_out()
    done = push(world, "--auto-approve", "--force", "--lock-timeout", "30s")
    assert done.code == 0, str(done)
    assert [intent["kind"] for intent in world.pending().values()] == ["message"]
    world.store.finish_all()
    assert "had been done" in str(world.apply())
    assert world.sent("b") == ["hello", "more"]


@pytest.mark.sweep
def test_a_state_moves_from_a_file_to_a_shared_place(new_world, new_remote):
    here = new_world(TWO, once=True)
    pull(here)
    there = new_remote(TWO, place="folder")
    moved = here.run("--state", there.place.url, "state", "push", "copy.json", "--auto-approve")
    assert moved.code == 0, str(moved)
    assert here.run("--state", there.place.url, "plan", "--detailed-exitcode").code == 0
    assert there.entries() == here.entries()


def test_without_a_state_there_is_nothing_to_pull(new_world):
    done = new_world(ONE).run("state", "pull")
    assert done.code == 1 and "no state yet" in done.err and not done.out


def test_without_a_terminal_nothing_is_replaced_unless_approved(world):
    pull(world)
    before = world.document()
    refused = push(world)
    assert refused.code == 1 and "--auto-approve" in refused.err
    assert world.document() == before


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 1)])
def test_at_a_terminal_a_push_asks(new_world, answer, code):
    world = new_world(ONE, once=True)
    pull(world)
    before = world.document()["serial"]
    space = Space(world.folder, {"EVERSINCE_API_KEY": world.key})
    asked, ended = on_terminal(space, "state", "push", "copy.json", answer=answer)
    assert ended == code
    assert "Replace it?" in asked and "(1 project)" in asked
    assert world.document()["serial"] == before + (code == 0)


# ── history ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_local_state_has_no_history_and_says_where_there_is_one(new_world):
    world = new_world(ONE, once=True)
    for more in ((), ("--restore", "1", "--auto-approve")):
        refused = world.run("state", "history", *more)
        assert refused.code == 1 and "s3://" in refused.err


@pytest.fixture
def shared(new_remote):
    """Three serials: nothing, one project, two projects."""
    world = new_remote("projects: {}\n", place="folder")
    for specs in (ONE, TWO):
        world.specs(specs)
        world.converges()
    return world


def history(world):
    return json.loads(world.run("state", "history", "--format", "json").out)


@pytest.mark.sweep
def test_the_history_tells_each_serial_and_any_of_them_comes_back_as_a_new_one(shared):
    versions = history(shared)
    serials = [version["serial"] for version in versions]
    assert serials == list(range(1, len(serials) + 1))
    assert [v["size"] for v in versions] == [len(shared.place.read(name)) for name in shared.place.names("state")]
    assert versions[-1]["at"].endswith("Z")
    text = shared.run("state", "history").out.splitlines()
    assert text[0].split() == ["SERIAL", "WRITTEN", "BYTES"] and text[-1].split()[0] == str(serials[-1])
    before = sorted(shared.kinds())
    assert shared.run("state", "history", "--restore", "1").code == 1
    done = shared.run("state", "history", "--restore", "1", "--auto-approve", "--format", "json")
    assert done.code == 0, str(done)
    assert json.loads(done.out) == {"serial": serials[-1] + 1, "restored": 1}
    assert "Not managed any more: b" in done.err
    assert [v["serial"] for v in history(shared)] == [*serials, serials[-1] + 1]
    shared.converges()
    assert sorted(shared.kinds()) == before
    assert shared.sent("a") == ["one", "two"]


def test_a_serial_that_is_not_kept_is_said(shared):
    refused = shared.run("state", "history", "--restore", "77", "--auto-approve")
    assert refused.code == 1 and "serial 77 is not kept" in refused.err


@pytest.mark.sweep
def test_old_serials_go_and_the_last_fifty_stay(shared):
    newest = shared.document()
    for serial in range(newest["serial"] + 1, 60):
        name = f"state/{serial:010d}.json"
        shared.place.write(name, json.dumps({**newest, "serial": serial}).encode())
    shared.specs(TWO.replace("[hello]", "[hello, more]"))
    assert shared.apply().code == 0
    assert [v["serial"] for v in history(shared)] == list(range(11, 61))
    assert shared.place.names("journal") == []
