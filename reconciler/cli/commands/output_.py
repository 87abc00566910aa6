"""``reconciler output``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from reconciler.adapters.media.client import MAX_BYTES
from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context
from reconciler.cli.downloads import downloads_document, downloads_text, show_downloads
from reconciler.cli.interrupts import run
from reconciler.cli.lost_state import lost_state_hint
from reconciler.cli.options import Chosen, chosen, formats
from reconciler.cli.reference import DONE, ERROR
from reconciler.model.state import Entry, State
from reconciler.operations.read.account import require_account
from reconciler.operations.read.download import Download, download
from reconciler.operations.read.outputs import refreshed_outputs, stale_outputs
from reconciler.report.tables import output_text, output_values


@click.command(
    epilog="""\b
Examples:
  reconciler output
  reconciler output summer-teaser --format json | jq -r '.["summer-teaser"].assembled_url'
  reconciler output --refresh                 # as the account has them now
  reconciler output --download renders        # resumes, and skips finished files
"""
)
@chosen
@click.option(
    "--download",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Download the rendered files to DIR.",
)
@click.option("--refresh", is_flag=True, help="Read the list of projects first, one call for a hundred.")
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=MAX_BYTES,
    show_default=True,
    metavar="N",
    help="Refuse to download files larger than this.",
)
@formats("text", "json")
@click.pass_obj
def command(
    console: Console, /, *, chosen: Chosen, folder: Path | None, refresh: bool, max_bytes: int, format_: str
) -> int:
    """Show IDs, URLs and last agent messages from the state.

    Shows all managed projects, or those at the given addresses. The name of a `for_each` selects all of its projects;
    `*` matches any text. No calls are made, unless the state is empty: then one looks whether it may be lost. What the
    state has may be out of date: a warning says so, and --refresh shows what the account has now. `share_url` and
    `video_url` are permanent; `assembled_url` works for 24 hours.

    With --download, download the rendered files. Each is named after its address, and DIR/manifest.json has their
    digests. Files are only loaded over https from public addresses, or from the API's own network. Behind a proxy, the
    proxy decides which hosts can be reached.
    """
    context = load_context(console)
    state = context.state()
    entries = context.entries_of(state, chosen)
    if refresh:
        entries = run(_refreshed(context, state, entries))
    if folder is not None:
        return _download(context, state, entries, folder, max_bytes, json=format_ == "json")
    lost = None if entries else run(lost_state_hint(context, state))
    console.diagnose([lost] if lost and format_ == "json" else [])
    console.diagnose(stale_outputs(entries, now=context.workspace.now()))
    if format_ == "json":
        console.json({address: output_values(entry) for address, entry in entries.items()})
    else:
        console.out(output_text(entries, style=console.style(), lost=lost))
    return DONE


async def _refreshed(context: CommandContext, state: State, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    async with context.api() as api:
        return await refreshed_outputs(context.workspace, api, entries, managed=state.projects)


def _download(
    context: CommandContext, state: State, entries: Mapping[str, Entry], folder: Path, limit: int, *, json: bool
) -> int:
    console, at = context.console, context.workspace.now()

    async def work() -> list[Download]:
        async with context.api() as api, context.media(limit=limit) as media:
            with show_downloads(console) as show:
                results = await download(api, media, entries, folder, now=at, tell=show)
            if any(result.outcome == "nothing" for result in results):  # not rendered yet, or of another account
                await require_account(api, context.config, state.projects, at=at)
            return results

    results = run(work())
    if json:
        console.json(downloads_document(results))
    else:
        console.out(downloads_text(results))
    errors = [r.error for r in results if r.error]
    console.diagnose(errors)
    return ERROR if errors else DONE
