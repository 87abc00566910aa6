"""``reconciler environments``."""

from __future__ import annotations

import click
from msgspec.structs import replace

from reconciler.cli.console import Console
from reconciler.cli.inputs import load_configuration, load_flagged
from reconciler.cli.options import formats
from reconciler.cli.reference import DONE, ERROR
from reconciler.cli.state_backends import open_store
from reconciler.model.config import Config
from reconciler.model.environments import EnvironmentRow
from reconciler.model.errors import ReconcilerError
from reconciler.operations.state.survey import described, survey
from reconciler.report.environments import environments_document, environments_text


@click.command(
    epilog="""\b
Examples:
  reconciler environments
  reconciler env --format json
  reconciler env --format json | jq -r '.environments[].name'   # a matrix for CI
"""
)
@formats("text", "json")
@click.pass_obj
def command(console: Console, *, format_: str) -> int:
    """List the environments, with their states and what they manage.

    Shows which pull request has claimed each. Reads configuration, states and claims (for a remote state, one more
    request to the store), and makes no call to the API: attention is as of the last apply. A workspace without
    environments is one row.
    """
    shared = load_configuration(console, divided=False)
    rows = [_row(console, shared, name) for name in shared.environments or (None,)]
    if format_ == "json":
        console.json(environments_document(shared.workspace, rows))
    else:
        console.out(environments_text(rows, style=console.style()))
    for row in rows:
        console.diagnose((*row.errors, *row.warnings))
    return ERROR if any(row.errors for row in rows) else DONE


def _row(console: Console, shared: Config, name: str | None) -> EnvironmentRow:
    """An environment that can't be read is a row too: the others are still of interest."""
    row = EnvironmentRow(name=name, default=name is not None and name == shared.default_environment)
    try:
        config = load_flagged(console, shared.root, name, divided=name is not None)
        row = described(config)
        return survey(config, open_store(console, config))
    except ReconcilerError as error:
        return replace(row, errors=error.diagnostics)
