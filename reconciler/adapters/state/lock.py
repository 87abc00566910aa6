"""The local lock. It is the operating system's, so it ends with its process and never stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler import files
from reconciler.adapters.state.disk_errors import disk_failure
from reconciler.adapters.state.holder import Holder, holder_from_text, this_process
from reconciler.model.errors import LockedError

if TYPE_CHECKING:
    from filelock import BaseFileLock

_LONGEST_HOLDER: Final = 65536
_POLL: Final = 0.05
"""Seconds between two attempts."""
_NAMELESS: Final = 5.0
"""Seconds to try again if the holder is unknown: it has not written its name yet, or is just releasing the lock."""


@contextlib.contextmanager
def hold_lock(state_path: Path, *, command: str, timeout: float) -> Iterator[None]:
    """Hold the lock of a state file. ``timeout`` is in seconds; 0 gives up at once.

    Raises:
        LockError: another process holds it; the message names it.
        StateError: no file can be created there, or the state or the lock is not a regular file.

    """
    lock_path = state_path.with_name(state_path.name + ".lock")
    holder_path = state_path.with_name(state_path.name + ".holder")
    try:
        files.make_folder(state_path.parent, mode=files.PRIVATE_FOLDER)
        for path in (state_path, holder_path):
            files.check(path)
        # filelock can't tell a place where no file can be created from a lock that is held
        os.close(files.open_to_append(lock_path))
        lock = _acquire(lock_path, timeout, holder_path, state_path)
    except OSError as error:
        raise disk_failure("lock the state", state_path, error) from error
    try:
        _write_holder(holder_path, command)
        yield
    finally:
        with contextlib.suppress(OSError):
            files.remove(holder_path)
        lock.release()


def _acquire(lock_path: Path, timeout: float, holder_path: Path, state_path: Path) -> BaseFileLock:
    """Take the lock. Once the time is up, try a little longer while the holder is unknown."""
    import filelock  # noqa: PLC0415  10 ms, and only for writing

    lock = filelock.FileLock(lock_path, mode=files.PRIVATE)
    end = time.monotonic() + timeout + _NAMELESS
    while True:
        try:
            lock.acquire(timeout=timeout, poll_interval=_POLL)
        except filelock.Timeout as error:
            holder = _holder(holder_path)
            if holder is None and time.monotonic() < end:
                timeout = _POLL
                continue
            who = f"Held by {holder}." if holder else "Another process holds it, and its name is unknown."
            raise LockedError(
                f"the state `{state_path}` is locked",
                f"{who}\nWait for it to finish, or give it time with `--lock-timeout 5m`.",
            ) from error
        else:
            return lock


def _write_holder(path: Path, command: str) -> None:
    with contextlib.suppress(OSError):  # only information; the lock itself is held
        if files.check(path):  # a dead holder's
            files.remove(path)
        files.create(path, json.dumps(this_process(command).to_json()).encode(), mode=files.PRIVATE)


def read_holder(state_path: Path) -> Holder | None:
    """Who holds the lock of a state file, as far as its files tell; takes no lock."""
    return _holder(state_path.with_name(state_path.name + ".holder"))


def _holder(path: Path) -> Holder | None:
    """The holder that was written down; ``None`` if there is none or it is dead."""
    try:
        holder = holder_from_text(files.read(path, _LONGEST_HOLDER).decode())
    except (OSError, ValueError):
        return None
    return None if holder is None or _is_dead(holder) else holder


def _is_dead(holder: Holder) -> bool:
    """Whether a holder is known to be dead; that is only known on this machine."""
    if holder.host != socket.gethostname() or holder.pid <= 0:
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def clear_lock(state_path: Path) -> bool:
    """Remove the files of a dead holder; ``False`` if there were none.

    Raises:
        LockError: a living process holds the lock.

    """
    leftovers = [state_path.with_name(state_path.name + end) for end in (".holder", ".lock")]
    found = any(path.exists() for path in leftovers)
    with hold_lock(state_path, command="state unlock", timeout=0):
        pass
    for path in leftovers:
        files.remove(path)
    return found
