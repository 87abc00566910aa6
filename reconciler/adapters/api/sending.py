"""Sending calls: the pace, the time that a call may take, and when it is sent again.

Reads are sent again after any passing fault; a call that changes something only after a fault that is known to have
changed nothing (no connection, rate limit). What to do about an unknown fate is decided by the caller, and only there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import random
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
from msgspec import Struct
from msgspec.structs import replace

from reconciler import proxies
from reconciler.adapters.api import answers, destination, failures
from reconciler.adapters.api.answers import Bytes
from reconciler.adapters.api.body import ERROR_MAX, Answer, BodyRefusedError, read_body
from reconciler.adapters.api.failures import Call
from reconciler.adapters.api.halt import Departure, Halt
from reconciler.adapters.api.ledger import LONGEST_WAIT
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.model import contract
from reconciler.model.errors import (
    AnswerError,
    ApiError,
    ConfigError,
    HaltedError,
    RateLimitedError,
    UnknownFateError,
    UnreachableError,
)
from reconciler.model.hosts import is_loopback
from reconciler.model.redact import Redactor
from reconciler.model.traces import Reason, RequestMade, RequestNews, Waited
from reconciler.model.values import WireBody
from reconciler.model.version import USER_AGENT

T = TypeVar("T")

BACKOFF_FIRST: Final = 0.5
BACKOFF_MAX: Final = 30.0
"""Seconds: the most that the first wait before another attempt takes, doubled each time up to the last."""
LIMITED_WAIT: Final = 1.0
"""Seconds: the shortest wait after a refusal for the rate limit that names no time."""
WAIT_FROM: Final = 0.005
"""Seconds: a longer wait is told."""
REPORT_FROM: Final = 1.0
"""Seconds: a longer wait is reported."""
KEEP_ALIVE: Final = 4.0
"""Seconds that an unused connection is kept: less than the 5 of common servers, so that no call is sent on a connection
that the server is about to close, with an unknown fate."""
READS_AT_ONCE: Final = 8
"""Reads under way at once; the connection pool's own work grows with the square of its connections."""

OPTIONAL_SECONDS: Final = 10.0
"""The most that an answer is waited for that the program can do without."""

_KEPT: Final = httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=KEEP_ALIVE)
_NEW: Final = httpx.Limits(max_connections=64, max_keepalive_connections=0)
"""The server may close a kept connection without reading what comes on it. A read is then sent again, on a new
connection; a call that acts would have an unknown fate, so it is sent on a new connection from the start."""
_PHASES: Final = 4
"""Time-outs count by phase (free connection, connect, write, answer); a call as a whole gets this many of them."""
_READ_PHASES: Final = 3
"""A read is given up after this many time-outs for all its attempts together, with the waits that a failing server asks
for. What it waits for the rate limit does not count."""
_LEAST: Final = 0.05
"""The share of a time-out that must be left for another attempt."""


class _Patience(Struct):
    """Seconds that a call may still take, and how many times it was sent before."""

    left: float
    attempt: int = 0


def _unchanged(text: str) -> str:
    return text


def _ignore(_: str) -> None:
    pass


def _allow() -> None:
    pass


class Sender:
    """A connection to one account, to be used with ``async with``.

    ``url``: the API's address. ``key``: the account's key (may be empty for a loopback address). ``limiter``: the pace,
    shared with other clients of the account. ``transport``: requests stay in this process. ``timeout``: seconds for each
    phase of a call; the answer, from its first byte to its last, is one of them. ``retries``: how many times a call is
    sent again at most. ``redact`` takes secrets out of what the server says; the key is always taken out. ``on_retry``
    gets a line for people for each wait longer than a second. ``guard`` is called right before a request that changes
    something is sent; what it raises stops it. ``tell`` hears of every request and every wait, for traces.

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
        redact: Callable[[str], str] = _unchanged,
        on_retry: Callable[[str], None] = _ignore,
        guard: Callable[[], None] = _allow,
        tell: Callable[[RequestNews], None] | None = None,
    ) -> None:
        base = destination.checked(url, embedded=transport is not None)
        self._outside = transport is None and not is_loopback(base.host)
        key = destination.checked_key(key, needed=self._outside)
        self._url = str(base).rstrip("/")
        self._encrypted = base.scheme == "https"
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": USER_AGENT,
        }
        header = contract.current().source_header
        if header is not None:
            self._headers[header] = "reconciler"
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
        self._tell = tell
        self._reported_until = 0.0
        self.halt = Halt()
        """When to stop sending and waiting."""
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._http: httpx.AsyncClient | None = None
        self._new: httpx.AsyncClient | None = None
        """Opens a connection for each request."""
        self.requests = 0
        """Calls sent so far, each attempt counted."""

    async def __aenter__(self) -> Self:
        try:
            # Plain http has nothing to verify, and an empty context trusts nobody; reading the certificates is slow.
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

    def spare(self) -> float:
        """Requests a second that the account has left; see :meth:`RateLimiter.spare`."""
        return self._limiter.spare()

    async def send(
        self,
        call: Call,
        good: Mapping[int, Callable[[Bytes], T]],
        *,
        body: WireBody | None = None,
        query: Mapping[str, str | int | None] | None = None,
    ) -> T:
        """Send a call, again while that may help and can do no harm.

        ``good`` reads the answers of the contract, by status.

        Raises:
            ApiError: the call failed; ``fate`` says what it may have done.

        """
        url = self._url + call.path
        if query is not None:
            url += "?" + _written(tuple(query.items()))
        content = None if body is None else json.dumps(body.expose(), separators=(",", ":")).encode()
        patience = _Patience(self._timeout * (_READ_PHASES if call.reads else _PHASES))
        if call.optional:
            patience.left = min(self._timeout, OPTIONAL_SECONDS)
        for attempt in range(self._retries + 1):
            patience.attempt = attempt
            try:
                client = self._http if call.reads and not attempt else self._new
                send = functools.partial(self._send_once, client, call, url, content, good, patience)
                return await (self._in_turn(send) if call.reads else send())
            except HaltedError:
                raise
            except ApiError as error:
                wait = min(BACKOFF_MAX, BACKOFF_FIRST * 2**attempt) * random.random()  # noqa: S311
                limited = isinstance(error, RateLimitedError)
                wait = error.retry_after or (max(LIMITED_WAIT, wait) if limited else wait)
                if limited and wait <= LONGEST_WAIT:
                    self._limiter.pause(wait)  # for every call, whether this one is sent again or not
                patience.left -= 0 if limited else error.retry_after or 0
                late = wait > LONGEST_WAIT or patience.left < self._timeout * _LEAST
                if attempt == self._retries or call.optional or late or not _may_repeat(call, error):
                    raise
                if wait > REPORT_FROM:
                    why = error.diagnostics[0].summary
                    self._on_retry(f"{call.method} {call.path}: {why}; trying again in {wait:.0f} s")
                if limited and call.doubled:
                    with contextlib.suppress(HaltedError):  # a copy may have acted: the caller says what becomes of it
                        await self.pause(wait, "retry")
                    raise
                await self.pause(wait, "retry")
        raise AssertionError

    async def _in_turn(self, send: Callable[[], Awaitable[T]]) -> T:
        """Send a read once there is a place for it. Raises HaltedError."""
        if self._reads.locked():
            async with self.halt.waiting():
                await self._reads.acquire()
        else:  # at once: a context to wait in would cost more than all else here
            await self._reads.acquire()
        try:
            return await send()
        finally:
            self._reads.release()

    async def _send_once(
        self,
        client: httpx.AsyncClient | None,
        call: Call,
        url: str,
        content: bytes | None,
        good: Mapping[int, Callable[[Bytes], T]],
        patience: _Patience,
    ) -> T:
        if client is None:
            raise RuntimeError("use the client with `async with`")
        async with self.halt.waiting():
            await self._limiter.acquire(self._report_pace)
        if not call.reads:
            self._guard()
        self.requests += 1
        answer: Answer | None = None
        loop = asyncio.get_running_loop()
        begun, at = loop.time(), time.time()
        departure = Departure(self.halt, acts=not call.reads, sent=self._transport is not None)
        try:
            async with departure.under_way(begun + patience.left):
                request = httpx.Request(
                    call.method,
                    url,
                    headers=self._headers if content is None else self._headers_with_body,
                    content=content,
                    extensions={**self._extensions, "trace": self._trace(call, departure, patience)},
                )
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
        # OSError: the time is up, or TLS breaks while reading
        except (httpx.HTTPError, OSError, BodyRefusedError) as error:
            if isinstance(error, TimeoutError) and self.halt.over and not departure.matters:
                self.requests -= not departure.sent
                raise self.halt.error() from error
            failure = failures.of_exception(call, error, self._redact, answer)
            if isinstance(failure, UnreachableError):
                self.requests -= 1
            raise failure from error
        finally:
            patience.left -= loop.time() - begun
            self._limiter.observe({} if answer is None else answer.headers)
            self._tell_of(call, patience.attempt, at, answer)
        read = good.get(answer.status)
        if read is None:
            raise failures.of_status(call, answer, self._redact)
        try:
            return read(answer.body)
        except ValueError as error:
            raise failures.of_body(call, answer, error, self._redact) from error

    def _tell_of(self, call: Call, attempt: int, began: float, answer: Answer | None) -> None:
        if self._tell is None:
            return
        failure = sys.exception()
        made = RequestMade(
            method=call.method,
            path=call.path,
            began=began,
            seconds=time.time() - began,
            attempt=attempt,
            status=None if answer is None else answer.status,
            error=None if failure is None else type(failure).__name__,
        )
        self._tell(made)

    async def pause(self, seconds: float, why: Reason) -> None:
        """Wait, and tell why. Raises HaltedError."""
        with self._waits(why):
            async with self.halt.waiting():
                await asyncio.sleep(seconds)

    @contextlib.contextmanager
    def _waits(self, why: Reason) -> Iterator[None]:
        """Tell how long this took, if it took long enough to matter."""
        if self._tell is None:
            yield
            return
        began = time.time()
        try:
            yield
        finally:
            seconds = time.time() - began
            if seconds >= WAIT_FROM:
                self._tell(Waited(why=why, began=began, seconds=seconds))

    def _trace(
        self, call: Call, departure: Departure, patience: _Patience
    ) -> Callable[[str, Mapping[str, object]], Awaitable[None]]:
        """A listener for httpcore's events.

        Connecting may have taken long, so the guard is called again when the first byte is about to be sent, and before
        the body: until that is sent, the server can't act. From then on the whole answer has the time of one phase,
        however slowly it comes.
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

    def _report_pace(self, wait: float) -> None:
        """Report once, not for each task, that all calls wait for the rate limit."""
        now = asyncio.get_running_loop().time()
        if wait > REPORT_FROM and now >= self._reported_until:
            self._reported_until = now + wait
            self._on_retry(f"rate limit of {self._limiter.limit} requests a minute: waiting {wait:.0f} s")


@functools.lru_cache(maxsize=256)
def _written(query: tuple[tuple[str, str | int | None], ...]) -> str:
    return urlencode([(name, value) for name, value in query if value is not None], quote_via=quote)


def _may_repeat(call: Call, error: ApiError) -> bool:
    """Whether the fault may pass and sending the call again can't act twice."""
    match error:
        case UnreachableError():
            return not error.lasting
        case RateLimitedError():
            return True
        case AnswerError():
            return call.reads and isinstance(error.__cause__, answers.UndecodableError | httpx.DecodingError)
        case _:
            return call.reads and isinstance(error, UnknownFateError)
