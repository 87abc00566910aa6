"""Files that this program writes: completely or not at all, and never through a link that came with a checkout.

A branch may contain links: `plan` to `/etc`, or a name next to the state to somebody's notes. So a file of ours must be a
regular file, and no folder on the path to it may be a link in a checkout, in a workspace, or below the current directory.
Links elsewhere are the machine's (`/tmp`) or the user's own, and are followed.

Errors of the operating system are raised as `OSError`. All of it goes through the functions of `os`, where tests put a
disk of their own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
_MARKS: Final = (".git", "reconciler.yaml")
_LONGEST_CHAIN: Final = 40
_NO_SYNC: Final = (errno.EINVAL, errno.ENOTSUP)
"""Errors of file systems that can't sync a folder."""


class UnsafeFileError(OSError):
    """A file that is refused: a link, behind a link, or not a regular file. ``strerror`` says which."""


def replace(path: Path, data: bytes, *, mode: int | None = PRIVATE) -> OSError | None:
    """Write a file, or replace it, with this mode. ``None`` keeps the old file's mode, or takes the user's default.

    A reader sees the old file or the new one. On failure the old one is unchanged and nothing is left behind. An error is
    returned where the new one is there, and only its folder could not be synced: the old one may come back if power fails.

    Raises:
        UnsafeFileError: there is something else than a regular file, or the path goes through a link.

    """
    place = _place(path)
    old = _regular(place)
    temporary = place.with_name(f"{_prefix(place)}{os.urandom(8).hex()}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666 if mode is None else mode)
    try:
        try:
            if mode is None and old is not None:
                os.fchmod(fd, old.st_mode & 0o777)
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, place)  # noqa: PTH105  the tests' kill points sit on os.replace
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        _name(error, path)
        raise
    try:
        sync_folder(place.parent)
    except OSError as error:
        return error
    return None


def create(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file that must not exist yet.

    Raises:
        FileExistsError: it exists.
        UnsafeFileError: there is something else than a regular file, or the path goes through a link.

    """
    place = _place(path)
    fd = _opened(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(fd, "wb") as file:  # noqa: PTH123  a descriptor
            file.write(data)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(place)  # noqa: PTH108
        _name(error, path)
        raise


def move(source: Path, target: Path) -> None:
    """Rename a finished file to another in the same folder. Raises UnsafeFileError as :func:`replace`."""
    place = _place(target)
    _regular(place)
    os.replace(source, place)  # noqa: PTH105
    with contextlib.suppress(OSError):  # it is there; it can come again
        sync_folder(place.parent)


def remove(path: Path) -> bool:
    """Remove a file, or a link itself; ``False`` if there is none. Raises UnsafeFileError if the path goes through a link."""
    try:
        os.unlink(_place(path))  # noqa: PTH108
    except FileNotFoundError:
        return False
    return True


def check(path: Path) -> bool:
    """Whether a file exists that may be used. Raises UnsafeFileError as :func:`replace`."""
    return _regular(_place(path)) is not None


def open_to_append(path: Path, *, mode: int = PRIVATE) -> int:
    """A descriptor to append to a file. Raises UnsafeFileError as :func:`replace`."""
    return _opened(_place(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode)


def open_stream(path: Path) -> int:
    """A descriptor to append to a path that the user gave: devices, pipes and the user's own links are allowed.

    Raises:
        UnsafeFileError: it is a link of a checkout or behind one.

    """
    place = _place(path)
    if place.is_symlink():
        _refuse_checkout_link(place)
    # Not blocking: opening a pipe would wait for its reader. Writing may wait.
    fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY, PRIVATE)
    os.set_blocking(fd, True)
    return fd


def open_to_read(path: Path) -> BufferedReader:
    """Open a file to read. Raises FileNotFoundError, and UnsafeFileError as :func:`replace`."""
    return open(_opened(_place(path), os.O_RDONLY), "rb")


def read(path: Path, limit: int) -> bytes:
    """A file's content. Raises as :func:`open_to_read`; UnsafeFileError also for more than ``limit`` bytes."""
    with open_to_read(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise UnsafeFileError(errno.EFBIG, f"it is larger than {limit:,} bytes", str(path))
        return file.read()


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """Create a folder and its parents if they don't exist; other processes may do so at the same time.

    Raises:
        UnsafeFileError: the path is a link of a checkout or goes through one.

    """
    missing = []
    folder = _followed(path.absolute())
    while not os.path.isdir(folder) and folder.parent != folder:  # noqa: PTH112
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        try:
            os.mkdir(each, mode)  # noqa: PTH102
        except FileExistsError:
            if not os.path.isdir(each):  # noqa: PTH112
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(each)) from None


def remove_leftovers(path: Path) -> None:
    """Remove temporary files that killed runs left. Call it only while nobody else can replace the file."""
    place = _place(path)
    start = _prefix(place)
    with contextlib.suppress(OSError), os.scandir(place.parent) as entries:
        for entry in entries:
            random = entry.name.removeprefix(start).removesuffix(".tmp")
            if entry.name == f"{start}{random}.tmp" and len(random) == 16 and entry.is_file(follow_symlinks=False):
                os.unlink(entry)  # noqa: PTH108


def listed(folder: Path, *, start: str, end: str) -> list[Path]:
    """The regular files in a folder whose names begin and end so, in order; none if there is no folder."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        return sorted(folder / name for name in names if name.startswith(start) and name.endswith(end))
    return []


def repository_top(folder: Path) -> Path | None:
    """The top of the git repository that contains a folder, links followed; ``None`` if there is none."""
    here = folder.resolve()
    return next((above for above in (here, *here.parents) if os.path.lexists(above / ".git")), None)


def checkout_of(folder: Path) -> Path:
    """As :func:`repository_top`; the folder itself if there is none."""
    return repository_top(folder) or folder.resolve()


def user_folder(env: Mapping[str, str], variable: str, usual: str) -> Path | None:
    """The program's folder below the one that an XDG variable names, else below ``usual`` at home; ``None`` without a home."""
    named, home = env.get(variable, ""), env.get("HOME", "")
    base = Path(named) if named.startswith("/") else Path(home, usual) if home.startswith("/") else None
    return base / "reconciler" if base is not None else None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Keep others who ask out of a folder, until the end or the death of this process. False: another process does so.

    On a file system without locks, nobody is kept out.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            ours = error.errno != errno.EWOULDBLOCK
        else:
            ours = True
        yield ours
    finally:
        os.close(fd)


def sync_folder(folder: Path) -> None:
    """Sync a folder's names to the disk, if the file system can."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(fd)


def _name(error: BaseException, path: Path) -> None:
    """Let an error name the file: a write to a full disk knows only a descriptor."""
    if isinstance(error, OSError) and error.filename is None:
        error.filename = str(path)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _opened(place: Path, flags: int, mode: int = PRIVATE) -> int:
    _regular(place)
    fd = os.open(place, flags | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _not_a_regular_file(place)
    return fd


def _regular(place: Path) -> os.stat_result | None:
    """The status of the regular file at a path; ``None`` if nothing is there."""
    try:
        found = os.lstat(place)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise UnsafeFileError(errno.ELOOP, "it is a link, and links are not followed here", str(place))
    if not stat.S_ISREG(found.st_mode):
        raise _not_a_regular_file(place)
    return found


def _not_a_regular_file(place: Path) -> UnsafeFileError:
    return UnsafeFileError(errno.EINVAL, "it is not a regular file", str(place))


def _prefix(place: Path) -> str:
    return f".{place.name[:40]}."  # a name has 255 bytes at most


def _place(path: Path) -> Path:
    """The path, with the links to its folder followed or refused."""
    path = path.absolute()
    return _followed(path.parent) / path.name


def _followed(path: Path) -> Path:
    here, links = Path(path.anchor), 0
    waiting = list(reversed(path.parts[1:]))
    while waiting:
        part = waiting.pop()
        here = here.parent if part == ".." else here / part
        try:
            target = here.readlink()
        except OSError:  # not a link; if it is missing, the caller reports that
            continue
        _refuse_checkout_link(here)
        links += 1
        if links > _LONGEST_CHAIN:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        here = Path(target.anchor) if target.is_absolute() else here.parent
        waiting.extend(reversed(target.parts[target.is_absolute() :]))
    return here


def _refuse_checkout_link(link: Path) -> None:
    """Refuse a link in a checkout, in a workspace, or below the current directory. Its path has no links."""
    folder, current = link.parent, Path.cwd()
    below_current = current.parent != current and folder.is_relative_to(current)
    if below_current or any(os.path.lexists(above / mark) for above in (folder, *folder.parents) for mark in _MARKS):
        raise UnsafeFileError(errno.ELOOP, f"`{link}` is a link, and nothing is read or written through it", str(link))
