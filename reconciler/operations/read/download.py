"""Downloading the rendered files of managed projects into a folder; its manifest says what each file is."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct, ValidationError, convert
from msgspec.structs import asdict, replace

from reconciler import files
from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.media.client import MediaClient
from reconciler.adapters.media.files import Fetched, FileInTheWayError, Part, file_digest
from reconciler.adapters.specs.workspace_files import FileProblem, inside
from reconciler.model import contract
from reconciler.model.desired import ADDRESS
from reconciler.model.errors import Diagnostic, DownloadError, NotFoundError
from reconciler.model.state import Entry
from reconciler.model.times import instant
from reconciler.model.values import Json
from reconciler.operations.concurrency import run_all
from reconciler.operations.read.renders import mark

MANIFEST: Final = "manifest.json"
_AT_ONCE: Final = 4
_LONGEST_MANIFEST: Final = 64 * 1024**2
_POLL: Final = 0.5
"""Seconds between two looks whether another run still downloads into the folder."""
_LOOKS: Final = 240
_EXPIRED: Final = "Its address has expired. `deliver: {share: {}}` in the spec makes a permanent link; rendering again makes a new URL."


class Download(Struct, frozen=True, kw_only=True):
    """The outcome for one address. ``nothing``: nothing is rendered, or the project is gone."""

    address: str
    outcome: Literal["fetched", "kept", "nothing", "failed"]
    fetched: Fetched | None = None
    error: Diagnostic | None = None


async def download(
    api: ApiClient,
    media: MediaClient,
    entries: Mapping[str, Entry],
    folder: Path,
    *,
    now: str,
    tell: Callable[[str, int, int | None], None],
    changed: Collection[str] = (),
    fresh: bool = False,
) -> list[Download]:
    """Fetch what is not there yet. A file that can't be fetched does not stop the others. What no download wrote, or was
    changed since, is never replaced. One run after another downloads into a folder: two would write the same parts.
    ``changed`` are addresses whose URL in the state is not believed; ``fresh``: the others have just been read.

    Raises:
        ApiError: a URL can't be read from the account.
        DownloadError: the folder can't be used.

    """
    try:
        files.make_folder(folder)
        for _ in range(_LOOKS):
            with files.locked(folder) as ours:
                if ours:
                    return await _download(
                        api, media, entries, _Folder(folder), now=now, tell=tell, changed=changed, fresh=fresh
                    )
            await asyncio.sleep(_POLL)
    except OSError as error:
        raise DownloadError(f"can't use `{error.filename or folder}`: {error.strerror}") from error
    raise DownloadError(f"another run downloads into `{folder}`", "Run the command again once that one has ended.")


class _Folder:
    """A folder of downloads, and its manifest."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self._manifest = _read_manifest(folder)
        files.remove_leftovers(folder / MANIFEST)

    def record(self, address: str) -> Json:
        """What the manifest has of an address: also what a run put into its place that ended before it could note it."""
        left = Part(self.path, address).left() if ADDRESS.fullmatch(address) else None
        if left is not None:
            self.note(address, left, project_id=None)
        return self._manifest.get(address)

    def note(self, address: str, found: Fetched, **about: Json) -> None:
        """Raises DownloadError: it can't be written."""
        self._manifest[address] = {**about, **asdict(found)}
        _write(self.path / MANIFEST, self._manifest)
        Part(self.path, address).drop()


async def _download(
    api: ApiClient,
    media: MediaClient,
    entries: Mapping[str, Entry],
    folder: _Folder,
    *,
    now: str,
    tell: Callable[[str, int, int | None], None],
    changed: Collection[str],
    fresh: bool,
) -> list[Download]:
    slots = asyncio.Semaphore(_AT_ONCE)
    turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # one file, where case makes no difference

    async def one(address: str, entry: Entry) -> Download:
        async with turns[address.casefold()], slots:
            try:
                return await fetch(address, entry)
            except DownloadError as error:
                return Download(address=address, outcome="failed", error=error.diagnostics[0])

    async def fetch(address: str, entry: Entry) -> Download:
        record = folder.record(address)
        own = _noted(record, "project_id") == entry.project_id
        known, path = _written_file(folder.path, record)
        render = _render_of(entry)
        if own and render is not None and _noted(record, "render") == render and path is not None:
            return _kept(folder.path, address, known, path)
        url, dead = await _video_url(api, entry, now, believed=address not in changed, fresh=fresh)
        if url is None or not ADDRESS.fullmatch(address):
            return Download(address=address, outcome="nothing")
        if own and dead and _noted(record, "video") == mark(url) and path is not None:
            return _kept(folder.path, address, known, path)
        # A validator tells versions of one file apart, and not the files of two projects.
        before = known if known is None or own else replace(known, validator=None)
        with _explaining(dead=dead):
            fetched = await media.fetch(
                url, folder.path, address, known=before, tell=lambda done, total: tell(address, done, total)
            )
        if (found := fetched or known) is not None and (fetched is not None or not own):
            folder.note(address, found, project_id=entry.project_id, render=render, video=mark(url))
        if fetched is None:
            return Download(address=address, outcome="kept", fetched=known)
        return Download(address=address, outcome="fetched", fetched=fetched)

    return await run_all(one(address, entry) for address, entry in entries.items())


@contextlib.contextmanager
def _explaining(*, dead: bool) -> Iterator[None]:
    """Say what helps where the address of a video has expired: running the command again does not."""
    try:
        yield
    except DownloadError as error:
        if not dead or isinstance(error, FileInTheWayError):
            raise
        raise DownloadError(error.diagnostics[0].summary, _EXPIRED) from error


async def download_delivered(
    api: ApiClient,
    media: MediaClient,
    entries: Mapping[str, Entry],
    folders: Mapping[str, str],
    base: Path,
    *,
    now: str,
    tell: Callable[[str, int, int | None], None],
    changed: Collection[str],
    fresh: bool = False,
) -> list[Download]:
    """Fetch the videos of addresses into their ``folders``, which stand in ``base`` and never outside it. Raises as
    :func:`download`, for the account alone: a folder that can't be used is an outcome of its addresses.
    """
    results: list[Download] = []
    for name in sorted(set(folders.values())):
        chosen = {a: entries[a] for a, folder in folders.items() if folder == name and a in entries}
        try:
            folder = inside(base, name)
            results += await download(api, media, chosen, folder, now=now, tell=tell, changed=changed, fresh=fresh)
        except FileProblem as problem:
            found = Diagnostic(severity="error", summary=f"deliver.download: {problem.summary}", detail=problem.detail)
            results += [Download(address=address, outcome="failed", error=found) for address in chosen]
        except DownloadError as error:
            results += [Download(address=a, outcome="failed", error=error.diagnostics[0]) for a in chosen]
    return results


def _render_of(entry: Entry) -> str | None:
    """What tells the video that a project has now from earlier ones, where a render of ours made it."""
    rendered = entry.rendered
    return None if rendered is None or rendered.outdated or rendered.how != "sent" else rendered.at


def _noted(record: Json, name: str) -> Json:
    return record.get(name) if isinstance(record, dict) else None


async def _video_url(api: ApiClient, entry: Entry, now: str, *, believed: bool, fresh: bool) -> tuple[str | None, bool]:
    """The URL in the state as long as it is valid, else the permanent one, else a fresh one; and whether it may be dead.
    While a project is at work, what it shows may be its earlier video.
    """
    outputs = entry.outputs
    working = outputs.status is not None and contract.is_active(outputs.status)
    valid = _is_later(outputs.assembled_url_expires_at, now)
    if believed and not working and outputs.assembled_url and (valid or (fresh and entry.video_url is None)):
        return outputs.assembled_url, not valid
    if entry.video_url is not None:
        return entry.video_url, False
    try:
        live = await api.project(entry.project_id)
    except NotFoundError:
        return None, False
    if _render_of(entry) is not None and contract.is_active(live.status):
        return None, False
    return live.assembled_url, _is_later(now, live.assembled_url_expires_at)


def _is_later(text: str | None, other: str | None) -> bool:
    time, then = instant(text), instant(other)
    return time is not None and then is not None and time > then


def _written_file(folder: Path, record: Json) -> tuple[Fetched | None, Path | None]:
    """The manifest's record, if its file is unchanged; and where the file is, changed or not."""
    try:
        known = convert(record, Fetched)
        path = folder / Path(known.file).name
        unchanged = path.stat().st_size == known.size and file_digest(path) == known.sha256
    except (OSError, ValidationError):
        return None, None
    return known if unchanged else None, path


def _kept(folder: Path, address: str, known: Fetched | None, path: Path) -> Download:
    """The newest video is there already, and what was begun since is of no use. Raises FileInTheWayError: its file was changed."""
    if known is None:
        raise FileInTheWayError(path)
    Part(folder, address).drop()
    return Download(address=address, outcome="kept", fetched=known)


def _read_manifest(folder: Path) -> dict[str, Json]:
    path = folder / MANIFEST
    try:
        document = json.loads(files.read(path, _LONGEST_MANIFEST))
    except FileNotFoundError:
        return {}
    except ValueError:
        document = None
    if isinstance(document, dict) and all(isinstance(r, dict) and "project_id" in r for r in document.values()):
        return document
    raise DownloadError(f"`{path}` is not a manifest of downloads", "Download into a folder of its own.")


def _write(path: Path, manifest: Mapping[str, Json]) -> None:
    """Raises DownloadError: it can't be written."""
    try:
        files.replace(path, json.dumps(dict(sorted(manifest.items())), indent=2).encode() + b"\n")
    except OSError as error:
        raise DownloadError(f"can't write `{path}`: {error.strerror}") from error
