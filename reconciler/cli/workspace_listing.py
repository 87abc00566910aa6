"""Reading every workspace below a folder; what is wrong with one stops none of the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from reconciler.adapters.specs.config_file import FILE
from reconciler.adapters.specs.config_glance import Glance, glance
from reconciler.adapters.specs.footprint import Footprint, footprint, raw_footprint
from reconciler.adapters.specs.language.project import Mentions
from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.workspace_files import FileProblem, inside, read_text
from reconciler.adapters.specs.yaml.parsing import MAX_BYTES
from reconciler.adapters.state.claims import ClaimFile, Claims
from reconciler.cli.inputs import load_desired, load_offline
from reconciler.cli.variables import Variables
from reconciler.model import contract
from reconciler.model.claim import Claim
from reconciler.model.config import Config
from reconciler.model.errors import Diagnostic, ReconcilerError
from reconciler.model.workspaces import WorkspaceRow
from reconciler.operations.claims import look_at_claim
from reconciler.operations.read.workspaces import Found


def read_workspace(folder: str, path: str, secret_env: set[str]) -> Iterator[Found]:
    """The workspace at a path below an absolute folder, in each of its environments. ``secret_env`` gets the names of the
    variables whose values may not be shown.
    """
    root = os.path.normpath(os.path.join(folder, path))  # noqa: PTH118  takes any name
    seen = _glance(Path(root))
    for name in seen.environments:
        with contract.kept():  # each may have another version of the API
            yield _read(root, path, name, seen, secret_env)


def _glance(root: Path) -> Glance:
    try:
        return glance(read_text(inside(root, FILE), FILE, MAX_BYTES), root)
    except FileProblem:
        return replace(glance("", root), sure=False)


def _read(root: str, path: str, environment: str | None, seen: Glance, secret_env: set[str]) -> Found:
    config: Config | None = None
    mentions: Mentions = []
    errors: tuple[Diagnostic, ...] = ()
    try:
        config = load_offline(Path(root), environment, state=None)
        secret_env.update(config.policy.allowed_env, (config.key_env,))
        load_desired(config, Variables(), mentions)
    except ReconcilerError as error:
        errors = tuple(_placed(found, path) for found in error.diagnostics if found.code != Code.ENV_MISSING)
    read = _footprint(root, config, mentions)
    claim, warnings = _claim(Path(root), seen.places.get(environment))
    found = (*errors, *(_placed(each, path) for each in warnings))
    row = WorkspaceRow(path=path, name=seen.name, environment=environment, claim=claim, diagnostics=found)
    return Found(row=row, root=root, glance=seen, footprint=read, whole=not errors)


def _claim(root: Path, place: str | None) -> tuple[Claim | None, tuple[Diagnostic, ...]]:
    """The claim beside a local state. That of a remote one takes a request, and is not read."""
    if place is None or "://" in place:
        return None, ()
    return look_at_claim(Claims(ClaimFile(root / place)))


def _footprint(root: str, config: Config | None, mentions: Mentions) -> Footprint:
    return raw_footprint(root) if config is None else footprint(root, config, mentions)


def _placed(found: Diagnostic, path: str) -> Diagnostic:
    """A finding with its place as seen from the folder that is looked below."""
    if found.location is None:
        return replace(found, summary=f"`{path}`: {found.summary}")
    file = os.path.normpath(os.path.join(path, found.location.file))  # noqa: PTH118
    return replace(found, location=replace(found.location, file=file))
