"""Which files a workspace reads, and where the workspaces below a folder are."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from reconciler.adapters.specs.config_file import FILE, raw_spec_folders
from reconciler.adapters.specs.language.project import Mentions
from reconciler.adapters.specs.unread_files import SKIPPED
from reconciler.adapters.specs.workspace_files import repository_top
from reconciler.model.config import Config
from reconciler.model.errors import ReconcilerError, UsageError
from reconciler.model.workspaces import ReasonKind

ENTRIES_MAX: Final = 2_000_000
"""Files and folders that are looked at: a branch may contain any number."""
DEPTH_MAX: Final = 100
_CHAIN_MAX: Final = 40


class Footprint(Struct):
    """Absolute paths, with what is read there: files, and folders whose YAML files are all read. Links on the way to them
    are files, too.
    """

    files: dict[str, ReasonKind] = field(default_factory=dict)
    folders: dict[str, ReasonKind] = field(default_factory=dict)

    def add(self, path: str, kind: ReasonKind) -> str:
        """Take in a file as it is named, the links on the way, and where they lead; the last comes back."""
        path = os.path.normpath(path)
        self.files.setdefault(path, kind)
        here, waiting, links = "/", path.split("/")[:0:-1], 0
        while waiting:
            part = waiting.pop()
            here = os.path.normpath(os.path.join(here, part))  # noqa: PTH118  takes any name
            try:
                target = os.readlink(here)  # noqa: PTH115
            except (OSError, ValueError):  # no link
                continue
            self.files.setdefault(here, kind)
            links += 1
            if links > _CHAIN_MAX:
                break
            here = "/" if target.startswith("/") else os.path.dirname(here)  # noqa: PTH120
            waiting += target.split("/")[::-1]
        self.files.setdefault(here, kind)
        return here


def footprint(root: str, config: Config, mentions: Mentions) -> Footprint:
    """What the workspace at ``root`` (absolute, without links) reads in one environment."""
    found = _with_specs(root, config.spec_folders)
    for values in config.values:
        if isinstance(values, str):
            found.add(f"{root}/{values}", "variables")
    for kind, name in mentions:
        if "\0" not in name:
            found.add(f"{root}/{name}", kind)
    if "://" not in (config.state or ""):
        state = os.path.abspath(os.path.join(root, os.path.relpath(config.state_path, config.root)))  # noqa: PTH100, PTH118
        found.files |= {state: "state", f"{state}.journal": "state"}
    return found


def raw_footprint(root: str) -> Footprint:
    """As :func:`footprint`, as far as a wrong configuration tells."""
    try:
        folders = raw_spec_folders(Path(root))
    except ReconcilerError:
        folders = ("specs",)
    return _with_specs(root, [folder for folder in folders if "\0" not in folder])


def _with_specs(root: str, folders: Collection[str]) -> Footprint:
    found = Footprint()
    found.add(f"{root}/{FILE}", "configuration")
    border = str(repository_top(Path(root)) or root)
    waiting = [os.path.normpath(os.path.join(root, folder)) for folder in folders]  # noqa: PTH118
    while waiting:
        named = waiting.pop()
        real = found.add(named, "spec")
        found.folders.setdefault(named, "spec")
        if real in found.folders and real != named:
            continue
        found.folders.setdefault(real, "spec")
        if real == border or real.startswith(f"{border}/"):
            waiting += [link for link in _links_below(real) if link not in found.folders]
    return found


def _links_below(folder: str) -> list[str]:
    """The links in a folder of specs, and those in the folders below."""
    return [entry.path for entry in _entries(folder, [], passed=(), ignored=()) if entry.is_symlink()]


def find_workspaces(folder: str, ignored: Collection[str]) -> tuple[list[str], list[str]]:
    """The folders with a ``reconciler.yaml`` below an absolute one (or it itself), as paths relative to it; and the folders
    that are too deep to be looked at.

    Links are not followed; hidden folders, those of packages and ``ignored`` ones are passed over.

    Raises:
        UsageError: there is too much below the folder to look at.

    """
    deep: list[str] = []
    found = {
        os.path.relpath(os.path.dirname(entry.path), folder)  # noqa: PTH120
        for entry in _entries(folder, deep, passed=SKIPPED, ignored=ignored)
        if entry.name == FILE and not entry.is_dir(follow_symlinks=False)
    }
    return sorted(found), [os.path.relpath(path, folder) for path in sorted(deep)]


def _entries(
    folder: str, deep: list[str], *, passed: Collection[str], ignored: Collection[str]
) -> Iterator[os.DirEntry[str]]:
    """All entries below a folder, but for hidden ones. Folders that can't be read have none; those too deep are told."""
    waiting, count = [(folder, 0)], 0
    while waiting:
        here, depth = waiting.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    count += 1
                    if count > ENTRIES_MAX:
                        summary = f"there are more than {ENTRIES_MAX:,} files and folders below `{folder}`"
                        raise UsageError(summary, "Name a folder nearer to the workspaces with `-C`.")
                    if entry.name.startswith(".") or entry.path in ignored:
                        continue
                    yield entry
                    if entry.name in passed or not entry.is_dir(follow_symlinks=False):
                        continue
                    if depth == DEPTH_MAX:
                        deep.append(entry.path)
                    else:
                        waiting.append((entry.path, depth + 1))
        except OSError:
            continue
