"""``reconciler operator``."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.console import Console
from reconciler.cli.operator.handlers import serve
from reconciler.cli.operator.rounds import Settings
from reconciler.cli.options import Address
from reconciler.cli.reference import DONE
from reconciler.operations.workspace import utc_now


@click.command(
    epilog="""\b
Examples:
  reconciler operator --namespace videos --work /work
  reconciler operator --namespace videos --work /work --git-host github.com
  reconciler operator --namespace videos --work /work --listen 0.0.0.0:8080
"""
)
@click.option(
    "--namespace",
    "namespaces",
    required=True,
    multiple=True,
    metavar="NAME",
    help="Work for the resources of this namespace. Repeatable.",
)
@click.option(
    "--work",
    required=True,
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    metavar="DIR",
    help="Folder for checkouts and for plans that wait for approval.",
)
@click.option(
    "--git-host",
    "git_hosts",
    multiple=True,
    metavar="HOST",
    help="Allow git repositories of this host. Repeatable; without it, only ConfigMaps.",
)
@click.option(
    "--parallel",
    type=click.IntRange(1, 100),
    default=4,
    show_default=True,
    metavar="N",
    help="Work on so many workspaces at a time.",
)
@click.option(
    "--timeout",
    default="15m",
    show_default=True,
    metavar="DURATION",
    help="Leave what is not done after this long to the next round.",
)
@click.option("--listen", type=Address(), metavar="HOST:PORT", help="Serve /healthz for a liveness probe.")
@click.pass_obj
def command(
    console: Console,
    /,
    *,
    namespaces: tuple[str, ...],
    work: Path,
    git_hosts: tuple[str, ...],
    parallel: int,
    timeout: str,
    listen: tuple[str, int] | None,
) -> int:
    """Apply what `Workspace` resources of a Kubernetes cluster say.

    Each resource names the files of a workspace (a git revision or a ConfigMap), the Secret with its API key, its state
    and a mode: `plan` only shows changes, `apply` makes them, `approve` makes those of the plan whose digest is written
    to `spec.approved`. The operator runs `reconciler plan` and `reconciler apply` as processes of their own, so that the
    same guarantees hold. Deleting a resource changes nothing in the account.

    Needs the extra `operator`. See `reconciler help operator`.
    """
    console.clock = utc_now
    work.mkdir(parents=True, exist_ok=True)
    serve(
        Settings(work=work, git_hosts=frozenset(host.lower() for host in git_hosts), timeout=timeout),
        namespaces=namespaces,
        parallel=parallel,
        listen=listen,
        say=console.note,
    )
    return DONE
