"""Files over HTTP, from and to the hosts that the API names: never with the API's key, and only over https.

No file is fetched from the user's own network (see :class:`~reconciler.adapters.media.network.Border`), and each has a
largest size and a lowest speed. A download that breaks off continues where it stopped (``Range`` with ``If-Range``) if
the server gives a validator that tells that the rest belongs to the beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from reconciler import files
from reconciler.adapters.media.files import Fetched, FileInTheWayError, Part, file_digest
from reconciler.adapters.media.network import Border, NotPublicError, RoutedTransport
from reconciler.model import contract
from reconciler.model.errors import DownloadError, UploadError
from reconciler.model.hosts import is_loopback
from reconciler.model.version import USER_AGENT

MAX_BYTES: Final = 4 * 1024**3
_ANSWER: Final = 60.0
"""Seconds until the head of an answer must be complete."""
_SLOWEST: Final = 8 * 1024
"""Bytes a second: a slower transfer is given up."""
_SLOW_FOR: Final = 30.0
"""Seconds over which the speed is measured."""
_ATTEMPTS: Final = 3
_REDIRECTS: Final = 5
_CHUNK: Final = 256 * 1024
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


Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and how many there will be, if that is known."""


class MediaClient:
    """Fetches and sends files, to be used with ``async with``.

    ``local``: the API is on this machine, so files may be, too, over plain http. ``api_host``: the API's host; files may be
    in its private network. ``limit``: bytes of a file. ``transport``: requests stay in this process.
    """

    def __init__(
        self,
        *,
        local: bool,
        limit: int = MAX_BYTES,
        api_host: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        border = Border(local=local, api_host=api_host)
        check = partial(border.check, written=True)
        self._local = local
        self._embedded = transport is not None
        self._limit = limit
        self._http = httpx.AsyncClient(
            transport=transport or RoutedTransport(border),
            trust_env=False,  # the proxies are chosen for each request
            event_hooks={"request": [check]} if transport else {},
            timeout=30.0,
            headers={"Accept-Encoding": "identity", "User-Agent": USER_AGENT},
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def fetch(
        self, url: str, folder: Path, stem: str, *, known: Fetched | None, tell: Progress
    ) -> Fetched | None:
        """Fetch ``url`` to ``folder/stem.<ending>``; ``None`` if the known file is the same. ``known`` is what an earlier
        download wrote there. Another file is never replaced; one with the same content counts as fetched.

        Raises:
            DownloadError: it can't be fetched, or a file is in the way. The part that came is kept if it can be continued.

        """
        part = Part(folder, stem)
        try:
            fetched = await self._attempted(url, part, known, tell)
        except DownloadError as error:
            part.drop(resumable=not isinstance(error, (FileInTheWayError, _TooLargeError)))
            raise
        if fetched is None:
            part.drop()
        return fetched

    async def _attempted(self, url: str, part: Part, known: Fetched | None, tell: Progress) -> Fetched | None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._fetch(httpx.URL(url), part, known, tell)
            except httpx.InvalidURL as error:
                raise DownloadError("the address of the rendered file is not a URL") from error
            except _AGAIN as error:
                if attempt == _ATTEMPTS:
                    what = f"{type(error).__name__}: the connection broke off"
                    raise DownloadError(what, "Run the command again: it continues from there.") from error
            except NotPublicError as error:
                detail = "Only public addresses and those of the API's own network are allowed."
                raise DownloadError(f"the rendered file is not fetched: {error}", detail) from error
            except OSError as error:
                raise DownloadError(f"can't write `{error.filename or part.path}`: {error.strerror}") from error
        raise AssertionError

    async def _fetch(self, url: httpx.URL, part: Part, known: Fetched | None, tell: Progress) -> Fetched | None:
        offset, validator = part.begun()
        headers = {"Range": f"bytes={offset}-", "If-Range": validator} if validator else {}
        if known is not None and known.validator and not validator:
            headers[_condition(known.validator)] = known.validator
        async with self._opened(url, headers) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED:
                return None
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.path.unlink(missing_ok=True)
                raise httpx.StreamError("the part that was fetched does not fit any more")
            if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
                host, code = url.host, response.status_code
                raise DownloadError(f"{host} answered {code}", "The address may have expired; run the command again.")
            if _kind(response).startswith("text/"):
                raise DownloadError(f"{url.host} answered with a page, not with a file", "Run the command again later.")
            continues = response.status_code == httpx.codes.PARTIAL_CONTENT
            if continues and not (validator and _continues(response, offset, validator)):
                part.path.unlink(missing_ok=True)
                raise httpx.StreamError("a part that does not fit")
            offset = offset if continues else 0
            total = _total(response, offset)
            validator = _validator(response)
            if known is not None and validator and validator == known.validator and not continues:
                return None
            target = part.target(_ending(response))
            part.check(target, known, total)
            part.begin(validator, offset)
            await self._write(response, part.path, offset, total, tell)
        fetched = Fetched(target.name, part.path.stat().st_size, file_digest(part.path), validator)
        if fetched == known:  # a server without validators: only the bytes can tell
            return None
        part.finish(target, fetched, known)
        return fetched

    async def _write(
        self, response: httpx.Response, part: Path, offset: int, total: int | None, tell: Progress
    ) -> None:
        self._bounded(total or 0)
        pace = _Pace(offset)
        with os.fdopen(files.open_to_append(part, mode=0o666), "ab") as file:
            async for chunk in response.aiter_raw():
                offset += len(chunk)
                self._bounded(offset)
                file.write(chunk)
                tell(offset, total)
                pace.check(offset)
            file.flush()
            os.fsync(file.fileno())  # else its name may outlast its content

    async def put(
        self, url: str, file: BufferedReader, *, size: int, content_type: str, digest: str, tell: Progress
    ) -> None:
        """Send a file with this ``digest`` (SHA-256) to an address that the API gave for it. Redirects are refused.

        Raises:
            UploadError: it did not arrive, or its content has changed; ``again`` says whether another attempt may help.

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
        seconds = min(_ANSWER + size / _SLOWEST, contract.current().limits.upload_seconds)
        try:
            async with asyncio.timeout(seconds):
                response = await self._http.send(request, stream=True, follow_redirects=False, auth=None)
            await response.aclose()  # only its status matters
        except NotPublicError as error:
            raise UploadError(f"the file is not sent: {error}") from error
        except (httpx.HTTPError, OSError) as error:
            raise UploadError(
                f"{type(error).__name__}: the connection to {target.host} broke off", again=True
            ) from error
        if not response.is_success:
            code = response.status_code
            raise UploadError(f"{target.host} answered {code} to the upload", again=code >= 500 or code == 408)

    def _bounded(self, size: int) -> None:
        if size > self._limit:
            raise _TooLargeError(f"the file is larger than {self._limit} bytes", "Raise `--max-bytes` to fetch it.")

    @contextlib.asynccontextmanager
    async def _opened(self, url: httpx.URL, headers: dict[str, str]) -> AsyncIterator[httpx.Response]:
        """The answer after all redirects, each of which is checked like the address itself."""
        for _ in range(_REDIRECTS):
            self._checked(url)
            request = self._http.build_request("GET", url, headers=headers)
            try:
                async with asyncio.timeout(_ANSWER):
                    response = await self._http.send(request, stream=True, follow_redirects=False, auth=None)
            except TimeoutError as error:
                raise httpx.ReadTimeout("no answer in time") from error
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
            raise DownloadError(f"the rendered file is at a {url.scheme or 'relative'} address, not at an https one")


class _TooLargeError(DownloadError):
    """The file is larger than allowed."""


class _Pace:
    """Stops a download that is too slow: a byte now and then could hold up a run forever."""

    def __init__(self, offset: int) -> None:
        self._now = asyncio.get_running_loop().time
        self._offset, self._since = offset, self._now()

    def check(self, offset: int) -> None:
        """Check the speed, given the bytes that are there now. Raises DownloadError."""
        seconds = self._now() - self._since
        if seconds < _SLOW_FOR:
            return
        if offset - self._offset < _SLOWEST * seconds:
            raise DownloadError(
                f"the file comes too slowly: less than {_SLOWEST} bytes a second",
                "Run the command again: it continues from there.",
            )
        self._offset, self._since = offset, self._now()


def _validator(response: httpx.Response) -> str | None:
    etag = response.headers.get("etag", "")
    modified: str | None = response.headers.get("last-modified")
    return etag if etag and not etag.startswith("W/") else modified


def _condition(validator: str) -> str:
    return "If-None-Match" if validator.startswith('"') else "If-Modified-Since"


def _continues(response: httpx.Response, offset: int, validator: str) -> bool:
    """Whether a partial answer begins where the part that is there ends, and is of the same file."""
    begins = str(response.headers.get("content-range", "")).startswith(f"bytes {offset}-")
    return begins and _validator(response) in (None, validator)


def _total(response: httpx.Response, offset: int) -> int | None:
    length = response.headers.get("content-length", "")
    return offset + int(length) if length.isdecimal() and len(length) < 20 else None


def _kind(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _ending(response: httpx.Response) -> str:
    return _EXTENSIONS.get(_kind(response), ".bin")
