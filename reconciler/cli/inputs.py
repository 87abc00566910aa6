"""Reading configuration and specs; needs no network and imports nothing of it."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import Final

from reconciler.adapters.specs.config_environments import VARIABLE
from reconciler.adapters.specs.config_file import FILE, load_config, workspace_version
from reconciler.adapters.specs.config_version import asked_version
from reconciler.adapters.specs.language.project import Mentions
from reconciler.adapters.specs.language.variable_declarations import Given
from reconciler.adapters.specs.language.variable_files import load_var_file
from reconciler.adapters.specs.loader import load_specs
from reconciler.adapters.specs.validation.checks import Secrets
from reconciler.adapters.specs.validation.problem import Problem
from reconciler.adapters.specs.validation.shape_types import Shape
from reconciler.adapters.specs.workspace_root import find_workspace
from reconciler.cli.console import Console
from reconciler.cli.shared_targets import shared_targets
from reconciler.cli.variables import Variables
from reconciler.model import contract
from reconciler.model.config import SANDBOX, Config
from reconciler.model.desired import CreateOrigin, Desired
from reconciler.model.errors import ConfigError, Diagnostic, Location, Severity, SpecError, UsageError
from reconciler.model.redact import Redactor
from reconciler.model.values import Json

STORE_SECRETS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
)
"""Credentials of remote states: their values are never shown."""
RECEIVERS: Final = ("RECONCILER_NOTIFY_SLACK_URL", "RECONCILER_NOTIFY_WEBHOOK_URL", "RECONCILER_NOTIFY_WEBHOOK_SECRET")
"""Addresses of receivers, which let anybody write to them, and the secret that signs notices."""


def load_configuration(console: Console, *, divided: bool = True) -> Config:
    """The configuration, from file, environment and flags; ``divided`` as in :func:`load_config`. From here on the
    console hides secrets and knows the workspace's folder. Raises ConfigError.
    """
    start = console.root
    if not start.is_dir():
        raise ConfigError(f"there is no directory `{start}`", "Check `-C`.")
    root = console.root = find_workspace(start, os.environ)
    if root != start:
        if console.verbose:
            console.note(f"The workspace is `{root}`: its `{FILE}` is the nearest above.")
        if console.state_flag and console.state and "://" not in console.state:
            console.state = os.path.relpath(start / console.state, root)  # relative to the current directory, as typed
    named = console.environment
    if named == os.environ.get(VARIABLE) and not console.environment_flag:
        named = None  # an error then names the variable
    config = load_flagged(console, root, named, divided=divided)
    secrets = (*config.policy.allowed_env, config.key_env, *STORE_SECRETS, *RECEIVERS, *console.secret_env)
    console.secret_values = tuple(os.environ.get(name, "") for name in secrets)
    console.redact = Redactor((*console.secret_values, *console.learned))
    console.workspace, console.environment = config.workspace, config.environment
    return config


def load_flagged(console: Console, root: Path, environment: str | None, *, divided: bool = True) -> Config:
    """The configuration as the global flags and variables say, in this environment. Raises ConfigError."""
    return load_config(
        root,
        env=os.environ,
        explain=explain_errors,
        state=console.state,
        api_url=console.api_url,
        environment=environment,
        divided=divided,
    )


def choose_version(console: Console, version: str | None) -> None:
    """Speak a version of the API in a command that needs no workspace: the given one, or that of the workspace where the
    command runs, if there is one. Raises ConfigError: the environment variable names a version that does not exist.
    """
    if version is None:
        version = asked_version(
            {}, None, os.environ
        )  # of the variable a mistake is reported, of the file only by `validate`
        with contextlib.suppress(ConfigError):
            environment = console.environment or os.environ.get(VARIABLE) or None
            version = workspace_version(find_workspace(console.root, os.environ), environment, os.environ)
    contract.choose(version)


def load_division(console: Console, environment: str) -> tuple[Config, Config]:
    """The configuration as it is without environments, and in this one: where a state is, and where it belongs.

    A path that ``--state`` or ``RECONCILER_STATE`` names is that of the old state; a URL is the prefix of both.

    Raises:
        ConfigError: the file is wrong, or has no such environment.
        UsageError: ``--environment`` names another one.

    """
    if console.environment_flag and console.environment != environment:
        raise UsageError(f"--environment is {console.environment}, and --to-environment is {environment}")
    console.environment, console.environment_flag = environment, True
    known = load_configuration(console)
    env = dict(os.environ)
    given = console.state or env.get("RECONCILER_STATE") or ""
    shared = "://" in given
    if not shared:
        env.pop("RECONCILER_STATE", None)
    load = partial(load_config, known.root, explain=explain_errors, api_url=console.api_url)
    old = load(env=os.environ, state=console.state, divided=False)
    new = load(env=env, state=console.state if shared else None, environment=environment)
    return old, new


def explain_errors(shape: Shape, tree: Json, secrets: Secrets) -> list[Problem]:
    """Everything that is wrong in a tree that a first look did not accept."""
    from reconciler.adapters.specs.validation import errors  # noqa: PLC0415  pydantic: 100 ms that only errors cost

    return errors.explain(shape, tree, secrets)


def name_missing(config: Config, severity: Severity) -> Diagnostic:
    """The finding that nothing names the workspace."""
    return Diagnostic(
        severity=severity,
        summary="the workspace has no name"
        if config.file
        else f"there is no `{FILE}` here or in any folder above that names the workspace",
        detail=f"Add `workspace: {config.workspace}` to `{FILE}`"
        f"{'' if config.file else ', or run `reconciler init`'}. The name is part of every idempotency key: without it, "
        "a checkout in another folder would create every project again.",
        location=Location(FILE) if config.file else None,
    )


def read_specs(config: Config, variables: Variables) -> Desired:
    """The specs, as :func:`load_desired`; none of their projects is adopted or imported by another environment, too.

    Raises:
        SpecError: with all errors of all files.
        UsageError: a ``--var`` has no ``=``.

    """
    specs = load_desired(config, variables)
    if len(config.environments) > 1 and not all(isinstance(p.origin, CreateOrigin) for p in specs.projects.values()):
        shared = shared_targets(config, specs, partial(specs_of, config, variables))
        if errors := [diagnostic for diagnostic in shared if diagnostic.severity == "error"]:
            raise SpecError(tuple(errors))
    return specs


def load_for_specs(console: Console) -> list[Config]:
    """The configuration in the environment that the user chose, else in each, to read the specs only. Raises ConfigError."""
    chosen = console.environment
    config = load_configuration(console, divided=chosen is not None)
    if chosen is not None or not config.environments:
        return [config]
    return [load_offline(config.root, name) for name in config.environments]


def specs_of(config: Config, variables: Variables, environment: str) -> Desired:
    """Another environment's specs."""
    with contract.kept():  # it may have another version of the API
        return load_desired(load_offline(config.root, environment), variables)


def load_offline(root: Path, environment: str | None, *, state: str | None = "unused") -> Config:
    """The configuration in an environment, or without any: nothing is sent, so its API need not be allowed here, nor its
    state where that is not read. Raises ConfigError.
    """
    return load_config(
        root,
        env=os.environ,
        explain=explain_errors,
        api_url=SANDBOX,
        state=state,
        environment=environment,
        divided=environment is not None,
    )


def load_desired(config: Config, variables: Variables, mentions: Mentions | None = None) -> Desired:
    """The specs, with the variables of ``--var-file``, ``--var`` (which wins) and the environment; ``mentions`` as in
    :func:`load_specs`.

    Raises:
        SpecError: with all errors of all files.
        UsageError: a ``--var`` has no ``=``.

    """
    values: dict[str, str | Given] = {}
    for path in variables.var_file:
        values.update(load_var_file(path, config.root))
    flags: set[str] = set()
    for text in variables.var:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"`--var {text}` is not of the form name=value")
        values[name] = value
        flags.add(name)
    return load_specs(config, env=os.environ, explain=explain_errors, variables=values, flags=flags, mentions=mentions)
