"""Files over HTTP, from and to whatever host the API names: never with the API's key, never beyond https.

A download that breaks off goes on where it stopped (``Range`` with ``If-Range``), where the server gives a validator by
which the rest is known to belong to the beginning.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from msgspec import Struct

from reconciler import files
from reconciler.model.errors import DownloadError, UploadError
from reconciler.model.loopback import is_loopback

MAX_BYTES: Final = 4 * 1024**3
_ATTEMPTS: Final = 3
_REDIRECTS: Final = 5
_CHUNK: Final = 256 * 1024
_LONGEST_NOTE: Final = 65536
_EXTENSIONS: Final = {
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/quicktime": ".mov",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "application/zip": ".zip",
}
_AGAIN = (httpx.TransportError, httpx.StreamError)


class Fetched(Struct, frozen=True):
    """A file that is there whole. ``validator`` is the server's: an ETag or a date, if it gave one."""

    file: str
    size: int
    sha256: str
    validator: str | None


Tell = Callable[[int, int | None], None]
"""Told the bytes that are there, and how many it will be, if known."""


class MediaClient:
    """Fetches and sends files, to be used with ``async with``. ``local``: plain http to this machine will do, too.

    ``transport``: requests stay in this process.
    """

    def __init__(
        self, *, local: bool, limit: int = MAX_BYTES, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._local = local
        self._embedded = transport is not None
        self._limit = limit
        self._http = httpx.AsyncClient(transport=transport, timeout=30.0, headers={"Accept-Encoding": "identity"})

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def fetch(self, url: str, folder: Path, stem: str, *, known: Fetched | None, tell: Tell) -> Fetched | None:
        """Make ``folder/stem.<ending>`` what the address shows; ``None`` where the known file is that already.

        Raises:
            DownloadError: it can't be fetched. What came of it is kept for the next time.

        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._fetch(httpx.URL(url), folder, stem, known, tell)
            except httpx.InvalidURL as error:
                raise DownloadError("the address of the rendered file is not a URL") from error
            except _AGAIN as error:
                if attempt == _ATTEMPTS:
                    what = f"{type(error).__name__}: the connection broke off"
                    raise DownloadError(what, "Run the command again: it goes on from there.") from error
            except OSError as error:
                raise DownloadError(f"can't write `{error.filename or folder}`: {error.strerror}") from error
        raise AssertionError

    async def _fetch(
        self, url: httpx.URL, folder: Path, stem: str, known: Fetched | None, tell: Tell
    ) -> Fetched | None:
        part, note = folder / f"{stem}.part", folder / f"{stem}.part.json"
        offset, validator = _begun(part, note)
        headers = {"Range": f"bytes={offset}-", "If-Range": validator} if validator else {}
        if known is not None and known.validator and not validator:
            headers[_condition(known.validator)] = known.validator
        async with self._opened(url, headers) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED:
                return None
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
                raise httpx.StreamError("what was there does not fit any more")
            if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
                host, code = url.host, response.status_code
                raise DownloadError(f"{host} answered {code}", "The address may have expired; run the command again.")
            going_on = response.status_code == httpx.codes.PARTIAL_CONTENT and _starts_at(response, offset)
            offset = offset if going_on else 0
            total = _total(response, offset)
            validator = _validator(response)
            if known is not None and validator and validator == known.validator and not going_on:
                return None
            files.replace(note, json.dumps({"validator": validator}).encode())
            await self._write(response, part, offset, total, tell)
            name = stem + _ending(response)
        fetched = Fetched(name, part.stat().st_size, file_digest(part), validator)
        note.unlink(missing_ok=True)
        if fetched == known:  # a server without validators: only the bytes can tell
            part.unlink()
            return None
        files.move(part, folder / name)
        return fetched

    async def _write(self, response: httpx.Response, part: Path, offset: int, total: int | None, tell: Tell) -> None:
        self._bounded(total or 0)
        with os.fdopen(files.open_to_append(part, mode=0o666), "ab") as file:
            if not offset:
                file.truncate(0)
            async for chunk in response.aiter_raw():
                offset += len(chunk)
                self._bounded(offset)
                file.write(chunk)
                tell(offset, total)

    async def put(
        self, url: str, file: BufferedReader, *, size: int, content_type: str, digest: str, tell: Tell
    ) -> None:
        """Send a file that has ``digest`` (SHA-256) to an address that the API gave out for it. No redirects.

        Raises:
            UploadError: it did not get there, or its content is another by now; ``again`` says whether trying may help.

        """
        try:
            target = httpx.URL(url)
            self._checked(target)
        except (httpx.InvalidURL, DownloadError) as error:
            raise UploadError("the API names no https address to upload to") from error
        read = hashlib.sha256()

        async def chunks() -> AsyncIterator[bytes]:
            done = 0
            while done < size and (chunk := file.read(min(_CHUNK, size - done))):
                read.update(chunk)
                done += len(chunk)
                if done == size and read.hexdigest() != digest:
                    raise UploadError("the file changed while it was sent")
                yield chunk
                tell(done, size)
            if done < size:
                raise UploadError("the file changed while it was sent")

        headers = {"Content-Type": content_type, "Content-Length": str(size)}
        request = self._http.build_request("PUT", target, headers=headers, content=chunks())
        try:
            response = await self._http.send(request, follow_redirects=False, auth=None)
        except (httpx.HTTPError, OSError) as error:
            raise UploadError(
                f"{type(error).__name__}: the connection to {target.host} broke off", again=True
            ) from error
        if not response.is_success:
            code = response.status_code
            raise UploadError(f"{target.host} answered {code} to the upload", again=code >= 500 or code == 408)

    def _bounded(self, size: int) -> None:
        if size > self._limit:
            raise DownloadError(f"the file is larger than {self._limit} bytes", "Raise `--max-bytes` to fetch it.")

    @contextlib.asynccontextmanager
    async def _opened(self, url: httpx.URL, headers: dict[str, str]) -> AsyncIterator[httpx.Response]:
        """The answer at the end of the redirects, each of which is checked like the address itself."""
        for _ in range(_REDIRECTS):
            self._checked(url)
            request = self._http.build_request("GET", url, headers=headers)
            response = await self._http.send(request, stream=True, follow_redirects=False, auth=None)
            try:
                target = response.headers.get("location") if response.is_redirect else None
                if target is None:
                    yield response
                    return
                url = url.join(target)
            finally:
                await response.aclose()
        raise DownloadError("the address of the rendered file redirects too often")

    def _checked(self, url: httpx.URL) -> None:
        local = url.scheme == "http" and (
            (self._local and is_loopback(url.host)) or (self._embedded and url.host == "sandbox")
        )
        if url.userinfo or not url.host or not (url.scheme == "https" or local):
            raise DownloadError(f"the rendered file lies at a {url.scheme or 'relative'} address, not at an https one")


def file_digest(path: Path) -> str:
    with files.open_to_read(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _begun(part: Path, note: Path) -> tuple[int, str | None]:
    """How much of a file is there, and by what the server knows that the rest belongs to it."""
    try:
        validator = json.loads(files.read(note, _LONGEST_NOTE))["validator"]
        size = part.lstat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return 0, None
    return (size, validator) if size and isinstance(validator, str) and validator.isprintable() else (0, None)


def _validator(response: httpx.Response) -> str | None:
    etag = response.headers.get("etag", "")
    modified: str | None = response.headers.get("last-modified")
    return etag if etag and not etag.startswith("W/") else modified


def _condition(validator: str) -> str:
    return "If-None-Match" if validator.startswith('"') else "If-Modified-Since"


def _starts_at(response: httpx.Response, offset: int) -> bool:
    return str(response.headers.get("content-range", "")).startswith(f"bytes {offset}-")


def _total(response: httpx.Response, offset: int) -> int | None:
    length = response.headers.get("content-length", "")
    return offset + int(length) if length.isdecimal() else None


def _ending(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return _EXTENSIONS.get(kind, ".bin")
