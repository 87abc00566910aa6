"""Where only the folder can't be synced after a write: what is done is said to be done, and that it may be lost is a warning."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from reconciler import files
from reconciler.adapters.state.local import LocalStateStore
from reconciler.model.claim import Claim
from reconciler.model.errors import StateError
from reconciler.model.journal import Begin, End
from reconciler.model.state import Intent, State
from tests import command
from tests.cli.cli_support import APPLY, CONFIG, make_space
from tests.virtual_time import run

ONE = "projects:\n  teaser: {brief: Ten seconds., settings: {title: One}}\n"
LOST = "may be lost if this machine loses power now"
STATE = State(lineage="l", workspace="ws", api_url="u")
BROKEN = """
import errno, os, stat, sys
real = os.fsync
def fsync(fd):
    if stat.S_ISDIR(os.fstat(fd).st_mode) and SEEN & {*WANTED}:
        SEEN.clear()
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    real(fd)
SEEN, SHARED = set(), "/nowhere"
def hook(event, args):
    if event == "os.rename":
        SEEN.add(os.path.basename(os.fsdecode(args[1])))
    if event == "open" and str(args[0]).startswith(SHARED):
        SEEN.add(os.path.basename(args[0]))
sys.addaudithook(hook)
os.fsync = fsync
"""
"""A folder can't be synced once one of the ``WANTED`` files was put in its place."""


def broken(space, *arguments, wanted=("reconciler.state.json",)):
    """Run the command where that file's folder can't be synced."""
    shared = str(space.root.parent / "shared")
    code = f"{BROKEN}\nSHARED = {shared!r}\nWANTED = {wanted!r}\nsys.argv = {['reconciler', *arguments]!r}\n"
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nfrom reconciler.cli.start import main; main()"],
        cwd=space.root,
        env=command.environment(**space.env),
        capture_output=True,
        text=True,
        check=False,
    )


def warned(done, name):
    """It is done, and the warning names the file and what to know."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error:" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert name in line
    told = " ".join(done.stderr.split())
    assert LOST in told and "Input/output error" in told and "Don't repeat the command" in told


@pytest.fixture
def applied(tmp_path):
    space = make_space(tmp_path, ONE)
    space.run(*APPLY, "--wait", "idle")
    return space


EDITS = {
    "mv": (("state", "mv", "teaser", "film"), lambda state: list(state["projects"]) == ["film"]),
    "rm": (("state", "rm", "teaser"), lambda state: not state["projects"]),
    "push": (("state", "push", "copy.json", "--auto-approve"), lambda state: state["serial"] == 2),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_the_state_is_done_and_may_be_lost(applied, edit):
    # Intent: who hears "failed" does it again, or puts the specs back; it was done.
    arguments, done = EDITS[edit]
    applied.write("copy.json", applied.run("state", "pull").out)
    warned(broken(applied, *arguments), "reconciler.state.json")
    assert done(applied.state)


def test_an_import_is_done_and_may_be_lost(applied):
    project_id = applied.state["projects"]["teaser"]["project_id"]
    applied.run("state", "rm", "teaser")
    warned(broken(applied, "import", "film", project_id), "reconciler.state.json")
    assert list(applied.state["projects"]) == ["film"]


def test_an_apply_shows_what_it_did_and_its_journal_stays(tmp_path):
    # Intent: the journal has all of it, and is on the disk.
    space = make_space(tmp_path, ONE)
    done = broken(space, *APPLY)
    warned(done, "reconciler.state.json")
    assert "1 created" in done.stdout
    assert space.state_path.with_name("reconciler.state.json.journal").stat().st_size
    assert space.run("plan", "--format", "json").document["steps"] == []


@pytest.mark.parametrize("folder", ["claim", "state"])
def test_in_a_shared_folder_too(tmp_path, folder):
    (tmp_path / "shared").mkdir()
    space = make_space(tmp_path / "ws", ONE, RECONCILER_STATE=f"file://{tmp_path}/shared")
    space.run(*APPLY, "--wait", "idle")
    wanted = "0000000002.json" if folder == "state" else "claim.json"
    arguments = ("state", "mv", "teaser", "film") if folder == "state" else (*APPLY, "--pull-request", "a#1")
    if folder == "claim":
        space.write("specs/a.yaml", ONE.replace("One", "Two"))
    done = broken(space, *arguments, wanted=(wanted,))
    assert done.returncode == 0, done.stdout + done.stderr
    assert LOST in " ".join(done.stderr.split()) and wanted in done.stderr


def test_a_claim_that_was_taken_is_taken(applied):
    applied.write("specs/a.yaml", ONE.replace("One", "Two"))
    done = broken(applied, *APPLY, "--pull-request", "a#1", wanted=("reconciler.claim.json",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reconciler.claim.json" in done.stderr and LOST in " ".join(done.stderr.split())
    assert "a#1" in applied.run("claim").out


def test_other_files_are_written_and_nothing_is_said(applied):
    # Intent: a plan file or a page can be made again; that it is there is true.
    done = broken(applied, "plan", "--out", "x.plan", wanted=("x.plan",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr and (applied.root / "x.plan").exists()


def test_a_move_into_an_environment_leaves_the_old_state_where_the_new_one_may_be_lost(applied):
    # Intent: what is left in the old place would say that the state moved, and its copy could be gone.
    applied.write("reconciler.yaml", f"{CONFIG}environments: {{prod: {{}}}}\n")
    done = broken(applied, "state", "mv", "--to-environment", "prod", wanted=("reconciler.prod.state.json",))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "moved_to" not in applied.state
    applied.run("state", "mv", "--to-environment", "prod")
    assert applied.state["moved_to"]


# ── the store ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def fails(monkeypatch):
    """Whether folders can be synced; at first they can."""
    switch = {"on": False}
    real = os.fsync

    def fsync(fd):
        if switch["on"] and stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    monkeypatch.setattr(files.os, "fsync", fsync)
    return switch


def test_a_journal_whose_state_may_be_lost_is_not_overwritten(tmp_path, fails):
    # Intent: while the old state may come back, the journal that continues it must be there.
    async def go():
        found = []
        store = LocalStateStore(tmp_path / "a.state.json", version="0", warn=found.append)
        with store.lock("apply", 0):
            store.begin(STATE)
            intent = Intent(op="1", kind="message", address="a", at="", step=0)
            await store.append(Begin(intent=intent))
            await store.append(End(op="1"))
            journal = (tmp_path / "a.state.json.journal").read_bytes()
            fails["on"] = True
            store.save(State(lineage="l", workspace="ws", api_url="u", serial=1))
        assert [d.severity for d in found] == ["warning"]
        again = LocalStateStore(tmp_path / "a.state.json", version="0")
        with again.lock("apply", 0):
            state = again.load().state
            assert state is not None and state.serial == 1
            again.begin(state)
            with pytest.raises(StateError, match="journal"):
                await again.append(Begin(intent=intent))
        assert (tmp_path / "a.state.json.journal").read_bytes() == journal

    run(go())


def test_a_claim_says_what_it_may_lose(tmp_path, fails):
    found = []
    store = LocalStateStore(tmp_path / "a.state.json", version="0", warn=found.append)
    fails["on"] = True
    claim = Claim(pull_request="a#1", since="2026-01-01")
    assert store.claims.take(claim) == claim == store.claims.read()
    (warning,) = found
    assert "a.claim.json" in warning.summary and LOST in warning.summary
