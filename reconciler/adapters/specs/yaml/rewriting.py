"""Formatting the specification files of a workspace: which, what of it, and writing them whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconciler import files
from reconciler.adapters.specs.config_file import FILE, raw_spec_folders
from reconciler.adapters.specs.loader import load_specs
from reconciler.adapters.specs.validation.checks import Explain
from reconciler.adapters.specs.validation.codes import Code, error, in_order, with_sources
from reconciler.adapters.specs.validation.suggestions import printable
from reconciler.adapters.specs.workspace_files import FileProblem, read_text, walk, within_repository
from reconciler.adapters.specs.yaml.formatting import formatted
from reconciler.adapters.specs.yaml.parsing import MAX_BYTES
from reconciler.adapters.specs.yaml.upgrading import upgraded_config, upgraded_spec
from reconciler.model.config import Config
from reconciler.model.contract_tables import Contract
from reconciler.model.errors import Diagnostic, Location, SpecError, UsageError

_NOT_GIVEN: Final = frozenset({Code.VARIABLE, Code.ENV_MISSING, Code.ENV_NOT_ALLOWED, Code.VARIABLE_VALUE})
"""Errors not of the file itself: missing values, which formatting does not need."""


class Rewrite(Struct, frozen=True):
    """A file that is not in canonical form. ``name`` is relative to the workspace, ``path`` the file itself."""

    name: str
    path: Path
    before: str
    after: str


def rewrites(
    configs: Sequence[Config], only: list[Path], *, env: Mapping[str, str], explain: Explain
) -> tuple[list[Rewrite], tuple[Diagnostic, ...]]:
    """The files to rewrite, and what keeps others from it. ``configs`` are of one workspace, each of one environment;
    ``only`` are files and folders, none means all.

    Raises:
        UsageError: one of ``only`` leads to no specification file of the workspace.

    """
    root, folders = configs[0].root, list(dict.fromkeys(folder for each in configs for folder in each.spec_folders))
    names = _names(root, folders, only)
    found = list(dict.fromkeys(finding for config in configs for finding in _errors(config, env, explain)))
    bad = {finding.location.file for finding in found if finding.location}
    done: list[Rewrite] = []
    for name in names:
        if printable(name) in bad:
            continue
        try:
            path = within_repository(root, name)
            before = read_text(path, name, MAX_BYTES)
            after = formatted(before, printable(name))
        except FileProblem as problem:
            found.append(error(problem.code, problem.summary, problem.detail, location=Location(printable(name))))
            continue
        if after.encode() != path.read_bytes():
            done.append(Rewrite(name, path, before, after))
    shown = {printable(name) for name in names}
    kept = [finding for finding in found if finding.location is None or finding.location.file in shown]
    return done, in_order(kept)


def upgrades(root: Path, only: list[Path], to: Contract) -> tuple[list[Rewrite], tuple[Diagnostic, ...]]:
    """The files to rewrite for another version of the API, and what could not be carried over or can't be rewritten. The
    configuration is among them, unless ``only`` names files and folders.

    Raises:
        UsageError: one of ``only`` leads to no specification file of the workspace.
        ConfigError: the configuration can't be read.

    """
    found: list[Diagnostic] = []
    done: list[Rewrite] = []
    names = [(name, upgraded_spec) for name in _names(root, raw_spec_folders(root), only)]
    if not only and (root / FILE).exists():
        names.append((FILE, upgraded_config))  # last: until then the version in force is that of before
    for name, upgraded in names:
        try:
            path = within_repository(root, name)
            before = read_text(path, name, MAX_BYTES)
            after, left = upgraded(before, printable(name), to)
        except FileProblem as problem:
            at = Location(printable(name), problem.line)
            found.append(error(problem.code, problem.summary, problem.detail, location=at))
            continue
        found += with_sources(tuple(left), {printable(name): before})
        if after.encode() != path.read_bytes():
            done.append(Rewrite(name, path, before, after))
    return done, in_order(found)


def remaining(configs: Sequence[Config], *, env: Mapping[str, str], explain: Explain) -> tuple[Diagnostic, ...]:
    """What is wrong with the specifications as they are now, missing values aside."""
    return in_order(list(dict.fromkeys(found for config in configs for found in _errors(config, env, explain))))


def _names(root: Path, folders: Sequence[str], only: list[Path]) -> list[str]:
    """The specification files that are meant. Raises UsageError: one of ``only`` leads to none."""
    names = [name for name in walk(root, folders)[0] if name != FILE]
    names = [name for name in names if not only or _wanted(root / name, only)]
    for path in only:
        if not any(_wanted(root / name, [path]) for name in names):
            raise UsageError(
                f"`{path}` is not a spec file of this workspace",
                f"Specs are the YAML files below {' and '.join(f'`{folder}`' for folder in folders)}.",
            )
    return names


def write(rewrite: Rewrite) -> None:
    """Put the file's new text in its place, whole or not at all; its permissions stay.

    Raises:
        UsageError: it can't be written, or it changed since it was read.

    """
    path = rewrite.path
    try:
        if read_text(path, rewrite.name, MAX_BYTES) != rewrite.before:
            raise UsageError(f"`{rewrite.name}` changed meanwhile and was not rewritten", "Run the command again.")
        files.replace(path, rewrite.after.encode(), mode=None)
    except FileProblem as failure:
        raise UsageError(f"can't write `{rewrite.name}`: {failure.summary}") from failure
    except OSError as failure:
        raise UsageError(f"can't write `{rewrite.name}`: {failure.strerror or failure}") from failure


def _errors(config: Config, env: Mapping[str, str], explain: Explain) -> list[Diagnostic]:
    try:
        load_specs(config, env=env, explain=explain)
    except SpecError as failure:
        return [finding for finding in failure.diagnostics if finding.code not in _NOT_GIVEN]
    return []


def _wanted(file: Path, only: Iterable[Path]) -> bool:
    real = file.resolve()
    return any(real.is_relative_to(path.resolve()) for path in only)
