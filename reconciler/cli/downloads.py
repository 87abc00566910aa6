"""Downloads after an apply, and their display: bars on a terminal, a line per file elsewhere, and the results."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import asdict

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.media.client import MAX_BYTES
from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext
from reconciler.model.events import ApplyResult
from reconciler.model.plan_json import encode_diagnostic
from reconciler.model.values import Json
from reconciler.operations.concurrency import cancel_all
from reconciler.operations.read.download import Download, download_delivered
from reconciler.operations.workspace import utc_now
from reconciler.report.safe_text import clean
from reconciler.report.tables import NONE_MANAGED

_WORDS: Final = {
    "fetched": "fetched",
    "kept": "already downloaded",
    "nothing": "nothing rendered yet",
    "failed": "failed",
}
ShowDownload = Callable[[str, int, int | None], None]
"""Called with the address, the bytes downloaded so far, and how many there will be."""


async def deliver_files(
    context: CommandContext,
    api: ApiClient,
    result: ApplyResult,
    *,
    base: Path,
    fresh: bool,
    show: ShowDownload,
    stop: asyncio.Event,
) -> tuple[Download, ...] | None:
    """After an apply, download the videos of the addresses whose steps are all done. ``fresh``: it has read the others,
    too. ``None``: ``stop`` was set first; what
    has come of a file is kept, and the next time continues there. Raises as :func:`download_delivered`.
    """
    open_ = {r.step.address for r in result.results if r.outcome != "done"}
    folders = {address: folder for address, folder in result.plan.downloads.items() if address not in open_}
    async with context.media(limit=MAX_BYTES) as media:
        loading = asyncio.create_task(
            download_delivered(
                api,
                media,
                context.state().projects,
                folders,
                base,
                now=context.workspace.now(),
                tell=show,
                changed={r.step.address for r in result.results},
                fresh=fresh,
            )
        )
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({loading, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return tuple(loading.result()) if loading.done() else None
        finally:
            await cancel_all(loading, stopped)


@contextlib.contextmanager
def show_downloads(console: Console) -> Iterator[ShowDownload]:
    """Show downloads as they progress."""
    if not console.interactive:
        yield lambda address, done, total: _note_finished(console, address, done, total)
        return
    from rich.console import Console as Terminal  # noqa: PLC0415  only a terminal needs it
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Terminal(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def show(address: str, done: int, total: int | None) -> None:
            if address not in tasks:
                tasks[address] = progress.add_task(address, total=total)
            progress.update(tasks[address], completed=done, total=total)

        yield show


def _note_finished(console: Console, address: str, done: int, total: int | None) -> None:
    if done == total:
        console.note(f"{utc_now()} {address}: {done} bytes")


def downloads_document(results: Iterable[Download]) -> dict[str, Json]:
    """The results by address."""
    return {
        r.address: {
            "outcome": r.outcome,
            **(asdict(r.fetched) if r.fetched else {}),
            "error": encode_diagnostic(r.error) if r.error else None,
        }
        for r in results
    }


def downloads_text(results: Iterable[Download]) -> str:
    """The results, a line per address."""
    return "".join(f"{r.address}: {_describe(r)}\n" for r in results) or NONE_MANAGED


def _describe(result: Download) -> str:
    if result.error is not None:
        return clean(f"{_WORDS[result.outcome]}: {result.error.summary}. {result.error.detail}".strip())
    if result.fetched is None:
        return _WORDS[result.outcome]
    file = result.fetched
    return f"{_WORDS[result.outcome]}: {file.file}, {file.size} bytes, sha256 {file.sha256}"
