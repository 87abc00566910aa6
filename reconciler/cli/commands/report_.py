"""``reconciler report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from reconciler import files
from reconciler.cli.all_environments import Place, not_read, open_place, open_places
from reconciler.cli.console import Console
from reconciler.cli.interrupts import run
from reconciler.cli.options import Chosen, chosen, variables
from reconciler.cli.reference import DONE, ERROR
from reconciler.cli.variables import Variables
from reconciler.model.claim import claimed_place
from reconciler.model.errors import ReconcilerError, UsageError
from reconciler.model.fleet import Fleet
from reconciler.operations.claims import look_at_claim
from reconciler.operations.read.fleet_reader import read_fleet
from reconciler.planning.selection import select_across
from reconciler.report.fleet_page import Part, fleets_html
from reconciler.report.heading import heading
from reconciler.report.safe_text import clean
from reconciler.report.tables import none_managed
from reconciler.report.words import plural


@click.command(
    epilog="""\b
Examples:
  reconciler report --out public              # writes public/index.html
  reconciler report --out public --no-conversations
  reconciler report --out public --all-environments
"""
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Folder to write `index.html` to.",
)
@click.option(
    "--conversations/--no-conversations",
    default=True,
    help="Include conversations (default): one more call per project.",
)
@click.option(
    "--all-environments",
    is_flag=True,
    help="Show the projects of all environments on one page, to be filtered by environment.",
)
@chosen
@variables
@click.pass_obj
def command(
    console: Console,
    /,
    *,
    out: Path,
    conversations: bool,
    all_environments: bool,
    chosen: Chosen,
    variables: Variables,
) -> int:
    """Write an HTML page about managed projects.

    The page shows each project's status, preview, settings, conversation and drift. Report only reads: it lists the
    account, then reads each project and its conversation. The page is one file; previews and videos are loaded from
    their URLs, which may expire.

    With --all-environments, each environment is read with its own key. If one can't be read, the page says so and shows
    the others, and the exit code is 1.
    """
    places, unread = open_places(console, variables) if all_environments else ([open_place(console, variables)], [])
    selected, wrong = select_across([(p.addresses, p.specs.projects) for p in places], chosen.selection())
    if wrong:
        raise UsageError(wrong)
    parts: list[Part] = []
    for place, addresses in zip(places, selected, strict=True):
        try:
            parts.append(_read(place, addresses, conversations=conversations))
        except ReconcilerError as error:
            environment = place.context.config.environment
            if not all_environments or environment is None:
                raise
            unread += not_read(environment, error)
    if parts:
        page = fleets_html(parts, unread, across=all_environments and places[0].context.config.environment is not None)
        _write(console, out / "index.html", page)
        _tell(console, out / "index.html", parts)
    console.diagnose(unread)
    return ERROR if unread else DONE


def _read(place: Place, addresses: frozenset[str], *, conversations: bool) -> Part:
    context = place.context

    async def work() -> Fleet:
        async with context.api() as api:
            return await read_fleet(
                context.workspace, api, place.specs, place.state, addresses, conversations=conversations
            )

    with place.spoken():
        seen = run(work())
    claim, warnings = look_at_claim(context.store.claims)
    context.console.diagnose(warnings)
    return Part(fleet=seen, where=context.where(seen.serial), claim=claim)


def _write(console: Console, path: Path, page: str) -> None:
    try:
        files.make_folder(path.parent)
        files.replace(path, console.redact(page).encode(), mode=None)
    except OSError as error:
        raise UsageError(f"can't write `{path}`: {error.strerror}") from error


def _tell(console: Console, path: Path, parts: Sequence[Part]) -> None:
    for part in parts:
        if part.where is not None:
            console.note(heading(part.where))
            if part.claim is not None:
                place = claimed_place(part.where.environment)
                console.note(f"`{clean(part.claim.pull_request)}` has claimed {place}.")
        if part.fleet.lost is not None:
            console.out(f"{none_managed(part.fleet.lost)}\n")
    count = sum(len(part.fleet.members) for part in parts)
    console.out(f"Wrote {path}: {plural(count, 'project')}.\n")
