"""``for_each``: one project for each key of a list, a map or a matrix.

A list gives its keys. A mapping whose values are all lists is a matrix: one key for each combination, in the order in
which the lists are written. Any other mapping is a map of keys to values, or to named values. So a new key or a new
entry of a list never changes the address of another project.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from reconciler.adapters.specs.language.variables import Scope, text_of
from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.json_fragments import VARIABLE_PATTERN
from reconciler.adapters.specs.validation.problem import Problem, dotted
from reconciler.adapters.specs.validation.size_limits import too_many_projects
from reconciler.adapters.specs.validation.suggestions import quoted
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model.desired import ADDRESS_MAX, KEY

_COUNTED: Final = 10**12
_AT: Final[Path] = ("for_each",)
_FORMS: Final = "write a list of keys, a map of keys to a value or to named values, or a matrix of named lists"
_KEY_FORM: Final = "a key has letters, digits, . _ : and -"


def scopes_of(name: str, tree: Any, limit: int) -> tuple[list[Scope], list[Problem]]:
    """The projects of a ``for_each`` whose variables are filled, or what is wrong with it; at most ``limit`` are made."""
    if not isinstance(tree, list | dict):
        return [], [Problem(Code.FOR_EACH, _AT, f"for_each can't be {quoted(tree)}", _FORMS)]
    axes = tree if isinstance(tree, dict) and tree and all(isinstance(value, list) for value in tree.values()) else None
    if (count := len(tree) if axes is None else _count(axes.values())) > limit:
        shown = count if count < _COUNTED else f"more than {_COUNTED - 1:,}"
        return [], [Problem(Code.TOO_LARGE, _AT, *too_many_projects(shown, limit))]
    if axes is not None:
        problems, longest = list(_axes(axes)), [max(keys, key=_length, default="") for keys in axes.values()]
    else:
        problems = list(_keys(tree, _AT) if isinstance(tree, list) else _entries(tree))
        longest = [max(tree, key=_length, default="")]
    if problems:
        return [], problems
    if len(address := f"{name}[{','.join(longest)}]") > ADDRESS_MAX:
        detail = f"at most {ADDRESS_MAX} characters are allowed"
        return [], [Problem(Code.ADDRESS, _AT, f"{quoted(address)} is too long for an address", detail)]
    if axes is not None:
        each = _combinations(axes)
    elif isinstance(tree, list):
        each = [{"key": key, "value": key} for key in tree]
    else:
        each = [{"key": key, **_named(value)} for key, value in tree.items()]
    return [Scope(f"{name}[{values['key']}]", values) for values in each], []


def _length(key: Any) -> int:
    return len(key) if isinstance(key, str) else 0


def _count(axes: Iterable[list[Any]]) -> int:
    """The combinations, as far as counting makes sense."""
    count = 1
    for keys in axes:
        count *= len(keys)
        if not 0 < count < _COUNTED:
            break
    return min(count, _COUNTED)


def _combinations(axes: dict[str, list[str]]) -> list[dict[str, str]]:
    return [
        {"key": ",".join(values), **dict(zip(axes, values, strict=True))}
        for values in itertools.product(*axes.values())
    ]


def _named(value: Any) -> dict[str, str]:
    values = value if isinstance(value, dict) else {"value": value}
    return {name: text_of(item) for name, item in values.items()}


def _keys(keys: list[Any], at: Path) -> Iterator[Problem]:
    """Every entry a key, and none twice."""
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        if not isinstance(key, str) or not KEY.fullmatch(key):
            hint = f'quote it: "{quoted(key)}"' if isinstance(key, int | float) else _KEY_FORM
            yield Problem(Code.FOR_EACH, (*at, index), f"{quoted(key)} can't be a key of for_each", hint)
        elif key in first:
            detail = f"it is {dotted((*at, first[key]))} already; each makes its own project"
            yield Problem(Code.DUPLICATE_ADDRESS, (*at, index), f"the key {quoted(key)} appears twice", detail)
        else:
            first[key] = index


def _axes(axes: dict[str, list[Any]]) -> Iterator[Problem]:
    for name, keys in axes.items():
        yield from _name(name, (*_AT, name))
        yield from _keys(keys, (*_AT, name))


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
                yield Problem(Code.FOR_EACH, (*at, name), summary, "a named value is a string, a number, true or false")


def _name(name: str, at: Path) -> Iterator[Problem]:
    if not re.fullmatch(VARIABLE_PATTERN, name):
        detail = "it has letters, digits, _ and -, and starts with a letter or _: ${each.NAME} stands for it"
        yield Problem(Code.FOR_EACH, at, f"{quoted(name)} can't be a name in for_each", detail, on_key=True)
    elif name in ("key", "value"):
        detail = "${each.key} is the whole key, ${each.value} the value of a list or a map"
        yield Problem(Code.FOR_EACH, at, f"the name {quoted(name)} is taken", detail, on_key=True)
