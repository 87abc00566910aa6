"""What a branch plants where this program writes (a link, a pipe, a folder) is refused, and nothing outside changes."""

import os
import re
import shutil
import stat
from dataclasses import dataclass

import pytest

from tests.cli.cli_support import APPLY, ONE, Space, copied, make_space
from tests.sampling import square

BOX = ".reconciler/sandbox"
STATE = f"{BOX}/reconciler.state.json"
CLAIM = f"{BOX}/reconciler.claim.json"
MORE = "  other: {brief: Five seconds.}\n"
UNTIDY = "projects:   {}\n"
DOWNLOAD = ("output", "--download", "out")


@dataclass(frozen=True)
class Writer:
    """A command and the file of the workspace that it writes; ``specs`` are what it finds, ``stage`` how far it is."""

    command: tuple[str, ...]
    file: str
    stage: str = "applied"
    specs: str | None = None


WRITERS = {
    "state": Writer(APPLY, STATE, specs=ONE + MORE),
    "state mv": Writer(("state", "mv", "teaser", "other"), STATE),
    "journal": Writer(APPLY, f"{STATE}.journal", specs=ONE + MORE),
    "lock": Writer(APPLY, f"{STATE}.lock", specs=ONE + MORE),
    "holder": Writer(APPLY, f"{STATE}.holder", specs=ONE + MORE),
    "claim": Writer((*APPLY, "--pull-request", "acme/shop#12"), CLAIM, specs=ONE + MORE),
    "first claim": Writer((*APPLY, "--pull-request", "acme/shop#12"), CLAIM, stage="new"),
    "first state": Writer(APPLY, STATE, stage="new"),
    "first journal": Writer(APPLY, f"{STATE}.journal", stage="new"),
    "first lock": Writer(APPLY, f"{STATE}.lock", stage="new"),
    "own state": Writer(("--state", "own/s.json", *APPLY), "own/s.json", stage="new"),
    "own lock": Writer(("--state", "own/s.json", *APPLY), "own/s.json.lock", stage="new"),
    "database": Writer(("plan",), f"{BOX}/account.db"),
    "database's log": Writer(("plan",), f"{BOX}/account.db-wal"),
    "database's index": Writer(("plan",), f"{BOX}/account.db-shm"),
    "database's journal": Writer(("plan",), f"{BOX}/account.db-journal"),
    "first database": Writer(("plan",), f"{BOX}/account.db", stage="new"),
    "served database": Writer(("sandbox", "serve", "--port", "0", "--db", "db/it.db"), "db/it.db", stage="new"),
    "plan": Writer(("plan", "--out", "plan/saved.plan"), "plan/saved.plan"),
    "plan at a deep place": Writer(("plan", "--out", "plan/../plan/a/saved.plan"), "plan/a/saved.plan"),
    "report": Writer(("report", "--out", "public"), "public/index.html"),
    "export": Writer(("export", "--out", "out/more"), "out/more/exported.yaml", specs="projects: {}\n", stage="lost"),
    "manifest": Writer(DOWNLOAD, "out/manifest.json"),
    "part": Writer(DOWNLOAD, "out/teaser.part"),
    "part's note": Writer(DOWNLOAD, "out/teaser.part.json"),
    "download": Writer(DOWNLOAD, "out/teaser.mp4"),
    "events": Writer((*APPLY, "--events", "log/events.jsonl"), "log/events.jsonl"),
    "fmt": Writer(("fmt",), "specs/more/untidy.yaml"),
    "init": Writer(("init",), ".gitignore", stage="empty"),
    "init's configuration": Writer(("init",), "reconciler.yaml", stage="empty"),
    "init's spec": Writer(("init",), "specs/first.yaml", stage="empty"),
}


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """A workspace that was applied, one that was not, and one that is none yet."""
    top = tmp_path_factory.mktemp("links")
    applied = make_space(top / "applied")
    applied.run(*APPLY)
    lost = copied(applied, top / "lost")
    lost.state_path.unlink()
    return {
        "applied": applied,
        "new": make_space(top / "new"),
        "lost": lost,
        "empty": make_space(top / "empty", None, ""),
    }


@pytest.fixture
def outside(tmp_path):
    """What the branch would like to be written."""
    folder = tmp_path / "outside"
    (folder / "folder").mkdir(parents=True)
    (folder / "precious").write_text("precious")
    (folder / "precious").chmod(0o640)
    return folder


def prepared(stages, writer: Writer, tmp_path) -> Space:
    space = copied(stages[writer.stage], tmp_path / "w")
    if writer.stage == "empty":
        (space.root / "reconciler.yaml").unlink()
    if writer.specs is not None:
        space.write("specs/a.yaml", writer.specs)
    (space.root / writer.file).parent.mkdir(parents=True, exist_ok=True)
    return space


def seen(folder):
    """All there is in a folder: kind, mode and bytes."""
    return {
        str(path.relative_to(folder)): (found.st_mode, path.read_bytes() if stat.S_ISREG(found.st_mode) else b"")
        for path in sorted(folder.rglob("*"))
        for found in [path.lstat()]
    }


def plant(kind, path, outside):
    match kind:
        case "link to a file":
            path.symlink_to(outside / "precious")
        case "dangling link":
            path.symlink_to(outside / "new")
        case "link to a folder":
            path.symlink_to(outside / "folder")
        case "link to a device":
            path.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()


def refused(space, command, root=None):
    """Exit 1 with one error that says why; nothing is left of what was begun."""
    ran = space.run(*command, code=1)
    said = re.findall(r"^error.*", ran.err, re.MULTILINE)
    assert len(said) == 1, f"{ran.out}\n{ran.err}"
    assert re.search(r"is a link|leads out|regular file|No such device|[Ii]s a directory", ran.out + ran.err), ran.err
    left = [path for path in (root or space.root).rglob(".*") if re.search(r"^\..+\.[0-9a-z_]{8,}(\.tmp)?$", path.name)]
    assert not left


KINDS = ("link to a file", "dangling link", "link to a folder", "pipe", "folder")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("name", "kind"), square(2, WRITERS, KINDS))
def test_what_is_no_regular_file_is_refused_where_a_file_is_written(stages, outside, tmp_path, name, kind):
    # Intent: a committed link never makes this program change or make a file elsewhere, nor hang or read without end.
    writer = WRITERS[name]
    if name == "init's spec" or (name, kind) in {("fmt", "folder"), ("fmt", "link to a folder")}:
        pytest.skip("`init` keeps specs that are there; a folder with a spec's name is a folder of specs")
    space = prepared(stages, writer, tmp_path)
    path = space.root / writer.file
    path.unlink(missing_ok=True)
    plant(kind, path, outside)
    before = seen(outside)
    kept = path.lstat()

    refused(space, writer.command)

    assert seen(outside) == before
    assert (path.lstat().st_ino, path.lstat().st_mode) == (kept.st_ino, kept.st_mode)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", [name for name, writer in WRITERS.items() if "/" in writer.file])
def test_no_folder_on_the_way_may_be_a_link_of_the_checkout(stages, outside, tmp_path, name):
    # Intent: `plan -> /etc` or `.reconciler -> /srv/other` in a branch leads nowhere, at whatever depth.
    writer = WRITERS[name]
    steps = writer.file.split("/")
    for depth in range(1, len(steps)):
        where = tmp_path / f"at-{depth}"
        space = prepared(stages, writer, where)
        linked = space.root.joinpath(*steps[:depth])
        if writer.command == ("fmt",):
            space.write(writer.file, UNTIDY)
        target = outside / f"moved-{depth}"
        shutil.move(linked, target)
        linked.symlink_to(target)
        before = seen(outside)

        if writer.command == ("fmt",):  # what can't be read is not formatted
            space.run("fmt", code=None)
        else:
            refused(space, writer.command, where)

        assert seen(outside) == before


@pytest.mark.parametrize("from_git", [True, False])
def test_links_of_a_checkout_around_the_workspace_are_not_followed_either(stages, outside, tmp_path, from_git):
    # Intent: in a monorepo the recipe runs at the top: `-C videos plan --out plan/saved.plan`.
    top = tmp_path / "repo"
    space = copied(stages["applied"], top / "videos")
    (top / "plan").symlink_to(outside)
    before = seen(outside)
    if from_git:
        (top / ".git").mkdir()
        refused(space, ("plan", "--out", str(top / "plan" / "saved.plan")))
    else:
        refused(Space(top), ("-C", "videos", "plan", "--out", "plan/saved.plan"))
    assert seen(outside) == before


@pytest.mark.sweep
def test_links_that_the_user_made_elsewhere_are_followed_to_folders(stages, tmp_path):
    # Intent: `/tmp -> private/tmp`, `~/out -> /data/out`: the machine's own links work as everywhere.
    space = copied(stages["applied"], tmp_path / "real" / "w")
    (tmp_path / "real" / "out").mkdir()
    (tmp_path / "way").symlink_to("real")
    (tmp_path / "again").symlink_to(tmp_path / "way")
    through = tmp_path / "again"
    Space(through / "w").run("plan", "--out", str(through / "out" / "saved.plan"))
    Space(tmp_path).run("-C", str(tmp_path / "real" / "w"), "plan", "--out", "real/out/more.plan")
    Space(space.root).run("--state", str(through / "states" / "s.json"), *APPLY)
    space.run("report", "--out", str(through / "out" / "site"))
    space.run(*APPLY, "--events", str(through / "out" / "events.jsonl"))
    assert {path.name for path in (tmp_path / "real" / "out").iterdir()} == {
        "saved.plan",
        "more.plan",
        "site",
        "events.jsonl",
    }
    assert (tmp_path / "real" / "states" / "s.json").exists()


@pytest.mark.parametrize("place", ["/dev/stderr", "/dev/fd/2"])
def test_events_go_to_streams_and_to_the_user_s_own_links(stages, tmp_path, place):
    # Intent: `--events /dev/stderr` and `--events >(jq …)` work as with other commands.
    space = copied(stages["new"], tmp_path / "w")
    assert '"event"' in space.run(*APPLY, "--events", place).err
    (tmp_path / "own").symlink_to(tmp_path / "kept.jsonl")
    space.run(*APPLY, "--events", str(tmp_path / "own"))
    assert (tmp_path / "own").is_symlink()
    assert (tmp_path / "kept.jsonl").exists()


def test_a_saved_plan_never_takes_a_stream_s_place(stages, tmp_path):
    # Intent: as root, `--out /dev/stdout` would have replaced the link by a file. (Not tried at the real one.)
    space = copied(stages["applied"], tmp_path / "w")
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "stdout", tmp_path / "pipe"):
        refused(space, ("plan", "--out", str(place)))
    assert (tmp_path / "stdout").is_symlink()
    assert (tmp_path / "pipe").is_fifo()


def test_the_job_s_summary_is_not_written_through_a_link_of_the_checkout(stages, outside, tmp_path):
    # Intent: the runner names its own file; a branch's link is none. The plan is worth no less for it.
    space = copied(stages["applied"], tmp_path / "w")
    (space.root / "summary.md").symlink_to(outside / "precious")
    before = seen(outside)
    ran = space.run("plan", GITHUB_STEP_SUMMARY="summary.md")
    assert "summary can't be written" in ran.err
    assert seen(outside) == before
    space.run("plan", GITHUB_STEP_SUMMARY=str(outside / "precious"))
    assert (outside / "precious").read_text().startswith("precious")
    assert len((outside / "precious").read_text()) > len("precious")


def test_a_linked_folder_is_not_emptied(stages, outside, tmp_path):
    # Intent: `sandbox reset` removes files, so it is as careful as what writes them.
    space = copied(stages["applied"], tmp_path / "w")
    shutil.move(space.root / ".reconciler", outside / "moved")
    (space.root / ".reconciler").symlink_to(outside / "moved")
    before = seen(outside)
    refused(space, ("sandbox", "reset"))
    assert seen(outside) == before


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", [("plan",), ("status",), ("state", "list"), ("state", "pull")])
@pytest.mark.parametrize("end", ["", ".journal"])
@pytest.mark.parametrize("kind", ["link to a device", "link to a file", "pipe"])
def test_a_planted_state_is_not_read(stages, outside, tmp_path, command, end, kind):
    # Intent: reading neither hangs at a pipe, nor fills the memory, nor shows somebody's file in an error.
    space = copied(stages["applied"], tmp_path / "w")
    path = space.root / (STATE + end)
    path.unlink(missing_ok=True)
    plant(kind, path, outside)
    refused(space, command)


def test_what_is_written_is_its_owner_s(stages, tmp_path):
    # Intent: briefs, addresses and tokens are no business of the machine's other users.
    space = copied(stages["new"], tmp_path / "w")
    (tmp_path / "shared").mkdir()
    space.run(*APPLY, "--events", "events.jsonl")
    space.run("plan", "--out", "saved.plan")
    space.run("--state", (tmp_path / "shared").as_uri(), *APPLY)
    found = [*space.root.rglob("*"), *(tmp_path / "shared").rglob("*")]
    modes = {path: path.stat().st_mode & 0o777 for path in found if "specs" not in path.parts}
    given = {space.root / "reconciler.yaml"}
    wrong = {
        str(path): oct(mode)
        for path, mode in modes.items()
        if path not in given and mode != (0o700 if path.is_dir() else 0o600)
    }
    assert not wrong
    assert {path.name for path in modes} >= {"account.db", "lease", "sandbox", "reconciler.state.json.lock"}
