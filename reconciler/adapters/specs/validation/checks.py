"""Checks of trees against shapes: a first look, and only if that is not enough the models, which explain every error.

The models come with pydantic, whose import takes longer than a small plan. So the caller passes the function that
asks them (:data:`Explain`), and decides when they are imported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.first_look import fits
from reconciler.adapters.specs.validation.problem import Problem
from reconciler.adapters.specs.validation.shape_types import Shape
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model.values import Secret

Secrets = Mapping[Path, Secret]
"""The secrets of a tree, by path."""
Explain = Callable[[Shape, Any, Secrets], list[Problem]]
"""Finds everything that is wrong in a tree of a shape; of secrets it shows the templates
(``validation.errors.explain``)."""
EXPLAINED_MAX: Final = 50_000
"""Values in a tree of which the models can say all that is wrong: each may take a kilobyte."""
_CHECKED_APART: Final = ("projects", "defaults")
"""Parts of a document that are checked by themselves."""


def problems_of(shape: Shape, tree: Any, explain: Explain, secrets: Secrets = MappingProxyType({})) -> list[Problem]:
    """Everything that is wrong in a tree of this shape; of secrets the templates are shown."""
    if fits(shape, tree):
        return []
    if _has_more_values(tree, EXPLAINED_MAX, but=_CHECKED_APART if shape.name == "Document" else ()):
        summary = "not right, and too large to say where"
        detail = f"errors are located in at most {EXPLAINED_MAX:,} values; split it"
        return [Problem(Code.TOO_LARGE, (), summary, detail, on_key=True)]
    return explain(shape, tree, secrets)


def _has_more_values(tree: Any, limit: int, *, but: Collection[str] = ()) -> bool:
    """Whether a tree has more values than ``limit``, those under the keys ``but`` not counted."""
    waiting = [value for key, value in tree.items() if key not in but] if isinstance(tree, dict) else [tree]
    count = len(waiting)
    while waiting and count <= limit:
        if isinstance(node := waiting.pop(), dict | list):
            count += len(node)
            if count <= limit:
                waiting += node.values() if isinstance(node, dict) else node
    return count > limit
