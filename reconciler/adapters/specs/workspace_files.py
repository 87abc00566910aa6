"""Reading files of the workspace, and none beside it."""

from __future__ import annotations

import codecs
import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path, PurePosixPath

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.suggestions import printable


class FileProblem(Exception):  # noqa: N818  becomes a diagnostic
    """A file that can't be used: its code, what is wrong, what to do, and the line in it (from 1) if there is one."""

    def __init__(self, code: Code, summary: str, detail: str = "", *, line: int | None = None) -> None:
        super().__init__(summary)
        self.code = code
        self.summary = summary
        self.detail = detail
        self.line = line


def inside(root: Path, name: str) -> Path:
    """The real path of a name in the workspace, written relative to it with ``/``.

    Raises:
        FileProblem: it is absolute, leaves the workspace (by ``..`` or a link) or is or leads to something hidden.

    """
    shown = printable(name)
    path = PurePosixPath(name)
    if "\0" in name or not name.strip():
        raise FileProblem(Code.OUTSIDE, f"{name!r} is not a path", "write a path relative to the workspace")
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        detail = "write a path relative to the workspace, with / and without .."
        raise FileProblem(Code.OUTSIDE, f"{shown} is not a path inside the workspace", detail)
    try:
        home = root.resolve()
        real = (home / path).resolve()
    except (OSError, RuntimeError, ValueError) as failure:
        raise FileProblem(Code.UNREADABLE, f"{shown} can't be read: {_reason(failure)}") from None
    if not real.is_relative_to(home):
        raise FileProblem(Code.OUTSIDE, f"{shown} leads out of the workspace", "put the file itself into the workspace")
    if any(part.startswith(".") for part in (*path.parts, *real.relative_to(home).parts)):
        raise FileProblem(Code.OUTSIDE, f"{shown} is or leads to a hidden file", "hidden files are never read")
    return real


def folder_inside(root: Path, name: str) -> Path:
    """As :func:`inside`, for a folder that may not exist yet.

    Raises:
        FileProblem: as :func:`inside`; or it begins with ``~``, or a file is there or on the way.

    """
    if name.startswith("~"):
        detail = "write a path relative to the workspace; to download elsewhere, use `apply --out`"
        raise FileProblem(Code.OUTSIDE, f"{printable(name)}: `~` does not stand for your home folder here", detail)
    real = inside(root, name)
    there = next((place for place in (real, *real.parents) if os.path.lexists(place)), real)
    if os.path.lexists(there) and not os.path.isdir(there):  # noqa: PTH112  it raises nothing
        raise FileProblem(
            Code.UNREADABLE, f"{printable(name)} is not a folder", "name a folder, or one that is not there yet"
        )
    return real


def within_repository(root: Path, name: str) -> Path:
    """As :func:`inside`; but with ``..`` a path may leave the workspace, if it stays in the same git repository.

    Raises:
        FileProblem: as :func:`inside`; or it leaves the repository (by its name or a link), or is in another one below.

    """
    path = PurePosixPath(name)
    if ".." not in path.parts or path.is_absolute() or "\\" in name or "\0" in name:
        return inside(root, name)
    shown = printable(name)
    outside = f"{shown} is not a path inside the workspace"
    try:
        home = root.resolve()
        real = (home / path).resolve()
    except (OSError, RuntimeError, ValueError) as failure:
        raise FileProblem(Code.UNREADABLE, f"{shown} can't be read: {_reason(failure)}") from None
    top = repository_top(home)
    if top is None:
        detail = "a path above the workspace is only for a workspace in a git repository"
        raise FileProblem(Code.OUTSIDE, outside, detail)
    written = Path(os.path.normpath(home / path))
    if not (real.is_relative_to(top) and written.is_relative_to(top)):
        raise FileProblem(Code.OUTSIDE, f"{outside}, or inside its git repository", "put it into the same repository")
    between = (real, *real.parents)
    if any(_is_repository(folder) for folder in between[: between.index(top)]):
        raise FileProblem(Code.OUTSIDE, f"{shown} is in another git repository", "put it into the workspace's own")
    if any(part.startswith(".") for part in (*written.relative_to(top).parts, *real.relative_to(top).parts)):
        raise FileProblem(Code.OUTSIDE, f"{shown} is or leads to a hidden file", "hidden files are never read")
    return real


def repository_top(home: Path) -> Path | None:
    """The uppermost folder of the git repository that a real path is in; ``None`` outside of any."""
    return next((folder for folder in (home, *home.parents) if _is_repository(folder)), None)


def _is_repository(folder: Path) -> bool:
    return os.path.lexists(folder / ".git")


def stays_inside(root: Path, path: Path) -> None:
    """Refuse a file of the workspace that is a link out of it. Raises FileProblem."""
    try:
        leads_out = not path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        return  # reading it says why
    if leads_out:
        detail = "put the file itself into the workspace, or name it where it is"
        raise FileProblem(Code.OUTSIDE, f"{printable(str(path))} leads out of the workspace", detail)


@contextlib.contextmanager
def opened(path: Path, shown: str) -> Iterator[BufferedReader]:
    """A regular file, open for reading. ``shown`` names it in errors.

    Raises:
        FileProblem: no regular file, or not readable; also when reading it fails within.

    """
    shown = printable(shown)
    try:
        # Not blocking: opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123  it is open already
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileProblem(Code.UNREADABLE, f"{shown} is not a regular file")
            yield file
    except (OSError, ValueError) as failure:
        raise FileProblem(Code.UNREADABLE, f"{shown} can't be read: {_reason(failure)}") from None


def read_text(path: Path, shown: str, limit: int) -> str:
    """A regular file's text without its byte order mark. ``limit`` is in bytes; ``shown`` names the file in errors.

    Raises:
        FileProblem: no regular file, not readable, larger than the limit, or not UTF-8.

    """
    with opened(path, shown) as file:
        data = file.read(limit + 1)
    shown = printable(shown)
    if len(data) > limit:
        raise FileProblem(Code.TOO_LARGE, f"{shown} is larger than {limit:,} bytes", "split it")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode()
    except UnicodeDecodeError as failure:
        line = data.count(b"\n", 0, failure.start) + 1
        raise FileProblem(Code.ENCODING, f"{shown} is not UTF-8", f"line {line} is the first", line=line) from None


def walk(root: Path, folders: Iterable[str]) -> tuple[list[str], list[tuple[str, FileProblem]]]:
    """The names of the YAML files in these folders, sorted, relative to the root; and the names that can't be followed,
    with why.

    Hidden files and folders are skipped. Links are followed within the workspace (below a folder above it: within the
    repository); what is reached twice comes once.
    """
    names: list[str] = []
    problems: list[tuple[str, FileProblem]] = []
    seen: set[Path] = set()
    waiting = [PurePosixPath(folder) for folder in folders]
    while waiting:
        here = waiting.pop()
        try:
            real = within_repository(root, str(here))
            entries = [] if real in seen else sorted(real.iterdir(), reverse=True)
        except FileProblem as problem:
            problems.append((str(here), problem))
            continue
        except OSError as failure:
            summary = f"{printable(str(here))} can't be read: {_reason(failure)}"
            problems.append((str(here), FileProblem(Code.UNREADABLE, summary)))
            continue
        seen.add(real)
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if os.path.isdir(entry):  # noqa: PTH112  takes any name
                waiting.append(here / entry.name)
            elif entry.suffix in (".yaml", ".yml") and (target := Path(os.path.realpath(entry))) not in seen:
                seen.add(target)
                names.append(str(here / entry.name))
    return sorted(names), problems


def _reason(failure: Exception) -> str:
    return (failure.strerror if isinstance(failure, OSError) else None) or printable(str(failure))
