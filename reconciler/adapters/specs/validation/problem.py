"""A problem of a tree, as a value: a code, a path, what is there, and what to do."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.suggestions import SHOWN_MAX, printable
from reconciler.adapters.specs.yaml.parsing import Path


class Problem(NamedTuple):
    """Something wrong at a path of a tree; ``on_key`` puts it at the key instead of the value."""

    code: Code
    path: Path
    summary: str
    detail: str = ""
    on_key: bool = False


def dotted(path: Path) -> str:
    """A path as people write it: ``messages[0].message``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{printable(part[:SHOWN_MAX])}" for part in path)
    return text.removeprefix(".")
