"""A place that can't hold the state's files: said as what it is, and never as a lock that somebody else holds."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from reconciler import files
from reconciler.adapters.state import disk_errors
from reconciler.adapters.state.local import LocalStateStore
from reconciler.adapters.state.lock import hold_lock
from reconciler.adapters.state.remote import RemoteStateStore
from reconciler.model.errors import LockError, StateError


def refused(path, *words):
    """That locking fails at once, with these words, and leaves nothing behind."""
    with pytest.raises(StateError) as caught, hold_lock(Path(path), command="apply", timeout=0):
        pass
    (diagnostic,) = caught.value.diagnostics
    said = f"{diagnostic.summary}\n{diagnostic.detail}"
    assert not isinstance(caught.value, LockError)
    assert "process" not in said and "is locked" not in said, said
    assert all(word in said for word in words), said


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("folder", ["can't lock the state `", "folder`: it is not a regular file"]),
        ("pipe", ["it is not a regular file"]),
        ("link", ["it is a link"]),
        ("file/state.json", ["Not a directory", "is a file, not a folder"]),
        ("file/deeper/state.json", ["Not a directory", "is a file, not a folder"]),
        ("x" * 255, ["name too long", "shorter name"]),
        ("x" * 251, ["name too long", "shorter name"]),
        ("y" * 300 + "/state.json", ["name too long", "shorter name"]),
        ("locked.json", ["locked.json.lock`: it is not a regular file"]),
        ("held.json", ["held.json.holder`: it is not a regular file"]),
    ],
)
def test_what_is_in_the_way_is_said(tmp_path, name, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "locked.json.lock").mkdir()
    (tmp_path / "held.json.holder").mkdir()
    before = tree(tmp_path)

    refused(tmp_path / name, *words)

    assert tree(tmp_path) == before


@pytest.mark.parametrize("path", ["/dev/full", "/dev/null", "/proc/state.json", "/proc/self/fd/state.json"])
def test_what_the_kernel_makes_up_holds_no_files(path):
    refused(path, "--state")
    assert not Path(f"{path}.lock").exists()


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "permissions"),
        (errno.EPERM, "permissions"),
        (errno.EROFS, "read-only"),
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.ENOENT, "No file can be created there"),
        (errno.EIO, "run the command again"),
    ],
)
def test_what_the_operating_system_says_is_passed_on(tmp_path, monkeypatch, number, remedy):
    """Whichever step it comes at: making the folder, or the lock in it."""
    real = os.open

    def failing(path, flags, *more, **named):
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number), str(path))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(files.os, "open", failing)
    refused(tmp_path / "state.json", os.strerror(number), remedy)
    monkeypatch.undo()

    def no_folder(path, *_):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(files.os, "mkdir", no_folder)
    refused(tmp_path / "new" / "state.json", os.strerror(number), remedy)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_not_a_lock_that_is_held(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    refused(tmp_path / "state.json", os.strerror(number), "can't lock files")


def test_a_lock_that_is_held_says_so_still(tmp_path):
    path = tmp_path / "state.json"
    with (
        hold_lock(path, command="apply", timeout=0),
        pytest.raises(LockError, match="is locked") as caught,
        hold_lock(path, command="plan", timeout=0),
    ):
        pass
    assert f"pid {os.getpid()}" in caught.value.diagnostics[0].detail


@pytest.mark.parametrize(
    ("name", "word"), [("file/state.json", "a file, not a folder"), ("x" * 255, "shorter name"), ("folder", "regular")]
)
def test_reading_there_says_the_same(tmp_path, name, word):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError) as caught:
        LocalStateStore(tmp_path / name, version="0").load()
    assert word in str(caught.value.diagnostics[0]) and "can't read" in str(caught.value.diagnostics[0])


@pytest.mark.parametrize(
    ("name", "word"), [("file", "It is a file"), ("file/deeper", "does not exist"), ("missing", "does not exist")]
)
def test_a_shared_folder_that_is_none_is_said_to_be_that(tmp_path, name, word):
    (tmp_path / "file").write_text("")
    store = RemoteStateStore(f"file://{tmp_path / name}", version="0", spill=tmp_path / "spill", lease_seconds=60)
    with pytest.raises(StateError) as caught, store.lock("apply", 0):
        pass
    assert word in str(caught.value.diagnostics[0])


def test_every_remedy_is_reached_once():
    numbers = [number for group, _ in disk_errors._REMEDIES for number in group]
    assert len(numbers) == len(set(numbers))
