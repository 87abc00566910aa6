"""``reconciler schema``."""

from __future__ import annotations

import json

import click

from reconciler.adapters.specs.validation.json_schema import config_schema, spec_schema
from reconciler.cli.console import Console
from reconciler.cli.inputs import choose_version
from reconciler.cli.options import api_version


@click.command(
    epilog="""\b
Example:
  reconciler schema > .reconciler/spec.schema.json
  # then make this the first line of each spec:
  # yaml-language-server: $schema=../.reconciler/spec.schema.json
"""
)
@click.option("--config", is_flag=True, help="Print the schema of `reconciler.yaml` instead.")
@api_version("Version of the API [default: the workspace's].")
@click.pass_obj
def command(console: Console, *, config: bool, api_version: str | None) -> None:
    """Print the JSON Schema of spec files, for completion and checks in editors."""
    choose_version(console, api_version)
    console.out(json.dumps(config_schema() if config else spec_schema(), indent=2, ensure_ascii=False) + "\n")
