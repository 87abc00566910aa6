"""The API over HTTP: one method per call of the contract.

Each call gives the model's values or raises one of :mod:`reconciler.model.errors`'s ``ApiError`` kinds, whose ``fate``
says what it may have done. Reads are tried again after any passing fault; a call that changes something only after one
that is known to have changed nothing (no connection, rate limit): what to do about an unknown fate is for the engine
to decide, and only there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
from msgspec import Struct
from msgspec.structs import replace

from reconciler import proxies
from reconciler.adapters.api import answers, destination, failures
from reconciler.adapters.api.answers import Bytes
from reconciler.adapters.api.body import ERROR_MAX, LIST_MAX, MESSAGES_MAX, Answer, BodyRefusedError, read_body
from reconciler.adapters.api.failures import Call
from reconciler.adapters.api.halt import Departure, Halt
from reconciler.adapters.api.limiter import LONGEST_WAIT, RateLimiter
from reconciler.model import contract
from reconciler.model.errors import (
    AnswerError,
    ApiError,
    ConfigError,
    HaltedError,
    RateLimitedError,
    RefusedError,
    UnknownFateError,
    UnreachableError,
)
from reconciler.model.live import Created, LiveProject, MessagePage, ProjectPage
from reconciler.model.loopback import is_loopback
from reconciler.model.redact import Redactor
from reconciler.model.values import Json, WireBody
from reconciler.model.version import VERSION

T = TypeVar("T")

BACKOFF_FIRST = 0.5
BACKOFF_MAX = 30.0
"""Seconds: the ceiling of the first wait before trying again, doubled each time up to the last."""

LIMITED_WAIT = 1.0
"""Seconds: the least wait after a refusal for the rate limit that names no time."""

TELL_FROM = 1.0
"""Seconds: a longer wait is told."""

KEEP_ALIVE = 4.0
"""Seconds that an unused connection is kept: less than the 5 that common servers keep one, so that a call does not
leave on a connection which the server is about to close, to an unknown fate."""

_KEPT = httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=KEEP_ALIVE)
_NEW = httpx.Limits(max_connections=64, max_keepalive_connections=0)
"""A kept connection may be one that the server closes without reading what comes on it. A read is repeated then, on a
connection of its own; what acts would be lost to an unknown fate, so it leaves on a new one from the start."""
READS_AT_ONCE = 8
"""Reads under way at once; the connection pool's own work grows with the square of what it has in hand."""
_PHASES = 4
"""Time-outs count by phase (free connection, connect, write, answer); a call as a whole gets this many of them."""
_READ_PHASES = 3
"""A read is given up after this many time-outs, all its repeats together, and the waits that a failing server names. What
the rate limit makes it wait is not counted."""
_LEAST = 0.05
"""Of a time-out that must be left to try once more."""


class _Patience(Struct):
    """Seconds that a call may still take."""

    left: float


def _same(text: str) -> str:
    return text


def _silent(_: str) -> None:
    pass


def _open() -> None:
    pass


class ApiClient:
    """A connection to one account, to be used with ``async with``.

    ``url``: the API's address. ``key``: the account's key (may be empty towards loopback). ``limiter``: the pace,
    shared with other clients of the account. ``transport``: requests stay in this process. ``timeout``: seconds for
    each phase of a call; the answer, from its first byte to its last, is one of them. ``retries``: how often a call is tried again at most. ``redact`` takes secrets out of what
    the server says (the key always goes). ``on_retry`` gets a line for people whenever a wait is longer than a second.
    ``guard`` is asked right before a request that changes something leaves; what it raises stops that.

    Raises:
        ConfigError: the address or the key can't be used.

    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        limiter: RateLimiter,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        redact: Callable[[str], str] = _same,
        on_retry: Callable[[str], None] = _silent,
        guard: Callable[[], None] = _open,
    ) -> None:
        base = destination.checked(url, embedded=transport is not None)
        self._outside = transport is None and not is_loopback(base.host)
        key = destination.checked_key(key, needed=self._outside)
        self._url = str(base).rstrip("/")
        self._encrypted = base.scheme == "https"
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"eversince-reconciler/{VERSION}",
        }
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._headers_with_body = {**self._headers, "Content-Type": "application/json"}
        self._limiter = limiter
        self._transport = transport
        self._timeout = timeout
        self._extensions = {"timeout": httpx.Timeout(timeout).as_dict()}
        self._retries = retries
        own = Redactor((key,))
        self._redact: Callable[[str], str] = lambda text: redact(own(text))
        self._on_retry = on_retry
        self._guard = guard
        self._told_until = 0.0
        self.halt = Halt()
        """From when on nothing is sent, nor waited for."""
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._http: httpx.AsyncClient | None = None
        self._new: httpx.AsyncClient | None = None
        """Opens a connection for each request."""
        self.requests = 0
        """Calls sent so far, repeated ones included."""

    async def __aenter__(self) -> Self:
        try:
            # Without https nothing to verify, and an empty context trusts nobody; reading the certificates is slow.
            trust = httpx.create_ssl_context() if self._encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        except OSError as error:
            raise ConfigError("the certificates that SSL_CERT_FILE or SSL_CERT_DIR name can't be read") from error
        self._http = self._client(trust, _KEPT)
        self._new = self._http if self._transport else self._client(trust, _NEW)
        return self

    def _client(self, trust: ssl.SSLContext, limits: httpx.Limits) -> httpx.AsyncClient:
        proxy = proxies.proxy_for(httpx.URL(self._url)) if self._outside else None
        return httpx.AsyncClient(
            verify=trust,
            limits=limits,
            proxy=proxy,
            trust_env=False,  # the proxy is chosen above
            follow_redirects=False,
            transport=self._transport,
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        clients = {self._http, self._new}
        self._http = self._new = None
        for client in clients:
            if client is not None:
                await client.aclose()

    async def create(self, body: WireBody) -> Created:
        """``POST /projects``: 202 for a new project, 200 for the one that holds the idempotency key (not failed)."""
        call = Call("POST", "/projects")
        return await self._call(call, {202: partial(answers.made, existing=False), 200: _EXISTING}, body=body)

    async def adopt(self, body: WireBody) -> Created:
        """``POST /projects/adopt``: 201 newly adopted, 200 adopted before; ``NotFoundError``: no such studio project."""
        call = Call("POST", "/projects/adopt", on_project=True)
        return await self._call(call, {201: partial(answers.made, existing=False), 200: _EXISTING}, body=body)

    async def list_projects(
        self,
        *,
        offset: int = 0,
        limit: int = contract.LIST_LIMIT_MAX,
        status: str | None = None,
        title: str | None = None,
    ) -> ProjectPage:
        """``GET /projects``: one page, in the server's order, which the contract does not fix."""
        query = {"limit": limit, "offset": offset, "status": status, "title": title}
        read = partial(answers.listed, limit=limit, offset=offset)
        return await self._call(Call("GET", "/projects", most=LIST_MAX), {200: read}, query=query)

    async def project(self, project_id: str) -> LiveProject:
        """``GET /projects/:id``; ``NotFoundError`` is the only way in which a project is known to be absent."""
        call = self._on(project_id, "GET")
        return await self._call(call, {200: answers.project})

    async def patch_settings(self, project_id: str, body: WireBody) -> dict[str, Json]:
        """``PATCH /projects/:id/settings``: the settings as they are now, ``aspect_ratio`` too, those answered."""
        call = self._on(project_id, "PATCH", "/settings")
        return await self._call(call, {200: answers.settings}, body=body)

    async def cancel(self, project_id: str) -> str:
        """``POST /projects/:id/cancel``: the status afterwards. A second one is a ``WrongStatusError``."""
        call = self._on(project_id, "POST", "/cancel")
        return await self._call(call, {200: answers.status})

    async def send_message(self, project_id: str, body: WireBody) -> str:
        """``POST /projects/:id/messages``: the status afterwards. Not idempotent, and there is no key."""
        call = self._on(project_id, "POST", "/messages")
        return await self._call(call, {202: answers.status}, body=body)

    async def messages(
        self,
        project_id: str,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = contract.MESSAGES_LIMIT_MAX,
    ) -> MessagePage:
        """``GET /projects/:id/messages``: one page; ids of messages as cursors."""
        call = replace(self._on(project_id, "GET", "/messages"), most=MESSAGES_MAX)
        query = {"limit": limit, "after": after, "before": before}
        return await self._call(call, {200: answers.messages}, query=query)

    async def credits(self) -> int | None:
        """``GET /account/credits``: credits left. Beyond the contract: ``None`` where the API has no such call."""
        try:
            return await self._call(Call("GET", "/account/credits"), {200: answers.balance})
        except (AnswerError, RefusedError) as error:
            if isinstance(error, AnswerError) or error.status in (404, 405):
                return None
            raise

    async def begin_upload(self, body: Mapping[str, Json]) -> tuple[str, str]:
        """``POST /uploads``: an address to PUT a file to, good for an hour, and the key that confirms it.

        ``body``: ``file_name``, ``content_type`` and ``file_size`` in bytes. Beyond the contract; ``RefusedError`` with status 404 or 405 where the API has no such call.
        """
        return await self._call(
            Call("POST", "/uploads"), {200: answers.ticket, 201: answers.ticket}, body=WireBody(body)
        )

    async def confirm_upload(self, key: str, body: Mapping[str, Json]) -> str:
        """``POST /uploads/confirm``: the file's id for references; ``body`` as it was begun with.

        Harmless to repeat: 200 where it was confirmed before.
        """
        return await self._call(
            Call("POST", "/uploads/confirm"),
            {201: answers.uploaded, 200: answers.uploaded},
            body=WireBody({"r2_key": key, **body}),
        )

    def _on(self, project_id: str, method: str, rest: str = "") -> Call:
        """A call on one project, whose id can't leave its place in the path."""
        path = f"/projects/{quote(project_id, safe='', errors='replace')}{rest}"
        if project_id in ("", ".", ".."):
            raise RefusedError(f"“{project_id}” is no project id; nothing was sent", method=method, path=path)
        return Call(method, path, by_status=method != "GET", on_project=True)

    async def _call(
        self,
        call: Call,
        good: Mapping[int, Callable[[Bytes], T]],
        *,
        body: WireBody | None = None,
        query: Mapping[str, str | int | None] | None = None,
    ) -> T:
        """Send, and send again while that can help and can do no harm."""
        url = self._url + call.path
        if query is not None:
            url += "?" + urlencode({name: value for name, value in query.items() if value is not None}, quote_via=quote)
        content = None if body is None else json.dumps(body.expose(), separators=(",", ":")).encode()
        patience = _Patience(self._timeout * (_READ_PHASES if call.reads else _PHASES))
        for attempt in range(self._retries + 1):
            try:
                async with self._turn(call):
                    client = self._http if call.reads and not attempt else self._new
                    return await self._once(client, call, url, content, good, patience)
            except HaltedError:
                raise
            except ApiError as error:
                wait = min(BACKOFF_MAX, BACKOFF_FIRST * 2**attempt) * random.random()  # noqa: S311
                limited = isinstance(error, RateLimitedError)
                wait = error.retry_after or (max(LIMITED_WAIT, wait) if limited else wait)
                if limited and wait <= LONGEST_WAIT:
                    self._limiter.pause(wait)  # everybody, whether this call is repeated or not
                patience.left -= 0 if limited else error.retry_after or 0
                late = wait > LONGEST_WAIT or patience.left < self._timeout * _LEAST
                if attempt == self._retries or late or not _may_repeat(call, error):
                    raise
                if wait > TELL_FROM:
                    why = error.diagnostics[0].summary
                    self._on_retry(f"{call.method} {call.path}: {why}; trying again in {wait:.0f} s")
                async with self.halt.waiting():
                    await asyncio.sleep(wait)
        raise AssertionError

    @contextlib.asynccontextmanager
    async def _turn(self, call: Call) -> AsyncIterator[None]:
        """One of the reads that may be under way at once, for a read. Raises HaltedError."""
        if not call.reads:
            yield
            return
        async with self.halt.waiting():
            await self._reads.acquire()
        try:
            yield
        finally:
            self._reads.release()

    async def _once(
        self,
        client: httpx.AsyncClient | None,
        call: Call,
        url: str,
        content: bytes | None,
        good: Mapping[int, Callable[[Bytes], T]],
        patience: _Patience,
    ) -> T:
        if client is None:
            raise RuntimeError("use ApiClient with «async with»")
        self._tell_pace()
        async with self.halt.waiting():
            await self._limiter.acquire()
        if not call.reads:
            self._guard()
        self.requests += 1
        answer: Answer | None = None
        loop = asyncio.get_running_loop()
        begun = loop.time()
        departure = Departure(self.halt, acts=not call.reads, left=self._transport is not None)
        try:
            async with asyncio.timeout_at(min(begun + patience.left, departure.latest)) as whole:
                departure.whole = whole
                request = httpx.Request(
                    call.method,
                    url,
                    headers=self._headers if content is None else self._headers_with_body,
                    content=content,
                    extensions={**self._extensions, "trace": self._trace(call, departure, patience)},
                )
                with self.halt.told(departure.hurry):
                    response = await client.send(request, stream=True)
                    try:
                        answer = Answer(response.status_code, response.headers)
                        if not 300 <= answer.status < 400:
                            most = call.most if answer.status in good else ERROR_MAX
                            answer = replace(answer, body=await read_body(response, most))
                    finally:
                        await response.aclose()
        except HaltedError:
            self.requests -= 1
            raise
        except (
            httpx.HTTPError,
            OSError,
            BodyRefusedError,
        ) as error:  # OSError: time is up, or TLS breaks while reading
            if isinstance(error, TimeoutError) and self.halt.over and not departure.matters:
                self.requests -= not departure.left
                raise self.halt.error() from error
            failure = failures.of_exception(call, error, self._redact, answer)
            if isinstance(failure, UnreachableError):
                self.requests -= 1
            raise failure from error
        finally:
            patience.left -= loop.time() - begun
            self._limiter.observe({} if answer is None else answer.headers)
        read = good.get(answer.status)
        if read is None:
            raise failures.of_status(call, answer, self._redact)
        try:
            return read(answer.body)
        except ValueError as error:
            raise failures.of_body(call, answer, error, self._redact) from error

    def _trace(
        self, call: Call, departure: Departure, patience: _Patience
    ) -> Callable[[str, Mapping[str, object]], Awaitable[None]]:
        """Told by httpcore how a call comes along.

        Connecting may have taken long, so the guard is asked once more when the first byte is about to leave. And
        before the body: until that has left, the server can't act. Once all has left, the whole answer has the time of
        one phase, however it drips.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + patience.left

        async def trace(event: str, _: Mapping[str, object]) -> None:
            if event.endswith("receive_response_headers.started"):
                departure.until(min(end, loop.time() + self._timeout))
            elif event.endswith(("send_request_headers.started", "send_request_body.started")):
                if not call.reads:
                    self._guard()
                departure.leave()
                departure.until(end)  # the answer before may have been a proxy's

        return trace

    def _tell_pace(self) -> None:
        """Say once, not per task, that the rate limit makes everybody wait."""
        now = asyncio.get_running_loop().time()
        wait = self._limiter.wait()
        if wait > TELL_FROM and now >= self._told_until:
            self._told_until = now + wait
            self._on_retry(f"rate limit of {self._limiter.limit} requests a minute: waiting {wait:.0f} s")


_EXISTING = partial(answers.made, existing=True)


def _may_repeat(call: Call, error: ApiError) -> bool:
    """Whether the fault may pass and repeating the call can't act twice."""
    if isinstance(error, UnreachableError):
        refused_by_proxy = error.status is not None and error.status < 500
        return not refused_by_proxy and "CERTIFICATE_VERIFY_FAILED" not in str(error)
    if isinstance(error, RateLimitedError):
        return True
    if isinstance(error, AnswerError):
        return call.reads and isinstance(error.__cause__, answers.UndecodableError | httpx.DecodingError)
    return call.reads and isinstance(error, UnknownFateError)
