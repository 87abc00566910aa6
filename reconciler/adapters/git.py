"""Questions to git about a checkout. Git is only ever asked: nothing is written, fetched or run by it.

What git would run because the checkout's configuration says so is off: hooks, the file system monitor, filters, external
diffs, and every transport, which a partial clone would use to fetch what it lacks. Variables that point git elsewhere
(``GIT_DIR`` and the like) are not passed on. Names come separated by NUL, and may hold anything.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from reconciler.files import repository_top
from reconciler.model.errors import ReconcilerError, UsageError

OUTPUT_MAX: Final = 256 << 20
"""Bytes of one answer: about two million changed files."""
SECONDS_MAX: Final = 300.0
_STDERR_MAX: Final = 4_000
_SETTINGS: Final = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.untrackedCache": "false",
    "diff.external": "",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
}
_FILTERS: Final = r"^filter\..*\.(clean|smudge|process|required)$"
_GITLINK: Final = "160000"
_LINK: Final = "120000"
_EMPTY_TREES: Final = (
    "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
)
"""The tree without files, which git knows in any repository: with SHA-1 and with SHA-256."""
_OWN_FILES: Final = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
"""Variables that say where the user's own settings are."""
_SHALLOW: Final = (
    "This is a shallow clone. Fetch the rest with `git fetch --unshallow`; in CI, check out the whole history "
    "(`fetch-depth: 0` of actions/checkout, `GIT_DEPTH: 0` on GitLab)."
)


class GitError(ReconcilerError):
    """Git can't answer."""


class Change(Struct, frozen=True, kw_only=True):
    """A file that differs. Paths are absolute; ``source`` is where it was, if it was renamed.

    ``blob`` is what git calls its content of before, if there was any. ``whole``: all below the path belongs to it, since
    it is another repository. ``unsure``: git saw that the file was touched, not whether its content differs.
    """

    path: str
    status: str
    source: str | None = None
    blob: str | None = None
    mode: str | None = None
    uncommitted: bool = False
    whole: bool = False
    unsure: bool = False


class Repository:
    """A checkout: ``top`` is its uppermost folder."""

    def __init__(self, top: Path, settings: Mapping[str, str]) -> None:
        self.top = top
        self._settings = settings

    def compare(self, ref: str) -> tuple[str | None, str]:
        """The commit that a revision means, and the commit or tree to compare with: where its history and HEAD's part.

        A revision of zeros, as CI services name the commit before a branch's first, means that nothing was there before.

        Raises:
            UsageError: there is no such commit here, or the two have no common history.

        """
        for empty in _EMPTY_TREES:
            if ref == "0" * len(empty):
                return None, empty
        commit = self._commit(ref)
        if self._resolved("HEAD") is None:
            raise UsageError("the branch has no commit yet", "Commit first, or leave `--changed-since` out.")
        done = self._run("merge-base", commit, "HEAD", codes=(0, 1))
        base = done.decode().partition("\n")[0]
        if not base:
            detail = _SHALLOW if self._shallow else "Name a commit that the current branch began from."
            raise UsageError(f"`{ref}` and the current commit have no common history here", detail)
        return commit, base

    def changes(self, base: str) -> list[Change]:
        """What differs between ``base`` (a commit or tree) and the files here: committed, uncommitted and untracked."""
        raw = ("-r", "-z", "--raw", "--no-abbrev", "-M100%", "--no-ext-diff", "--ignore-submodules=dirty")
        committed = list(self._differences(self._run("diff-tree", *raw, base, "HEAD"), uncommitted=False))
        edited = list(self._differences(self._run("diff-index", *raw[1:], "HEAD"), uncommitted=True))
        names = os.fsdecode(self._run("ls-files", "-z", "--others", "--exclude-standard")).split("\0")[:-1]
        untracked = [
            Change(path=self._path(name), status="A", uncommitted=True, whole=name.endswith("/")) for name in names
        ]
        return [*committed, *edited, *untracked]

    def is_same(self, change: Change) -> bool:
        """Whether a file that was touched has the content of before, byte for byte."""
        if not (change.unsure and change.blob):
            return False
        digits = len(change.blob)
        try:
            if change.mode == _LINK:
                target = os.fsencode(os.readlink(change.path))  # noqa: PTH115  takes any name
                return change.blob == _blob_name(io.BytesIO(target), len(target), digits)
            descriptor = os.open(change.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:  # noqa: PTH123  it is open already
                found = os.fstat(descriptor)
                return stat.S_ISREG(found.st_mode) and change.blob == _blob_name(file, found.st_size, digits)
        except OSError:
            return False

    def content(self, blob: str, limit: int) -> bytes | None:
        """What a blob holds; ``None`` if it is not here or has more than ``limit`` bytes."""
        try:
            return self._run("cat-file", "blob", blob, limit=limit)
        except GitError:
            return None

    def ignored(self) -> set[str]:
        """The absolute paths of files and whole folders that the repository ignores."""
        asked = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
        return {self._path(name) for name in os.fsdecode(self._run(*asked)).split("\0")[:-1]}

    @property
    def _shallow(self) -> bool:
        return self._run("rev-parse", "--is-shallow-repository").strip() == b"true"

    def _commit(self, ref: str) -> str:
        if ref.startswith("-") or "\0" in ref or not ref.strip():
            raise UsageError(f"`{ref}` is not a revision", "Name a branch, a tag or a commit, such as origin/main.")
        found = self._resolved(ref)
        if found is not None:
            return found
        detail = "Name a branch, a tag or a commit, such as origin/main."
        if self._resolved(f"origin/{ref}") is not None:
            detail = f"There is `origin/{ref}`: name that."
        elif self._shallow:
            detail = _SHALLOW
        else:
            detail += " A branch that is not here yet comes with `git fetch origin BRANCH`."
        raise UsageError(f"there is no commit `{ref}` here", detail)

    def _resolved(self, ref: str) -> str | None:
        found = self._run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", codes=(0, 1, 128)).decode().strip()
        return found if re.fullmatch("[0-9a-f]{40,64}", found) else None

    def _differences(self, data: bytes, *, uncommitted: bool) -> Iterator[Change]:
        """The records of git's raw format: ``:mode mode blob blob status``, a path, and for renames a second one."""
        fields = iter(os.fsdecode(data).split("\0")[:-1])
        for head in fields:
            before, after, old, new, status = head[1:].split(" ")
            path, source = next(fields), None
            if status[0] in "RC":
                path, source = next(fields), path
            yield Change(
                path=self._path(path),
                status=status[0],
                source=None if source is None else self._path(source),
                blob=old if old.strip("0") and before != _GITLINK else None,
                mode=before if old.strip("0") else None,
                uncommitted=uncommitted,
                whole=_GITLINK in (before, after),
                unsure=uncommitted and status[0] == "M" and not new.strip("0") and before == after,
            )

    def _path(self, name: str) -> str:
        return os.path.join(self.top, name.rstrip("/"))  # noqa: PTH118  takes any name

    def _run(self, *arguments: str, codes: Collection[int] = (0,), limit: int = OUTPUT_MAX) -> bytes:
        return _run(self.top, self._settings, arguments, codes, limit)


def repository_of(folder: Path) -> Repository | None:
    """The repository whose checkout has the folder; ``None`` if there is none.

    Raises:
        GitError: git is not installed or refuses the folder.

    """
    if repository_top(folder) is None:
        return None
    top = os.fsdecode(_run(folder, _SETTINGS, ("rev-parse", "--show-toplevel"))).removesuffix("\n")
    asked = ("config", "-z", "--name-only", "--get-regexp", _FILTERS)
    names = os.fsdecode(_run(folder, _SETTINGS, asked, (0, 1))).split("\0")[:-1]
    off = {name: "false" if name.endswith("required") else "" for name in names}
    return Repository(Path(top), {**_SETTINGS, **off})


def _run(
    folder: Path,
    settings: Mapping[str, str],
    arguments: Sequence[str],
    codes: Collection[int] = (0,),
    limit: int = OUTPUT_MAX,
) -> bytes:
    """What git answers. Raises GitError: it can't be run, ends with another code than these, or has no end."""
    git = shutil.which("git")
    if git is None or not os.path.isabs(git):  # noqa: PTH117  one from the current folder would be the branch's
        raise GitError("git is not installed", "Install git, or leave `--changed-since` out.")
    command = [git, "--no-pager", "--no-optional-locks", "--literal-pathspecs", "-C", os.fspath(folder), *arguments]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603  git, found by its absolute path
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=_environment(settings)
        ) as process,
    ):
        timer = threading.Timer(SECONDS_MAX, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            answer = process.stdout.read(limit + 1)
            if len(answer) > limit:
                raise GitError(
                    f"git {arguments[0]} answers with more than {limit:,} bytes",
                    "Name a later commit, or add what is no part of the repository to `.gitignore`.",
                )
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
        if code in codes:
            return answer
        errors.seek(0)
        said = errors.read(_STDERR_MAX).decode(errors="replace").strip()
    raise GitError(f"git {arguments[0]} failed", said or "It was ended.")


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process for git, with settings that win over those of any file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _OWN_FILES}
    for number, (name, value) in enumerate(settings.items()):
        kept |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        **kept,
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _blob_name(file: BinaryIO, size: int, digits: int) -> str:
    """What git calls a content of this size, in as many digits as the repository's names have."""
    digest = hashlib.sha256() if digits == len(_EMPTY_TREES[1]) else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % size)
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()
