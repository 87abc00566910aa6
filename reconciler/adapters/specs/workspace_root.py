"""Search for the workspace, upwards as git does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from reconciler.adapters.specs.config_file import FILE, MISTAKEN
from reconciler.adapters.specs.validation.suggestions import printable
from reconciler.model.errors import ConfigError

_OWN_MARKS: Final = (FILE, *MISTAKEN, "reconciler.state.json", ".reconciler")
"""What makes the folder itself the workspace, with or without a configuration."""


def find_workspace(start: Path, env: Mapping[str, str]) -> Path:
    """The nearest folder with a configuration, ``start`` or one above; ``start`` itself where there is none.

    Above the top of a git repository, the home directory and the file system's border nothing is looked for. What is
    found above comes back as a path from where the command runs.

    Raises:
        ConfigError: what was found belongs to another user: who can write above a folder must not decide about it.

    """
    if any(os.path.lexists(start / name) for name in _OWN_MARKS):
        return start
    for folder in _above(start, env):
        if os.path.lexists(folder / FILE):
            _refuse_if_foreign(folder, env)
            return Path(os.path.relpath(folder))
    return start


def _above(start: Path, env: Mapping[str, str]) -> Iterator[Path]:
    folder = start.resolve()
    home = Path(env["HOME"]).resolve() if env.get("HOME") else None
    with contextlib.suppress(OSError):  # a folder above that can't be looked at ends the search
        device = folder.stat().st_dev
        while not os.path.lexists(folder / ".git") and folder not in (home, folder.parent):
            folder = folder.parent
            if folder.stat().st_dev != device:
                return
            yield folder


def _refuse_if_foreign(folder: Path, env: Mapping[str, str]) -> None:
    """Refuse a configuration that neither the current user nor, below ``sudo``, the one who called it has made."""
    mine = {os.geteuid()}
    if os.geteuid() == 0 and env.get("SUDO_UID", "").isdecimal():
        mine.add(int(env["SUDO_UID"]))
    for place in (folder, folder / FILE):
        if (owner := place.lstat().st_uid) not in mine:
            shown = printable(str(folder))
            raise ConfigError(
                f"`{shown}/{FILE}` is not used: {'its folder' if place == folder else 'it'} belongs to another user",
                f"It was found above this folder and could decide what is done here (the owner's id is {owner}, yours "
                f"{os.geteuid()}). If you trust it, name it: `reconciler -C {shown} …`. For a workspace of your own, run "
                "`reconciler init`.",
            )
