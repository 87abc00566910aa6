"""``for_each``: one project for each key of a list, a map or a matrix.

A list gives its keys. A mapping whose values are all lists is a matrix: one key for each combination, in the order in
which the lists are written. Any other mapping is a map of keys to values, or to named values. So a new key or a new
entry of a list never changes the address of another project.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from typing import Any, Final

from reconciler.adapters.specs.codes import Code
from reconciler.adapters.specs.json_shapes import VARIABLE_PATTERN
from reconciler.adapters.specs.problems import Problem, dotted
from reconciler.adapters.specs.suggest import quoted
from reconciler.adapters.specs.variables import Scope, text_of
from reconciler.adapters.specs.yaml_files import Path
from reconciler.model.desired import ADDRESS, ADDRESS_MAX, KEY

PROJECTS_MAX: Final = 10_000
"""Projects that all ``for_each`` of a workspace may make."""

_AT: Final[Path] = ("for_each",)
_FORMS: Final = "write a list of keys, a map of keys to a value or to named values, or a matrix of named lists"
_KEY_FORM: Final = "a key has letters, digits, . _ : and -"


def scopes_of(name: str, tree: Any) -> tuple[list[Scope], list[Problem]]:
    """The projects of a ``for_each`` whose variables are filled, or what is wrong with it."""
    match tree:
        case list():
            problems = list(_keys(tree, _AT))
            each = [{"key": key, "value": key} for key in tree] if not problems else []
        case dict() if tree and all(isinstance(value, list) for value in tree.values()):
            problems = list(_axes(tree))
            each = _combinations(tree) if not problems else []
        case dict():
            problems = list(_entries(tree))
            each = [{"key": key, **_named(value)} for key, value in tree.items()] if not problems else []
        case _:
            problems, each = [Problem(Code.FOR_EACH, _AT, f"for_each can't be {quoted(tree)}", _FORMS)], []
    scopes = [Scope(f"{name}[{values['key']}]", values) for values in each]
    long = next((scope for scope in scopes if not ADDRESS.fullmatch(scope.address)), None)
    if long is not None:
        summary = f"{quoted(long.address)} is too long for an address"
        problems.append(Problem(Code.ADDRESS, _AT, summary, f"at most {ADDRESS_MAX} characters are allowed"))
    return scopes, problems


def _combinations(axes: dict[str, list[str]]) -> list[dict[str, str]]:
    return [
        {"key": ",".join(values), **dict(zip(axes, values, strict=True))}
        for values in itertools.product(*axes.values())
    ]


def _named(value: Any) -> dict[str, str]:
    values = value if isinstance(value, dict) else {"value": value}
    return {name: text_of(item) for name, item in values.items()}


def _keys(keys: list[Any], at: Path) -> Iterator[Problem]:
    """Every entry a key, none twice, and not too many."""
    if len(keys) > PROJECTS_MAX:
        yield Problem(Code.TOO_LARGE, at, f"{dotted(at)} makes more than {PROJECTS_MAX:,} projects")
        return
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        if not isinstance(key, str) or not KEY.fullmatch(key):
            hint = f'quote it: "{quoted(key)}"' if isinstance(key, int | float) else _KEY_FORM
            yield Problem(Code.FOR_EACH, (*at, index), f"{quoted(key)} can't be a key of for_each", hint)
        elif key in first:
            detail = f"it is {dotted((*at, first[key]))} already; each makes a project of its own"
            yield Problem(Code.DUPLICATE_ADDRESS, (*at, index), f"the key {quoted(key)} is there twice", detail)
        else:
            first[key] = index


def _axes(axes: dict[str, list[Any]]) -> Iterator[Problem]:
    for name, keys in axes.items():
        yield from _name(name, (*_AT, name))
        yield from _keys(keys, (*_AT, name))
    if math.prod(len(keys) for keys in axes.values()) > PROJECTS_MAX:
        yield Problem(Code.TOO_LARGE, _AT, f"for_each makes more than {PROJECTS_MAX:,} projects")


def _entries(entries: dict[str, Any]) -> Iterator[Problem]:
    """Every key of a map usable, its values all of one kind: scalars, or mappings of names to scalars."""
    mappings = sum(isinstance(value, dict) for value in entries.values())
    for key, value in entries.items():
        at = (*_AT, key)
        if not KEY.fullmatch(key):
            yield Problem(Code.FOR_EACH, at, f"{quoted(key)} can't be a key of for_each", _KEY_FORM, on_key=True)
        if value is None or isinstance(value, list) or (isinstance(value, dict) and mappings < len(entries)):
            yield Problem(Code.FOR_EACH, at, f"{dotted(at)} can't be {quoted(value)} beside the others", _FORMS)
        for name, item in value.items() if isinstance(value, dict) else ():
            yield from _name(name, (*at, name))
            if item is None or isinstance(item, dict | list):
                summary = f"{dotted((*at, name))} can't be {quoted(item)}"
                yield Problem(Code.FOR_EACH, (*at, name), summary, "a named value is text, a number, true or false")
    if len(entries) > PROJECTS_MAX:
        yield Problem(Code.TOO_LARGE, _AT, f"for_each makes more than {PROJECTS_MAX:,} projects")


def _name(name: str, at: Path) -> Iterator[Problem]:
    if not re.fullmatch(VARIABLE_PATTERN, name):
        detail = "it has letters, digits, _ and -, and starts with a letter or _: ${each.NAME} stands for it"
        yield Problem(Code.FOR_EACH, at, f"{quoted(name)} can't be a name in for_each", detail, on_key=True)
    elif name in ("key", "value"):
        detail = "${each.key} is the whole key, ${each.value} the value of a list or a map"
        yield Problem(Code.FOR_EACH, at, f"the name {quoted(name)} is taken", detail, on_key=True)
