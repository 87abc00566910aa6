"""Saved plans and their digests, for the shell to complete."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.adapters.plan_file import read_plan
from reconciler.model.errors import ReconcilerError
from reconciler.model.plan_json import plan_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILES_MAX: Final = 1_000
"""How many files of a folder are looked at: a Tab key should not wait."""
_PLANS_MAX: Final = 20
"""How many plans are read for their digests."""
_BYTES_MAX: Final = 16 * 1024 * 1024
"""A larger plan takes too long to read for a Tab key."""
_HEAD: Final = 200
"""Bytes in which a plan's first keys stand."""


def plan_files(incomplete: str) -> list[str]:
    """The saved plans in the folder that is being typed, by their names."""
    folder, start = os.path.split(incomplete)
    try:
        names = sorted(islice(_candidates(Path(folder), start), _FILES_MAX))
        return [name for name in (os.path.join(folder, each) for each in names) if _is_plan(Path(name))]  # noqa: PTH118
    except OSError:
        return []


def digests(planfile: str | None) -> dict[str, str]:
    """The digest of a plan, or of those in the current folder, each with its file's name."""
    names = [planfile] if planfile is not None else plan_files("")[:_PLANS_MAX]
    found: dict[str, str] = {}
    for name in names:
        try:
            if os.stat(name).st_size <= _BYTES_MAX and _is_plan(Path(name)):  # noqa: PTH116
                found[plan_digest(read_plan(Path(name)))] = name
        except (ReconcilerError, OSError):
            continue
    return found


def _candidates(folder: Path, start: str) -> Iterator[str]:
    """Names that begin as typed. Others than plain text are left out: a shell shows them as they are."""
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if entry.name.startswith(start) and entry.name.isprintable())


def _is_plan(path: Path) -> bool:
    """Whether a file begins as a saved plan does."""
    if not path.is_file():  # to open a pipe would wait
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.lstrip().startswith(b"{") and b'"format_version"' in head and b'"reconciler_version"' in head
