"""``reconciler claim``."""

from __future__ import annotations

import click
from msgspec.structs import asdict

from reconciler.cli.claims import pull_request
from reconciler.cli.console import Console
from reconciler.cli.context import load_context
from reconciler.cli.options import formats
from reconciler.model.claim import claimed_by, seen_by
from reconciler.report.safe_text import clean


@click.command(
    epilog="""\b
Examples:
  reconciler claim
  reconciler claim --format json | jq -r .claim.pull_request
"""
)
@pull_request("Say whether the claim is of this pull request.")
@formats("text", "json")
@click.pass_obj
def command(console: Console, *, pull_request: str | None, format_: str) -> None:
    """Show which pull request has claimed the workspace and environment.

    `apply --pull-request` takes the claim, and `reconciler unlock` releases it. Until then all other applies are refused.
    """
    context = load_context(console)
    claim = seen_by(context.store.claims.read(), pull_request)
    if format_ == "json":
        config = context.config
        found = None if claim is None else asdict(claim)
        console.json({"workspace": config.workspace, "environment": config.environment, "claim": found})
    elif claim is None:
        console.out("No pull request has claimed it.\n")
    else:
        mine = ", this pull request" if claim.mine else ""
        console.out(f"{clean(claim.pull_request)}{mine}\n{clean(claimed_by(claim))}\n")
