"""Layers of a project: its own mapping, its file's defaults, the workspace's defaults."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from reconciler.adapters.specs.validation.shapes import ORIGINS, UNCREATED, creation_only
from reconciler.adapters.specs.yaml.parsing import Path, find
from reconciler.model import contract
from reconciler.model.errors import Location

_MERGED: Final = ("settings", "lifecycle", "deliver")
_OF_CREATION: Final = tuple(origin for origin in ORIGINS if origin not in UNCREATED)


class Layer(Struct, frozen=True):
    """Where a part of a project is written: a file, its tree, and the path of that part in it."""

    file: str
    root: Any
    prefix: Path

    @property
    def tree(self) -> Any:
        """The part itself; an empty mapping if it isn't there."""
        tree = self.root
        for part in self.prefix:
            tree = tree.get(part, {})
        return tree


def locate(layers: tuple[Layer, ...], path: Path, *, on_key: bool = False) -> Location | None:
    """The place of a path: in the layer that holds most of it, the first of these."""
    best: tuple[int, Location] | None = None
    for layer in layers:
        depth, mark = find(layer.root, (*layer.prefix, *path), key=on_key)
        if mark is not None and (best is None or depth - len(layer.prefix) > best[0]):
            best = depth - len(layer.prefix), Location(layer.file, *mark)
    return None if best is None else best[1]


def merged(layers: tuple[Layer, ...]) -> dict[str, Any]:
    """One tree of all layers, the first one strongest; settings, lifecycle and deliver key by key.

    An own origin (brief, brief_file, adopt, import) drops the origin that defaults give, and one that creates nothing
    also their fields of creation.
    """
    result: dict[str, Any] = {}
    for layer in reversed(layers):
        tree = layer.tree
        if not isinstance(tree, dict) or not tree:
            continue
        if any(origin in tree for origin in ORIGINS):
            created = "adopt" not in tree and "import" not in tree
            drop = ORIGINS if created else (*_OF_CREATION, *creation_only(contract.current()))
            result = {key: value for key, value in result.items() if key not in drop}
        for key, value in tree.items():
            old = result.get(key)
            both = key in _MERGED and isinstance(old, dict) and isinstance(value, dict)
            result[key] = {**old, **value} if both and old else value
    return result
