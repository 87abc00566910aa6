"""Keys and values that another version of the API has: which one, and what the version in force says instead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from reconciler.adapters.specs.validation import shapes
from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.problem import Problem, dotted
from reconciler.adapters.specs.validation.shape_types import Choice, ListOf, Shape, Text, Type, shape_at
from reconciler.adapters.specs.validation.suggestions import quoted, sentences
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model import contract
from reconciler.model.contract_conversions import converted, new_name
from reconciler.model.contract_tables import Contract

_IGNORED: Final = "ignore_changes"
"""The list of a lifecycle whose items are names of fields."""


def key_of_another(shape: Shape, path: Path, value: Any) -> Problem | None:
    """The error for a key that only other versions have; None if none has it."""
    having = [api for api, there in _others(shape) if _key(there, path) is not None]
    if not having:
        return None
    name = str(path[-1])
    return Problem(Code.API_VERSION, path, _needs(name, having), _instead(name, value, having[-1]), on_key=True)


def value_of_another(shape: Shape, path: Path, value: Any, valid: str) -> Problem | None:
    """The error for a value that only other versions have; None if none has it. ``valid``: the values in force."""
    having = [api for api, there in _others(shape) if _takes(_key(there, path), value)]
    if not having or not isinstance(value, str):
        return None
    if _IGNORED in path:
        name = new_name(value, of=having[-1], to=contract.current())
        instead = f"write {name}" if name else "leave it out: nothing says it there"
    else:
        instead = _instead(str(_name(path)), value, having[-1], valid)
    return Problem(Code.API_VERSION, path, f"{dotted(path)}: {_needs(quoted(value), having)}", instead)


def longer_in_another(shape: Shape, path: Path, length: int) -> str:
    """Which versions allow a text of this length, as a hint; empty if none does."""
    limits = {
        api.version: key.max_length
        for api, there in _others(shape)
        if isinstance(key := _key(there, path), Text) and key.max_length is not None and key.max_length >= length
    }
    return "; ".join(f"api.version {version} allows {limit:,}" for version, limit in limits.items())


def _others(shape: Shape) -> Iterator[tuple[Contract, Shape]]:
    """The other versions, each with its shape of the same thing."""
    force = shapes.current()
    name = next((name for name in force.__struct_fields__ if getattr(force, name) is shape), None)
    for version in contract.versions() if name else ():
        if version != contract.current().version:
            api = contract.named(version)
            yield api, getattr(shapes.shapes_of(api), str(name))


def _key(shape: Shape, path: Path) -> Type | None:
    """The type of what stands at a path."""
    items = 0
    while path and isinstance(path[-1], int):
        path, items = path[:-1], items + 1
    owner = shape_at(shape, path[:-1])
    found = next((key.type for key in owner.keys if key.name == path[-1]), None) if owner and path else None
    for _ in range(items):
        found = found.item if isinstance(found, ListOf) else None
    return found


def _takes(kind: Type | None, value: object) -> bool:
    return isinstance(kind, Choice) and value in kind.values


def _name(path: Path) -> str | int:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _needs(what: str, having: list[Contract]) -> str:
    versions = " or ".join(api.version for api in having)
    return f"{what} needs api.version {versions}; this workspace uses {contract.current().version}"


def _instead(name: str, value: Any, of: Contract, valid: str = "") -> str:
    force = contract.current()
    known = converted(name, value, of=of, to=force) if of.has(name) else None
    rewrite = f"`reconciler fmt --upgrade-api {force.version}` rewrites specs"
    if known is not None:
        new, said = known
        text = said if isinstance(said, str) else json.dumps(said).replace('"', "")
        return sentences(f"write {new}: {text}", valid, rewrite)
    other = new_name(name, of=of, to=force) if of.has(name) else None
    if other is not None and other != name:
        return sentences(f"{other} replaces it, but has nothing for {quoted(value)}", rewrite)
    if other is None:
        return sentences(f"leave it out: {force.version} has nothing for it", rewrite if of.has(name) else "")
    return valid
