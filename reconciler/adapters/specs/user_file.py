"""The user's own configuration, `~/.config/reconciler/config.yaml`: what no branch may decide."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconciler import files
from reconciler.adapters.specs.language.layers import Layer, locate
from reconciler.adapters.specs.validation.checks import Explain, problems_of
from reconciler.adapters.specs.validation.codes import Code, error, in_order
from reconciler.adapters.specs.validation.shape_types import Choice, Key, ListOf, Shape, Text
from reconciler.adapters.specs.workspace_files import FileProblem, read_text
from reconciler.adapters.specs.yaml.parsing import parse
from reconciler.model.errors import ConfigError, Location

FILE_MAX: Final = 65_536
"""Bytes."""
_OTHERS_WRITE: Final = 0o002

USER_FILE: Final = Shape(
    "UserFile",
    "The configuration of a user, for all workspaces.",
    (
        Key(
            name="key_command",
            type=ListOf(item=Text()),
            help="The command that prints the API key, and its arguments.",
        ),
        Key(
            name="notify",
            type=ListOf(item=Choice(("slack", "webhook", "github"))),
            help="The receivers of notices.",
        ),
    ),
)


class UserConfig(Struct, frozen=True, kw_only=True):
    """What the user's own file says."""

    key_command: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()


def load_user_config(env: Mapping[str, str], root: Path, explain: Explain) -> UserConfig:
    """The user's own configuration; ``root`` is the workspace's folder. Without a file, nothing is set.

    Raises:
        ConfigError: the file is wrong, or somebody else could have written it: another user, or a branch.

    """
    folder = files.user_folder(env, "XDG_CONFIG_HOME", ".config")
    path = folder / "config.yaml" if folder is not None else None
    if path is None or not os.path.lexists(path):
        return UserConfig()
    name = str(path)
    _refuse_if_foreign(path, files.checkout_of(root))
    try:
        parsed = parse(read_text(path, name, FILE_MAX), name)
    except FileProblem as problem:
        at = Location(name, problem.line)
        raise ConfigError((error(problem.code, problem.summary, problem.detail, location=at),)) from None
    if parsed.problems:
        raise ConfigError(tuple(parsed.problems))
    trees = [tree for tree, _ in parsed.documents if tree is not None] or [{}]
    if len(trees) > 1 or not isinstance(trees[0], dict):
        raise ConfigError((error(Code.TYPE, f"{name} is one mapping", location=Location(name)),))
    tree = trees[0]
    layers = (Layer(name, tree, ()),)
    problems = problems_of(USER_FILE, tree, explain)
    if problems:
        raise ConfigError(
            in_order(
                [error(p.code, p.summary, p.detail, location=locate(layers, p.path, on_key=p.on_key)) for p in problems]
            )
        )
    return UserConfig(**{key: tuple(tree.get(key, ())) for key in USER_FILE.names})


def _refuse_if_foreign(path: Path, checkout: Path) -> None:
    try:
        real = path.resolve()
        status = real.stat()
    except (OSError, RuntimeError) as failure:
        raise ConfigError(f"`{path}` can't be read", "Make it a readable file, or remove it.") from failure
    why = None
    if real.is_relative_to(checkout):
        why = "it is inside the checkout, where a branch can change it"
    elif status.st_uid not in (os.geteuid(), 0):
        why = "it belongs to another user"
    elif status.st_mode & _OTHERS_WRITE:
        why = "every user of this machine can write it"
    if why is not None:
        raise ConfigError(
            f"`{path}` is not used: {why}", "It decides where secrets come from. Move it, or run chmod 600."
        )
