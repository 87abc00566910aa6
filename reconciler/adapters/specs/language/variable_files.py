"""Values of variables outside the specs: in files, and in ``vars`` and ``vars_file`` of the configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from reconciler.adapters.specs.config_file import FILE
from reconciler.adapters.specs.language.layers import Layer, locate
from reconciler.adapters.specs.language.variable_declarations import Given
from reconciler.adapters.specs.validation.codes import Code, error, in_order
from reconciler.adapters.specs.validation.suggestions import printable
from reconciler.adapters.specs.workspace_files import FileProblem, read_text, stays_inside, within_repository
from reconciler.adapters.specs.yaml.parsing import MAX_BYTES, parse
from reconciler.model.config import Config
from reconciler.model.errors import Location, SpecError
from reconciler.model.values import Json


def load_var_file(path: Path, workspace: Path) -> dict[str, str | Given]:
    """The variables of a file: one YAML (or JSON) mapping of names to values.

    It may be anywhere, since the user names it; but a link in the folder ``workspace``, which a branch can write, can't lead
    out of it.

    Raises:
        SpecError: it can't be read, or holds something else.

    """
    file = printable(str(path))
    try:
        if Path(os.path.abspath(path)).is_relative_to(os.path.abspath(workspace)):  # noqa: PTH100  no links
            stays_inside(workspace, path)
        text = read_text(path, str(path), MAX_BYTES)
    except FileProblem as problem:
        raise _unusable(problem, file) from None
    return _values(text, file)


def configured_values(config: Config) -> dict[str, str | Given]:
    """The values that the configuration gives: by ``vars`` and ``vars_file``, those of the environment first.

    Raises:
        SpecError: a file can't be read, or holds something else.

    """
    values: dict[str, str | Given] = {}
    for given in reversed(config.values):
        values.update(_named_file(config.root, given) if isinstance(given, str) else _placed(given, FILE))
    return values


def _named_file(root: Path, name: str) -> dict[str, str | Given]:
    file = printable(name)
    try:
        text = read_text(within_repository(root, name), name, MAX_BYTES)
    except FileProblem as problem:
        raise _unusable(problem, file) from None
    return _values(text, file)


def _unusable(problem: FileProblem, file: str) -> SpecError:
    return SpecError((error(problem.code, problem.summary, problem.detail, location=Location(file, problem.line)),))


def _values(text: str, file: str) -> dict[str, str | Given]:
    parsed = parse(text, file)
    found = parsed.problems
    values: dict[str, str | Given] = {}
    for number, (root, mark) in enumerate(parsed.documents):
        if number or not isinstance(root, dict | None):
            found.append(error(Code.TYPE, "a file of variables is one mapping", location=Location(file, *mark)))
        values.update(_placed(root, file) if isinstance(root, dict) else {})
    if found:
        raise SpecError(in_order(found))
    return values


def _placed(root: Mapping[str, Json], file: str) -> dict[str, str | Given]:
    layers = (Layer(file, root, ()),)
    return {
        name: value if isinstance(value, str) else Given(value, locate(layers, (name,))) for name, value in root.items()
    }
