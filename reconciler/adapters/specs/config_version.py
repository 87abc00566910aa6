"""The version of the API that a configuration asks for. It is found before the configuration is checked: what may stand
under ``defaults`` depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.adapters.specs.config_environments import BLOCKS, DEFAULT
from reconciler.adapters.specs.validation.codes import Code, error
from reconciler.adapters.specs.validation.suggestions import did_you_mean, quoted, sentences
from reconciler.model import contract
from reconciler.model.errors import ConfigError

VARIABLE: Final = "EVERSINCE_API_VERSION"


def asked_version(tree: Any, environment: str | None, env: Mapping[str, str]) -> str:
    """The version for an environment, or for a workspace without; the default where the file's is not a known one, which
    the check of the file reports.

    Raises:
        ConfigError: the environment variable names a version that does not exist.

    """
    known = contract.versions()
    given = env.get(VARIABLE) or None
    if given is not None:
        if given not in known:
            detail = sentences(did_you_mean(given, known), f"valid values: {', '.join(known)}")
            raise ConfigError((error(Code.CHOICE, f"{VARIABLE}: {quoted(given)} is not allowed", detail),))
        return given
    blocks = _mapping(tree, BLOCKS)
    asked = (_mapping(block, "api").get("version") for block in (_mapping(blocks, environment), tree))
    found = next((version for version in asked if version is not None), None)
    return found if isinstance(found, str) and found in known else contract.DEFAULT_VERSION


def usual_environment(tree: Any) -> str | None:
    """The environment that the file takes by default."""
    name = _mapping({"": tree}, "").get(DEFAULT)
    return name if isinstance(name, str) else None


def by_version(tree: dict[str, Any], env: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The file in parts: all that the version in force is for, and each environment that has another one."""
    force, blocks = contract.current().version, _mapping(tree, BLOCKS)
    other = {name: version for name in blocks if (version := asked_version(tree, name, env)) != force}
    rest = {name: block for name, block in blocks.items() if name not in other}
    yield force, {**tree, BLOCKS: rest} if other else tree
    for name, version in other.items():
        yield version, {BLOCKS: {name: blocks[name]}}


def _mapping(tree: Any, key: Any) -> Mapping[str, Any]:
    value = tree.get(key) if isinstance(tree, dict) else None
    return value if isinstance(value, dict) else {}
