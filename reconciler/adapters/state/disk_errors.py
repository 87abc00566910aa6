"""Errors of the local disk as diagnostics that say what to do."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from reconciler.files import UnsafeFileError
from reconciler.model.errors import Diagnostic, StateError

_ELSEWHERE: Final = "or use another place with `--state`"
_AGAIN: Final = "then run the command again: it first clears up what was begun"
_REMEDIES: Final = (
    ((errno.EACCES, errno.EPERM), f"You need to be able to write in that folder: fix the permissions, {_ELSEWHERE}."),
    ((errno.EROFS,), f"That file system is read-only. Make it writable, {_ELSEWHERE}."),
    ((errno.ENOSPC, errno.EDQUOT), f"Free some space, {_AGAIN}."),
    (
        (errno.ENAMETOOLONG,),
        "The journal and the lock are next to the state and have longer names. Use a shorter name with `--state`.",
    ),
    ((errno.ENOTDIR,), f"A part of the path is a file, not a folder. Move it away, {_ELSEWHERE}."),
    ((errno.ENOENT,), "No file can be created there. Use another place with `--state`."),
    (
        (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL),
        "That file system can't lock files. Use another place with `--state`, for example on a local disk.",
    ),
)


def unsynced(path: Path | str, error: OSError) -> Diagnostic:
    """That a file was written, and only its folder could not be synced."""
    return Diagnostic(
        severity="warning",
        summary=f"`{path}` is written, but may be lost if this machine loses power now: {error.strerror or error}",
        detail="Its folder can't be synced to the disk. Don't repeat the command: it is done. Fix the disk; the next write "
        "of the state syncs the folder again.",
    )


def ignore(_: Diagnostic) -> None:
    """Hear of nothing."""


def disk_failure(what: str, path: Path, error: OSError) -> StateError:
    """The diagnostic for an error of the operating system; ``what`` is a verb: "can't WHAT PATH"."""
    if isinstance(error, UnsafeFileError):
        where = path if error.filename is None or Path(error.filename).name == path.name else error.filename
        remedy = "Remove it if you did not put it there, or use another place with `--state`. Nothing was sent."
        return StateError(f"can't {what} `{where}`: {error.strerror}", remedy)
    remedy = next((text for numbers, text in _REMEDIES if error.errno in numbers), f"Fix that, {_AGAIN}.")
    return StateError(f"can't {what} `{path}`: {error.strerror or error}", remedy)
