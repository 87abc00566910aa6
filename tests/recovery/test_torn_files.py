"""Files that are torn, foreign, edited, newer, or can't be written: said plainly, nothing sent on a guess, nothing lost."""

import json
import shutil

import pytest

from tests.recovery.runs import CONFIG, kill_at
from tests.sampling import every

SPECS = """\
projects:
  a: {brief: The brief of a., settings: {title: A}, messages: [one, one]}
  b: {brief: The brief of b., messages: [hello]}
"""
MORE = SPECS + "  c: {brief: The brief of c., messages: [first]}\n"
EFFECTS = ["create"] * 3 + ["message"] * 4


@pytest.fixture
def world(new_world):
    """A workspace that was applied once; new specs ask for one more project."""
    world = new_world(SPECS, once=True)
    world.specs(MORE)
    return world


def effects(world):
    return sorted(world.kinds())


def refused(world, *words, calls=True):
    """Exit 1, a diagnostic, no traceback; and no call was made."""
    world.store.clear_requests()
    before = effects(world)
    for command in (("apply", "--auto-approve"), ("plan",)):
        ended = world.run(*command)
        assert ended.code == 1, str(ended)
        assert "error" in ended.err
        for word in words:
            assert word in ended.err, ended.err
    assert effects(world) == before
    assert not (calls and world.store.requests())


def whole(world):
    world.converges()
    assert effects(world) == EFFECTS
    assert world.sent("a") == ["one", "one"]


def killed_with_journal(world):
    ended = world.apply(orders=[kill_at("call", 5)])
    assert ended.killed
    assert world.journal.exists()


@pytest.mark.sweep
@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_line_is_normal(world, cut):
    killed_with_journal(world)
    data = world.journal.read_bytes()
    world.journal.write_bytes(data[:-cut])
    whole(world)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("garbage", every(2, [b"{", b"\0\0\0\0", b'{"type":"end"', b"\xff\xfe"]))
def test_garbage_after_the_last_line_is_a_torn_line(world, garbage):
    killed_with_journal(world)
    world.journal.write_bytes(world.journal.read_bytes() + garbage)
    whole(world)


@pytest.mark.sweep
def test_an_empty_journal_and_one_of_half_a_header_are_nothing(world):
    for data in (b"", b'{"journal":1,"line'):
        world.journal.write_bytes(data)
        assert world.plan().code == 2
    whole(world)


@pytest.mark.sweep
def test_a_damaged_line_in_the_middle_is_refused(world):
    killed_with_journal(world)
    lines = world.journal.read_bytes().splitlines(keepends=True)
    assert len(lines) > 2
    world.journal.write_bytes(b"".join([lines[0], b"{}\n", *lines[1:]]))
    refused(world, "damaged", "Line 2")
    world.journal.unlink()
    whole(world)


@pytest.mark.sweep
def test_a_journal_that_is_folded_already_is_ignored(world):
    """Killed between the replacement of the snapshot and the removal of the journal."""
    killed_with_journal(world)
    shutil.copy(world.journal, world.folder / "journal")
    world.converges()
    shutil.copy(world.folder / "journal", world.journal)
    whole(world)


@pytest.mark.sweep
def test_a_journal_of_a_later_serial_is_refused(world):
    old = world.folder / "old"
    shutil.copy(world.state, old)
    world.converges()
    world.specs(MORE.replace("first", "first, second"))
    killed = world.apply(orders=[kill_at("call", 3)])
    assert killed.killed
    shutil.copy(old, world.state)
    refused(world, "does not belong")
    world.journal.unlink()
    world.converges()
    assert effects(world) == [*EFFECTS, "message"]


@pytest.mark.sweep
def test_a_journal_of_another_state_is_refused(world, new_world):
    other = new_world(SPECS)
    killed_with_journal(other)
    shutil.copy(other.journal, world.journal)
    refused(world, "does not belong")
    world.journal.unlink()
    whole(world)


@pytest.mark.sweep
@pytest.mark.parametrize("kept", [0.3, 0.0, 0.99])
def test_a_truncated_snapshot_is_refused_and_moving_it_away_loses_nothing(world, kept):
    data = world.state.read_bytes()
    world.state.write_bytes(data[: int(len(data) * kept)])
    refused(world, "not valid JSON")
    world.state.unlink()
    whole(world)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda d: d.pop("format_version"), "not a reconciler state"),
        (lambda d: d.pop("lineage"), "damaged"),
        (lambda d: d.update(serial="3"), "damaged"),
        (lambda d: d["projects"]["a"].update(project_id=7), "damaged"),
        (lambda d: d["projects"].update({"No Address": d["projects"]["a"]}), "damaged"),
        (lambda d: d.update(projects=[]), "damaged"),
        (lambda d: d.update(format_version=99, reconciler_version="9.9.9"), "9.9.9"),
        (lambda d: d.update(workspace="another"), "belongs to workspace `another`"),
        (lambda d: d.update(api_url="https://elsewhere.example/api/v1"), "belongs to API"),
    ],
)
def test_a_snapshot_edited_into_something_else_is_refused(world, change, word):
    good = world.state.read_bytes()
    document = json.loads(good)
    change(document)
    world.state.write_text(json.dumps(document))
    refused(world, word)
    world.state.write_bytes(good)
    whole(world)


def test_a_hand_edit_that_keeps_the_format_is_believed(world):
    document = json.loads(world.state.read_bytes())
    document["projects"]["renamed-by-hand"] = document["projects"].pop("b")
    document["generations"]["renamed-by-hand"] = 1
    world.state.write_text(json.dumps(document))
    world.specs(MORE.replace("  b:", "  renamed-by-hand:"))
    whole(world)


def test_a_workspace_of_another_name_is_refused(world):
    config = world.folder / "reconciler.yaml"
    config.write_text(CONFIG.format(url=world.accounts.url).replace("workspace: recovery", "workspace: other"))
    refused(world, "belongs to workspace")


def test_a_folder_that_can_t_be_written_is_refused_before_any_call(world):
    """Below a file, since root may write everywhere."""
    (world.folder / "file").write_text("")
    world.store.clear_requests()
    ended = world.run("--state", "file/reconciler.state.json", "apply", "--auto-approve")
    assert ended.code == 1, str(ended)
    assert "error" in ended.err
    assert not world.store.requests()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("full", every(2, range(1, 7)))
def test_a_full_disk_stops_the_run_and_loses_nothing(world, full):
    ended = world.apply(full=full)
    assert ended.code == 1, str(ended)
    assert "No space left" in ended.err
    whole(world)


def test_the_first_write_is_before_the_first_call(world):
    before = effects(world)
    assert world.apply(full=1).code == 1
    assert effects(world) == before


@pytest.mark.sweep
def test_two_clones_with_copies_of_one_state_do_all_of_it_once(world):
    clone = world.folder / "clone"
    clone.mkdir()
    for name in ("reconciler.yaml", world.state.name):
        shutil.copy(world.folder / name, clone / name)
    shutil.copytree(world.folder / "specs", clone / "specs")
    ends = [world.end(run) for run in (world.start(*APPLY), world.start(*APPLY, cwd=clone))]
    again = [world.end(world.start(*APPLY, cwd=folder)) for folder in (world.folder, clone)]
    assert [e.code for e in again] == [0, 0], "\n".join(map(str, ends + again))
    assert effects(world).count("create") == 3
    plans = [world.end(world.start("plan", "--detailed-exitcode", cwd=folder)).code for folder in (world.folder, clone)]
    assert plans == [0, 0]


def test_a_clone_with_an_old_copy_that_comes_later_does_nothing_again(world):
    clone = world.folder / "clone"
    clone.mkdir()
    for name in ("reconciler.yaml", world.state.name):
        shutil.copy(world.folder / name, clone / name)
    shutil.copytree(world.folder / "specs", clone / "specs")
    whole(world)
    assert world.end(world.start(*APPLY, cwd=clone)).code == 0
    assert effects(world) == EFFECTS


APPLY = ("apply", "--auto-approve", "--poll-interval", "0.02", "--settle", "0.2")
