"""The local lock: the operating system's, so it dies with its process and is never stuck."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from reconciler.adapters.state.holder import holder_from_text, this_process
from reconciler.model.errors import LockError, StateError


@contextlib.contextmanager
def hold_lock(state_path: Path, *, command: str, timeout: float) -> Iterator[None]:
    """Hold the lock of a state file; ``timeout`` in seconds, 0 gives up at once.

    Raises:
        LockError: somebody else holds it; says who.
        StateError: the folder can't be written.

    """
    import filelock  # noqa: PLC0415  10 ms that only those need who write

    lock_path = state_path.with_name(state_path.name + ".lock")
    holder_path = state_path.with_name(state_path.name + ".holder")
    try:
        state_path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(lock_path, timeout=timeout, mode=0o600)
        lock.acquire(poll_interval=0.05)
    except filelock.Timeout as error:
        raise LockError(
            f"the state `{state_path}` is locked",
            f"{_holder(holder_path)}\nWait for it to finish, or give it time with `--lock-timeout 5m`.",
        ) from error
    except OSError as error:
        raise StateError(
            f"can't lock the state `{state_path}`: {error.strerror}",
            "The folder must be writable: apply writes down each call before it is made.",
        ) from error
    try:
        _write_holder(holder_path, command)
        yield
    finally:
        with contextlib.suppress(OSError):
            holder_path.unlink()
        lock.release()


def _write_holder(path: Path, command: str) -> None:
    with contextlib.suppress(OSError):  # it only informs; the lock itself is held
        path.write_text(json.dumps(this_process(command).to_json()))
        path.chmod(0o600)


def _holder(path: Path) -> str:
    try:
        holder = holder_from_text(path.read_text())
    except OSError:
        holder = None
    return f"Held by {holder}." if holder else "Another reconciler process holds it."


def clear_lock(state_path: Path) -> bool:
    """Remove what a dead holder left behind; ``False`` where there was nothing.

    Raises:
        LockError: a living process holds the lock: that can't be taken from it.

    """
    leftovers = [state_path.with_name(state_path.name + end) for end in (".holder", ".lock")]
    found = any(path.exists() for path in leftovers)
    with hold_lock(state_path, command="state unlock", timeout=0):
        pass
    for path in leftovers:
        path.unlink(missing_ok=True)
    return found
