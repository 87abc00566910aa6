"""The network border for files: which addresses may be connected to, and transports that keep to them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from ipaddress import ip_address

import httpx

from reconciler import proxies
from reconciler.model.hosts import LOOPBACK, Network, inside_network, is_reachable


class NotPublicError(ValueError):
    """A host that resolves into the user's own network. The text names it."""


class Border:
    """The addresses that a server may name for a file: public ones, and those in the network that the API itself is in.

    A name is resolved here, all its addresses are checked, and the connection is made to one of these, not to what the
    name resolves to a moment later. An HTTP proxy resolves and connects itself: there a name is checked as this machine
    resolves it, if it can, and the rest is for the proxy to forbid.
    """

    def __init__(self, *, local: bool, api_host: str | None) -> None:
        self._near: frozenset[Network] = LOOPBACK if local else frozenset()
        self._api_host = api_host

    async def addresses(self, host: str, port: int, *, written: bool = False) -> list[str]:
        """The addresses of a host. ``written``: only if it is written as an address; no name is resolved.

        Raises:
            NotPublicError: one of them is not public and not in the API's network.
            OSError: this machine can't resolve it.

        """
        found = await _resolved(host, port, written=written)
        inside = [network for address in found if (network := inside_network(ip_address(address)))]
        if self._api_host and not written and not self._near.issuperset(inside):
            await self._learn_network(self._api_host)
        if not all(is_reachable(ip_address(address), self._near) for address in found):
            raise NotPublicError(f"{host} is an address of this machine or of a private network")
        return found

    async def _learn_network(self, api_host: str) -> None:
        """Find out which network the API is in."""
        self._api_host = None
        with contextlib.suppress(OSError):
            networks = {inside_network(ip_address(address)) for address in await _resolved(api_host, 0)}
            found = frozenset(network for network in networks if network is not None)
            self._near |= found if found.isdisjoint(LOOPBACK) else found | LOOPBACK

    async def check(self, request: httpx.Request, *, written: bool) -> None:
        """Check the addresses of a request's host, as far as they are known here."""
        with contextlib.suppress(OSError):
            await self.addresses(*_host_and_port(request.url), written=written)


class _PinnedTransport(httpx.AsyncBaseTransport):
    """httpx's own transport, connecting to addresses that were checked. A connection is used once: kept by its address, it
    could be used for another host than the one whose certificate it showed.
    """

    def __init__(self, border: Border) -> None:
        self._border = border
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, port = _host_and_port(request.url)
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


class RoutedTransport(httpx.AsyncBaseTransport):
    """A transport to the proxy that the environment names for a request, else to addresses that were checked."""

    def __init__(self, border: Border) -> None:
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


def _host_and_port(url: httpx.URL) -> tuple[str, int]:
    return url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


async def _resolved(host: str, port: int, *, written: bool = False) -> list[str]:
    flags = socket.AI_NUMERICHOST if written else 0
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:  # the name can't be a host's
        raise OSError(str(error)) from error
    return list(dict.fromkeys(str(where[0]) for _, _, _, _, where in found))
