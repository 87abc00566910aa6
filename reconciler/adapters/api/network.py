"""TCP and TLS for httpcore, on asyncio itself.

httpcore's own backend goes through anyio, which serves other event loops as well; that took a seventh of an apply's CPU
time.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpcore
import httpx

from reconciler.model.loopback import is_loopback

_SECOND_ADDRESS_AFTER: Final = 0.25
"""Seconds until a host's next address is tried beside the first (RFC 8305)."""
_UNREAD_MAX: Final = 256 * 1024
"""Bytes that may lie unread until the server is made to wait."""


class Transport(httpx.AsyncHTTPTransport):
    """httpx's own, on this network."""

    def __init__(self, trust: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Network(),
        )


class _Network(httpcore.AsyncNetworkBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's interface
        local_address: str | None = None,  # noqa: ARG002  our pool asks for neither
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        # asyncio's race of addresses, called off, leaves a socket open; here one is as good as the other
        delay = None if is_loopback(host) else _SECOND_ADDRESS_AFTER
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                _, stream = await loop.create_connection(_Stream, host, port, happy_eyeballs_delay=delay)
        return stream


class _Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    def __init__(self) -> None:
        self._received = bytearray()
        self._ended = False
        self._broken: Exception | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _UNREAD_MAX:
            self._transport.pause_reading()
        self._arrived()

    def eof_received(self) -> bool:
        self._ended = True
        self._arrived()
        return self._transport.get_extra_info("sslcontext") is None  # stays open until it is let go; over TLS it can't

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._broken = error
        self._arrived()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _arrived(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    # What httpcore asks for

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        with _mapped(httpcore.ReadTimeout, httpcore.ReadError):
            if not self._received and not self._ended:
                self._arrival = asyncio.get_running_loop().create_future()
                async with asyncio.timeout(timeout):
                    await self._arrival
            if not self._received and self._broken is not None:
                raise self._broken
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        if len(self._received) <= _UNREAD_MAX:
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        with _mapped(httpcore.WriteTimeout, httpcore.WriteError):
            self._transport.write(buffer)
            if not self._writable.is_set():
                async with asyncio.timeout(timeout):
                    await self._writable.wait()

    async def aclose(self) -> None:
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                secured = await loop.start_tls(self._transport, self, ssl_context, server_hostname=server_hostname)
        assert secured is not None
        self.connection_made(secured)
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            # so that a connection which the server has closed, or spoken on unasked, is not used for another request
            raw = self._transport.get_extra_info("socket")  # over TLS it is gone before we are told
            return self._ended or bool(self._received) or raw is None or _readable(raw.fileno())
        return self._transport.get_extra_info(info)


def _readable(descriptor: int) -> bool:
    """Whether a read would give something at once, or the end."""
    if descriptor < 0:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def _mapped(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    """Raise what httpcore's callers know."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except (OSError, UnicodeError) as error:  # ssl's errors are OSErrors; the other is of a name that can't be a host's
        raise broken(str(error)) from error
