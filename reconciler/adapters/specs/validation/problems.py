"""What is wrong in a tree: a code, a path, what is there, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from msgspec import Struct

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.first_look import Document, fits
from reconciler.adapters.specs.validation.suggestions import SHOWN_MAX, printable
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model.values import Secret

JUDGED_MAX: Final = 50_000
"""Values in a tree of which the models can say all that is wrong: each may take a kilobyte."""
_UNJUDGED: Final = ("projects", "defaults")
"""Parts of a document that are judged by themselves."""


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
    if _many(tree, JUDGED_MAX, but=_UNJUDGED if shape is Document else ()):
        summary = "not right, and too large to say where"
        return [
            Problem(
                Code.TOO_LARGE, (), summary, f"of at most {JUDGED_MAX:,} values that is said; split it", on_key=True
            )
        ]
    from reconciler.adapters.specs.validation.errors import judged  # noqa: PLC0415  pydantic takes longer to import than a small plan takes

    return judged(shape, tree, secrets)


def _many(tree: Any, limit: int, *, but: Collection[str] = ()) -> bool:
    """Whether a tree has more values than ``limit``, those under the keys ``but`` not counted."""
    waiting = [value for key, value in tree.items() if key not in but] if isinstance(tree, dict) else [tree]
    count = len(waiting)
    while waiting and count <= limit:
        if isinstance(node := waiting.pop(), dict | list):
            count += len(node)
            if count <= limit:
                waiting += node.values() if isinstance(node, dict) else node
    return count > limit


def dotted(path: Path) -> str:
    """A path as people write it: ``messages[0].message``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{printable(part[:SHOWN_MAX])}" for part in path)
    return text.removeprefix(".")
