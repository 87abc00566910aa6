"""``reconciler output``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import click
from msgspec.structs import asdict

from reconciler.adapters.media.client import MAX_BYTES
from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context
from reconciler.cli.downloads import downloads_text, show_downloads
from reconciler.cli.lost_state import lost_state_hint
from reconciler.cli.options import Chosen, chosen, formats
from reconciler.cli.reference import DONE, ERROR
from reconciler.model.plan_json import encode_diagnostic
from reconciler.model.state import Entry
from reconciler.operations.read.download import Download, download
from reconciler.report.tables import output_text


@click.command(
    epilog="""\b
Examples:
  reconciler output
  reconciler output summer-teaser --format json | jq -r '.["summer-teaser"].assembled_url'
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
def command(console: Console, /, *, chosen: Chosen, folder: Path | None, max_bytes: int, format_: str) -> int:
    """Show IDs, URLs and last agent messages from the state.

    Shows all managed projects, or those at the given addresses. The name of a `for_each` selects all of its projects;
    `*` matches any text. No calls are made, unless the state is empty: then one looks whether it may be lost.

    With --download, download the rendered files. Each is named after its address, and DIR/manifest.json has their
    digests. Files are only loaded over https from public addresses, or from the API's own network. Behind a proxy, the
    proxy decides which hosts can be reached.
    """
    context = load_context(console)
    state = context.state()
    entries = context.entries_of(state, chosen)
    if folder is not None:
        return _download(context, entries, folder, max_bytes, json=format_ == "json")
    lost = None if entries else asyncio.run(lost_state_hint(context, state))
    console.diagnose([lost] if lost and format_ == "json" else [])
    if format_ == "json":
        console.json({a: {"project_id": e.project_id, **asdict(e.outputs)} for a, e in entries.items()})
    else:
        console.out(output_text(entries, style=console.style(), lost=lost))
    return DONE


def _download(context: CommandContext, entries: Mapping[str, Entry], folder: Path, limit: int, *, json: bool) -> int:
    console = context.console

    async def work() -> list[Download]:
        async with context.api() as api, context.media(limit=limit) as media:
            with show_downloads(console) as show:
                return await download(api, media, entries, folder, now=context.workspace.now(), tell=show)

    results = asyncio.run(work())
    if json:
        console.json(
            {
                r.address: {
                    "outcome": r.outcome,
                    **(asdict(r.fetched) if r.fetched else {}),
                    "error": encode_diagnostic(r.error) if r.error else None,
                }
                for r in results
            }
        )
    else:
        console.out(downloads_text(results))
    errors = [r.error for r in results if r.error]
    console.diagnose(errors)
    return ERROR if errors else DONE
