"""Environments in ``reconciler.yaml``: which one is chosen, and its keys over those at the top of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.problem import Problem
from reconciler.adapters.specs.validation.shape_types import ENVIRONMENT_PATTERN, ENVIRONMENT_RULE
from reconciler.adapters.specs.validation.suggestions import did_you_mean, quoted, sentences
from reconciler.adapters.specs.yaml.parsing import YamlMap
from reconciler.model.config import divided_path

VARIABLE: Final = "RECONCILER_ENVIRONMENT"
DEFAULT: Final = "default_environment"
BLOCKS: Final = "environments"


def environment_problems(tree: Mapping[str, Any]) -> Iterator[Problem]:
    """What the shape can't say of the environments in a file: their names, and a default that is none of them."""
    for name in tree.get(BLOCKS, ()):
        if not re.fullmatch(ENVIRONMENT_PATTERN, name):
            summary = f"{quoted(name)} is not valid as the name of an environment"
            yield Problem(Code.IDENTIFIER, (BLOCKS, name), summary, ENVIRONMENT_RULE, on_key=True)
    default = tree.get(DEFAULT)
    if default is not None and default not in tree.get(BLOCKS, ()):
        yield unknown_environment(default, tree, (DEFAULT,), f"{DEFAULT}: ")


def unknown_environment(name: str, tree: Mapping[str, Any], path: tuple[str, ...] = (), prefix: str = "") -> Problem:
    """An environment that the file does not have, with a near name and all names."""
    known = list(tree.get(BLOCKS, ()))
    if not known:
        detail = "declare it under environments in reconciler.yaml, or choose none"
        return Problem(Code.ENVIRONMENT, path, f"{prefix}there are no environments, so not {quoted(name)}", detail)
    detail = sentences(did_you_mean(name, known), f"environments: {', '.join(known)}")
    return Problem(Code.ENVIRONMENT, path, f"{prefix}there is no environment {quoted(name)}", detail)


def none_chosen(tree: Mapping[str, Any]) -> Problem:
    """The configuration has environments, and nothing says which one is meant."""
    known = list(tree[BLOCKS])
    detail = f"name one with --environment or {VARIABLE}: {', '.join(known)}; or set {DEFAULT}"
    return Problem(Code.ENVIRONMENT, (BLOCKS,), "no environment is chosen", detail, on_key=True)


def in_environment(tree: dict[str, Any], name: str | None) -> dict[str, Any]:
    """The keys as they are in an environment: its own over those at the top. All keep their places in the file."""
    block = {} if name is None else tree[BLOCKS][name]
    whole = merged(tree, block)
    for key in (DEFAULT, BLOCKS):
        whole.pop(key, None)
    return whole


def merged(base: dict[str, Any], over: dict[str, Any]) -> YamlMap:
    """Mappings key by key, anything else replaced."""
    both: dict[str, Any] = {**base, **over}
    result = YamlMap(both.items(), getattr(over, "mark", None))
    result.marks = {**getattr(base, "marks", {}), **getattr(over, "marks", {})}
    for key, value in over.items():
        old = base.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = merged(old, value)
    return result


def values_of(tree: Mapping[str, Any], name: str | None) -> tuple[Any, ...]:
    """What gives variables their values, strongest first: ``vars`` and ``vars_file`` of the environment, then of the file."""
    block = {} if name is None else tree[BLOCKS][name]
    places = (block, {key: value for key, value in tree.items() if key != "vars_file" or key not in block})
    return tuple(place[key] for place in places for key in ("vars", "vars_file") if key in place)


def divided_state(place: str | None, environment: str | None, *, own: bool = False) -> str | None:
    """The place of an environment's state: below a shared bucket's prefix, or in a file beside the others'.

    ``own``: the place was named for this environment only, so a file is taken as it is.
    """
    if place is None or environment is None:
        return place
    if "://" in place:
        return f"{place.rstrip('/')}/{environment}"
    return place if own else divided_path(place, environment)


def spec_folder_problems(value: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """What is wrong with ``specs``: a folder, or a list of folders."""
    if value == []:
        yield Problem(Code.BLANK, path, "specs: the list has no folder", "name at least one")
    folders = [(path, value)] if not isinstance(value, list) else [((*path, i), v) for i, v in enumerate(value)]
    for at, folder in folders:
        if folder is None:
            yield Problem(Code.NULL, at, "specs can't be null", "leave it out, or name a folder")
        elif not isinstance(folder, str):
            what = "a string" if isinstance(value, list) else "a string or a list of strings"
            hint = f'quote it: "{quoted(folder)}"' if isinstance(folder, bool | int | float) else ""
            yield Problem(Code.TYPE, at, f"specs must be {what}, not {quoted(folder)}", hint)
        elif "\0" in folder:
            yield Problem(Code.IDENTIFIER, at, "specs is not a path")
        elif not folder.strip():
            yield Problem(Code.BLANK, at, "specs must not be blank")
