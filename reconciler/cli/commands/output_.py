"""``reconciler output``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import click
from msgspec.structs import asdict

from reconciler.adapters.file_transfer import MAX_BYTES
from reconciler.cli.console import Console
from reconciler.cli.context import Wired, wire
from reconciler.cli.downloads import bars, downloads_text
from reconciler.cli.managed import chosen, state_of
from reconciler.cli.options import formats
from reconciler.model.plan_json import encode_diagnostic
from reconciler.model.state import Entry
from reconciler.operations.read.download import Download, download
from reconciler.report.tables import output_text


@click.command(
    epilog="""\b
Examples:
  reconciler output
  reconciler output summer-teaser --format json | jq -r '.["summer-teaser"].assembled_url'
  reconciler output --download renders        # goes on where it stopped, skips what is there
"""
)
@click.argument("addresses", nargs=-1)
@click.option(
    "--download",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Fetch the rendered files into DIR.",
)
@click.option("--max-bytes", type=click.IntRange(1), default=MAX_BYTES, show_default=True, help="Of one file.")
@formats("text", "json")
@click.pass_obj
def command(console: Console, *, addresses: tuple[str, ...], folder: Path | None, max_bytes: int, format_: str) -> int:
    """Print ids, URLs and last agent messages, as the state knows them; makes no call.

    With --download, fetch the rendered files: named after their addresses, with their digests in DIR/manifest.json.
    They come over https from public addresses, or from the network that the API itself is in. Behind a proxy, the proxy
    decides which names may be reached.
    """
    wired = wire(console)
    entries = chosen(state_of(wired), addresses)
    if folder is not None:
        return _download(wired, entries, folder, max_bytes, json=format_ == "json")
    if format_ == "json":
        console.json({a: {"project_id": e.project_id, **asdict(e.outputs)} for a, e in entries.items()})
    else:
        console.out(output_text(entries, style=console.style()))
    return 0


def _download(wired: Wired, entries: Mapping[str, Entry], folder: Path, limit: int, *, json: bool) -> int:
    console = wired.console

    async def work() -> list[Download]:
        async with wired.api() as api, wired.media(limit=limit) as media:
            with bars(console) as tell:
                return await download(api, media, entries, folder, now=wired.workspace.now(), tell=tell)

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
    return 1 if errors else 0
