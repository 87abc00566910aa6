"""What `report` reads: the chosen environment, or all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from msgspec import Struct
from msgspec.structs import replace

from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context
from reconciler.cli.inputs import load_configuration, read_specs
from reconciler.cli.variables import Variables
from reconciler.model import contract
from reconciler.model.contract_tables import Contract
from reconciler.model.desired import Desired
from reconciler.model.errors import Diagnostic, ReconcilerError, UsageError
from reconciler.model.redact import Redactor
from reconciler.model.state import State


class Place(Struct, frozen=True, kw_only=True):
    """An environment, or a workspace without environments: what it declares and manages."""

    context: CommandContext
    specs: Desired
    state: State
    contract: Contract
    """The version of its API."""

    @property
    def addresses(self) -> Collection[str]:
        return self.specs.projects.keys() | self.state.projects.keys()

    @contextmanager
    def spoken(self) -> Iterator[None]:
        """Speak its version of the API inside."""
        with contract.kept():
            contract.use(self.contract)
            yield


def open_place(console: Console, variables: Variables) -> Place:
    """The environment that the user chose. Raises ReconcilerError."""
    context = load_context(console)
    specs = read_specs(context.config, variables)
    return Place(context=context, specs=specs, state=context.state(), contract=contract.current())


def open_places(console: Console, variables: Variables) -> tuple[list[Place], list[Diagnostic]]:
    """Every environment of the workspace, and why some can't be read. From here on the console hides the secrets of all.

    Raises:
        ConfigError: the configuration can't be read.
        UsageError: one environment is chosen, or the state of one.

    """
    if console.environment_flag:
        raise UsageError("--environment chooses one environment, and --all-environments all of them", "Leave one out.")
    names = load_configuration(console, divided=False).environments
    if not names:
        return [open_place(console, variables)], []
    if console.state and "://" not in console.state:
        raise UsageError("`--state` names the state of one environment", "Choose the environment with `-e NAME`.")
    places: list[Place] = []
    unread: list[Diagnostic] = []
    secrets = set(console.secret_values)
    for name in names:
        console.environment, console.environment_flag = name, True
        try:
            with contract.kept():
                places.append(open_place(console, variables))
        except UsageError:
            raise
        except ReconcilerError as error:
            unread += not_read(name, error)
        secrets.update(console.secret_values)
    console.environment, console.environment_flag = None, False
    console.secret_values = tuple(secrets)
    console.redact = Redactor(console.secret_values)
    return places, unread


def not_read(environment: str, error: ReconcilerError) -> list[Diagnostic]:
    """Why an environment can't be read."""
    return [replace(d, summary=f"can't read environment `{environment}`: {d.summary}") for d in error.diagnostics]
