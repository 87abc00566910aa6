"""What is wrong in a tree: a code, a path, what is there, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec import Struct

from reconciler.adapters.specs.codes import Code
from reconciler.adapters.specs.shapes import fits
from reconciler.adapters.specs.suggest import SHOWN_MAX, printable
from reconciler.adapters.specs.yaml_files import Path
from reconciler.model.values import Secret


class Problem(NamedTuple):
    """Something wrong at a path of a tree; ``on_key`` puts it at the key instead of the value."""

    code: Code
    path: Path
    summary: str
    detail: str = ""
    on_key: bool = False


def problems_of(shape: type[Struct], tree: Any, secrets: Mapping[Path, Secret] = MappingProxyType({})) -> list[Problem]:
    """Everything that is wrong in a tree of this shape; of secrets the templates are shown."""
    if fits(shape, tree):
        return []
    from reconciler.adapters.specs.judging import judged  # noqa: PLC0415  brings pydantic

    return judged(shape, tree, secrets)


def dotted(path: Path) -> str:
    """A path as people write it: ``messages[0].message``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{printable(part[:SHOWN_MAX])}" for part in path)
    return text.removeprefix(".")
