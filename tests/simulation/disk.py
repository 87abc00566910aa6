"""A machine's disk in memory, behind the functions of ``os`` that the program writes its state with.

What was written and not synced is lost when the machine dies, or part of it: of each file some beginning of what was
appended stays, of the names some of the changes since their folder was synced, in their order. When only the process is
killed, everything stays.
"""

from __future__ import annotations

import errno
import io
import os
import random
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import PosixPath
from types import SimpleNamespace
from typing import ClassVar

from tests.simulation.clockwork import Process, World


class File:
    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = b""


class Disk:
    """``trouble`` gives the number of an error for an operation, or 0; ``seconds`` how long a sync takes."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.names: dict[str, File] = {}
        self.folders: set[str] = set()
        self.trouble: Callable[[str], int] = lambda _: 0
        self.seconds: Callable[[], float] = lambda: 0.0
        self.locks: dict[str, Process] = {}
        self.shared: dict[str, bytes] = {}
        """What its runs share about the rate limit of each account, by its key."""
        self.unlucky: Process | None = None
        """Whose next sync of a folder after it put a file into its place fails."""
        self.put: dict[Process, str] = {}
        """The file that a process has put into its place, until the folder is synced."""
        self.unsynced: dict[Process, list[str]] = {}
        """Those whose folder could not be synced then."""
        self.at_risk: list[Callable[[], None]] = []
        """What to do where what was said to be done comes to nothing, since power fails before the next sync."""
        self._changes: list[tuple[str, File | None]] = []
        """Changes of names that no sync of a folder has made last."""
        self._lasting: dict[str, File] = {}

    @cached_property
    def _chance(self) -> random.Random:
        return self.world.chance(f"disk {self.name}")

    def rename(self, path: str, file: File | None) -> None:
        if file is None:
            del self.names[path]
        else:
            self.names[path] = file
        self._changes.append((path, file))

    def sync_names(self) -> None:
        self._changes.clear()
        self.at_risk.clear()
        self._lasting = dict(self.names)

    def lose_power(self) -> None:
        """What was not synced is lost, or comes out torn."""
        for lost in self.at_risk:
            lost()
        stay = self._chance.randint(0, len(self._changes))
        names = dict(self._lasting)
        for path, file in self._changes[:stay]:
            if file is None:
                names.pop(path, None)
            else:
                names[path] = file
        for file in names.values():
            if bytes(file.data) != file.synced:
                if file.data.startswith(file.synced):
                    end = self._chance.randint(len(file.synced), len(file.data))
                    file.data = file.data[:end]
                else:  # cut off, and not synced: either is possible
                    file.data = bytearray(file.synced if self._chance.random() < 0.5 else file.data)
                file.synced = bytes(file.data)
        lost = len(self._changes) - stay
        self.names = names
        self.shared = {key: shared[: len(shared) // 2] for key, shared in self.shared.items()}
        self.sync_names()
        self.world.tell(self.name, f"power fails; {lost} changes of names lost")

    def texts(self) -> Iterator[tuple[str, bytes]]:
        for path, file in sorted(self.names.items()):
            yield path, bytes(file.data)

    def copy(self) -> dict[str, bytes]:
        return dict(self.texts())

    def put_back(self, kept: dict[str, bytes], *, instead_of: tuple[str, ...]) -> None:
        """Somebody restores files, and those whose paths begin so are gone."""
        self.names = {path: file for path, file in self.names.items() if not path.startswith(instead_of)}
        for path, data in kept.items():
            file = self.names[path] = File()
            file.data, file.synced = bytearray(data), data
        self.sync_names()


class SharedDocument:
    """The file through which the runs on a machine share their limiter."""

    def __init__(self, disk: Disk, key: str) -> None:
        self._disk, self._key = disk, key

    def exchange(self, change: Callable[[bytes], bytes]) -> bool:
        self._disk.shared[self._key] = change(self._disk.shared.get(self._key, b""))
        return True

    def close(self) -> None:
        pass


class Handle:
    def __init__(self, disk: Disk, path: str, file: File | None) -> None:
        self.disk, self.path, self.file = disk, path, file
        self.locked = False


class SimulatedOs:
    """The functions of ``os`` for the disk of the process that runs; constants are the real ones."""

    def __init__(self, disk_of: Callable[[Process], Disk]) -> None:
        self._disk_of = disk_of
        self._handles: dict[int, Handle] = {}
        self._next = 100
        self.environ: dict[str, str] = {}
        self.path = SimpleNamespace(
            lexists=lambda path: str(path) in self._disk.names,
            isdir=lambda path: str(path) in self._disk.folders or str(path) == "/",
        )

    def __getattr__(self, name: str) -> object:
        if name.isupper() or name.startswith("O_") or name in ("strerror", "fspath"):
            found = self.__dict__[name] = getattr(os, name)
            return found
        raise AttributeError(f"os.{name} is not simulated")

    @property
    def _disk(self) -> Disk:
        return self._disk_of(World.current.process)

    def _act(self, what: str, path: str) -> Disk:
        """A point of death, and perhaps an error."""
        process = World.current.process
        process.point()
        if what != "sync":
            process.wrote(path)
        disk = self._disk_of(process)
        unlucky = what == "sync" and disk.unlucky is process and path in disk.folders
        number = errno.EIO if unlucky else disk.trouble(what)
        if number:
            World.current.tell(process.name, f"{what} of {path.rpartition('/')[2]}: {os.strerror(number)}")
            raise OSError(number, os.strerror(number), path)
        return disk

    def getpid(self) -> int:
        return World.current.process.number

    @cached_property
    def _chance(self) -> random.Random:
        return World.current.chance("names")

    def urandom(self, count: int) -> bytes:
        return self._chance.randbytes(count)

    # files

    def open(self, path: object, flags: int, mode: int = 0o600) -> int:
        name = str(path)
        disk = self._disk
        file: File | None
        if flags & os.O_DIRECTORY:
            World.current.process.point()
            file = None
        else:
            file = disk.names.get(name)
            if file is None:
                if not flags & os.O_CREAT:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
                self._act("create", name)
                file = File()
                disk.rename(name, file)
            elif flags & os.O_EXCL:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        self._next += 1
        self._handles[self._next] = Handle(disk, name, file)
        return self._next

    def close(self, fd: int) -> None:
        handle = self._handles.pop(fd, None)
        if handle is not None and handle.locked:
            handle.disk.locks.pop(handle.path, None)

    def flock(self, fd: int, _: int) -> None:
        """``fcntl.flock``, not blocking."""
        handle, process = self._handles[fd], World.current.process
        holder = handle.disk.locks.get(handle.path)
        if holder is not None and not (holder.dead or holder.over):
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
        handle.disk.locks[handle.path] = process
        handle.locked = True

    def write(self, fd: int, data: bytes | memoryview) -> int:
        handle = self._handles[fd]
        assert handle.file is not None
        size = len(data)
        try:
            self._act("write", handle.path)
        except OSError as error:
            if error.errno == errno.ENOSPC and size > 1:  # a part fits
                handle.file.data += bytes(data[: size // 2])
            raise
        process = World.current.process
        if process.kill_in == 1 and size > 1:  # it dies in the midst of it
            handle.file.data += bytes(data[: size // 2])
            process.point()
        handle.file.data += bytes(data)
        process.point()
        return size

    def fsync(self, fd: int) -> None:
        handle = self._handles[fd]
        seconds = handle.disk.seconds()
        if seconds:
            fiber = World.current.fiber
            assert fiber is not None
            fiber.sleep(seconds)
        put = handle.disk.put.pop(World.current.process, None) if handle.file is None else None
        try:
            disk = self._act("sync", handle.path)
        except OSError:
            if put is not None:
                handle.disk.unsynced.setdefault(World.current.process, []).append(put)
            raise
        if handle.file is None:
            disk.sync_names()
        else:
            handle.file.synced = bytes(handle.file.data)

    def ftruncate(self, fd: int, size: int) -> None:
        handle = self._handles[fd]
        assert handle.file is not None
        World.current.process.point()
        del handle.file.data[size:]

    def fchmod(self, fd: int, mode: int) -> None:
        pass

    def fstat(self, fd: int) -> os.stat_result:
        handle = self._handles[fd]
        assert handle.file is not None
        return _status(handle.file)

    def lstat(self, path: object) -> os.stat_result:
        found = self._disk.names.get(str(path))
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return _status(found)

    def replace(self, source: object, target: object) -> None:
        disk = self._act("rename", str(target))
        file = disk.names[str(source)]
        disk.rename(str(target), file)
        disk.rename(str(source), None)
        disk.put[World.current.process] = str(target)
        World.current.process.point()

    def unlink(self, path: object) -> None:
        process = World.current.process
        process.point()
        disk = self._disk
        if str(path) not in disk.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        process.wrote(str(path))
        disk.rename(str(path), None)
        process.point()

    def mkdir(self, path: object, mode: int = 0o777) -> None:
        self._disk.folders.add(str(path))

    @contextmanager
    def scandir(self, folder: object) -> Iterator[list[Entry]]:
        start = f"{folder}/"
        found = [path for path in sorted(self._disk.names) if path.startswith(start)]
        yield [Entry(path) for path in found if "/" not in path[len(start) :]]

    def fdopen(self, fd: int, mode: str) -> Opened:
        return self.open_file(fd, mode)

    def open_file(self, fd: int, mode: str) -> Opened:
        return Opened(self, fd, self._handles[fd])


class Entry:
    def __init__(self, path: str) -> None:
        self.path = path
        self.name = path.rpartition("/")[2]

    def __str__(self) -> str:
        return self.path

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return True


class SimulatedPath(PosixPath):
    """A path on the disk of the process that runs, as are those that are made from it."""

    system: ClassVar[SimulatedOs]

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return self.system.lstat(self)

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            self.system.unlink(self)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def resolve(self, strict: bool = False) -> SimulatedPath:
        return self


class Opened(io.RawIOBase):
    """What ``open(fd)`` gives."""

    def __init__(self, system: SimulatedOs, fd: int, handle: Handle) -> None:
        super().__init__()
        self._system, self._fd, self._handle, self._at = system, fd, handle, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        World.current.process.point()
        assert self._handle.file is not None
        part = self._handle.file.data[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def truncate(self, size: int | None = None) -> int:
        self._system.ftruncate(self._fd, size or 0)
        return size or 0

    def read(self, size: int = -1) -> bytes:
        World.current.process.point()
        assert self._handle.file is not None
        return bytes(self._handle.file.data)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return self._system.write(self._fd, data)

    def fileno(self) -> int:
        return self._fd

    def flush(self) -> None:
        pass

    def close(self) -> None:
        if not self.closed:
            self._system.close(self._fd)
        super().close()


def _status(file: File) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | 0o600, 0, 0, 1, 0, 0, len(file.data), 0, 0, 0))
