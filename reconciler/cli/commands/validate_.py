"""``reconciler validate``."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.ci import annotation
from reconciler.cli.console import Console
from reconciler.cli.inputs import desired, load, unnamed
from reconciler.cli.options import formats, variables
from reconciler.model.config import Config
from reconciler.model.desired import Desired
from reconciler.model.errors import ConfigError, Diagnostic, SpecError, StateError, StateMismatchError
from reconciler.model.plan import FORMAT_VERSION
from reconciler.model.plan_json import encode_diagnostic
from reconciler.model.state import owned
from reconciler.model.version import VERSION


@click.command(
    epilog="""\b
Examples:
  reconciler validate
  reconciler validate --format github    # annotations in a workflow
"""
)
@variables
@formats("text", "json", "github")
@click.pass_obj
def command(console: Console, *, var: tuple[str, ...], var_file: tuple[Path, ...], format_: str) -> int:
    """Check everything that needs no network: configuration, specs, variables.

    Where the state is a local file, also that the specs don't rewrite messages that were sent.
    """
    found: tuple[Diagnostic, ...]
    projects = 0
    try:
        config = load(console)
        specs = desired(config, var, var_file)
        found, projects = (*_names(config), *specs.diagnostics, *_logs(config, specs)), len(specs.projects)
    except (ConfigError, SpecError, StateError) as error:
        found = error.diagnostics
    errors = [d for d in found if d.severity == "error"]
    if format_ == "json":
        document = {"valid": not errors, "projects": projects, "diagnostics": [encode_diagnostic(d) for d in found]}
        console.json({"format_version": FORMAT_VERSION, **document})
        console.diagnose(errors)
    elif format_ == "github":
        console.out("".join(annotation(console, d) + "\n" for d in found))
    else:
        console.diagnose(found)
        if not errors:
            console.out(f"Valid: {projects} project{'' if projects == 1 else 's'}.\n")
    return 1 if errors else 0


def _names(config: Config) -> tuple[Diagnostic, ...]:
    """A warning where nothing that is at hand names the workspace: other commands stop without a state that does."""
    if config.named or config.sandboxed or config.state_path.exists():
        return ()
    return (unnamed(config, "warning"),)


def _logs(config: Config, specs: Desired) -> tuple[Diagnostic, ...]:
    """Whether the specs rewrite messages that the state says were sent. Raises StateError for a damaged state."""
    if not any(project.messages for project in specs.projects.values()):
        return ()
    unchecked = "whether sent messages were rewritten was not checked"
    if "://" in (config.state or ""):
        detail = f"The state lies in `{config.state}`, and this command uses no network; `reconciler plan` checks it."
        return (Diagnostic(severity="note", summary=unchecked, detail=detail),)
    # a fifth of a second that only a workspace with messages needs
    from reconciler.adapters.state.local import LocalStateStore  # noqa: PLC0415
    from reconciler.planning.offline import log_findings  # noqa: PLC0415

    state = LocalStateStore(config.state_path, version=VERSION).load().state
    if state is None:
        return ()
    try:
        return log_findings(specs, owned(state, workspace=config.workspace, api_url=config.api_url))
    except StateMismatchError as error:
        return (Diagnostic(severity="note", summary=unchecked, detail=f"{error.diagnostics[0].summary}."),)
