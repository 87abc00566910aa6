"""The file through which the runs of one account on one machine share their limiter, in the user's cache folder.

Its name is neither the key nor a digest that tells whether a key was guessed: it is keyed by a number that the machine
draws when it starts and that the folder does not hold, and cut to 32 bits. The folder and the file must be this user's,
closed to others, and no links: what somebody else put there is not used.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from reconciler import files

LARGEST: Final = 128 << 10
"""Bytes; a larger file is thrown away."""
_START: Final = Path("/proc/sys/kernel/random/boot_id")
_OLD: Final = 86_400.0
"""Seconds after which a file that nobody wrote to is removed."""
_END: Final = ".json"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def file_name(url: str, key: str) -> str:
    """The name of an account's file: that of the API's host and the key, on this machine until it starts again."""
    try:
        start = _START.read_bytes()
    except OSError:
        start = os.uname().nodename.encode()
    parts = urlsplit(url)
    account = f"{parts.hostname}:{parts.port}\n{key}".encode()
    return hmac.new(start, account, hashlib.sha256).hexdigest()[:8] + _END


class LedgerFile:
    """See :class:`reconciler.adapters.api.limiter.Shared`. It is opened, or created, by the first exchange."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._fd: int | None = None

    def exchange(self, change: Callable[[bytes], bytes]) -> bool:
        """Raises OSError: it can't be read or written, or it is not this user's only."""
        if self._fd is None:
            self._fd = self._opened()
        fd = self._fd
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            if os.fstat(fd).st_nlink == 0:  # the folder was emptied, and others share another file
                self._fd = None
                return False
            old = os.pread(fd, LARGEST + 1, 0)
            new = change(b"" if len(old) > LARGEST else old)
            if os.pwrite(fd, new, 0) < len(new):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._name)
            if len(new) < len(old):
                os.ftruncate(fd, len(new))
        finally:
            if self._fd is None:
                os.close(fd)
            else:
                fcntl.flock(fd, fcntl.LOCK_UN)
        return True

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _opened(self) -> int:
        """The file, opened step by step, so that nobody can put a link in between."""
        above, name = self._folder.parent, self._folder.name
        files.make_folder(above, mode=files.PRIVATE_FOLDER)
        with _open(above, _FOLDER) as outer:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, files.PRIVATE_FOLDER, dir_fd=outer)
            with _open(Path(name), _FOLDER, outer) as folder:
                try:
                    return _file(self._name, folder)
                except FileNotFoundError:
                    _remove_old(folder)
                    return _file(self._name, folder, os.O_CREAT)


@contextlib.contextmanager
def _open(path: Path, flags: int, folder: int | None = None) -> Iterator[int]:
    fd = os.open(path, flags, files.PRIVATE, dir_fd=folder)
    try:
        _check(os.fstat(fd), path)
        yield fd
    finally:
        os.close(fd)


def _file(name: str, folder: int, more: int = 0) -> int:
    with _open(Path(name), _FILE | more, folder) as fd:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise files.UnsafeFileError(errno.EINVAL, "it is not a file of its own", name)
        return os.dup(fd)


def _check(found: os.stat_result, path: Path) -> None:
    """Refuse what others own or may write to."""
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise files.UnsafeFileError(errno.EPERM, "others own it or may write to it", str(path))


def _remove_old(folder: int) -> None:
    """Remove files that no run has written to for a day."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if name.endswith(_END) and stat.S_ISREG(found.st_mode) and time.time() - found.st_mtime > _OLD:
                    os.unlink(name, dir_fd=folder)
