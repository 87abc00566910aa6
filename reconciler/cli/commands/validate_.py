"""``reconciler validate``."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.ci import annotation
from reconciler.cli.console import Console
from reconciler.cli.inputs import desired, load
from reconciler.cli.options import formats, variables
from reconciler.model.errors import ConfigError, Diagnostic, SpecError
from reconciler.model.plan_json import encode_diagnostic


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
    """Check everything that needs no network: configuration, specs, variables."""
    found: tuple[Diagnostic, ...]
    projects = 0
    try:
        specs = desired(load(console), var, var_file)
        found, projects = specs.diagnostics, len(specs.projects)
    except (ConfigError, SpecError) as error:
        found = error.diagnostics
    errors = sum(d.severity == "error" for d in found)
    if format_ == "json":
        document = {"valid": not errors, "projects": projects, "diagnostics": [encode_diagnostic(d) for d in found]}
        console.json({"format_version": "1.0", **document})
    elif format_ == "github":
        console.out("".join(annotation(console, d) + "\n" for d in found))
    else:
        console.diagnose(found)
        if not errors:
            console.out(f"Valid: {projects} project{'' if projects == 1 else 's'}.\n")
    return 1 if errors else 0
