"""``reconciler unlock``."""

from __future__ import annotations

import click

from reconciler.cli.ci import on_ci
from reconciler.cli.claims import pull_request
from reconciler.cli.console import Console
from reconciler.cli.context import load_context
from reconciler.cli.interrupts import ask
from reconciler.cli.options import auto_approve, lock_timeout
from reconciler.model.claim import Claim, claimed_by
from reconciler.model.errors import UsageError
from reconciler.operations.claims import release_claim
from reconciler.report.safe_text import clean


@click.command(
    epilog="""\b
Examples:
  reconciler unlock --pull-request acme/shop#12   # when it is merged or closed
  reconciler unlock                               # shows whose claim it is, and asks
  reconciler -e prod unlock --force               # any claim, without asking
"""
)
@pull_request("Release the claim only if it is this pull request's, without asking.")
@click.option("--force", is_flag=True, help="Release any claim without asking, even one that can't be read.")
@auto_approve
@lock_timeout
@click.pass_obj
def command(
    console: Console, /, *, pull_request: str | None, force: bool, auto_approve: bool, lock_timeout: float
) -> None:
    """Release the claim of a pull request on the workspace and environment.

    `apply --pull-request` claims them until the pull request is merged or closed, and `reconciler claim` shows it.

    The lock of a run that died is another one: see `reconciler state unlock`.
    """

    def confirm(claim: Claim) -> bool:
        console.note(f"{clean(claim.pull_request)}\n{clean(claimed_by(claim))}")
        if on_ci():
            raise UsageError(
                "whose claim to release is not said: it stays", "Use `--pull-request TEXT` on CI, or `--force`."
            )
        if auto_approve:
            return True
        return ask(
            console,
            "Release this claim?",
            otherwise="the claim stays",
            instead="Use `--pull-request TEXT`, or `--auto-approve`.",
        )

    found = release_claim(
        load_context(console).workspace,
        pull_request=pull_request,
        force=force,
        confirm=confirm,
        lock_timeout=lock_timeout,
    )
    if found is None:
        console.out("There was no claim.\n")
    elif isinstance(found, Claim):
        console.out(f"Released the claim of {clean(found.pull_request)}.\n")
    else:
        console.out("Removed a claim that could not be read.\n")
