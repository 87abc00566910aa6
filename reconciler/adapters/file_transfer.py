"""Files over HTTP, from and to whatever host the API names: never with the API's key, never beyond https.

Nor into the user's own network (see :class:`_Border`), nor without end: a file has a greatest size and a least speed. A
download that breaks off goes on where it stopped (``Range`` with ``If-Range``), where the server gives a validator by
which the rest is known to belong to the beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from io import BufferedReader
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from msgspec import Struct

from reconciler import files, proxies
from reconciler.model import contract
from reconciler.model.errors import DownloadError, UploadError
from reconciler.model.loopback import is_loopback
from reconciler.model.public_address import LOOPBACK, Network, inside_network, is_reachable

MAX_BYTES: Final = 4 * 1024**3
_ANSWER: Final = 60.0
"""Seconds until an answer's head must be there whole."""
_SLOWEST: Final = 8 * 1024
"""Bytes a second: what comes or goes more slowly is given up."""
_SLOW_FOR: Final = 30.0
"""Seconds over which that is measured."""
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
    """Fetches and sends files, to be used with ``async with``. ``local``: the API is on this machine, so files may be, too,
    over plain http. ``api_host``: the API's host; files may lie in its private network. ``limit``: bytes of a file.

    ``transport``: requests stay in this process.
    """

    def __init__(
        self,
        *,
        local: bool,
        limit: int = MAX_BYTES,
        api_host: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        border = _Border(local=local, api_host=api_host)
        check = partial(border.check, written=True)
        self._local = local
        self._embedded = transport is not None
        self._limit = limit
        self._http = httpx.AsyncClient(
            transport=transport or _Routed(border),
            trust_env=False,  # the proxies are chosen for each request
            event_hooks={"request": [check]} if transport else {},
            timeout=30.0,
            headers={"Accept-Encoding": "identity"},
        )

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
            except _NotPublicError as error:
                detail = "Only public addresses are followed, and those of the API's own network."
                raise DownloadError(f"the rendered file is not fetched: {error}", detail) from error
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
            going_on = response.status_code == httpx.codes.PARTIAL_CONTENT
            if going_on and not (validator and _goes_on(response, offset, validator)):
                part.unlink(missing_ok=True)
                raise httpx.StreamError("a part that does not fit")
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
        pace = _Pace(offset)
        with os.fdopen(files.open_to_append(part, mode=0o666), "ab") as file:
            if not offset:
                file.truncate(0)
            async for chunk in response.aiter_raw():
                offset += len(chunk)
                self._bounded(offset)
                file.write(chunk)
                tell(offset, total)
                pace.check(offset)

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
        seconds = min(_ANSWER + size / _SLOWEST, contract.UPLOAD_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                response = await self._http.send(request, stream=True, follow_redirects=False, auth=None)
            await response.aclose()  # what it says beside its status is of no use
        except _NotPublicError as error:
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
            raise DownloadError(f"the file is larger than {self._limit} bytes", "Raise `--max-bytes` to fetch it.")

    @contextlib.asynccontextmanager
    async def _opened(self, url: httpx.URL, headers: dict[str, str]) -> AsyncIterator[httpx.Response]:
        """The answer at the end of the redirects, each of which is checked like the address itself."""
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
            raise DownloadError(f"the rendered file lies at a {url.scheme or 'relative'} address, not at an https one")


class _NotPublicError(ValueError):
    """A host that leads into the user's own network. The text says which."""


class _Border:
    """Where a server may send a run for a file: to public addresses, and into the network that the API itself is in.

    A name is resolved here, all that it leads to is checked, and the connection is made to that and not to what the name
    says a moment later. Behind an HTTP proxy it is the proxy that resolves and connects: there a name is checked as this
    machine resolves it, if it can, and the rest is for the proxy to forbid.
    """

    def __init__(self, *, local: bool, api_host: str | None) -> None:
        self._near: frozenset[Network] = LOOPBACK if local else frozenset()
        self._api_host = api_host

    async def addresses(self, host: str, port: int, *, written: bool = False) -> list[str]:
        """What a host leads to; ``written``: only where it is written as an address, nobody is asked.

        Raises:
            _NotPublicError: some of it is not public, nor where the API is.
            OSError: this machine knows of nothing that it leads to.

        """
        found = await _resolved(host, port, written=written)
        inside = [network for address in found if (network := inside_network(ip_address(address)))]
        if self._api_host and not written and not self._near.issuperset(inside):
            await self._look_around(self._api_host)
        if not all(is_reachable(ip_address(address), self._near) for address in found):
            raise _NotPublicError(f"{host} is an address of this machine or of a private network")
        return found

    async def _look_around(self, api_host: str) -> None:
        """Learn which network the API is in."""
        self._api_host = None
        with contextlib.suppress(OSError):
            networks = {inside_network(ip_address(address)) for address in await _resolved(api_host, 0)}
            found = frozenset(network for network in networks if network is not None)
            self._near |= found if found.isdisjoint(LOOPBACK) else found | LOOPBACK

    async def check(self, request: httpx.Request, *, written: bool) -> None:
        """Check where a request goes, as far as that is known here."""
        with contextlib.suppress(OSError):
            await self.addresses(*_where(request.url), written=written)


class _PinnedTransport(httpx.AsyncBaseTransport):
    """httpx's own, which connects to addresses that were checked. A connection is used once: kept by its address, it
    could serve another host than the one whose certificate it showed.
    """

    def __init__(self, border: _Border) -> None:
        self._border = border
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, port = _where(request.url)
        try:
            found = await self._border.addresses(host, port)
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        for number, address in enumerate(found, 1):
            extensions = request.extensions if address == host else {**request.extensions, "sni_hostname": host}
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(found):
                    raise
        raise AssertionError

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Routed(httpx.AsyncBaseTransport):
    """To the proxy that the environment names for a request, else to addresses that were checked."""

    def __init__(self, border: _Border) -> None:
        self._border = border
        self._direct = _PinnedTransport(border)
        self._proxied: dict[httpx.URL, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = proxies.proxy_for(request.url)
        if proxy is None:
            return await self._direct.handle_async_request(request)
        await self._border.check(request, written=False)
        if proxy.url not in self._proxied:
            self._proxied[proxy.url] = httpx.AsyncHTTPTransport(proxy=proxy)
        return await self._proxied[proxy.url].handle_async_request(request)

    async def aclose(self) -> None:
        for transport in (self._direct, *self._proxied.values()):
            await transport.aclose()


def _where(url: httpx.URL) -> tuple[str, int]:
    return url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


async def _resolved(host: str, port: int, *, written: bool = False) -> list[str]:
    flags = socket.AI_NUMERICHOST if written else 0
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:  # of a name that can't be a host's
        raise OSError(str(error)) from error
    return list(dict.fromkeys(str(where[0]) for _, _, _, _, where in found))


class _Pace:
    """Gives up what comes too slowly: a byte now and then holds a run up for as long as it likes."""

    def __init__(self, offset: int) -> None:
        self._now = asyncio.get_running_loop().time
        self._offset, self._since = offset, self._now()

    def check(self, offset: int) -> None:
        """Told how many bytes are there. Raises DownloadError."""
        seconds = self._now() - self._since
        if seconds < _SLOW_FOR:
            return
        if offset - self._offset < _SLOWEST * seconds:
            raise DownloadError(
                f"the file comes too slowly: less than {_SLOWEST} bytes a second",
                "Run the command again: it goes on from there.",
            )
        self._offset, self._since = offset, self._now()


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


def _goes_on(response: httpx.Response, offset: int, validator: str) -> bool:
    """Whether a part begins where ours ends, and is of the same file."""
    begins = str(response.headers.get("content-range", "")).startswith(f"bytes {offset}-")
    return begins and _validator(response) in (None, validator)


def _total(response: httpx.Response, offset: int) -> int | None:
    length = response.headers.get("content-length", "")
    return offset + int(length) if length.isdecimal() and len(length) < 20 else None


def _ending(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return _EXTENSIONS.get(kind, ".bin")
