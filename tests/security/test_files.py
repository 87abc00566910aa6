"""The helper that writes files: whole or not at all, for its owner, and leaving nothing behind."""

import errno
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler import files
from reconciler.adapters.state.objects import Objects
from reconciler.adapters.state.spill import Spill
from reconciler.model.errors import StateError
from reconciler.model.journal import End
from tests.command import ROOT


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "broken"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["write", "fsync", "replace", "close"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, call, failure, there):
    # Intent: a full or broken disk, or Ctrl-C at any moment, costs the new content only.
    path = tmp_path / "file"
    if there:
        path.write_text("old")
    real = getattr(os, call)

    def fails(*args, **given):
        monkeypatch.undo()
        if call == "close":
            real(*args, **given)
        raise failure

    monkeypatch.setattr(files.os, call, fails)
    with pytest.raises(type(failure)):
        files.replace(path, b"new")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == ([("file", "old")] if there else [])


@pytest.mark.parametrize("write", [files.replace, files.create])
def test_an_error_names_the_file_even_if_only_a_descriptor_was_at_hand(tmp_path, monkeypatch, write):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "write", full)
    if write is files.create:
        monkeypatch.setattr("builtins.open", full)
    with pytest.raises(OSError, match="No space") as caught:
        write(tmp_path / "file", b"new")
    assert caught.value.filename == str(tmp_path / "file")


def test_a_new_file_that_can_t_be_finished_is_not_left_half_written(tmp_path):
    # Intent: `export` and `init` never overwrite, so half a file would be in the way for ever.
    with pytest.raises(TypeError):
        files.create(tmp_path / "file", "text")
    assert not list(tmp_path.iterdir())
    files.create(tmp_path / "file", b"whole")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "file", b"other")
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.parametrize(("asked", "old", "new"), [(0o600, 0o644, 0o600), (None, 0o640, 0o640), (None, 0o755, 0o755)])
def test_modes_are_private_or_kept(tmp_path, asked, old, new):
    # Intent: what holds briefs is its owner's; a spec that a team shares stays shared. Set-id bits are not handed on.
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(old | stat.S_ISUID)
    files.replace(path, b"new", mode=asked)
    assert mode(path) == new


@pytest.mark.parametrize(("code", "tolerated"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_file_system_that_can_t_sync_folders_will_do(tmp_path, monkeypatch, code, tolerated):
    # Intent: some network file systems answer EINVAL; a disk that fails is told, though the file is there.
    real = os.fsync

    def fsync(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(code, os.strerror(code))
        real(fd)

    monkeypatch.setattr(files.os, "fsync", fsync)
    error = files.replace(tmp_path / "file", b"new")
    assert tolerated if error is None else error.errno == code and not tolerated
    assert (tmp_path / "file").read_bytes() == b"new"


def test_folders_may_be_made_by_many_at_once(tmp_path):
    # Intent: two first runs in one checkout do not stumble over each other.
    start = threading.Barrier(8)

    def make(_):
        start.wait()
        files.make_folder(tmp_path / "a" / "b" / "c", mode=files.PRIVATE_FOLDER)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        files.make_folder(tmp_path / "file" / "below")


def test_long_names_and_names_with_odd_bytes(tmp_path):
    # Intent: a name that the file system takes is taken; the temporary one beside it fits, too.
    for name in ("x" * 255, "é" * 127, "spaces and\nlines", os.fsdecode(b"\xff\xfe")):
        files.replace(tmp_path / name, b"1")
        files.replace(tmp_path / name, b"2")
        assert files.read(tmp_path / name, 10) == b"2"


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    # Intent: nightly runs that are killed don't fill the folder with copies of the state.
    path = tmp_path / "state.json"
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom reconciler import files\n"
        "files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"files.replace(Path({str(path)!r}), b'secret')\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    (left,) = tmp_path.iterdir()
    assert left.read_bytes() == b"secret"
    assert mode(left) == 0o600
    others = {".state.json.tmp", ".state.json.0123456789abcdef.bak", ".other.0123456789abcdef.tmp", "state.json"}
    for name in others:
        (tmp_path / name).write_text("kept")
    files.remove_leftovers(path)
    assert {found.name for found in tmp_path.iterdir()} == others


@pytest.mark.parametrize("chain", [["loop"], ["one", "two"]])
def test_links_that_lead_nowhere_end(tmp_path, chain):
    # Intent: a circle of the user's own links is an error like any other.
    for name, target in zip(chain, [*chain[1:], chain[0]], strict=True):
        (tmp_path / name).symlink_to(target)
    with pytest.raises(OSError, match=r"Too many|link"):
        files.replace(tmp_path / chain[0] / "file", b"")


def test_a_link_to_a_link_of_a_checkout_is_one(tmp_path):
    # Intent: a user's own link that leads through a branch's is not a way around.
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "repo" / "plan").symlink_to(tmp_path / "outside")
    (tmp_path / "own").symlink_to("repo/plan")
    for way in ("own", "repo/plan", "repo/../repo/plan", "own/../repo/plan"):
        with pytest.raises(OSError) as caught:
            files.replace(tmp_path / way / "file", b"")
        assert caught.value.errno in (errno.ELOOP, errno.ENOENT)
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize("linked", ["w/.reconciler", "w/.reconciler/spill"])
def test_what_a_store_can_t_take_is_not_kept_behind_a_link(tmp_path, linked):
    # Intent: the spill's folder is in the workspace, so a branch could lead it elsewhere.
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "reconciler.yaml").write_text("")
    (tmp_path / "outside").mkdir()
    (tmp_path / linked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / linked).symlink_to(tmp_path / "outside")
    spill = Spill(tmp_path / "w" / ".reconciler" / "spill", "s3://bucket")
    with pytest.raises(StateError, match="is a link"):
        spill.keep(b"", "run", [End(op="1", result="done")])
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize("planted", ["state/1.json", "state"])
def test_a_shared_folder_s_objects_are_no_links(tmp_path, planted):
    # Intent: who may write in a shared folder can't make others read or overwrite what is not theirs.
    (tmp_path / "shared" / ".git").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("precious")
    (tmp_path / "shared" / planted).parent.mkdir(exist_ok=True)
    target = tmp_path / "outside" / ("precious" if planted.endswith("json") else "")
    (tmp_path / "shared" / planted).symlink_to(target)
    objects = Objects((tmp_path / "shared").as_uri())
    for use in (objects.read, lambda name: objects.create(name, b"{}")):
        with pytest.raises(StateError, match="is a link"):
            use("state/1.json")
    assert [path.read_text() for path in (tmp_path / "outside").iterdir()] == ["precious"]
