"""``reconciler validate``."""

from __future__ import annotations

from functools import partial

import click

from reconciler.cli.console import Console
from reconciler.cli.inputs import load_configuration, load_desired, name_missing, specs_of
from reconciler.cli.interrupts import run
from reconciler.cli.options import formats, variables
from reconciler.cli.reference import DONE, ERROR
from reconciler.cli.shared_targets import shared_targets
from reconciler.cli.variables import Variables
from reconciler.model.config import Config
from reconciler.model.desired import Desired
from reconciler.model.errors import ConfigError, Diagnostic, SpecError, StateError, StateMismatchError
from reconciler.model.plan import FORMAT_VERSION
from reconciler.model.plan_json import encode_diagnostic
from reconciler.model.version import VERSION


@click.command(
    epilog="""\b
Examples:
  reconciler validate
  reconciler validate --format github    # annotations in a workflow
  reconciler validate --online           # models and own skills, too
"""
)
@click.option(
    "--online",
    is_flag=True,
    help="Also ask the API (GET only) for the models and own skills that the specs name.",
)
@variables
@formats("text", "json", "github")
@click.pass_obj
def command(console: Console, /, *, online: bool, variables: Variables, format_: str) -> int:
    """Check configuration, specs and variables without using the network.

    Only --online asks the API. If the state is a local file, validate also checks that the specs don't change messages that were already sent.
    """
    found: tuple[Diagnostic, ...]
    projects = 0
    try:
        config = load_configuration(console)
        specs = load_desired(config, variables)
        found = (
            *_check_name(config),
            *shared_targets(config, specs, partial(specs_of, config, variables)),
            *specs.diagnostics,
            *_check_sent_messages(config, specs),
        )
        projects = len(specs.projects)
        if online and not any(d.severity == "error" for d in found):
            found = (*found, *_look_up(console, specs))
    except (ConfigError, SpecError, StateError) as error:
        found = error.diagnostics
    errors = [d for d in found if d.severity == "error"]
    if format_ == "json":
        diagnostics = [encode_diagnostic(d) for d in found]
        valid = not errors
        console.json(
            {"format_version": FORMAT_VERSION, "valid": valid, "projects": projects, "diagnostics": diagnostics}
        )
        console.diagnose(errors)
    elif format_ == "github":
        console.out_annotations(found)
        console.diagnose(errors)
    else:
        console.diagnose(found)
        if not errors:
            console.out(f"Valid: {projects} project{'' if projects == 1 else 's'}.\n")
    return ERROR if errors else DONE


def _look_up(console: Console, specs: Desired) -> tuple[Diagnostic, ...]:
    """Ask the API for what the specs name. Raises ConfigError, StateError, AccountError."""
    from reconciler.cli.context import load_context  # noqa: PLC0415  the client, which only --online needs
    from reconciler.operations.read.account import require_account  # noqa: PLC0415

    context = load_context(console)

    async def work() -> tuple[Diagnostic, ...]:
        async with context.api() as api:
            found = await context.workspace.lookup(api, "error").check(specs.projects.values())
            if found:  # what is not there may be in another account
                await require_account(api, context.config, context.state().projects, at=context.workspace.now())
            return found

    return tuple(map(console.redact.record, run(work())))


def _check_name(config: Config) -> tuple[Diagnostic, ...]:
    """Warn if no local file names the workspace: without a state that does, other commands stop."""
    if config.named or config.sandboxed or config.state_path.exists():
        return ()
    return (name_missing(config, "warning"),)


def _check_sent_messages(config: Config, specs: Desired) -> tuple[Diagnostic, ...]:
    """Find messages that the specs change although the state says they were sent. Raises StateError."""
    if not any(project.messages for project in specs.projects.values()):
        return ()
    unchecked = "whether sent messages were changed was not checked"
    if "://" in (config.state or ""):
        detail = f"The state is in `{config.state}`, and this command uses no network. `reconciler plan` checks it."
        return (Diagnostic(severity="note", summary=unchecked, detail=detail),)
    # a fifth of a second that only a workspace with messages needs
    from reconciler.adapters.state.local import LocalStateStore  # noqa: PLC0415
    from reconciler.planning.offline import log_findings  # noqa: PLC0415

    state = LocalStateStore(config.state_path, version=VERSION).load().state
    if state is None:
        return ()
    try:
        return log_findings(specs, config.own(state))
    except StateMismatchError as error:
        return (Diagnostic(severity="note", summary=unchecked, detail=f"{error.diagnostics[0].summary}."),)
